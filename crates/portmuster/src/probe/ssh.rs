//! The greeting of ssh (RFC 4253 §4.2): its identification line, wherever it stands among the
//! lines of a greeting, and the words with which sshd refuses one.

use super::{
    Judgement,
    kexinit::{self, Packets},
};
use crate::outcome::{
    Identification, KexFailure, KeyExchange, Rule, Service, ServiceDetails, Weakness,
};

/// Bytes of one line that are kept. RFC 4253 §4.2 allows an identification 255; real servers
/// with long comments go beyond.
pub(super) const IDENTIFICATION_MAX: usize = 512;

/// What we say of ourselves before we may see an offer. It is never followed by one of our own.
pub(super) const OURS: &[u8] =
    concat!("SSH-2.0-portmuster_", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes();

/// How sshd refuses one more connection before its identification: `MaxStartups`; since version 9.8
/// `PerSourcePenalties` (sshd.c and srclimit.c of OpenSSH).
const REFUSALS: [&[u8]; 2] = [b"Exceeded MaxStartups", b"Not allowed at this time"];

/// How a text begins with which an sshd gives up before its identification: because it has no host
/// key (Cisco's switches), because ssh needs a licence key (Cisco's CSS), or because libwrap turns
/// the address away, as FreeBSD's `hosts.allow` and others word it.
const BROKEN: [&[u8]; 5] = [
    b"Could not load host key",
    b"No host key is configured",
    b"Destination server does not have Ssh activated",
    b"You are not welcome to use sshd from",
    b"Access to service sshd from",
];

/// Whether a text, which is all that came, is how sshd refuses one more connection: one line.
pub(super) fn is_refusal(text: &[u8]) -> bool {
    REFUSALS.contains(&text.trim_ascii())
}

/// Whether a text is how an sshd gives up before its identification.
pub(super) fn is_broken(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    BROKEN.iter().any(|start| text.starts_with(start))
}

/// The line that is being read.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    ended: bool,
}

impl Lines {
    /// Makes room for so many bytes, or for a longest line.
    pub(super) fn make_room(&mut self, bytes: usize) {
        self.line.reserve_exact(bytes.min(IDENTIFICATION_MAX));
    }

    /// Takes one byte; true when it completes an identification line. A line that is longer than
    /// is kept counts as complete when its start is an identification.
    pub(super) fn push(&mut self, byte: u8) -> bool {
        if self.ended {
            self.line.clear();
            self.ended = false;
        }
        match byte {
            b'\n' => self.ended = true,
            _ if self.line.len() < IDENTIFICATION_MAX => {
                self.line.push(byte);
                return self.line.len() == IDENTIFICATION_MAX && self.is_identification();
            }
            _ => {}
        }
        self.ended && self.is_identification()
    }

    /// Whether the line, as far as it has come, is an identification: `SSH-2.0-`, `SSH-1.99-` or
    /// an older `SSH-1.x-`.
    pub(super) fn is_identification(&self) -> bool {
        protocol(&self.line).is_some()
    }

    pub(super) fn held(&self) -> usize {
        self.line.capacity()
    }

    /// Whether the line, as far as it has come, may become an identification.
    pub(super) fn may_identify(&self) -> bool {
        !self.ended && self.line.starts_with(b"SSH-")
    }

    /// What the line says, as far as it has come; `None` when it is no identification.
    pub(super) fn conversation(&self) -> Option<Conversation> {
        let line = without_padding(&self.line).to_vec();
        if is_ours(&line) {
            return None;
        }
        let identification = identification(&line)?;
        let extent = if self.ended {
            Extent::Whole
        } else if self.line.len() < IDENTIFICATION_MAX {
            Extent::CutOff
        } else {
            Extent::TooLong
        };
        Some(Conversation { line, extent, identification, packets: Packets::default() })
    }
}

/// Whether a line is our own identification that comes back, whole, cut off, changed in its case or
/// with something behind it: it says nothing of the server.
fn is_ours(line: &[u8]) -> bool {
    const OUR_NAME: &[u8] = b"SSH-2.0-portmuster";

    let common = line.len().min(OUR_NAME.len());
    line[..common].eq_ignore_ascii_case(&OUR_NAME[..common])
}

/// The line without its end, and without the NULs and blanks that some servers written in C pad it
/// with.
fn without_padding(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match line.iter().rposition(|&byte| byte != 0) {
        Some(last) if last + 1 < line.len() => line[..=last].trim_ascii_end(),
        _ => line,
    }
}

/// The protocol's version and what follows it, when the line is an identification.
fn protocol(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_prefix(b"SSH-")?;
    let end = rest.iter().position(|&byte| byte == b'-')?;
    let is_known = match &rest[..end] {
        b"2.0" => true,
        [b'1', b'.', minor @ ..] => !minor.is_empty() && minor.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_known.then(|| (&rest[..end], &rest[end + 1..]))
}

fn identification(line: &[u8]) -> Option<Identification> {
    let (protocol, rest) = protocol(line)?;
    let mut parts = rest.splitn(2, |&byte| byte == b' ');
    Some(Identification {
        // Digits and dots.
        protocol: String::from_utf8_lossy(protocol).into_owned(),
        software: parts.next().unwrap_or_default().to_vec(),
        comment: parts.next().map(<[u8]>::to_vec),
    })
}

/// How much of an identification line has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Whole,
    CutOff,
    /// More than is read.
    TooLong,
}

