//! Files that never contain a partial row of this run.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    rc::Rc,
};

use portmuster::sink::ResumableOutput;
use thiserror::Error;

/// The error for a file that another program changed during the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum ForeignChange {
    #[error("another program has truncated it to {found} of {written} bytes")]
    Truncated { found: u64, written: u64 },
    #[error("another program has written to it: it has {found} bytes instead of {written}")]
    Extended { found: u64, written: u64 },
}

/// The error for a part of a row that was written and can't be removed.
#[derive(Debug, Error)]
#[error("it ends with a part of a row, which can't be removed")]
struct PartialRow(#[source] io::Error);

impl From<PartialRow> for io::Error {
    fn from(error: PartialRow) -> Self {
        Self::other(error)
    }
}

/// The offset at which the last row of this run ends. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedEnd(Rc<Cell<u64>>);

impl SharedEnd {
    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }

    fn set(&self, end: u64) {
        self.0.set(end);
    }
}

/// Where the rows of this run end in a regular file, and how they are added.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub(super) end: SharedEnd,
    /// Whether the file is open for appending, so that other programs may append to it as well.
    pub(super) is_shared: bool,
}

impl Extent {
    /// Checks the length of the file.
    ///
    /// # Errors
    /// The file is shorter than the rows, or longer although it is not shared.
    pub(super) fn check(&self, found: u64) -> Result<(), ForeignChange> {
        let written = self.end.get();
        match found {
            _ if found < written => Err(ForeignChange::Truncated { found, written }),
            _ if found > written && !self.is_shared => {
                Err(ForeignChange::Extended { found, written })
            }
            _ => Ok(()),
        }
    }
}

/// A regular file in which each write succeeds completely or leaves no bytes, even if the disk is
/// full.
pub(super) struct OutputFile {
    file: File,
    extent: Extent,
}

impl OutputFile {
    /// Wraps a file; rows follow its content.
    ///
    /// # Errors
    /// The file can't be positioned at its end.
    pub(super) fn at_end(mut file: File, extent: Extent) -> io::Result<Self> {
        extent.end.set(file.seek(SeekFrom::End(0))?);
        Ok(Self { file, extent })
    }

    /// Waits until the content is on the disk.
    ///
    /// # Errors
    /// The disk can't be written.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Writes at the current position, and truncates the file to the last row if that fails.
    fn write_or_truncate(&mut self, bytes: &[u8], end: &SharedEnd) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            self.file.set_len(end.get()).map_err(PartialRow)?;
            self.file.seek(SeekFrom::Start(end.get()))?;
            return Err(error);
        }
        end.set(end.get() + bytes.len() as u64);
        Ok(())
    }

    /// Writes at the current end of the file, and truncates the written part if that fails.
    ///
    /// The part stays if another program has appended to the file since.
    fn append_or_truncate(&mut self, bytes: &[u8], end: &SharedEnd) -> io::Result<()> {
        let mut left = bytes;
        let mut first = None;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let at = self.file.stream_position()?;
                    first.get_or_insert(at - count as u64);
                    left = &left[count..];
                    if left.is_empty() {
                        end.set(at);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let written = (bytes.len() - left.len()) as u64;
                    self.truncate_part(first, written).map_err(PartialRow)?;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Removes the `written` bytes from offset `first` on, if the file still ends with them.
    fn truncate_part(&self, first: Option<u64>, written: u64) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        match first.filter(|first| first + written == length) {
            Some(first) => self.file.set_len(first),
            None => Ok(()),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let extent = self.extent.clone();
        extent.check(self.file.metadata()?.len()).map_err(io::Error::other)?;
        if extent.is_shared {
            self.append_or_truncate(bytes, &extent.end)?;
        } else {
            self.write_or_truncate(bytes, &extent.end)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ResumableOutput for OutputFile {
    fn seek_to_end(&mut self) -> io::Result<u64> {
        // Every write leaves the position there.
        Ok(self.extent.end.get())
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.extent.end.set(length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;

    fn opened(appends: bool) -> (tempfile::NamedTempFile, OutputFile) {
        let named = tempfile::NamedTempFile::new().expect("the file system works");
        let file = OpenOptions::new().write(true).append(appends).open(named.path());
        let extent = Extent { end: SharedEnd::default(), is_shared: appends };
        let writes = OutputFile::at_end(file.expect("the file exists"), extent);
        (named, writes.expect("the file can be positioned"))
    }

    #[test]
    fn write_to_a_truncated_file_fails() {
        for appends in [false, true] {
            let (named, mut writes) = opened(appends);
            writes.write_all(b"one\n").expect("the file system works");
            fs::write(named.path(), "on").expect("the file system works");
            let error = writes.write_all(b"two\n").expect_err("the file was truncated");
            let changed = error.get_ref().and_then(|error| error.downcast_ref());
            assert_eq!(
                changed,
                Some(&ForeignChange::Truncated { found: 2, written: 4 }),
                "{error}"
            );
            assert_eq!(fs::read(named.path()).expect("the file exists"), b"on");
        }
    }

    #[test]
    fn other_programs_may_extend_a_file_only_if_it_is_shared() {
        for appends in [false, true] {
            let (named, mut writes) = opened(appends);
            writes.write_all(b"one\n").expect("the file system works");
            let mut other =
                OpenOptions::new().append(true).open(named.path()).expect("the file opens");
            other.write_all(b"other\n").expect("the file system works");
            let written = writes.write_all(b"two\n");
            let content = fs::read_to_string(named.path()).expect("the file exists");
            if appends {
                written.expect("other programs may append");
                let end = writes.seek_to_end().expect("it is a file");
                assert_eq!((content.as_str(), end), ("one\nother\ntwo\n", 14));
            } else {
                let changed = ForeignChange::Extended { found: 10, written: 4 };
                assert_eq!(
                    written.expect_err("the file has grown").to_string(),
                    changed.to_string()
                );
                assert_eq!(content, "one\nother\n");
            }
        }
    }
}
