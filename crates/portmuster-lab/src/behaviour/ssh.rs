//! ssh servers: what comes before the identification, the identification, and what they offer.

use std::{borrow::Cow, sync::LazyLock, time::Duration};

use super::{
    kexinit::{self, Lie, Offer},
    send, send_own,
};
use crate::script::Step;

pub(super) const GREETING: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n";

/// More than 255 bytes in all, so that a reader with room for one identification fails here.
pub(super) const PRE_BANNER: &[u8] =
    b"*******************************************************************\r\n\
    * Authorised use only. All activity may be monitored and recorded. *\r\n\
    * Disconnect NOW if you have not been expressly authorised.        *\r\n\
    *******************************************************************\r\n\
    \r\n\
    ssh is what this server speaks, but not before it has said all this:\r\n";

/// OpenSSH before 9.8, beyond `MaxStartups` (sshd.c).
pub(super) const TOO_MANY: &[u8] = b"Exceeded MaxStartups\r\n";

/// OpenSSH since 9.8, for penalties and beyond `MaxStartups` (sshd.c).
pub(super) const NOT_ALLOWED: &[u8] = b"Not allowed at this time\r\n";

/// An identification, and an offer once the client has identified itself.
pub(super) fn offering(greeting: Step, offer: &Offer) -> Vec<Step> {
    vec![greeting, Step::AwaitLine, send_own(kexinit::packet(offer))]
}

/// An honest server that says something else first.
pub(super) fn after(lines: Cow<'static, [u8]>) -> Vec<Step> {
    let mut script = vec![Step::Send(lines)];
    script.extend(offering(send(GREETING), &kexinit::MODERN));
    script
}

/// A line that alone is longer than an identification may be.
pub(super) fn long_line() -> Vec<u8> {
    let mut line = b"a notice in one line, ".repeat(14);
    line.truncate(298);
    line.extend(b"\r\n");
    line
}

/// As sshd behind a slow reverse lookup: what the client says meanwhile is read afterwards, and
/// must be its identification.
pub(super) fn slow(time: Duration) -> Vec<Step> {
    vec![Step::Pause(time.min(crate::MAX_LIFE)), send(GREETING), Step::AnswerLine(sshd_answer)]
}

/// An identification for whoever says anything, and what sshd makes of it.
pub(super) fn asked_answer(line: &[u8]) -> &'static [u8] {
    static GREETING_AND_REFUSAL: LazyLock<Vec<u8>> =
        LazyLock::new(|| [GREETING, sshd_answer(b"")].concat());
    match introduced_answer(line) {
        b"" => &GREETING_AND_REFUSAL,
        answer => answer,
    }
}

/// An identification and an offer for a client that has identified itself, silence for others.
pub(super) fn introduced_answer(line: &[u8]) -> &'static [u8] {
    static GREETING_AND_OFFER: LazyLock<Vec<u8>> =
        LazyLock::new(|| [GREETING, &kexinit::packet(&kexinit::MODERN)].concat());
    if line.starts_with(b"SSH-2.0-") { &GREETING_AND_OFFER } else { b"" }
}

/// The same, and a web server's answer for others.
pub(super) fn multiplexed_answer(line: &[u8]) -> &'static [u8] {
    match introduced_answer(line) {
        b"" => super::web::http_answer(line),
        answer => answer,
    }
}

fn sshd_answer(line: &[u8]) -> &'static [u8] {
    static OFFER: LazyLock<Vec<u8>> = LazyLock::new(|| kexinit::packet(&kexinit::MODERN));
    if line.starts_with(b"SSH-2.0-") { &OFFER } else { b"Invalid SSH identification string.\r\n" }
}

pub(super) fn eager() -> Vec<Step> {
    let mut greeting = b"SSH-2.0-dropbear_2022.83\r\n".to_vec();
    greeting.extend(kexinit::packet(&kexinit::SMALL));
    vec![send_own(greeting)]
}

/// An identification and a vast offer, of which so many bytes at its end never come.
pub(super) fn vast(missing: usize) -> Vec<Step> {
    let mut greeting = b"SSH-2.0-hoarder_1.0\r\n".to_vec();
    greeting.extend(kexinit::vast());
    greeting.truncate(greeting.len() - missing);
    vec![send_own(greeting)]
}

/// What OpenSSH said to a client of the other protocol, while it still had both.
pub(super) fn old() -> Vec<Step> {
    let refusal = send(b"Protocol major versions differ.\n");
    vec![send(b"SSH-1.5-1.2.27\r\n"), Step::AwaitLine, refusal, Step::Close]
}

pub(super) fn lying(lie: Lie) -> Vec<Step> {
    vec![send(b"SSH-2.0-liar_1.0\r\n"), Step::AwaitLine, send_own(kexinit::lying(lie))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_before_a_greeting_fits_an_identification_or_is_one() {
        for lines in [PRE_BANNER, &long_line()] {
            assert!(lines.len() > 255);
            assert!(lines.split(|&byte| byte == b'\n').all(|line| !line.starts_with(b"SSH-")));
        }
        assert_eq!(long_line().len(), 300);
    }
}