/// A conversation with a server that has said that it is ssh.
#[derive(Debug)]
pub(super) struct Conversation {
    line: Vec<u8>,
    extent: Extent,
    identification: Identification,
    packets: Packets,
}

impl Conversation {
    /// Whether an offer follows once we have said who we are.
    pub(super) fn goes_on(&self) -> bool {
        self.extent == Extent::Whole && self.identification.has_version_2()
    }

    /// Takes what came behind the identification: the judgement, when it is decided.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<Judgement> {
        let offered = match self.packets.bytes(bytes) {
            kexinit::Found::Nothing => return None,
            kexinit::Found::KexInit(offer) => KeyExchange::Offered(offer),
            kexinit::Found::KexFailure(reason) => KeyExchange::Missing(reason),
        };
        Some(self.judge(offered))
    }

    /// Judges a server of which no offer is asked.
    pub(super) fn identified(&self) -> Judgement {
        self.judge(KeyExchange::NotAsked)
    }

    /// Judges a server whose offer was asked for and will not come.
    pub(super) fn without_offer(&self, reason: KexFailure) -> Judgement {
        self.judge(match self.extent {
            _ if !self.identification.has_version_2() => KeyExchange::NotAsked,
            Extent::TooLong => KeyExchange::Missing(KexFailure::LongIdentification),
            Extent::Whole | Extent::CutOff => KeyExchange::Missing(reason),
        })
    }

    pub(super) fn held(&self) -> usize {
        self.line.capacity() + self.packets.held()
    }

    fn judge(&self, key_exchange: KeyExchange) -> Judgement {
        let rule = match self.extent {
            Extent::CutOff => Rule::IdentificationCutOff,
            Extent::Whole | Extent::TooLong => Rule::Identification,
        };
        let identification = self.identification.clone();
        let findings = Weakness::all_in(&identification, key_exchange.kex_init());
        let identification = Some(identification);
        let details =
            ServiceDetails { identification, key_exchange, findings, ..ServiceDetails::default() };
        Judgement::new(Service::Ssh, rule, self.line.clone()).with(details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identification(line: &[u8]) -> Option<Identification> {
        let mut lines = Lines::default();
        line.iter().any(|&byte| lines.push(byte)).then_some(lines.conversation()?.identification)
    }

    #[test]
    fn an_identification_has_protocol_software_and_comment() {
        let it = identification(b"SSH-2.0-OpenSSH_9.2p1 Debian-2 x\r\n").expect("it is one");
        assert_eq!((it.protocol.as_str(), &*it.software), ("2.0", &b"OpenSSH_9.2p1"[..]));
        assert_eq!(it.comment.as_deref(), Some(&b"Debian-2 x"[..]));
        assert!(it.has_version_2() && !it.has_version_1());

        let it = identification(b"SSH-1.99-Cisco-1.25\n").expect("it is one");
        assert_eq!((&*it.software, it.comment.as_deref()), (&b"Cisco-1.25"[..], None));
        assert!(it.has_version_2() && it.has_version_1());

        let it = identification(b"SSH-1.5-\xff\r\n").expect("it is one");
        assert_eq!(it.software, b"\xff");
        assert!(!it.has_version_2());
    }

    #[test]
    fn ours_is_an_identification_within_the_rfc() {
        let it = super::identification(OURS.trim_ascii_end()).expect("it is one");
        assert_eq!(it.software, concat!("portmuster_", env!("CARGO_PKG_VERSION")).as_bytes());
        assert!(OURS.len() <= 255 && it.software.iter().all(u8::is_ascii_graphic));
        assert!(!it.software.contains(&b'-'), "RFC 4253 §4.2 forbids it in a software's version");
    }

    #[test]
    fn a_refusal_is_the_whole_text_and_a_broken_sshd_is_told_by_its_beginning() {
        assert!(is_refusal(b"Exceeded MaxStartups\r\n"));
        assert!(!is_refusal(b"220 Exceeded MaxStartups\r\n"));
        assert!(is_broken(b"You are not welcome to use sshd from 192.0.2.1.\n"));
        assert!(is_broken(b"Could not load host key. Closing connection...\r\n"));
        assert!(is_broken(b"No host key is configured!\n"));
        assert!(!is_broken(b"You are not welcome to use telnetd from 192.0.2.1.\n"));
        assert!(!is_broken(b"Welcome\r\nNo host key is configured!\n"));
    }

    #[test]
    fn an_identification_may_be_padded_with_nul() {
        for line in
            [&b"SSH-1.99-Cisco_server-1.24 \0\0\0\n"[..], b"SSH-1.99-Cisco_server-1.24\0\r\n"]
        {
            let it = identification(line).expect("it is one");
            assert_eq!((&*it.software, it.comment), (&b"Cisco_server-1.24"[..], None));
        }
    }

    #[test]
    fn our_own_identification_is_an_echo() {
        let mut lines = Lines::default();
        assert!(OURS.iter().any(|&byte| lines.push(byte)));
        assert!(lines.conversation().is_none());
        for ours in [&b"SSH-2.0-"[..], b"SSH-2.0-port", b"SSH-2.0-PORTMUSTER_0.2.0: not found"] {
            assert!(is_ours(ours), "{}", ours.escape_ascii());
        }
        for other in [&b"SSH-2.0-portable_1"[..], b"SSH-2.0-OpenSSH_9.2", b"SSH-1.99-x"] {
            assert!(!is_ours(other), "{}", other.escape_ascii());
        }
    }
}
