//! A list of targets: `host:port`, one per line, for other programs.

use std::io::{self, Write};

use super::{
    first_error::StopAfterError,
    interface::{Ending, ResumableSink, ResumePoint, Sink},
    resumable::{ResumableOutput, checkpoint_lines, resume_lines},
    text::escape,
};
use crate::outcome::Outcome;

/// Writes each outcome as a line `host:port`, as the target was named; IPv6 addresses have brackets.
///
/// The names of hosts are escaped by [`escape`]: a name that the user gave may contain anything.
///
/// ```
/// use portmuster::sink::{List, Sink};
///
/// let mut sink = List::new(Vec::new());
/// for outcome in portmuster::check_ports([("::1", 1)]) {
///     sink.write(&outcome)?;
/// }
/// assert_eq!(sink.get_ref(), b"[::1]:1\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct List<W> {
    output: StopAfterError<W>,
    line: Vec<u8>,
}

impl<W: Write> List<W> {
    /// Creates a sink that writes to `output`, one whole line at a time.
    pub fn new(output: W) -> Self {
        Self { output: StopAfterError::new(output), line: Vec::new() }
    }

    /// Returns the output, for example to sync a file.
    pub fn get_ref(&self) -> &W {
        self.output.get_ref()
    }
}

impl<W: ResumableOutput> List<W> {
    /// Resumes an output from the resume point, and removes later rows.
    ///
    /// # Errors
    /// The output could not be truncated, it is shorter than at the resume point, or the resume
    /// point is of another format.
    pub fn resume(mut output: W, resume_point: ResumePoint) -> io::Result<Self> {
        resume_lines(&mut output, resume_point)?;
        Ok(Self::new(output))
    }
}

impl<W: Write> Sink for List<W> {
    fn write(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.line.clear();
        write!(self.line, "{}", outcome.target)?;
        if !self.line.iter().all(|byte| matches!(byte, b'!'..=b'[' | b']'..=b'~')) {
            self.line = escape(&self.line).into_bytes();
        }
        self.line.push(b'\n');
        self.output.write_all(&self.line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    fn finish(&mut self, _ending: &Ending) -> io::Result<()> {
        self.output.flush()
    }
}

impl<W: ResumableOutput> ResumableSink for List<W> {
    fn checkpoint(&mut self) -> io::Result<ResumePoint> {
        self.output.attempt(checkpoint_lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Host, Target,
        outcome::{PortState, Reason},
        sink::{
            first_error::tests::{FailsOnce, assert_earlier},
            samples,
        },
    };

    fn named(host: Host, port: u16) -> Outcome {
        let target = Target::from((host, port));
        Outcome { target, ..samples::not_open(PortState::Closed, Reason::Refused) }
    }

    #[test]
    fn each_target_is_one_line() {
        let mut list = List::new(Vec::new());
        for (host, port) in [
            (Host::from("10.0.0.5"), 22),
            (Host::from("2001:db8::1"), 23),
            (Host::from("db.example"), 2222),
            (Host::Name("a\nb \u{1b}[2J".into()), 1),
        ] {
            list.write(&named(host, port)).expect("writing to a vector cannot fail");
        }
        let expected = "10.0.0.5:22\n[2001:db8::1]:23\ndb.example:2222\na\\nb \\x1b[2J:1\n";
        assert_eq!(String::from_utf8_lossy(list.get_ref()), expected);
    }

    #[test]
    fn resume_removes_later_lines() {
        let mut list = List::new(Vec::new());
        list.write(&named(Host::from("10.0.0.5"), 1)).expect("there is room");
        let point = list.checkpoint().expect("a vector has a length");
        list.write(&named(Host::from("10.0.0.5"), 2)).expect("there is room");
        let mut list = List::resume(list.get_ref().clone(), point).expect("there is room");
        list.write(&named(Host::from("10.0.0.5"), 3)).expect("there is room");
        assert_eq!(list.get_ref(), b"10.0.0.5:1\n10.0.0.5:3\n");
    }

    #[test]
    fn calls_after_an_error_fail() {
        let mut list = List::new(FailsOnce::after(3));
        let outcome = named(Host::from("10.0.0.5"), 1);
        list.write(&outcome).expect_err("there is room for 3 bytes");
        assert_earlier(list.write(&outcome));
        assert_earlier(list.flush());
    }
}
