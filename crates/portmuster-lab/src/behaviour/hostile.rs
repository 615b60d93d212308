//! Servers that delay, flood or deceive their clients.

use std::{iter, time::Duration};

use crate::{
    limits::MAX_LIFE,
    script::{Step, send_byte_by_byte, send_owned},
};

/// A greeting that is not UTF-8: terminal sequences for the window title, clear screen and red; a
/// NUL; a bare C1 CSI; and a right-to-left override.
pub(super) const ESCAPE_GREETING: &[u8] =
    b"SSH-2.0-evil\x1b]0;owned\x07\x1b[2J\x1b[31m\x00\x9b31m\xe2\x80\xaegnp.exe\r\n";

/// A greeting in valid UTF-8: a terminal sequence for red, a C1 CSI (U+009B), a right-to-left
/// override, and a zero-width space.
pub(super) const UNICODE_GREETING: &[u8] =
    "SSH-2.0-evil\u{1b}[31m\u{9b}2J\u{202e}gnp.exe\u{200b}\r\n".as_bytes();

/// The text that [`drip`] repeats.
const DRIP_TEXT: &[u8] = b"welcome to a line that takes its time and never comes to an end, ";

/// The line that [`endless_lines`] repeats.
const ENDLESS_LINE: &[u8] = b"this is one more line of a banner that never ends, please wait\r\n";

/// The most bytes that portmuster reads from one server.
pub(super) const READ_LIMIT: usize = 64 * 1024;

const GARBAGE_LENGTH: usize = 1 << 20;

/// A seed with which the first kilobyte contains what looks like a telnet command (IAC DO 104).
const GARBAGE_SEED: u64 = 36;

/// Sends one byte per second for ever.
pub(super) fn drip() -> Vec<Step> {
    send_byte_by_byte(DRIP_TEXT, Duration::from_secs(1)).chain([Step::GoTo(0)]).collect()
}

/// Pauses once, then sends lines for ever.
pub(super) fn endless_lines(pause: Duration) -> Vec<Step> {
    let pause = Step::Pause(pause.min(MAX_LIFE));
    vec![pause, send_owned(ENDLESS_LINE.repeat(64)), Step::GoTo(1)]
}

/// Returns [`GARBAGE_LENGTH`] random bytes, after four fixed ones that are neither text nor the
/// greeting of a protocol.
pub(super) fn garbage() -> Vec<u8> {
    let mut state = GARBAGE_SEED;
    let random = iter::repeat_with(move || split_mix(&mut state).to_le_bytes()).flatten();
    [0x00, 0xfe, 0x80, 0x07].into_iter().chain(random).take(GARBAGE_LENGTH).collect()
}

/// Returns the next number of the `SplitMix64` generator (Steele, Lea, Flood: "Fast splittable
/// pseudorandom number generators").
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_contains_a_telnet_command_and_no_ssh_identification() {
        let garbage = garbage();
        assert_eq!(garbage.len(), GARBAGE_LENGTH);
        let command = |pair: &[u8]| pair[0] == 0xff && (0xfb..=0xfe).contains(&pair[1]);
        assert!(garbage[..1024].windows(2).any(command));
        assert!(!garbage.windows(4).any(|four| four == b"SSH-"));
    }
}
