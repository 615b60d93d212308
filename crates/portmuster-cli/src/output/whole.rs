//! Places of rows in which a row is whole or not there.

use std::{
    cell::Cell,
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    rc::Rc,
};

use portmuster::sink::SeekableOutput;
use thiserror::Error;

/// Bytes that are gathered before they are written, when nobody flushes before.
const BUFFER_MAX: usize = 64 * 1024;

/// Another program has changed a file while the run wrote to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Changed {
    #[error("another program has cut it to {found} of the {written} bytes that it had")]
    Cut { found: u64, written: u64 },
    #[error("another program has written to it: it has {found} bytes, and had {written}")]
    Extended { found: u64, written: u64 },
}

/// Where the latest row of this run ends in a file. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct End(Rc<Cell<u64>>);

impl End {
    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }

    fn set(&self, end: u64) {
        self.0.set(end);
    }
}

/// How a regular file is written.
#[derive(Debug, Clone)]
pub(super) struct Extent {
    pub(super) end: End,
    /// The file is open for appending, so others may write behind and between the rows.
    pub(super) is_shared: bool,
}

impl Extent {
    /// Checks that a file of this length has all that this run has written, and nothing else where it
    /// is not shared.
    pub(super) fn check(&self, found: u64) -> Result<(), Changed> {
        let written = self.end.get();
        match found {
            _ if found < written => Err(Changed::Cut { found, written }),
            _ if found > written && !self.is_shared => Err(Changed::Extended { found, written }),
            _ => Ok(()),
        }
    }
}

/// A file in which a write is whole or not there: what a full disk cut off is taken back.
pub(super) struct WholeWrites {
    file: File,
    /// `None` for what can't be cut, a device or a pipe.
    extent: Option<Extent>,
}

impl WholeWrites {
    /// Writes to a device or a pipe.
    pub(super) fn to_stream(file: File) -> Self {
        Self { file, extent: None }
    }

    /// Writes to a file behind all that it has.
    ///
    /// # Errors
    /// It has no end.
    pub(super) fn at_end(mut file: File, extent: Extent) -> io::Result<Self> {
        extent.end.set(file.seek(SeekFrom::End(0))?);
        Ok(Self { file, extent: Some(extent) })
    }

    /// Writes where the file is at, and takes back what a failing write has written.
    fn write_whole(&mut self, bytes: &[u8], end: &End) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            self.file.set_len(end.get())?;
            self.file.seek(SeekFrom::Start(end.get()))?;
            return Err(error);
        }
        end.set(end.get() + bytes.len() as u64);
        Ok(())
    }

    /// Writes at the end of the file, wherever that is, and takes back what a failing write has
    /// written unless another program has appended to the file since.
    fn append_whole(&mut self, bytes: &[u8], end: &End) -> io::Result<()> {
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
                    let length = self.file.metadata()?.len();
                    if let Some(first) = first.filter(|first| first + written == length) {
                        self.file.set_len(first)?;
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

impl Write for WholeWrites {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.extent.clone() {
            None => self.file.write_all(bytes)?,
            Some(extent) => {
                extent.check(self.file.metadata()?.len()).map_err(io::Error::other)?;
                if extent.is_shared {
                    self.append_whole(bytes, &extent.end)?;
                } else {
                    self.write_whole(bytes, &extent.end)?;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl SeekableOutput for WholeWrites {
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

/// Gathers what is written and passes on whole lines only.
pub(super) struct WholeLines<P> {
    output: P,
    buffer: Vec<u8>,
}

impl<P: SeekableOutput> WholeLines<P> {
    pub(super) fn new(output: P) -> Self {
        Self { output, buffer: Vec::new() }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let end = self.buffer.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        let written = self.output.write_all(&self.buffer[..end]);
        // Also when it failed: what could not be written once is not written twice.
        self.buffer.drain(..end);
        written
    }
}

impl<P: SeekableOutput> Write for WholeLines<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_MAX {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.output.flush()
    }
}

impl<P: SeekableOutput> SeekableOutput for WholeLines<P> {
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
    fn only_whole_lines_are_passed_on() {
        let mut lines = WholeLines::new(Vec::new());
        lines.write_all(b"one\ntw").expect("it is gathered");
        lines.flush().expect("a vector takes it");
        assert_eq!(lines.output, b"one\n");
        lines.write_all(b"o\n").expect("it is gathered");
        lines.flush().expect("a vector takes it");
        assert_eq!(lines.output, b"one\ntwo\n");
    }

    #[test]
    fn what_is_too_much_to_gather_is_passed_on() {
        let mut lines = WholeLines::new(Vec::new());
        for _ in 0..BUFFER_MAX {
            lines.write_all(b"a line\n").expect("a vector takes it");
        }
        assert!(lines.buffer.len() < BUFFER_MAX && lines.output.ends_with(b"\n"));
    }

    fn opened(appends: bool) -> (tempfile::NamedTempFile, WholeWrites) {
        let named = tempfile::NamedTempFile::new().expect("there is room");
        let file = OpenOptions::new().write(true).append(appends).open(named.path());
        let extent = Extent { end: End::default(), is_shared: appends };
        let writes = WholeWrites::at_end(file.expect("it is there"), extent);
        (named, writes.expect("it has an end"))
    }

    #[test]
    fn file_that_is_cut_between_two_writes_takes_no_more() {
        for appends in [false, true] {
            let (named, mut writes) = opened(appends);
            writes.write_all(b"one\n").expect("there is room");
            fs::write(named.path(), "on").expect("there is room");
            let error = writes.write_all(b"two\n").expect_err("it was cut");
            let changed = error.get_ref().and_then(|error| error.downcast_ref());
            assert_eq!(changed, Some(&Changed::Cut { found: 2, written: 4 }), "{error}");
            assert_eq!(fs::read(named.path()).expect("it is there"), b"on");
        }
    }

    #[test]
    fn only_a_file_that_is_appended_to_may_be_extended_by_others() {
        for appends in [false, true] {
            let (named, mut writes) = opened(appends);
            writes.write_all(b"one\n").expect("there is room");
            let mut other = OpenOptions::new().append(true).open(named.path()).expect("a file");
            other.write_all(b"other\n").expect("there is room");
            let written = writes.write_all(b"two\n");
            let content = fs::read_to_string(named.path()).expect("it is there");
            if appends {
                written.expect("others may append");
                assert_eq!((content.as_str(), writes.length()), ("one\nother\ntwo\n", Some(14)));
            } else {
                let changed = Changed::Extended { found: 10, written: 4 };
                assert_eq!(written.expect_err("it has grown").to_string(), changed.to_string());
                assert_eq!(content, "one\nother\n");
            }
        }
    }
}
