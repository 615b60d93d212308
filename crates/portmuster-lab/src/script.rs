//! Scripts: what a server does on a connection, as a list of steps, and the runner of such a list.
//!
//! Pure: the caller passes in the time and the received bytes, and carries out the actions that the
//! runner returns. The module owns no sockets.
//!
//! - Invariant: [`ScriptRunner::next_action`] returns, because every loop of a script sends or
//!   waits.
//! - Invariant: at most [`INBOX_LIMIT`] bytes of a client's input are kept.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

/// The most bytes of input to keep: the line limit of common web servers. A longer line counts as
/// complete at this length.
pub(crate) const INBOX_LIMIT: usize = 8 * 1024;

/// One step of a script. After the last one the server stays silent.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends these bytes.
    Send(Cow<'static, [u8]>),
    /// Sends these bytes as urgent data (tcp(7), `MSG_OOB`); the last byte is the urgent one.
    SendUrgent(&'static [u8]),
    /// Waits this long, whatever the client sends.
    Pause(Duration),
    /// Waits until the client has sent anything, or this time has passed.
    AwaitInput(Duration),
    /// Waits until the client has sent a line (or filled the inbox).
    AwaitLine,
    /// Waits until the client has sent a line (or filled the inbox), then sends what the function
    /// returns for it.
    AnswerLine(fn(&[u8]) -> &'static [u8]),
    /// Waits until the function has an answer to everything that the client has sent, then sends that.
    #[cfg(feature = "host-keys")]
    Answer(fn(&[u8]) -> Option<Vec<u8>>),
    /// Continues at this step, counted from 0.
    GoTo(usize),
    /// Closes the connection with FIN.
    Close,
    /// Closes the connection with RST.
    Reset,
}

/// Returns a step that sends these bytes.
pub(crate) fn send(bytes: &'static [u8]) -> Step {
    Step::Send(Cow::Borrowed(bytes))
}

/// Returns a step that sends these bytes, which were computed.
pub(crate) fn send_owned(bytes: Vec<u8>) -> Step {
    Step::Send(Cow::Owned(bytes))
}

/// Returns steps that send one byte at a time, with a pause after each.
pub(crate) fn send_byte_by_byte(
    bytes: &'static [u8],
    pause: Duration,
) -> impl Iterator<Item = Step> {
    bytes.chunks(1).flat_map(move |byte| [send(byte), Step::Pause(pause)])
}

/// What the owner of a connection must do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action<'a> {
    /// Send these bytes, or the first of them, and report how many with [`ScriptRunner::sent`].
    Send(&'a [u8]),
    /// The same, as urgent data.
    SendUrgent(&'a [u8]),
    /// Wait for input or for this time; `None` to wait for input only.
    Wait(Option<Instant>),
    /// Close the connection with FIN.
    Close,
    /// Close the connection with RST.
    Reset,
}

/// Runs a script on one connection.
#[derive(Debug)]
pub(crate) struct ScriptRunner {
    script: Arc<[Step]>,
    position: usize,
    sent: usize,
    wake: Option<Instant>,
    answer: Option<Cow<'static, [u8]>>,
    inbox: Vec<u8>,
}

impl ScriptRunner {
    pub(crate) fn new(script: Arc<[Step]>) -> Self {
        Self { script, position: 0, sent: 0, wake: None, answer: None, inbox: Vec::new() }
    }

    pub(crate) fn script(&self) -> &Arc<[Step]> {
        &self.script
    }

    /// Takes input of the client. Bytes beyond [`INBOX_LIMIT`] are discarded.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let free = INBOX_LIMIT - self.inbox.len();
        self.inbox.extend_from_slice(&bytes[..bytes.len().min(free)]);
    }

    /// Records that so many bytes of the current step were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// Skips the steps that are complete and returns the action of the next one.
    pub(crate) fn next_action(&mut self, now: Instant) -> Action<'_> {
        while self.is_step_complete(now) {
            self.position = match self.script[self.position] {
                Step::GoTo(position) => position,
                _ => self.position + 1,
            };
            self.sent = 0;
            self.wake = None;
            self.answer = None;
        }
        self.action()
    }

    fn is_step_complete(&mut self, now: Instant) -> bool {
        match self.script.get(self.position) {
            Some(Step::Send(bytes)) => self.sent >= bytes.len(),
            Some(Step::SendUrgent(bytes)) => self.sent >= bytes.len(),
            Some(Step::Pause(time)) => now >= *self.wake.get_or_insert(now + *time),
            Some(Step::AwaitInput(limit)) => {
                let wake = *self.wake.get_or_insert(now + *limit);
                !std::mem::take(&mut self.inbox).is_empty() || now >= wake
            }
            Some(Step::AwaitLine) => self.take_line().is_some(),
            Some(Step::AnswerLine(answer_to)) => {
                let answer_to = *answer_to;
                if self.answer.is_none() {
                    self.answer = self.take_line().map(|line| answer_to(&line).into());
                }
                self.is_answer_sent()
            }
            #[cfg(feature = "host-keys")]
            Some(Step::Answer(answer_to)) => {
                if self.answer.is_none() {
                    self.answer = answer_to(&self.inbox).map(Cow::Owned);
                }
                self.is_answer_sent()
            }
            Some(Step::GoTo(_)) => true,
            Some(Step::Close | Step::Reset) | None => false,
        }
    }

    fn is_answer_sent(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| self.sent >= answer.len())
    }

    /// Takes the client's next line with its line end, once it is complete.
    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.inbox.iter().position(|&byte| byte == b'\n');
        let full = self.inbox.len() == INBOX_LIMIT;
        let length = end.map(|end| end + 1).or(full.then_some(INBOX_LIMIT))?;
        Some(self.inbox.drain(..length).collect())
    }

    fn action(&self) -> Action<'_> {
        match (self.script.get(self.position), &self.answer) {
            (Some(Step::Send(bytes)), _) => Action::Send(&bytes[self.sent..]),
            (Some(Step::SendUrgent(bytes)), _) => Action::SendUrgent(&bytes[self.sent..]),
            (Some(Step::AnswerLine(_)), Some(answer)) => Action::Send(&answer[self.sent..]),
            #[cfg(feature = "host-keys")]
            (Some(Step::Answer(_)), Some(answer)) => Action::Send(&answer[self.sent..]),
            (Some(Step::Close), _) => Action::Close,
            (Some(Step::Reset), _) => Action::Reset,
            _ => Action::Wait(self.wake),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a start for the times of these tests")]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn runner(script: Vec<Step>) -> (ScriptRunner, Instant) {
        (ScriptRunner::new(script.into()), Instant::now())
    }

    fn classify(line: &[u8]) -> &'static [u8] {
        if line == b"hello\r\n" { b"good" } else { b"bad" }
    }

    #[test]
    fn short_write_continues_with_the_remaining_bytes() {
        let (mut runner, now) = runner(vec![Step::Send(b"hello"[..].into()), Step::Close]);
        assert_eq!(runner.next_action(now), Action::Send(b"hello"));
        runner.sent(2);
        assert_eq!(runner.next_action(now), Action::Send(b"llo"));
        runner.sent(3);
        assert_eq!(runner.next_action(now), Action::Close);
    }

    #[test]
    fn pause_starts_when_its_step_is_reached() {
        let (mut runner, now) = runner(vec![Step::Pause(SECOND), Step::Pause(SECOND)]);
        assert_eq!(runner.next_action(now), Action::Wait(Some(now + SECOND)));
        let later = now + SECOND * 3 / 2;
        assert_eq!(runner.next_action(later), Action::Wait(Some(later + SECOND)));
        assert_eq!(runner.next_action(later + SECOND), Action::Wait(None));
    }

    #[test]
    fn await_input_ends_on_input_or_timeout() {
        let script = vec![Step::AwaitInput(SECOND), Step::AwaitInput(SECOND), Step::Reset];
        let (mut runner, now) = runner(script);
        runner.receive(b"x");
        assert_eq!(
            runner.next_action(now),
            Action::Wait(Some(now + SECOND)),
            "the second wait needs new input"
        );
        assert_eq!(runner.next_action(now + SECOND), Action::Reset);
    }

    #[test]
    fn line_is_answered_once_it_is_complete() {
        let (mut runner, now) = runner(vec![Step::AnswerLine(classify), Step::Close]);
        runner.receive(b"hel");
        assert_eq!(runner.next_action(now), Action::Wait(None));
        runner.receive(b"lo\r\nmore");
        assert_eq!(runner.next_action(now), Action::Send(b"good"));
        runner.sent(4);
        assert_eq!(runner.next_action(now), Action::Close);
    }

    #[test]
    fn endless_line_is_answered_at_the_inbox_limit() {
        let (mut runner, now) = runner(vec![Step::AnswerLine(classify)]);
        runner.receive(&[b'a'; INBOX_LIMIT - 1]);
        assert_eq!(runner.next_action(now), Action::Wait(None));
        runner.receive(&[b'a'; INBOX_LIMIT]);
        assert_eq!(runner.inbox.len(), INBOX_LIMIT);
        assert_eq!(runner.next_action(now), Action::Send(b"bad"));
    }

    #[test]
    fn await_line_consumes_one_line_and_keeps_the_rest() {
        let (mut runner, now) = runner(vec![Step::AwaitLine, Step::AwaitLine, Step::Close]);
        runner.receive(b"one");
        assert_eq!(runner.next_action(now), Action::Wait(None));
        runner.receive(b"\ntwo\n");
        assert_eq!(runner.next_action(now), Action::Close);
    }

    #[test]
    fn go_to_repeats_from_its_step_forever() {
        let script = [b"a", b"b", b"c"].map(|bytes| Step::Send(bytes[..].into()));
        let (mut runner, now) = runner([&script[..], &[Step::GoTo(1)]].concat());
        let sent: Vec<u8> = (0..1000)
            .map(|_| {
                let Action::Send(&[byte]) = runner.next_action(now) else {
                    panic!("the script ended")
                };
                runner.sent(1);
                byte
            })
            .collect();
        assert!(sent.starts_with(b"abcbcbc") && !sent[1..].contains(&b'a'));
    }
}
