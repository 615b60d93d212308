//! Tests of the database, by topic.

use std::path::Path;

use self::scratch::ScratchDatabase;
use crate::history::{StoredRun, StoredRunError, read_run};

mod interference;
mod names;
mod runs;
mod schema;
pub(crate) mod scratch;
mod untrusted;

/// Number of rows of the run in [`database_with_run`].
const ROWS: u32 = 300;

/// Returns a database with one complete run.
fn database_with_run() -> ScratchDatabase {
    let database = ScratchDatabase::new();
    database.add_run(ROWS);
    database
}

/// Reads the latest run of a file.
fn read(file: &Path) -> Result<StoredRun, StoredRunError> {
    read_run(file, "last".parse().expect("it names a run"))
}
