//! Outputs that can be rewritten and truncated, so that a run can resume them.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
};

use rustix::fs::{OFlags, fcntl_getfl};

use super::interface::ResumePoint;

/// An output that can be rewritten and truncated, so that a run can resume it.
///
/// Files are such outputs; pipes and terminals are not. No one else may write to the output while a
/// sink uses it.
///
/// A [`File`] must be open for writing, and not for appending if its bytes are rewritten:
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let file = std::fs::File::options().read(true).write(true).open("rows.jsonl")?;
/// # Ok(())
/// # }
/// ```
pub trait ResumableOutput: Write {
    /// Moves to the end, where the next bytes are written, and returns the length in bytes.
    ///
    /// The length includes bytes that are not flushed yet.
    ///
    /// # Errors
    /// The length is unknown, for example because the file is a pipe.
    fn seek_to_end(&mut self) -> io::Result<u64>;

    /// Overwrites existing bytes at the given position, immediately and unbuffered. The caller has
    /// flushed all earlier bytes.
    ///
    /// # Errors
    /// The write failed.
    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Truncates the output to the given length, immediately, and moves to its end. The caller has
    /// flushed all earlier bytes.
    ///
    /// # Errors
    /// The output could not be truncated.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// Flushes the output and returns the resume point of a format without a trailer.
pub(super) fn checkpoint_lines(output: &mut impl ResumableOutput) -> io::Result<ResumePoint> {
    output.flush()?;
    Ok(ResumePoint::Lines { length: output.seek_to_end()? })
}

/// Truncates the output of a format without a trailer to its resume point, and returns its length.
///
/// # Errors
/// The output could not be truncated, it is shorter, or the resume point is of another format.
pub(super) fn resume_lines(
    output: &mut impl ResumableOutput,
    resume_point: ResumePoint,
) -> io::Result<u64> {
    let ResumePoint::Lines { length } = resume_point else {
        return Err(invalid("the resume point is of a format other than lines"));
    };
    if output.seek_to_end()? < length {
        return Err(invalid("the file is shorter than at its resume point"));
    }
    output.truncate(length)?;
    Ok(length)
}

/// Returns the error for arguments that do not fit the output.
pub(super) fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

impl ResumableOutput for File {
    fn seek_to_end(&mut self) -> io::Result<u64> {
        self.seek(SeekFrom::End(0))
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        // Linux would append the bytes wherever they belong (pwrite(2), BUGS).
        if fcntl_getfl(&*self)?.contains(OFlags::APPEND) {
            return Err(invalid("the file is open for appending, so it cannot be rewritten"));
        }
        self.write_all_at(bytes, at)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(drop)
    }
}

impl ResumableOutput for BufWriter<File> {
    fn seek_to_end(&mut self) -> io::Result<u64> {
        // This flushes the buffer first.
        self.seek(SeekFrom::End(0))
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.get_mut().rewrite(at, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.flush()?;
        self.get_mut().truncate(length)
    }
}

impl ResumableOutput for Vec<u8> {
    fn seek_to_end(&mut self) -> io::Result<u64> {
        Ok(self.len() as u64)
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

impl<W: ResumableOutput + ?Sized> ResumableOutput for &mut W {
    fn seek_to_end(&mut self) -> io::Result<u64> {
        (**self).seek_to_end()
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).rewrite(at, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        (**self).truncate(length)
    }
}

impl<W: ResumableOutput + ?Sized> ResumableOutput for Box<W> {
    fn seek_to_end(&mut self) -> io::Result<u64> {
        (**self).seek_to_end()
    }

    fn rewrite(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).rewrite(at, bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        (**self).truncate(length)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::NamedTempFile;

    use super::*;

    /// Opens an existing file as a process that resumes it does: its position is the start.
    fn reopen(file: &NamedTempFile) -> File {
        File::options().write(true).open(file.path()).expect("the file exists")
    }

    fn check(open: impl Fn(&NamedTempFile) -> Box<dyn ResumableOutput>) {
        let file = NamedTempFile::new().expect("a temporary file can be created");
        fs::write(file.path(), "one\n").expect("there is room");
        let mut output = open(&file);
        assert_eq!(output.seek_to_end().expect("it is a file"), 4);
        output.write_all(b"two\n").expect("there is room");
        assert_eq!(output.seek_to_end().expect("it is a file"), 8);
        output.rewrite(4, b"T").expect("there is room");
        output.write_all(b"three\n").expect("there is room");
        output.flush().expect("there is room");
        assert_eq!(fs::read(file.path()).expect("the file exists"), b"one\nTwo\nthree\n");
        output.truncate(8).expect("the file can be truncated");
        output.write_all(b"3\n").expect("there is room");
        output.flush().expect("there is room");
        assert_eq!(fs::read(file.path()).expect("the file exists"), b"one\nTwo\n3\n");
    }

    #[test]
    fn files_are_appended_to_rewritten_and_truncated() {
        check(|file| Box::new(reopen(file)));
        check(|file| Box::new(BufWriter::new(reopen(file))));
    }

    #[test]
    fn file_that_is_open_for_appending_is_not_rewritten() {
        let file = NamedTempFile::new().expect("a temporary file can be created");
        fs::write(file.path(), "one\n").expect("there is room");
        let mut output =
            File::options().append(true).open(file.path()).expect("the file can be opened");
        let error = output.rewrite(0, b"O").expect_err("the byte would be appended");
        assert!(error.to_string().contains("open for appending"), "{error}");
        assert_eq!(fs::read(file.path()).expect("the file exists"), b"one\n");
    }

    #[test]
    fn resume_refuses_a_file_that_is_shorter_and_another_format() {
        let mut output = b"one\n".to_vec();
        let error = resume_lines(&mut output, ResumePoint::Lines { length: 5 });
        assert!(error.expect_err("a row is missing").to_string().contains("shorter"));
        let run = ResumePoint::Run { run: 1, last: 0, fingerprint: 0 };
        let error = resume_lines(&mut output, run).expect_err("it is a run in a database");
        assert!(error.to_string().contains("format other than lines"), "{error}");
        assert_eq!(output, b"one\n");
    }
}
