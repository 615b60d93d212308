//! Comparison of two runs.
//!
//! [`RunResults`] has the results of a run: collected from its outcomes, in any order, or read from
//! its rows by [`read_jsonl`] or, with the feature `sqlite`, by `read_run`. [`Changes`] compares two
//! of them. This compares a run with the rows that an earlier one has written:
//!
//! ```
//! # let earlier = r#"{"schema":1,"host":"127.0.0.1","port":1,"state":"open","reason":"accepted"}"#;
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("last-week.jsonl");
//! # std::fs::write(&path, earlier)?;
//! use std::{fs::File, io::BufReader};
//! use portmuster::{Checker, Config, history::{Changes, RunResults, read_jsonl}};
//!
//! let old = read_jsonl(BufReader::new(File::open(&path)?))?;
//! let new: RunResults = Checker::new(Config::default()).check([("127.0.0.1", 1)])?.collect();
//! for change in Changes::between(old, new) {
//!     println!("{}: {:?}", change.target, change.kinds);
//!     # assert_eq!(change.kinds, [portmuster::history::ChangeKind::Closed]);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariant: a result that proves nothing is not a change. A target that gave no answer is not
//! closed; a target that a run did not reach neither came nor went; a target that could not be
//! checked, and the algorithms of an ssh server that sent none, are not compared.

mod change;
mod change_counts;
mod changes;
#[cfg(feature = "sqlite")]
mod database;
mod diff;
mod jsonl;
mod read;
mod run_results;
#[cfg(feature = "sqlite")]
mod stored_rows;
mod table;
mod target_result;
#[cfg(test)]
mod tests;

pub use change::{Change, ChangeKind, ChangeSide};
pub use change_counts::ChangeCounts;
pub use changes::Changes;
#[cfg(feature = "sqlite")]
pub use database::{
    RunChoice, StoredRun, StoredRunError, StoredRunErrorKind, UnknownChoice, read_run,
};
pub use jsonl::{ChangeRow, ChangesJsonl, SCHEMA, TargetResultRow};
pub use read::{RowError, RowErrorKind, read_jsonl};
pub use run_results::RunResults;
#[cfg(feature = "sqlite")]
pub use stored_rows::{StoredRows, read_run_rows};
pub use table::ChangeTable;
pub use target_result::{KnownHostKey, TargetResult};
