//! The interface of sinks: the trait and the types that it exchanges with its caller.

use std::{io, time::SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::outcome::{Account, Certainty, Outcome};

/// A writer of outcomes in one format.
///
/// After an error, every later call fails, too, with an error of the same kind. The output then has
/// the rows that were written before, and no end.
pub trait Sink {
    /// Writes one outcome. Readers of the output may not see it before [`Self::flush`].
    ///
    /// # Errors
    /// The outcome could not be written, or an earlier call has failed.
    fn write(&mut self, outcome: &Outcome) -> io::Result<()>;

    /// Makes written outcomes visible to readers: immediately or, where that is expensive, within a
    /// second. The caller calls it repeatedly during a pause. Visible outcomes survive the death of
    /// the process.
    ///
    /// # Errors
    /// As for [`Self::write`].
    fn flush(&mut self) -> io::Result<()>;

    /// Completes the output. To be called once, as the last method.
    ///
    /// # Errors
    /// As for [`Self::write`].
    fn finish(&mut self, ending: &Ending) -> io::Result<()>;
}

/// A sink whose output a later process can resume.
pub trait ResumableSink: Sink {
    /// Flushes, and returns the point from which the output can be resumed.
    ///
    /// The written outcomes survive a power failure only after the caller has synced the file, which
    /// takes a while.
    ///
    /// # Errors
    /// As for [`Self::write`](Sink::write), and if the length of the output is unknown.
    fn checkpoint(&mut self) -> io::Result<ResumePoint>;
}

/// The state of a sink at a checkpoint: all that is needed to resume the output from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ResumePoint {
    /// A file of lines, which needs no trailer.
    Lines {
        /// Length of the file, in bytes.
        length: u64,
    },
    /// A file in nmap's XML format.
    Xml {
        /// Length of the file without the trailer, in bytes.
        length: u64,
        /// Start of the run, in seconds since 1970.
        started: i64,
        /// Number of outcomes that prove a host up.
        up: u64,
        /// Number of outcomes that are written as a host.
        hosts: u64,
    },
    /// A run in a database.
    Run {
        /// Id of the run.
        run: i64,
        /// Id of its last outcome, 0 if it has none; outcomes with higher ids were written later.
        last: i64,
        /// Fingerprint that tells the run apart from a run with the same id in another database.
        fingerprint: u64,
    },
}

impl ResumePoint {
    /// Returns whether a sink can have made this resume point. One that was read from a file may hold
    /// any numbers.
    pub(crate) fn is_sound(&self) -> bool {
        match *self {
            Self::Lines { .. } => true,
            // A host takes more than one byte.
            Self::Xml { length, started, up, hosts } => {
                let is_time = started >= 0 && Timestamp::from_second(started).is_ok();
                is_time && up <= hosts && hosts <= length
            }
            Self::Run { run, last, .. } => run > 0 && last >= 0,
        }
    }
}

/// The start of a run, for formats that record it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Beginning {
    /// The time at which the run started.
    pub time: SystemTime,
    /// The command line, as the user typed it.
    pub arguments: String,
}

impl Beginning {
    /// Describes a run that started at `time`; `arguments` is its command line.
    #[must_use]
    pub fn new(time: SystemTime, arguments: impl Into<String>) -> Self {
        Self { time, arguments: arguments.into() }
    }
}

/// The end of a run, for formats that record it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Ending {
    /// The sums over the targets that were taken.
    pub account: Account,
    /// Number of targets, including those that were never taken.
    pub targets: u128,
    /// The time at which the run ended.
    pub time: SystemTime,
    /// How certain it is that silent targets would not answer. `None`: it was not measured, or the run
    /// was stopped.
    pub certainty: Option<Certainty>,
}

impl Ending {
    /// Describes a run of `targets` targets that ended at `time` with the sums in `account`.
    #[must_use]
    pub fn new(account: Account, targets: u128, time: SystemTime) -> Self {
        Self { account, targets, time, certainty: None }
    }

    /// Returns the number of targets without an outcome: 0, unless the run was stopped.
    #[must_use]
    pub fn left(&self) -> u128 {
        self.targets.saturating_sub(u128::from(self.account.settled() + self.account.excluded))
    }
}
