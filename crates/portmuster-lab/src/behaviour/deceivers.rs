//! Those that hold up, flood or deceive whoever reads them.

use std::{iter, time::Duration};

use super::{byte_by_byte, send_own};
use crate::script::Step;

/// Window title, clear screen and red for a terminal; a NUL; and a C1 CSI, which is not UTF-8.
pub(super) const ESCAPE_GREETING: &[u8] =
    b"SSH-2.0-evil\x1b]0;owned\x07\x1b[2J\x1b[31m\x00\x9b31m\xe2\x80\xaegnp.exe\r\n";

/// Valid UTF-8 throughout: a C1 CSI (U+009B), a right-to-left override, a zero-width space.
pub(super) const UNICODE_GREETING: &[u8] =
    "SSH-2.0-evil\u{1b}[31m\u{9b}2J\u{202e}gnp.exe\u{200b}\r\n".as_bytes();

const DRIPPED: &[u8] = b"welcome to a line that takes its time and never comes to an end, ";

const ENDLESS_LINE: &[u8] = b"this is one more line of a banner that never ends, please wait\r\n";

/// What portmuster reads of one server at most.
pub(super) const READ_LIMIT: usize = 64 * 1024;

const GARBAGE_LENGTH: usize = 1 << 20;

/// Chosen so that the first kilobyte already holds what looks like a telnet command (IAC DO 104).
const GARBAGE_SEED: u64 = 36;

pub(super) fn drip() -> Vec<Step> {
    byte_by_byte(DRIPPED, Duration::from_secs(1)).chain([Step::Again(0)]).collect()
}

/// The pause is made once.
pub(super) fn endless_lines(pause: Duration) -> Vec<Step> {
    let pause = Step::Pause(pause.min(crate::MAX_LIFE));
    vec![pause, send_own(ENDLESS_LINE.repeat(64)), Step::Again(1)]
}

/// Starts with bytes that are no text and no protocol's greeting, whatever the seed.
pub(super) fn garbage() -> Vec<u8> {
    let mut state = GARBAGE_SEED;
    let random = iter::repeat_with(move || split_mix(&mut state).to_le_bytes()).flatten();
    [0x00, 0xfe, 0x80, 0x07].into_iter().chain(random).take(GARBAGE_LENGTH).collect()
}

/// `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
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
    fn garbage_tempts_the_telnet_probe_and_is_no_ssh() {
        let garbage = garbage();
        assert_eq!(garbage.len(), GARBAGE_LENGTH);
        let command = |pair: &[u8]| pair[0] == 0xff && (0xfb..=0xfe).contains(&pair[1]);
        assert!(garbage[..1024].windows(2).any(command));
        assert!(!garbage.windows(4).any(|four| four == b"SSH-"));
    }
}
