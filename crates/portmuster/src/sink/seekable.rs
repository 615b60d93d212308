//! Where the bytes of a sink go.

use std::io::{self, Stdout, Write};

use super::ResumePoint;

/// Where the bytes of a sink go. Some places are files, of which a run can go on writing after its
/// process was killed; others, pipes and terminals, keep nothing.
pub trait SeekableOutput: Write {
    /// How long it is, with what waits to be flushed; `None` where nothing can be taken back.
    fn length(&self) -> Option<u64>;

    /// Writes over what stands there, at once and unbuffered. All of it was flushed before.
    ///
    /// # Errors
    /// It could not be written, or nothing can be taken back here.
    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Takes back what stands behind this length, at once. All of it was flushed before.
    ///
    /// # Errors
    /// It could not be cut, or nothing can be taken back here.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The mark of a sink that needs nothing behind its rows: all is flushed and measured.
pub(super) fn checkpoint(place: &mut impl SeekableOutput) -> io::Result<ResumePoint> {
    place.flush()?;
    place.length().map(|length| ResumePoint::Lines { length }).ok_or_else(nothing_taken_back)
}

/// The error of a place that is no file.
pub(super) fn nothing_taken_back() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "nothing that was written here can be taken back")
}

impl SeekableOutput for Stdout {
    fn length(&self) -> Option<u64> {
        None
    }

    fn rewrite(&mut self, _at: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(nothing_taken_back())
    }

    fn truncate(&mut self, _length: u64) -> io::Result<()> {
        Err(nothing_taken_back())
    }
}

impl SeekableOutput for Vec<u8> {
    fn length(&self) -> Option<u64> {
        Some(self.len() as u64)
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(at).map_err(io::Error::other)?;
        let old = self.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len()));
        old.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.truncate(usize::try_from(length).map_err(io::Error::other)?);
        Ok(())
    }
}

impl<P: SeekableOutput + ?Sized> SeekableOutput for &mut P {
    fn length(&self) -> Option<u64> {
        (**self).length()
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).rewrite(at, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        (**self).truncate(length)
    }
}
