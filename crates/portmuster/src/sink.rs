//! What becomes of outcomes: rows in a format.
//!
//! A [`Sink`] gets outcomes as they complete, in any order, and [`Sink::finish`] once. Most write
//! to a [`SeekableOutput`]: a file, a pipe, a terminal.
//!
//! A sink that is to outlast its process says at a [checkpoint](Sink::checkpoint) where it stands;
//! from that [`ResumePoint`] the same sink goes on. Files of lines are to be [truncated](SeekableOutput::truncate) there before;
//! [`Xml`] and databases take back themselves what came later.

use std::{io, time::SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::outcome::{Account, Outcome};

mod cells;
mod csv;
mod jsonl;
mod row;
#[cfg(test)]
pub(crate) mod samples;
mod seekable;
#[cfg(feature = "sqlite")]
mod sqlite;
mod table;
mod text;
mod xml;

pub use csv::Csv;
pub use jsonl::Jsonl;
pub(crate) use jsonl::push_json_line;
pub use row::{EvidenceRow, PartRow, Row, RowText, SCHEMA};
pub use seekable::SeekableOutput;
#[cfg(feature = "sqlite")]
pub use sqlite::{DatabaseError, PreparedRun, Sqlite};
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::{connection::open_read_only, schema};
pub use table::{Paint, Table};
#[cfg(feature = "sqlite")]
pub(crate) use text::unescape;
pub use text::{escape, escape_line};
pub use xml::Xml;

/// Something that writes outcomes.
pub trait Sink {
    /// Takes one outcome. What it writes need not be seen before [`Self::flush`].
    ///
    /// # Errors
    /// It could not be written; the sink is to be given up.
    fn write(&mut self, outcome: &Outcome) -> io::Result<()>;

    /// Makes what was written seen, at once or, where that is dear, in a second at most: it is called
    /// again and again in a pause. Whatever ends the process, what was seen stays.
    ///
    /// # Errors
    /// As for [`Self::write`].
    fn flush(&mut self) -> io::Result<()>;

    /// Flushes, and says where the sink stands. What was written outlasts a power cut once its
    /// place is synced, which takes a while and is left to the caller.
    ///
    /// # Errors
    /// As for [`Self::write`]; and the place is one where nothing can be taken back.
    fn checkpoint(&mut self) -> io::Result<ResumePoint>;

    /// Ends the output, once.
    ///
    /// # Errors
    /// As for [`Self::write`].
    fn finish(&mut self, ending: &Ending) -> io::Result<()>;
}

/// Where a sink stands at a checkpoint: all that it takes to go on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ResumePoint {
    /// A file whose rows need nothing behind them: its length.
    Lines {
        /// In bytes.
        length: u64,
    },
    /// A file in nmap's format.
    Xml {
        /// In bytes, without what stands behind the rows.
        length: u64,
        /// The beginning of the run, in seconds since 1970.
        started: i64,
        /// Outcomes that prove a host up.
        up: u64,
        /// Outcomes that are written as a host.
        hosts: u64,
    },
    /// A run in a database.
    Run {
        /// The run's id.
        run: i64,
        /// The id of its last outcome, 0 where it has none; those beyond came later.
        last: i64,
        /// Tells it apart from a run of the same id in another database.
        fingerprint: u64,
    },
}

impl ResumePoint {
    /// Whether a sink can have stood there. One that was read from a file may say anything.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match *self {
            Self::Lines { .. } => true,
            // A host takes more than a byte.
            Self::Xml { length, started, up, hosts } => {
                let is_time = started >= 0 && Timestamp::from_second(started).is_ok();
                is_time && up <= hosts && hosts <= length
            }
            Self::Run { run, last, .. } => run > 0 && last >= 0,
        }
    }
}

/// How a run began, for formats that say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// When.
    pub time: SystemTime,
    /// What was asked for, as the user wrote it.
    pub arguments: String,
}

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// The closing sum over the targets that were begun.
    pub account: Account,
    /// Targets in all, with those that were never begun.
    pub targets: u128,
    /// When it ended.
    pub time: SystemTime,
}

impl Ending {
    /// Targets without an outcome: none, unless the run was stopped.
    #[must_use]
    pub fn left(&self) -> u128 {
        self.targets.saturating_sub(u128::from(self.account.settled() + self.account.excluded))
    }
}
