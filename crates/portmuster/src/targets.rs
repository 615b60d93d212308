//! The targets of a run, and the formats in which users list them.
//!
//! A [`Target`] is one host and one port. A [`TargetSet`] contains any number of targets, and
//! stores networks and ranges without expanding them. [`Lines`] reads a plain list from a file or a
//! stream; [`Entries`] also reads the output of other programs.

mod excludes;
mod formats;
mod grammar;
mod host_name;
mod input_format;
mod labels;
mod limits;
mod line_error;
mod lines;
mod ports;
mod range;
mod range_list;
mod raw_lines;
mod region;
mod set;
mod shuffle;
mod target;
mod walk;

pub use excludes::Excludes;
pub use formats::{
    Column, Columns, ColumnsError, ColumnsErrorKind, Entries, InputOptions, SkippedRecords,
};
pub use grammar::{ItemError, ItemErrorKind};
pub(crate) use host_name::{normalized_name, same_name};
pub use input_format::InputFormat;
pub use labels::LabelErrorKind;
pub use line_error::{LineError, LineErrorKind};
pub use lines::{LineRule, Lines};
pub use ports::{Ports, PortsError, PortsErrorKind};
pub(crate) use range::Family;
pub use set::{Skipped, TargetSet};
pub use target::{Host, Target};
pub use walk::{Order, Shard, ShardError, Targets, WALK_VERSION};
