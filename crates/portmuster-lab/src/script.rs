//! What a server does on a connection, as a list of steps, and the player that walks it.
//!
//! Pure: the time comes in, bytes come in, and the next act goes out. It refuses to own sockets.
//!
//! - Invariant: [`Player::next`] returns; a script that begins again sends or waits on its way.
//! - Invariant: of what a client says, at most [`INBOX_LIMIT`] bytes are kept.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

/// Longer lines are answered as they stand: it is the line limit of common web servers.
pub(crate) const INBOX_LIMIT: usize = 8 * 1024;

/// One step of a script. After the last one the server stays silent.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Send(Cow<'static, [u8]>),
    /// Send this as urgent data (tcp(7), `MSG_OOB`), of which the last byte is the urgent one.
    SendUrgent(&'static [u8]),
    Pause(Duration),
    /// Until the client has said anything, or this time has passed.
    AwaitInput(Duration),
    /// Until the client has said a line (or filled the inbox).
    AwaitLine,
    /// Until the client has said a line (or filled the inbox); then what the function makes of it.
    AnswerLine(fn(&[u8]) -> &'static [u8]),
    /// From this step again, counted from 0.
    Again(usize),
    /// An orderly end: FIN.
    Close,
    /// An abrupt end: RST.
    Reset,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Act<'a> {
    /// Send (a part of) this and report it with [`Player::sent`].
    Send(&'a [u8]),
    /// The same, as urgent data.
    SendUrgent(&'a [u8]),
    /// Nothing, until the client speaks or this time comes.
    Wait(Option<Instant>),
    Close,
    Reset,
}

#[derive(Debug)]
pub(crate) struct Player {
    script: Arc<[Step]>,
    at: usize,
    sent: usize,
    wake: Option<Instant>,
    answer: Option<&'static [u8]>,
    inbox: Vec<u8>,
}

impl Player {
    pub(crate) fn new(script: Arc<[Step]>) -> Self {
        Self { script, at: 0, sent: 0, wake: None, answer: None, inbox: Vec::new() }
    }

    pub(crate) fn plays(&self, script: &Arc<[Step]>) -> bool {
        Arc::ptr_eq(&self.script, script)
    }

    /// Takes what the client said; what does not fit into the inbox is forgotten.
    pub(crate) fn heard(&mut self, bytes: &[u8]) {
        let room = INBOX_LIMIT - self.inbox.len();
        self.inbox.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    pub(crate) fn next(&mut self, now: Instant) -> Act<'_> {
        while self.is_past(now) {
            self.at = match self.script[self.at] {
                Step::Again(from) => from,
                _ => self.at + 1,
            };
            self.sent = 0;
            self.wake = None;
            self.answer = None;
        }
        self.act()
    }

    fn is_past(&mut self, now: Instant) -> bool {
        match self.script.get(self.at) {
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
                self.answer = self.answer.or_else(|| self.take_line().map(|line| answer_to(&line)));
                self.answer.is_some_and(|answer| self.sent >= answer.len())
            }
            Some(Step::Again(_)) => true,
            Some(Step::Close | Step::Reset) | None => false,
        }
    }

    /// The client's next line with its end, once it is whole.
    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.inbox.iter().position(|&byte| byte == b'\n');
        let full = self.inbox.len() == INBOX_LIMIT;
        let length = end.map(|end| end + 1).or(full.then_some(INBOX_LIMIT))?;
        Some(self.inbox.drain(..length).collect())
    }

    fn act(&self) -> Act<'_> {
        match (self.script.get(self.at), self.answer) {
            (Some(Step::Send(bytes)), _) => Act::Send(&bytes[self.sent..]),
            (Some(Step::SendUrgent(bytes)), _) => Act::SendUrgent(&bytes[self.sent..]),
            (Some(Step::AnswerLine(_)), Some(answer)) => Act::Send(&answer[self.sent..]),
            (Some(Step::Close), _) => Act::Close,
            (Some(Step::Reset), _) => Act::Reset,
            _ => Act::Wait(self.wake),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a start for the times of these tests")]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn player(script: Vec<Step>) -> (Player, Instant) {
        (Player::new(script.into()), Instant::now())
    }

    fn echo_kind(line: &[u8]) -> &'static [u8] {
        if line == b"hello\r\n" { b"good" } else { b"bad" }
    }

    #[test]
    fn goes_on_where_a_short_write_stopped() {
        let (mut player, now) = player(vec![Step::Send(b"hello"[..].into()), Step::Close]);
        assert_eq!(player.next(now), Act::Send(b"hello"));
        player.sent(2);
        assert_eq!(player.next(now), Act::Send(b"llo"));
        player.sent(3);
        assert_eq!(player.next(now), Act::Close);
    }

    #[test]
    fn pauses_from_when_the_step_is_reached() {
        let (mut player, now) = player(vec![Step::Pause(SECOND), Step::Pause(SECOND)]);
        assert_eq!(player.next(now), Act::Wait(Some(now + SECOND)));
        let later = now + SECOND * 3 / 2;
        assert_eq!(player.next(later), Act::Wait(Some(later + SECOND)));
        assert_eq!(player.next(later + SECOND), Act::Wait(None));
    }

    #[test]
    fn input_ends_a_wait_early_and_time_ends_it_anyway() {
        let script = vec![Step::AwaitInput(SECOND), Step::AwaitInput(SECOND), Step::Reset];
        let (mut player, now) = player(script);
        player.heard(b"x");
        assert_eq!(
            player.next(now),
            Act::Wait(Some(now + SECOND)),
            "the second wait has its own input"
        );
        assert_eq!(player.next(now + SECOND), Act::Reset);
    }

    #[test]
    fn answers_a_line_once_it_is_whole() {
        let (mut player, now) = player(vec![Step::AnswerLine(echo_kind), Step::Close]);
        player.heard(b"hel");
        assert_eq!(player.next(now), Act::Wait(None));
        player.heard(b"lo\r\nmore");
        assert_eq!(player.next(now), Act::Send(b"good"));
        player.sent(4);
        assert_eq!(player.next(now), Act::Close);
    }

    #[test]
    fn answers_an_endless_line_at_the_limit_and_keeps_no_more() {
        let (mut player, now) = player(vec![Step::AnswerLine(echo_kind)]);
        player.heard(&[b'a'; INBOX_LIMIT - 1]);
        assert_eq!(player.next(now), Act::Wait(None));
        player.heard(&[b'a'; INBOX_LIMIT]);
        assert_eq!(player.inbox.len(), INBOX_LIMIT);
        assert_eq!(player.next(now), Act::Send(b"bad"));
    }

    #[test]
    fn a_line_ends_a_wait_and_the_rest_is_kept() {
        let (mut player, now) = player(vec![Step::AwaitLine, Step::AwaitLine, Step::Close]);
        player.heard(b"one");
        assert_eq!(player.next(now), Act::Wait(None));
        player.heard(b"\ntwo\n");
        assert_eq!(player.next(now), Act::Close);
    }

    #[test]
    fn begins_again_for_ever_from_where_it_is_told() {
        let script = [b"a", b"b", b"c"].map(|bytes| Step::Send(bytes[..].into()));
        let (mut player, now) = player([&script[..], &[Step::Again(1)]].concat());
        let said: Vec<u8> = (0..1000)
            .map(|_| {
                let Act::Send(&[byte]) = player.next(now) else { panic!("it goes on") };
                player.sent(1);
                byte
            })
            .collect();
        assert!(said.starts_with(b"abcbcbc") && !said[1..].contains(&b'a'));
    }
}
