//! The targets of a run, and the formats in which users list them.
//!
//! A [`Target`] is one host and one port. A [`TargetSet`] contains any number of targets, and
//! stores networks and ranges without expanding them. [`Lines`] reads a plain list from a file or a
//! stream; [`Entries`] also reads the output of other programs. This checks the targets of a list, but
//! none of the network 10.0.9.0/24:
//!
//! ```
//! use portmuster::targets::{Excludes, Lines, Ports, TargetSet};
//!
//! let list = "10.0.8.0/23:22  the rack\n[2001:db8::5]:2222  # moved in May\n";
//! let mut excludes = Excludes::new();
//! excludes.add("10.0.9.0/24")?;
//! let mut set = TargetSet::new(&excludes);
//! let ports = Ports::ssh_and_telnet(); // of items that name none
//! let mut lines = Lines::new(list.as_bytes());
//! while lines.next_item(|item, label| set.add(item, label, &ports))?.is_some() {}
//!
//! assert_eq!(set.len(), 257);
//! assert_eq!(set.skipped().excluded, 256);
//! assert_eq!(set.get(0).and_then(|target| target.label).as_deref(), Some("the rack"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The iterator of the set is what [`Checker::check`](crate::Checker::check) takes. The excludes also
//! belong to the checker, if names of targets may lead to excluded addresses: see
//! [`Checker::excluding`](crate::Checker::excluding).

mod chunks;
mod excludes;
mod formats;
mod grammar;
mod host_lists;
mod host_name;
mod input_format;
mod labels;
mod limits;
mod line_error;
mod lines;
mod members;
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
pub(crate) use shuffle::{Shuffle, mix};
pub use target::{Host, Target};
pub use walk::{Order, Shard, ShardError, Targets, WALK_VERSION};
