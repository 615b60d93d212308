//! The greeting of ssh (RFC 4253 §4.2): its identification line, wherever it stands among the
//! lines of a greeting, and the words with which sshd refuses one.

use super::{
    Ending, Judgement,
    kexinit::{self, Packets},
};
use crate::outcome::{Facts, Identification, KeyExchange, NoOffer, Rule, Service, Weakness};

/// Bytes of one line that are kept. RFC 4253 §4.2 allows an identification 255; real servers
/// with long comments go beyond.
pub(super) const IDENTIFICATION_MAX: usize = 512;

/// What we say of ourselves before we may see an offer. It is never followed by one of our own.
pub(super) const OURS: &[u8] =
    concat!("SSH-2.0-portmuster_", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes();

/// How sshd refuses a connection before its identification: `MaxStartups`; since version 9.8
/// `PerSourcePenalties` (sshd.c and srclimit.c of OpenSSH); and libwrap, as FreeBSD's `hosts.allow`
/// and others word it.
const REFUSALS: [&[u8]; 4] = [
    b"Exceeded MaxStartups",
    b"Not allowed at this time",
    b"You are not welcome to use sshd from",
    b"Access to service sshd from",
];

/// Whether a text is how sshd refuses a connection.
pub(super) fn is_refusal(text: &[u8]) -> bool {
    REFUSALS.iter().any(|refusal| text.starts_with(refusal))
}

/// The line that is being read.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    ended: bool,
}

impl Lines {
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

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn held(&self) -> usize {
        self.line.capacity()
    }

    /// What the line says, as far as it has come.
    pub(super) fn conversation(&self) -> Conversation {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line).to_vec();
        Conversation { line, is_whole: self.ended, packets: Packets::default() }
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

/// A conversation with a server that has said that it is ssh.
#[derive(Debug)]
pub(super) struct Conversation {
    line: Vec<u8>,
    is_whole: bool,
    packets: Packets,
}

impl Conversation {
    /// Whether an offer follows once we have said who we are.
    pub(super) fn goes_on(&self) -> bool {
        self.is_whole && self.identification().is_some_and(|it| it.has_version_2())
    }

    /// Takes what came behind the identification: the judgement, when it is decided.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<Judgement> {
        let offered = match self.packets.bytes(bytes) {
            kexinit::Found::Nothing => return None,
            kexinit::Found::Offer(offer) => KeyExchange::Offered(offer),
            kexinit::Found::NoOffer(reason) => KeyExchange::Missing(reason),
        };
        Some(self.judge(offered))
    }

    /// Judges a server that said no more than its identification, or that was asked for no more.
    pub(super) fn identified(&self, is_asked: bool) -> Judgement {
        let has_version_2 = self.identification().is_some_and(|it| it.has_version_2());
        self.judge(if is_asked && has_version_2 {
            KeyExchange::Missing(NoOffer::LongIdentification)
        } else {
            KeyExchange::NotAsked
        })
    }

    /// Judges a server that stopped before its offer.
    pub(super) fn ended(&self, is_asked: bool, ending: Ending) -> Judgement {
        let has_version_2 = self.identification().is_some_and(|it| it.has_version_2());
        if !(is_asked && has_version_2) {
            return self.judge(KeyExchange::NotAsked);
        }
        self.judge(KeyExchange::Missing(match ending {
            Ending::Closed => NoOffer::HungUp,
            Ending::Quiet => NoOffer::Silence,
            Ending::Deadline => NoOffer::Deadline,
        }))
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn held(&self) -> usize {
        self.line.capacity() + self.packets.held()
    }

    fn judge(&self, key_exchange: KeyExchange) -> Judgement {
        let identification = self.identification();
        let weak = |it| Weakness::all_in(it, key_exchange.offer());
        let findings = identification.as_ref().map(weak).unwrap_or_default();
        let rule = if self.is_whole { Rule::Identification } else { Rule::IdentificationCutOff };
        let facts = Facts { identification, key_exchange, findings, ..Facts::default() };
        Judgement::new(Service::Ssh, rule, self.line.clone()).with(facts)
    }

    fn identification(&self) -> Option<Identification> {
        let (protocol, rest) = protocol(&self.line)?;
        let mut parts = rest.splitn(2, |&byte| byte == b' ');
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Identification {
            protocol: text(protocol),
            software: text(parts.next().unwrap_or_default()),
            comment: parts.next().map(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identification(line: &[u8]) -> Option<Identification> {
        let mut lines = Lines::default();
        line.iter().any(|&byte| lines.push(byte)).then(|| lines.conversation().identification())?
    }

    #[test]
    fn an_identification_has_protocol_software_and_comment() {
        let it = identification(b"SSH-2.0-OpenSSH_9.2p1 Debian-2 x\r\n").expect("it is one");
        assert_eq!((it.protocol.as_str(), it.software.as_str()), ("2.0", "OpenSSH_9.2p1"));
        assert_eq!(it.comment.as_deref(), Some("Debian-2 x"));
        assert!(it.has_version_2() && !it.has_version_1());

        let it = identification(b"SSH-1.99-Cisco-1.25\n").expect("it is one");
        assert_eq!((it.software.as_str(), it.comment.as_deref()), ("Cisco-1.25", None));
        assert!(it.has_version_2() && it.has_version_1());

        let it = identification(b"SSH-1.5-\xff\r\n").expect("it is one");
        assert_eq!(it.software, "\u{fffd}");
        assert!(!it.has_version_2());
    }

    #[test]
    fn ours_is_an_identification_within_the_rfc() {
        let it = identification(OURS).expect("it is one");
        assert_eq!(it.software, concat!("portmuster_", env!("CARGO_PKG_VERSION")));
        assert!(OURS.len() <= 255 && it.software.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!it.software.contains('-'), "RFC 4253 §4.2 forbids it in a software's version");
    }

    #[test]
    fn refusals_are_told_by_their_beginning() {
        assert!(is_refusal(b"You are not welcome to use sshd from 192.0.2.1.\n"));
        assert!(!is_refusal(b"You are not welcome to use telnetd from 192.0.2.1.\n"));
        assert!(!is_refusal(b"220 Exceeded MaxStartups\r\n"));
    }
}
