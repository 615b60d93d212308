//! Judges a service by its bytes, never by its port number. No I/O.
//!
//! A [`Probe`] is fed what a server says and answers with what it wants done next; when the
//! server stops, it says what the bytes so far prove.
//!
//! Invariant: memory is bounded by [`BANNER_MAX`] and [`ssh::IDENTIFICATION_MAX`], the work by
//! [`BYTES_MAX`] and [`LINES_MAX`], whatever a server sends and however it is split.

use crate::outcome::Service;

mod ssh;
mod telnet;

/// Bytes read from one server before it counts as a tarpit.
pub(crate) const BYTES_MAX: usize = 64 * 1024;
/// Lines read from one server before it counts as a tarpit. RFC 4253 §4.2 sets no number for the
/// lines before an identification; OpenSSH's client gives up after 1,024, real banners have few.
pub(crate) const LINES_MAX: usize = 64;
/// Bytes of a greeting that are kept for the row.
pub(crate) const BANNER_MAX: usize = 1024;

/// What a probe wants done next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ProbeStep {
    /// Read on.
    Read,
    /// Send these bytes, then read on.
    Write(Vec<u8>),
    /// It is decided.
    Judged(Judgement),
}

/// What the bytes prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) service: Service,
    /// The greeting: the identification of ssh, the text of telnet, the first bytes of others.
    pub(crate) banner: Vec<u8>,
}

/// Why no more bytes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The server hung up.
    Closed,
    /// The server has said nothing for a while.
    Quiet,
    /// The conversation has lasted long enough.
    Deadline,
}

/// The greeting of one server, as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    ssh: ssh::Lines,
    telnet: telnet::Negotiation,
    seen: usize,
    lines: usize,
    kept: Vec<u8>,
    /// A whole telnet command came while all before it was text.
    commanded: bool,
    /// A byte came that no text has: what looks like a command after it proves nothing.
    binary: bool,
    after_cr: bool,
}

impl Probe {
    /// Takes what came from the server.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> ProbeStep {
        let mut replies = Vec::new();
        for &byte in bytes {
            if let Some(judgement) = self.byte(byte, &mut replies) {
                return ProbeStep::Judged(judgement);
            }
        }
        // Only at the end of what has come: a prompt is the last thing that a server says.
        if self.commanded && is_prompt(self.ssh.line()) {
            return ProbeStep::Judged(self.judge(Service::Telnet));
        }
        if replies.is_empty() { ProbeStep::Read } else { ProbeStep::Write(replies) }
    }

    /// Judges what has come, because no more does.
    pub(crate) fn ended(&self, ending: Ending) -> Judgement {
        let service = if self.commanded {
            Service::Telnet
        } else if self.ssh.is_identification() {
            return Judgement { service: Service::Ssh, banner: self.ssh.line().to_vec() };
        } else if is_throttled(&self.kept) {
            Service::SshThrottled
        } else if self.seen == 0 {
            if ending == Ending::Closed { Service::ClosedEarly } else { Service::Silent }
        } else if ending == Ending::Deadline {
            Service::Tarpit
        } else if is_prompt(self.ssh.line()) {
            Service::TelnetLikely
        } else {
            Service::Other
        };
        self.judge(service)
    }

    fn byte(&mut self, byte: u8, replies: &mut Vec<u8>) -> Option<Judgement> {
        self.seen += 1;
        match self.telnet.byte(byte) {
            telnet::Meaning::Text(text) => {
                // RFC 854: a NUL has its place behind a CR, and nowhere else in a text.
                self.binary |= !(is_text(text) || text == 0 && self.after_cr);
                self.after_cr = text == b'\r';
                self.keep(text);
                if self.ssh.push(text) {
                    return Some(Judgement {
                        service: Service::Ssh,
                        banner: self.ssh.line().to_vec(),
                    });
                }
                self.lines += usize::from(text == b'\n');
            }
            telnet::Meaning::Unfinished => {}
            telnet::Meaning::Command(_) if self.binary => {}
            telnet::Meaning::Command(reply) => {
                self.commanded = true;
                replies.extend(reply.into_iter().flatten());
            }
        }
        let over = self.seen >= BYTES_MAX || self.lines >= LINES_MAX;
        over.then(|| self.ended(Ending::Deadline))
    }

    fn keep(&mut self, byte: u8) {
        if self.kept.len() < BANNER_MAX {
            self.kept.push(byte);
        }
    }

    fn judge(&self, service: Service) -> Judgement {
        Judgement { service, banner: self.kept.trim_ascii().to_vec() }
    }
}

