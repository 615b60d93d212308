//! Writers that never leave a partial row in an output.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    rc::Rc,
};

use portmuster::sink::SeekableOutput;
use thiserror::Error;

/// Number of buffered bytes at which lines are written without a flush.
const BUFFER_MAX: usize = 64 * 1024;

/// The error for a file that another program changed during the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum ForeignChange {
    #[error("another program has truncated it to {found} of {written} bytes")]
    Truncated { found: u64, written: u64 },
    #[error("another program has written to it: it has {found} bytes instead of {written}")]
    Extended { found: u64, written: u64 },
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

/// A file in which each write succeeds completely or leaves no bytes, even if the disk is full.
pub(super) struct OutputFile {
    file: File,
    /// `None`: a device or a pipe, which can't be truncated.
    extent: Option<Extent>,
}

impl OutputFile {
    /// Wraps a device or a pipe.
    pub(super) fn stream(file: File) -> Self {
        Self { file, extent: None }
    }

    /// Wraps a regular file; rows follow its content.
    ///
    /// # Errors
    /// The file can't be positioned at its end.
    pub(super) fn at_end(mut file: File, extent: Extent) -> io::Result<Self> {
        extent.end.set(file.seek(SeekFrom::End(0))?);
        Ok(Self { file, extent: Some(extent) })
    }

    /// Writes at the current position, and truncates the file to the last row if that fails.
    fn write_or_truncate(&mut self, bytes: &[u8], end: &SharedEnd) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            self.file.set_len(end.get())?;
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
                    self.truncate_part(first, (bytes.len() - left.len()) as u64)?;
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
        match self.extent.clone() {
            None => self.file.write_all(bytes)?,
            Some(extent) => {
                extent.check(self.file.metadata()?.len()).map_err(io::Error::other)?;
                if extent.is_shared {
                    self.append_or_truncate(bytes, &extent.end)?;
                } else {
                    self.write_or_truncate(bytes, &extent.end)?;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl SeekableOutput for OutputFile {
    fn length(&self) -> Option<u64> {
        self.extent.as_ref().map(|extent| extent.end.get())
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        if let Some(extent) = &self.extent {
            extent.end.set(length);
        }
        Ok(())
    }
}

/// A buffer that passes only complete lines to its output.
pub(super) struct LineBuffer<P> {
    output: P,
    buffer: Vec<u8>,
}

impl<P: SeekableOutput> LineBuffer<P> {
    /// Wraps an output.
    pub(super) fn new(output: P) -> Self {
        Self { output, buffer: Vec::new() }
    }

    fn write_lines(&mut self) -> io::Result<()> {
        let end = self.buffer.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let written = self.output.write_all(&self.buffer[..end]);
        // Even after an error, so that the lines are not written a second time.
        self.buffer.drain(..end);
        written
    }
}

impl<P: SeekableOutput> Write for LineBuffer<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_MAX {
            self.write_lines()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.write_lines()?;
        self.output.flush()
    }
}

impl<P: SeekableOutput> SeekableOutput for LineBuffer<P> {
    fn length(&self) -> Option<u64> {
        Some(self.output.length()? + self.buffer.len() as u64)
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.output.rewrite(at, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.output.truncate(length)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;

    #[test]
    fn only_complete_lines_are_passed_to_the_output() {
        let mut lines = LineBuffer::new(Vec::new());
        lines.write_all(b"one\ntw").expect("the buffer takes it");
        lines.flush().expect("writing to a vector succeeds");
        assert_eq!(lines.output, b"one\n");
        lines.write_all(b"o\n").expect("the buffer takes it");
        lines.flush().expect("writing to a vector succeeds");
        assert_eq!(lines.output, b"one\ntwo\n");
    }

    #[test]
    fn full_buffer_is_written_without_a_flush() {
        let mut lines = LineBuffer::new(Vec::new());
        for _ in 0..BUFFER_MAX {
            lines.write_all(b"a line\n").expect("writing to a vector succeeds");
        }
        assert!(lines.buffer.len() < BUFFER_MAX && lines.output.ends_with(b"\n"));
    }

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
                assert_eq!((content.as_str(), writes.length()), ("one\nother\ntwo\n", Some(14)));
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
