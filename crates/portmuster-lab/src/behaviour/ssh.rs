//! Scripts of ssh servers: lines before the identification, the identification, and the KEXINIT.

use std::{borrow::Cow, sync::LazyLock, time::Duration};

use super::{
    kexinit::{self, KexInit, KexInitDefect},
    web,
};
use crate::{
    limits::MAX_LIFE,
    script::{Step, send, send_owned},
};

/// The identification of OpenSSH in Debian 12.
pub(super) const GREETING: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n";

/// Lines of more than 255 bytes in all, too many for a reader with a buffer for one identification.
pub(super) const PRE_BANNER: &[u8] =
    b"*******************************************************************\r\n\
    * Authorised use only. All activity may be monitored and recorded. *\r\n\
    * Disconnect NOW if you have not been expressly authorised.        *\r\n\
    *******************************************************************\r\n\
    \r\n\
    ssh is what this server speaks, but not before it has said all this:\r\n";

/// The refusal of OpenSSH before 9.8 to clients beyond `MaxStartups` (sshd.c).
pub(super) const TOO_MANY: &[u8] = b"Exceeded MaxStartups\r\n";

/// The refusal of OpenSSH since 9.8 to clients with penalties or beyond `MaxStartups` (sshd.c).
pub(super) const NOT_ALLOWED: &[u8] = b"Not allowed at this time\r\n";

/// Sends a greeting, and a KEXINIT after the client's identification.
pub(super) fn with_kexinit(greeting: Step, kexinit: &KexInit) -> Vec<Step> {
    vec![greeting, Step::AwaitLine, send_owned(kexinit::packet(kexinit))]
}

/// Sends other lines first, then behaves like an honest server.
pub(super) fn after_lines(lines: Cow<'static, [u8]>) -> Vec<Step> {
    let mut script = vec![Step::Send(lines)];
    script.extend(with_kexinit(send(GREETING), &kexinit::OPENSSH));
    script
}

/// Returns a line of 300 bytes; an identification may have 255.
pub(super) fn long_line() -> Vec<u8> {
    let mut line = b"a notice in one line, ".repeat(14);
    line.truncate(298);
    line.extend(b"\r\n");
    line
}

/// Sends the greeting after a pause, like an sshd that waits for a slow reverse lookup. The first
/// line that the client has sent meanwhile must be its identification.
pub(super) fn slow(time: Duration) -> Vec<Step> {
    vec![Step::Pause(time.min(MAX_LIFE)), send(GREETING), Step::AnswerLine(sshd_answer)]
}

/// Answers any first line with the greeting and sshd's answer to that line.
pub(super) fn answer_when_asked(line: &[u8]) -> &'static [u8] {
    static GREETING_AND_REFUSAL: LazyLock<Vec<u8>> =
        LazyLock::new(|| [GREETING, sshd_answer(b"")].concat());
    match answer_after_client(line) {
        b"" => &GREETING_AND_REFUSAL,
        answer => answer,
    }
}

/// Answers a client's identification with the greeting and a KEXINIT. Other lines get no answer.
pub(super) fn answer_after_client(line: &[u8]) -> &'static [u8] {
    static GREETING_AND_KEXINIT: LazyLock<Vec<u8>> =
        LazyLock::new(|| [GREETING, &kexinit::packet(&kexinit::OPENSSH)].concat());
    if line.starts_with(b"SSH-2.0-") { &GREETING_AND_KEXINIT } else { b"" }
}

/// Answers a client's identification with the greeting and a KEXINIT, and other lines like a web
/// server.
pub(super) fn multiplexed_answer(line: &[u8]) -> &'static [u8] {
    match answer_after_client(line) {
        b"" => web::http_answer(line),
        answer => answer,
    }
}

/// Answers a client's identification with a KEXINIT, and other lines with sshd's error message.
fn sshd_answer(line: &[u8]) -> &'static [u8] {
    static KEXINIT: LazyLock<Vec<u8>> = LazyLock::new(|| kexinit::packet(&kexinit::OPENSSH));
    if line.starts_with(b"SSH-2.0-") { &KEXINIT } else { b"Invalid SSH identification string.\r\n" }
}

/// Sends the greeting and the KEXINIT at once, in one segment.
pub(super) fn eager() -> Vec<Step> {
    let mut greeting = b"SSH-2.0-dropbear_2022.83\r\n".to_vec();
    greeting.extend(kexinit::packet(&kexinit::DROPBEAR));
    vec![send_owned(greeting)]
}

/// Sends the greeting and a large KEXINIT without its last `missing` bytes.
pub(super) fn large_kexinit(missing: usize) -> Vec<Step> {
    let mut greeting = b"SSH-2.0-hoarder_1.0\r\n".to_vec();
    greeting.extend(kexinit::large_packet());
    greeting.truncate(greeting.len() - missing);
    vec![send_owned(greeting)]
}

/// Refuses a client of the new protocol, with the message of OpenSSH versions that supported both
/// protocols.
pub(super) fn old() -> Vec<Step> {
    let refusal = send(b"Protocol major versions differ.\n");
    vec![send(b"SSH-1.5-1.2.27\r\n"), Step::AwaitLine, refusal, Step::Close]
}

/// Sends a KEXINIT with this defect after the client's identification.
pub(super) fn bad_kexinit(defect: KexInitDefect) -> Vec<Step> {
    vec![send(b"SSH-2.0-liar_1.0\r\n"), Step::AwaitLine, send_owned(kexinit::bad_packet(defect))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_before_a_greeting_exceed_255_bytes_and_contain_no_identification() {
        for lines in [PRE_BANNER, &long_line()] {
            assert!(lines.len() > 255);
            assert!(lines.split(|&byte| byte == b'\n').all(|line| !line.starts_with(b"SSH-")));
        }
        assert_eq!(long_line().len(), 300);
    }
}
