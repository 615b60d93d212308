//! The configuration of a run.

use std::{num::NonZeroUsize, thread};

mod builder;
mod choices;
pub mod defaults;
mod error;
mod method;
mod settings;

pub use builder::ConfigBuilder;
pub use choices::{Addresses, Probing, SpeakFirst};
pub use error::{ConfigError, ConfigErrorKind};
pub use method::Method;
pub use settings::Config;
pub(crate) use settings::Limits;

/// Returns how many processors this process may use; at least 1.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
