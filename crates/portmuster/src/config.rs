//! The configuration of a run.
//!
//! A [`ConfigBuilder`] sets what differs from the [`defaults`]. This one checks gently, and finds out
//! only which service answers:
//!
//! ```
//! use std::time::Duration;
//! use portmuster::{Checker, Config, config::Probing};
//!
//! let config = Config::builder()
//!     .rate(100) // new connections per second
//!     .per_host(1)
//!     .probing(Probing::Greeting)
//!     .timeout(Duration::from_secs(5))
//!     .build()?;
//! let checker = Checker::new(config);
//! # Ok::<(), portmuster::ConfigError>(())
//! ```

use std::{num::NonZeroUsize, thread};

mod builder;
mod choices;
pub mod defaults;
mod error;
mod max_missed;
mod method;
mod proxy;
mod settings;

pub use builder::ConfigBuilder;
pub use choices::{Addresses, HostKeyProbing, Patience, Probing, SpeakFirst};
pub use error::{ConfigError, ConfigErrorKind};
pub use max_missed::{MaxMissed, MaxMissedError};
pub use method::Method;
pub(crate) use proxy::Credentials;
pub use proxy::{Proxy, ProxyError};
pub use settings::Config;
pub(crate) use settings::Limits;

/// Returns how many processors this process may use; at least 1.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
