//! The outputs of a run as its journal sees them.

use std::{fs::File, io};

use serde::{Serialize, de::DeserializeOwned};

use crate::sink::ResumePoint;

/// What a journal stores of an output: its resume point, and what identifies its file.
///
/// A [`ResumePoint`] is the simplest entry. It suits callers that know that no other program replaces
/// or changes the files between two processes of a run.
pub trait JournalEntry: Serialize + DeserializeOwned {
    /// Returns the end of the rows at the checkpoint.
    fn resume_point(&self) -> ResumePoint;
}

impl JournalEntry for ResumePoint {
    fn resume_point(&self) -> ResumePoint {
        *self
    }
}

/// An output whose rows a journal counts as written. The thread that writes the journal owns it.
///
/// A [`File`] is one, with its [`ResumePoint`] as its entry. The directory of a new file must be
/// synced before the run starts, or the file may be gone after a power failure.
pub trait JournalOutput: Send + 'static {
    /// What the journal stores of it.
    type Entry: JournalEntry;

    /// Prepares for the run with this id, before the first checkpoint.
    fn begin(&mut self, run: &str) {
        let _ = run;
    }

    /// Waits until all rows that were written are durable.
    ///
    /// # Errors
    /// The output can't be synced.
    fn sync(&self) -> io::Result<()>;

    /// Returns the entry for a checkpoint at this resume point.
    ///
    /// # Errors
    /// The output can't be read, or is not valid up to the resume point.
    fn entry(&self, resume_point: ResumePoint) -> io::Result<Self::Entry>;

    /// Called once the journal says that the run is complete.
    fn complete(&self) {}
}

impl JournalOutput for File {
    type Entry = ResumePoint;

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn entry(&self, resume_point: ResumePoint) -> io::Result<ResumePoint> {
        Ok(resume_point)
    }
}
