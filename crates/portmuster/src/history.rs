//! Comparison of two runs.
//!
//! [`RunResults`] collects the results of a run from rows, in any order; [`Changes`] compares two of
//! them.
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
pub use table::ChangeTable;
pub use target_result::TargetResult;