/// Whether a byte occurs in the greetings of people: anything printable in ASCII, UTF-8 or a
/// national code page, white space, and what draws on a terminal (bell, backspace, escape).
fn is_text(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | 0x80..=0xff | b'\t'..=b'\r' | 0x07 | 0x08 | 0x1b)
}

/// Whether sshd refuses one more connection: the texts of its `MaxStartups` and, since version
/// 9.8, of its `PerSourcePenalties` (sshd.c and srclimit.c of OpenSSH).
fn is_throttled(text: &[u8]) -> bool {
    [&b"Exceeded MaxStartups"[..], b"Not allowed at this time"]
        .iter()
        .any(|refusal| text.starts_with(refusal))
}

/// Whether a text ends by asking who one is.
fn is_prompt(text: &[u8]) -> bool {
    const PROMPTS: [&[u8]; 6] =
        [b"login:", b"username:", b"user name:", b"user:", b"account:", b"password:"];
    let text = text.trim_ascii_end();
    PROMPTS.iter().any(|prompt| {
        text.len() >= prompt.len() && text[text.len() - prompt.len()..].eq_ignore_ascii_case(prompt)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes whole, byte by byte, and split at every place; every way must agree.
    fn judged(bytes: &[u8], ending: Ending) -> Judgement {
        let whole = judged_in(&[bytes], ending);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(judged_in(&single, ending).service, whole.service, "byte by byte");
        if bytes.len() < 2 * BANNER_MAX {
            for place in 0..bytes.len() {
                let (front, back) = bytes.split_at(place);
                assert_eq!(judged_in(&[front, back], ending).service, whole.service, "at {place}");
            }
        }
        whole
    }

    fn judged_in(parts: &[&[u8]], ending: Ending) -> Judgement {
        let mut probe = Probe::default();
        for part in parts {
            if let ProbeStep::Judged(judgement) = probe.bytes(part) {
                return judgement;
            }
        }
        probe.ended(ending)
    }

    fn service(bytes: &[u8], ending: Ending) -> Service {
        judged(bytes, ending).service
    }

    #[test]
    fn ssh_is_its_identification_line() {
        let judgement = judged(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\x00\x00\x01", Ending::Quiet);
        assert_eq!(judgement.service, Service::Ssh);
        assert_eq!(judgement.banner, b"SSH-2.0-OpenSSH_9.2p1 Debian-2");
        assert_eq!(service(b"SSH-1.99-Cisco-1.25\n", Ending::Quiet), Service::Ssh);
        assert_eq!(service(b"SSH-1.5-1.2.27\n", Ending::Quiet), Service::Ssh);
        assert_eq!(service(b"hello\r\nthere\r\nSSH-2.0-x\r\n", Ending::Quiet), Service::Ssh);
        assert_eq!(service(b"SSH-2.0-Ope", Ending::Closed), Service::Ssh);
    }

    #[test]
    fn what_only_mentions_ssh_is_not_ssh() {
        for bytes in [&b"220 SSH-2.0-x\r\n"[..], b"SSH-3.0-x\r\n", b"SSH-2\r\n", b"SSH-\r\n"] {
            assert_eq!(service(bytes, Ending::Quiet), Service::Other, "{bytes:?}");
        }
    }

    #[test]
    fn telnet_is_its_commands() {
        let bytes = b"\xff\xfd\x18\xff\xfb\x01\r\nDebian\r\nhost login: ";
        let judgement = judged(bytes, Ending::Quiet);
        assert_eq!(judgement.service, Service::Telnet);
        assert_eq!(judgement.banner, b"Debian\r\nhost login:");
        assert_eq!(service(b"Welcome\r\n\xff\xfb\x01", Ending::Quiet), Service::Telnet);
        assert_eq!(service(b"\xff\xfd\x18", Ending::Closed), Service::Telnet);
    }

    #[test]
    fn options_are_refused_once_each() {
        let mut probe = Probe::default();
        assert_eq!(
            probe.bytes(b"\xff\xfd\x18\xff\xfb\x01\xff\xfd\x18"),
            ProbeStep::Write(b"\xff\xfc\x18\xff\xfe\x01".to_vec())
        );
        assert_eq!(probe.bytes(b"\xff\xfd\x18\xff\xfe\x18\xff\xfc\x01"), ProbeStep::Read);
    }

    #[test]
    fn commands_in_binary_noise_prove_nothing() {
        assert_eq!(service(b"\x03\x9b\x01\xff\xfd\x18\xff\xfb\x01", Ending::Quiet), Service::Other);
        // MySQL 5.5: a thread id that passes for text, and capabilities 0xf7ff.
        let mysql = b"\x4a\0\0\0\x0a5.5.62-log\0\x2b\0\0\0saltsalt\0\xff\xf7\x08\x02\0";
        assert_eq!(service(mysql, Ending::Quiet), Service::Other);
        assert_eq!(service(b"padded\r\0\n\xff\xfb\x01", Ending::Quiet), Service::Telnet);
    }

    #[test]
    fn a_prompt_alone_is_likely_telnet() {
        assert_eq!(service(b"\r\nUser Name: ", Ending::Quiet), Service::TelnetLikely);
        assert_eq!(service(b"220 login: ok\r\n", Ending::Quiet), Service::Other);
        let notice = [b"Authorised use only.\r\n".repeat(60), b"login: ".to_vec()].concat();
        assert!(notice.len() > BANNER_MAX);
        assert_eq!(service(&notice, Ending::Quiet), Service::TelnetLikely);
    }

    #[test]
    fn a_refusal_of_sshd_is_ssh_that_asks_for_less() {
        for refusal in [&b"Exceeded MaxStartups\r\n"[..], b"Not allowed at this time\r\n"] {
            assert_eq!(service(refusal, Ending::Closed), Service::SshThrottled);
        }
        assert_eq!(service(b"220 Exceeded MaxStartups\r\n", Ending::Closed), Service::Other);
    }

    #[test]
    fn silence_is_told_from_hanging_up() {
        assert_eq!(service(b"", Ending::Closed), Service::ClosedEarly);
        assert_eq!(service(b"", Ending::Quiet), Service::Silent);
        assert_eq!(service(b"", Ending::Deadline), Service::Silent);
    }

    #[test]
    fn bytes_without_end_are_a_tarpit_in_bounded_memory() {
        assert_eq!(service(&b"no\n".repeat(LINES_MAX), Ending::Quiet), Service::Tarpit);
        assert_eq!(service(&b"no\n".repeat(LINES_MAX - 1), Ending::Quiet), Service::Other);
        assert_eq!(service(b"drip", Ending::Deadline), Service::Tarpit);

        let mut probe = Probe::default();
        let step = probe.bytes(&vec![b'x'; 10 * BYTES_MAX]);
        assert!(matches!(step, ProbeStep::Judged(Judgement { service: Service::Tarpit, .. })));
        assert!(probe.kept.capacity() <= 2 * BANNER_MAX);
        assert_eq!(probe.seen, BYTES_MAX);
    }
}
