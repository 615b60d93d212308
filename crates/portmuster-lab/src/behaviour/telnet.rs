//! Telnet servers: the options they wish for, and the prompt.

use std::time::Duration;

use super::{byte_by_byte, send, send_own};
use crate::script::Step;

/// DO TERMINAL-TYPE, WILL ECHO, WILL SUPPRESS-GO-AHEAD, DO NAWS (RFC 854, 1091, 857, 858, 1073).
pub(super) const WISHES: &[u8] = b"\xff\xfd\x18\xff\xfb\x01\xff\xfb\x03\xff\xfd\x1f";

/// WONT and DONT for all of them.
const SECOND_THOUGHTS: &[u8] = b"\xff\xfe\x18\xff\xfc\x01\xff\xfc\x03\xff\xfe\x1f";

pub(super) const LOGIN_PROMPT: &[u8] = b"\r\nDebian GNU/Linux 12\r\nhost login: ";

/// How long a server waits for an answer to its wishes.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long one waits that wants none.
const IMPATIENCE: Duration = Duration::from_millis(20);

/// The wishes, then the prompt.
pub(super) fn prompting(wishes: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let prompt = [Step::AwaitInput(PATIENCE), send(LOGIN_PROMPT)];
    wishes.into_iter().chain(prompt).collect()
}

pub(super) fn split() -> impl Iterator<Item = Step> {
    byte_by_byte(WISHES, Duration::from_millis(20))
}

pub(super) fn when_asked() -> Vec<Step> {
    prompting([Step::AwaitInput(crate::MAX_LIFE), send(WISHES)])
}

pub(super) fn repeating() -> Vec<Step> {
    vec![send_own(WISHES.repeat(64)), Step::Again(0)]
}

pub(super) fn toggling() -> Vec<Step> {
    [WISHES, SECOND_THOUGHTS]
        .into_iter()
        .flat_map(|wishes| [send(wishes), Step::AwaitInput(IMPATIENCE)])
        .chain([Step::Again(0)])
        .collect()
}
