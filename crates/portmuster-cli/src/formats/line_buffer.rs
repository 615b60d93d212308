//! A buffer that never passes a partial row to an output.

use std::io::{self, Write};

use portmuster::sink::ResumableOutput;

/// Number of buffered bytes at which lines are written without a flush.
const BUFFER_MAX: usize = 64 * 1024;

/// A buffer that passes only complete lines to its output.
pub(crate) struct LineBuffer<W> {
    output: W,
    buffer: Vec<u8>,
}

impl<W: Write> LineBuffer<W> {
    /// Wraps an output.
    pub(crate) fn new(output: W) -> Self {
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

impl<W: Write> Write for LineBuffer<W> {
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

impl<W: ResumableOutput> ResumableOutput for LineBuffer<W> {
    fn seek_to_end(&mut self) -> io::Result<u64> {
        Ok(self.output.seek_to_end()? + self.buffer.len() as u64)
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
}
