//! A database in a temporary folder, for tests.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rusqlite::{Connection, types::FromSql};
use tempfile::TempDir;

use crate::{
    outcome::{Account, Outcome, PortState, Reason},
    sink::{Beginning, DatabaseError, Ending, PreparedRun, Sink, Sqlite, samples},
};

/// A temporary folder with the path of a database in it, which does not exist at first.
pub(crate) struct ScratchDatabase {
    folder: TempDir,
}

impl ScratchDatabase {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder can be created") }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder().join("audit.db")
    }

    /// Lists the names of the files in the folder.
    pub(crate) fn file_names(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.folder()).expect("the folder exists");
        entries.map(|entry| entry.expect("the entry can be read").file_name()).collect()
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        fs::read(self.file()).expect("the file exists")
    }

    /// Opens the database like another program.
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.file()).expect("the database can be opened")
    }

    /// Changes the database like another program.
    pub(crate) fn execute(&self, statements: &str) {
        self.connect().execute_batch(statements).expect("the statements are valid");
    }

    /// Reads the first column of a query like another program.
    pub(crate) fn query<T: FromSql>(&self, query: &str) -> Vec<T> {
        let database = self.connect();
        let mut query = database.prepare(query).expect("the columns exist");
        let rows = query.query_map([], |row| row.get(0)).expect("the database can be read");
        rows.map(|row| row.expect("the column has this type")).collect()
    }

    /// Counts the outcomes of all runs.
    pub(crate) fn count(&self) -> u32 {
        self.query("SELECT count(*) FROM outcomes")[0]
    }

    /// Begins a run.
    pub(crate) fn begin(&self) -> Sqlite {
        begin(&self.file()).expect("the file is a database")
    }

    /// Adds a complete run with this number of rows.
    pub(crate) fn add_run(&self, rows: u32) {
        let mut sink = self.begin();
        write(&mut sink, rows);
        sink.finish(&ending()).expect("there is room");
    }
}

/// Begins a run in the file.
pub(crate) fn begin(file: &Path) -> Result<Sqlite, DatabaseError> {
    prepare(file).and_then(PreparedRun::commit)
}

/// Prepares a run in the file.
pub(crate) fn prepare(file: &Path) -> Result<PreparedRun, DatabaseError> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
    PreparedRun::begin(file, &Beginning { time, arguments: "portmuster check x".into() })
}

/// Returns the ending of a run that has three targets and checked none.
pub(crate) fn ending() -> Ending {
    Ending::new(Account::default(), 3, SystemTime::UNIX_EPOCH)
}

/// Returns the outcome of a refused connection to this port of 10.0.0.5.
pub(crate) fn refused(port: u16) -> Outcome {
    let mut outcome = samples::not_open(PortState::Closed, Reason::Refused);
    outcome.target = ("10.0.0.5", port).into();
    outcome
}

/// Writes refused connections to ascending ports from 1 on.
pub(crate) fn write(sink: &mut Sqlite, rows: u32) {
    for port in 1..=rows {
        let port = u16::try_from(port).expect("the number of rows is that of ports at most");
        sink.write(&refused(port)).expect("there is room");
    }
}

/// Flushes like the program during a pause.
pub(crate) fn pause(sink: &mut Sqlite) {
    sink.flush().and_then(|()| sink.flush()).expect("there is room");
}
