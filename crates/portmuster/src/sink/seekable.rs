//! The output that a sink writes its bytes to.

use std::io::{self, Stdout, Write};

use super::interface::ResumePoint;

/// The output that a sink writes to. Files can be rewritten and truncated, so that a run can resume
/// them after its process was killed; pipes and terminals cannot.
pub trait SeekableOutput: Write {
    /// Returns the length, including unflushed bytes; `None` if the output cannot be truncated.
    fn length(&self) -> Option<u64>;

    /// Overwrites the bytes at the given position, immediately and unbuffered. The caller has flushed
    /// all earlier bytes.
    ///
    /// # Errors
    /// The write failed, or the output cannot be rewritten.
    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Truncates the output to the given length, immediately. The caller has flushed all earlier
    /// bytes.
    ///
    /// # Errors
    /// The output could not be truncated.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// Flushes the output and returns the resume point of a format without a trailer.
pub(super) fn checkpoint(output: &mut impl SeekableOutput) -> io::Result<ResumePoint> {
    output.flush()?;
    resume_point(output)
}

/// Returns the resume point of a format without a trailer, whose output is flushed.
pub(super) fn resume_point(output: &impl SeekableOutput) -> io::Result<ResumePoint> {
    output.length().map(|length| ResumePoint::Lines { length }).ok_or_else(not_seekable)
}

/// Returns the error of an output that is not a file.
pub(super) fn not_seekable() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the output is not a file and cannot be rewritten")
}

impl SeekableOutput for Stdout {
    fn length(&self) -> Option<u64> {
        None
    }

    fn rewrite(&mut self, _at: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(not_seekable())
    }

    fn truncate(&mut self, _length: u64) -> io::Result<()> {
        Err(not_seekable())
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
