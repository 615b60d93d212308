//! Scripts of telnet servers: option requests and the login prompt.

use std::time::Duration;

use crate::{
    limits::MAX_LIFE,
    script::{Step, send, send_byte_by_byte, send_owned},
};

/// Turns options on: DO TERMINAL-TYPE, WILL ECHO, WILL SUPPRESS-GO-AHEAD, DO NAWS (RFC 854, 1091,
/// 857, 858, 1073).
pub(super) const OPTIONS_ON: &[u8] = b"\xff\xfd\x18\xff\xfb\x01\xff\xfb\x03\xff\xfd\x1f";

/// Turns the same options off: DONT and WONT.
const OPTIONS_OFF: &[u8] = b"\xff\xfe\x18\xff\xfc\x01\xff\xfc\x03\xff\xfe\x1f";

/// The login prompt.
pub(super) const LOGIN_PROMPT: &[u8] = b"\r\nDebian GNU/Linux 12\r\nhost login: ";

/// How long a server waits for an answer before it sends its prompt.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(300);

/// How long a server waits for an answer before it toggles its options again.
const TOGGLE_TIMEOUT: Duration = Duration::from_millis(20);

/// Sends the options, and the prompt once the client has answered or the timeout has passed.
pub(super) fn with_prompt(options: impl IntoIterator<Item = Step>) -> Vec<Step> {
    let prompt = [Step::AwaitInput(ANSWER_TIMEOUT), send(LOGIN_PROMPT)];
    options.into_iter().chain(prompt).collect()
}

/// Sends the options one byte at a time.
pub(super) fn split() -> impl Iterator<Item = Step> {
    send_byte_by_byte(OPTIONS_ON, Duration::from_millis(20))
}

/// Waits for input, then sends the options and the prompt.
pub(super) fn when_asked() -> Vec<Step> {
    with_prompt([Step::AwaitInput(MAX_LIFE), send(OPTIONS_ON)])
}

/// Sends the same options for ever.
pub(super) fn repeating() -> Vec<Step> {
    vec![send_owned(OPTIONS_ON.repeat(64)), Step::GoTo(0)]
}

/// Turns the options on and off for ever.
pub(super) fn toggling() -> Vec<Step> {
    [OPTIONS_ON, OPTIONS_OFF]
        .into_iter()
        .flat_map(|options| [send(options), Step::AwaitInput(TOGGLE_TIMEOUT)])
        .chain([Step::GoTo(0)])
        .collect()
}
