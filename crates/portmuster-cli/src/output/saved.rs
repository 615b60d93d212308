//! Outputs in a journal: what the journal says about each, and the files that it syncs.

use std::{
    fmt,
    fs::{self, File},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path,
};

use anyhow::Context;
use portmuster::{
    journal::{JournalEntry, JournalOutput},
    sink::ResumePoint,
};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

use super::{error::OpenError, file::OpenFile, grouped::Replacement, run_tag};
use crate::args::OutputSpec;

/// Number of bytes before a resume point that the checksum covers.
const CHECKED: u64 = 64 * 1024;

/// An output as a journal names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedOutput {
    pub(crate) format: String,
    /// The absolute path.
    pub(crate) path: String,
    /// The inode of the file. The device is omitted, because its number may change on reboot.
    pub(crate) inode: u64,
    /// The end of the rows at the checkpoint.
    #[serde(rename = "mark")]
    pub(crate) resume_point: ResumePoint,
    /// The [checksum](checksum_before) of the bytes before the resume point; `None`: a database.
    #[serde(rename = "before")]
    pub(crate) checksum_before: Option<String>,
    /// Whether the file carries the tag of the run.
    #[serde(rename = "has_trace")]
    pub(crate) is_tagged: bool,
}

impl SavedOutput {
    /// Returns the name that the entry of an output would have.
    ///
    /// # Errors
    /// The current folder can't be read.
    pub(crate) fn name_of(output: &OutputSpec) -> io::Result<String> {
        let Some(path) = output.file() else { return Ok("-".to_owned()) };
        // A missing file is reported later, when it is opened.
        let path = fs::canonicalize(path).or_else(|_| path::absolute(path))?;
        Ok(format!("{}={}", output.name(), path.display()))
    }
}

impl JournalEntry for SavedOutput {
    fn resume_point(&self) -> ResumePoint {
        self.resume_point
    }
}

impl fmt::Display for SavedOutput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.format, self.path)
    }
}

/// The file of an output as the checkpoint writer uses it: it syncs the file and names it.
#[derive(Debug)]
pub(crate) struct JournaledOutput {
    format: &'static str,
    path: String,
    inode: u64,
    /// `None`: a database, which syncs itself.
    // Closing another descriptor of a database would release the locks of SQLite on it.
    file: Option<File>,
    /// Whether the file carries the tag of this run.
    is_tagged: bool,
    /// The file that replaces this one at the end of the run.
    replacement: Replacement,
}

impl JournaledOutput {
    /// Creates the entry of an open file, and syncs its directory.
    ///
    /// # Errors
    /// The directory can't be synced, or the system has no more descriptors.
    pub(super) fn new(spec: &OutputSpec, open: &OpenFile) -> Result<Self, OpenError> {
        let path = fs::canonicalize(open.path()).map_err(anyhow::Error::new)?;
        // The name of a new file is durable once its directory is synced.
        if let Some(folder) = path.parent() {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            let synced = synced.with_context(|| format!("syncing {}", folder.display()));
            synced.map_err(OpenError::Failed)?;
        }
        let path = path.display().to_string();
        let duplicate =
            || open.file().try_clone().with_context(|| format!("opening {path} a second time"));
        let file = if spec.is_database() { None } else { Some(duplicate()?) };
        let inode = open.metadata().ino();
        let (format, replacement) = (spec.name(), Replacement::default());
        Ok(Self { format, path, inode, file, is_tagged: false, replacement })
    }

    /// Returns where the file is set that replaces this one at the end of the run.
    pub(super) fn replacement(&self) -> Replacement {
        self.replacement.clone()
    }
}

impl JournalOutput for JournaledOutput {
    type Entry = SavedOutput;

    /// Tags the file with the id of the run, until the run is complete.
    fn begin(&mut self, run: &str) {
        self.is_tagged = self.file.as_ref().is_some_and(|file| run_tag::set(file, run));
    }

    fn sync(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let synced = file.sync_data().with_context(|| format!("syncing {}", self.path));
        synced.map_err(io::Error::other)
    }

    fn entry(&self, resume_point: ResumePoint) -> io::Result<SavedOutput> {
        self.replacement.with(|new| match new {
            Some(new) => {
                let inode = new.file.metadata()?.ino();
                self.entry_of(Some(&new.file), inode, new.resume_point, false)
            }
            None => self.entry_of(self.file.as_ref(), self.inode, resume_point, self.is_tagged),
        })
    }

    /// Removes the tag.
    fn complete(&self) {
        if let Some(file) = self.file.as_ref().filter(|_| self.is_tagged) {
            run_tag::remove(file);
        }
    }
}

impl JournaledOutput {
    fn entry_of(
        &self,
        file: Option<&File>,
        inode: u64,
        resume_point: ResumePoint,
        is_tagged: bool,
    ) -> io::Result<SavedOutput> {
        let checksum_before = file.map(|file| {
            let checksum = checksum_before(file, resume_point);
            checksum.with_context(|| format!("reading {}", self.path))
        });
        Ok(SavedOutput {
            format: self.format.to_owned(),
            path: self.path.clone(),
            inode,
            resume_point,
            checksum_before: checksum_before.transpose().map_err(io::Error::other)?,
            is_tagged,
        })
    }
}

/// Returns the 128-bit XXH3 hash of the last 64 KiB before a resume point, in hexadecimal digits.
///
/// It detects accidental changes, and does not protect against deliberate ones.
///
/// # Errors
/// The file can't be read, or no line ends at the resume point.
pub(super) fn checksum_before(file: &File, resume_point: ResumePoint) -> io::Result<String> {
    let (ResumePoint::Lines { length } | ResumePoint::Xml { length, .. }) = resume_point else {
        return Err(io::Error::other("the resume point does not belong to a file of rows"));
    };
    let mut bytes = vec![0; usize::try_from(length.min(CHECKED)).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, length.saturating_sub(CHECKED))?;
    let ends_line = bytes.last().is_none_or(|&last| last == b'\n');
    if matches!(resume_point, ResumePoint::Lines { .. }) && !ends_line {
        return Err(io::Error::other(format!(
            "no line ends after its first {length} bytes, so another program has changed it"
        )));
    }
    Ok(format!("{:032x}", XxHash3_128::oneshot(&bytes)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(content).expect("the file is written");
        file
    }

    #[test]
    fn checksum_covers_the_last_64_kib_before_the_resume_point() {
        let lines = |length| ResumePoint::Lines { length };
        let one = checksum_before(&file(b"one\ntwo\n"), lines(4)).expect("a line ends there");
        assert_eq!(checksum_before(&file(b"one\nxxx\n"), lines(4)).ok(), Some(one.clone()));
        assert_ne!(checksum_before(&file(b"onE\ntwo\n"), lines(4)).ok(), Some(one));
        assert!(checksum_before(&file(b"one\ntwo\n"), lines(5)).is_err(), "no line ends there");
        assert!(checksum_before(&file(b"one\n"), lines(5)).is_err(), "the file is shorter");
        assert!(checksum_before(&file(b""), lines(0)).is_ok());
        let long = "x\n".repeat(50_000);
        let end = lines(long.len() as u64);
        let changed = |at: usize| {
            let mut long = long.clone().into_bytes();
            long[at] = b'y';
            checksum_before(&file(&long), end).ok()
        };
        let unchanged = checksum_before(&file(long.as_bytes()), end).ok();
        assert_eq!(changed(0), unchanged, "the first byte is not covered");
        assert_ne!(changed(long.len() - 65_536), unchanged);
    }
}
