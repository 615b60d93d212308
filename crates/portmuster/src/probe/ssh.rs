//! Recognises ssh (RFC 4253 §4.2): the identification line anywhere among the lines of a greeting, and
//! the messages with which sshd refuses a connection.

use super::{
    host_key::{ExchangeStep, HostKeyExchange, Preamble},
    interactive::{self, InteractiveText},
    judgement::{EndOfInput, Judgement},
    kexinit::{KexProgress, OfferReader},
    limits::{BANNER_MAX, BYTES_MAX},
};
use crate::outcome::{
    HostKeyFailure, HostKeys, Identification, KexFailure, KexInit, KeyExchange, KeyRequest,
    KeyTypes, Rule, Service, ServiceDetails, Weakness,
};

/// Limit of the stored length of a line, in bytes. RFC 4253 §4.2 allows 255 bytes for an
/// identification; real servers with long comments exceed that.
pub(super) const IDENTIFICATION_MAX: usize = 512;

/// The identification line of this program, which a server must receive before it sends its
/// `SSH_MSG_KEXINIT`.
pub(super) const OUR_IDENTIFICATION: &[u8] =
    concat!("SSH-2.0-portmuster_", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes();

/// The messages with which sshd refuses a connection before its identification: `MaxStartups`, and
/// since version 9.8 `PerSourcePenalties` (sshd.c and srclimit.c of OpenSSH).
const REFUSALS: [&[u8]; 2] = [b"Exceeded MaxStartups", b"Not allowed at this time"];

/// Starts of the messages with which an sshd fails before its identification: it has no host key
/// (Cisco switches), ssh needs a licence key (Cisco CSS), or libwrap rejects the address, with the
/// message of FreeBSD's `hosts.allow` and others.
const BROKEN: [&[u8]; 5] = [
    b"Could not load host key",
    b"No host key is configured",
    b"Destination server does not have Ssh activated",
    b"You are not welcome to use sshd from",
    b"Access to service sshd from",
];

/// Returns whether the whole text is one of sshd's refusals.
pub(super) fn is_refusal(text: &[u8]) -> bool {
    REFUSALS.contains(&text.trim_ascii())
}

/// Returns whether the text is the message of an sshd that fails before its identification.
pub(super) fn is_broken(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    BROKEN.iter().any(|start| text.starts_with(start))
}

/// A buffer for the current line.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    line: Vec<u8>,
    ended: bool,
}

impl LineBuffer {
    /// Reserves memory for a line of this length, up to the limit.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.line.reserve_exact(bytes.min(IDENTIFICATION_MAX));
    }

    /// Appends a byte; returns whether it completes an identification line. A line that exceeds the
    /// limit counts as complete if it starts like an identification.
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

    /// Returns whether the line so far is an identification: `SSH-2.0-`, `SSH-1.99-` or an older
    /// `SSH-1.x-`.
    pub(super) fn is_identification(&self) -> bool {
        protocol(&self.line).is_some()
    }

    /// Returns the allocated memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.line.capacity()
    }

    /// Returns whether the line so far may become an identification.
    pub(super) fn may_become_identification(&self) -> bool {
        !self.ended && self.line.starts_with(b"SSH-")
    }

    /// Returns the handshake that the line so far starts; `None` if it is not an identification, or one that
    /// RFC 4253 §4.2 does not allow.
    pub(super) fn handshake(&self) -> Option<Handshake> {
        let line = without_padding(&self.line);
        if is_ours(line) || !is_allowed(line) { None } else { self.handshake_of(line.to_vec()) }
    }

    /// Returns the handshake after a complete line that starts like an identification of version 2, whether
    /// RFC 4253 §4.2 allows it or not; `None` if there is none.
    pub(super) fn unconfirmed_handshake(&self) -> Option<Handshake> {
        let line = without_padding(&self.line);
        let line = line.strip_prefix(b"\r").unwrap_or(line);
        let is_echo = is_ours(line) && line != VERSION_2;
        let handshake = if is_echo { None } else { self.handshake_of(line.to_vec()) };
        handshake.filter(Handshake::expects_kex_init)
    }

    fn handshake_of(&self, line: Vec<u8>) -> Option<Handshake> {
        let signed_line = without_nuls(without_carriage_return(&self.line)).to_vec();
        let identification = parse_identification(&line)?;
        let status = if self.ended {
            LineStatus::Complete
        } else if self.line.len() < IDENTIFICATION_MAX {
            LineStatus::CutOff
        } else {
            LineStatus::TooLong
        };
        let stage = HandshakeStage::Offer(OfferReader::default());
        let host_key = HostKeyPlan::None;
        Some(Handshake { line, signed_line, status, identification, host_key, stage })
    }
}

/// The start of an identification of protocol version 2, to which the version of the software belongs.
const VERSION_2: &[u8] = b"SSH-2.0-";

/// Returns whether a line echoes our identification: complete, cut off, in another case or with text
/// after it. An echo says nothing about the server.
fn is_ours(line: &[u8]) -> bool {
    const OUR_NAME: &[u8] = b"SSH-2.0-portmuster";

    let common = line.len().min(OUR_NAME.len());
    line[..common].eq_ignore_ascii_case(&OUR_NAME[..common])
}

/// Returns whether an identification names software, and has only characters that RFC 4253 §4.2 allows or
/// letters of other character sets. In doubt it has not: 0x80 to 0x9f are letters of some code pages and
/// control characters of terminals.
fn is_allowed(line: &[u8]) -> bool {
    let has_software =
        protocol(line).is_some_and(|(_, software)| !matches!(software, [] | [b' ', ..]));
    let is_text = match str::from_utf8(line) {
        Ok(text) => !text.chars().any(char::is_control),
        Err(_) => line.iter().all(|&byte| matches!(byte, b' '..=b'~' | 0xa0..)),
    };
    has_software && is_text
}

/// Returns the line without its end, and without the NULs and spaces with which some servers written
/// in C pad it.
fn without_padding(line: &[u8]) -> &[u8] {
    let line = without_carriage_return(line);
    let text = without_nuls(line);
    if text.len() < line.len() { text.trim_ascii_end() } else { line }
}

fn without_carriage_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Returns the line up to the NULs at its end, as a server written in C sees it.
fn without_nuls(line: &[u8]) -> &[u8] {
    line.iter().rposition(|&byte| byte != 0).map_or(line, |last| &line[..=last])
}

/// Splits an identification into the protocol version and the rest; `None` if it is not one.
///
/// A line end `\n\r` leaves a carriage return before the next line.
fn protocol(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_prefix(b"\r").unwrap_or(line).strip_prefix(b"SSH-")?;
    let end = rest.iter().position(|&byte| byte == b'-')?;
    let is_known = match &rest[..end] {
        b"2.0" => true,
        [b'1', b'.', minor @ ..] => !minor.is_empty() && minor.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_known.then(|| (&rest[..end], &rest[end + 1..]))
}

/// Parses an identification line; `None` if it is not one.
fn parse_identification(line: &[u8]) -> Option<Identification> {
    let (protocol, rest) = protocol(line)?;
    let mut parts = rest.splitn(2, |&byte| byte == b' ');
    Some(Identification {
        // The protocol consists of digits and dots.
        protocol: String::from_utf8_lossy(protocol).into_owned(),
        software: parts.next().unwrap_or_default().to_vec(),
        comment: parts.next().map(<[u8]>::to_vec),
    })
}

/// What the bytes after an identification that RFC 4253 does not allow say about it.
pub(super) enum Confirmation {
    /// More bytes are needed.
    Pending,
    /// The server has sent a valid `SSH_MSG_KEXINIT`.
    Confirmed(Judgement),
    /// It has sent something else.
    Refuted,
}

/// How much of an identification line was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineStatus {
    /// The whole line.
    Complete,
    /// The server stopped within the line.
    CutOff,
    /// The line exceeds the limit.
    TooLong,
}

/// Whether to ask for a host key after the server's `SSH_MSG_KEXINIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostKeyPlan {
    /// Not.
    None,
    /// For one.
    Ask(KeyRequest),
    /// It was to be asked for, but the server has received other bytes before our identification, so that
    /// its signature would be over something else.
    Spoiled,
}

/// What a handshake wants next.
#[derive(Debug)]
pub(super) enum HandshakeStep {
    /// More bytes of the server.
    Read,
    /// To send these bytes, then more bytes of the server.
    Write(Vec<u8>),
    /// Nothing: it has ended.
    Judged(Judgement),
}

/// The handshake with an ssh server, from its identification to its `SSH_MSG_KEXINIT`, or to its host key.
#[derive(Debug)]
pub(super) struct Handshake {
    line: Vec<u8>,
    /// The identification that the server signs: without the line end, with padding that is not NUL.
    signed_line: Vec<u8>,
    status: LineStatus,
    identification: Identification,
    pub(super) host_key: HostKeyPlan,
    stage: HandshakeStage,
}

#[derive(Debug)]
enum HandshakeStage {
    /// The server is to send its `SSH_MSG_KEXINIT`.
    Offer(OfferReader),
    /// It has sent bytes instead that are no packet: `seen` bytes, of which `first` are at most [`BANNER_MAX`].
    Other { text: Box<InteractiveText>, first: Vec<u8>, seen: usize },
    /// The server has sent it, and is to send its host key.
    HostKey { offer: Box<KexInit>, exchange: Box<HostKeyExchange>, others: KeyTypes },
}

impl Handshake {
    /// Returns whether the server will send its `SSH_MSG_KEXINIT` after our identification.
    pub(super) fn expects_kex_init(&self) -> bool {
        self.status == LineStatus::Complete && self.identification.has_version_2()
    }

    /// Processes bytes after the identification.
    pub(super) fn receive(&mut self, mut bytes: &[u8]) -> HandshakeStep {
        let reader = match &mut self.stage {
            HandshakeStage::Offer(reader) => reader,
            HandshakeStage::Other { .. } => return self.receive_other(bytes),
            HandshakeStage::HostKey { .. } => return self.receive_key(bytes),
        };
        match reader.receive(&mut bytes) {
            KexProgress::Pending => HandshakeStep::Read,
            KexProgress::Failed(KexFailure::NoPacket) => {
                let first = std::mem::take(reader).received().to_vec();
                let text = Box::default();
                self.stage = HandshakeStage::Other { text, first: Vec::new(), seen: 0 };
                match self.receive_other(&first) {
                    HandshakeStep::Read => self.receive_other(bytes),
                    judged => judged,
                }
            }
            KexProgress::Failed(failure) => {
                HandshakeStep::Judged(self.judge_without_kex_init(failure))
            }
            KexProgress::Received(offer) => match self.host_key {
                HostKeyPlan::None => self.judged(KeyExchange::Offered(offer), HostKeys::default()),
                HostKeyPlan::Spoiled => self.without_key(offer, HostKeyFailure::Spoiled),
                HostKeyPlan::Ask(request) => self.ask_for_key(offer, request, bytes),
            },
        }
    }

    /// Processes bytes that are no packet. Reading goes on, because telnet commands or a prompt may follow, up to
    /// [`BYTES_MAX`] bytes.
    fn receive_other(&mut self, bytes: &[u8]) -> HandshakeStep {
        let HandshakeStage::Other { text, first, seen } = &mut self.stage else {
            return HandshakeStep::Read;
        };
        text.receive(bytes);
        let room = BANNER_MAX.saturating_sub(first.len());
        first.extend_from_slice(&bytes[..bytes.len().min(room)]);
        *seen += bytes.len();
        if *seen < BYTES_MAX {
            return HandshakeStep::Read;
        }
        HandshakeStep::Judged(self.finish(EndOfInput::Closed))
    }

    /// Begins the exchange for a host key after the server's offer; `rest` is what the server sent behind
    /// it.
    fn ask_for_key(
        &mut self,
        offer: Box<KexInit>,
        request: KeyRequest,
        rest: &[u8],
    ) -> HandshakeStep {
        let HandshakeStage::Offer(reader) = &self.stage else { return HandshakeStep::Read };
        let preamble = Preamble {
            client_line: OUR_IDENTIFICATION.trim_ascii_end(),
            server_line: &self.signed_line,
            server_kex_init: reader.payload(),
            offer: &offer,
        };
        let (exchange, mut sent) = match HostKeyExchange::begin(&preamble, request.known) {
            Ok(begun) => begun,
            Err(failure) => return self.without_key(offer, failure),
        };
        let others = if request.all { exchange.others() } else { KeyTypes::default() };
        let exchange = Box::new(exchange);
        self.stage = HandshakeStage::HostKey { offer, exchange, others };
        match self.receive_key(rest) {
            HandshakeStep::Read => HandshakeStep::Write(sent),
            HandshakeStep::Write(more) => {
                sent.extend(more);
                HandshakeStep::Write(sent)
            }
            judged @ HandshakeStep::Judged(_) => judged,
        }
    }

    /// Processes bytes after the server's offer.
    fn receive_key(&mut self, bytes: &[u8]) -> HandshakeStep {
        let HandshakeStage::HostKey { offer, exchange, others } = &mut self.stage else {
            return HandshakeStep::Read;
        };
        let host_keys = match exchange.receive(bytes) {
            ExchangeStep::Read => return HandshakeStep::Read,
            ExchangeStep::Write(bytes) => return HandshakeStep::Write(bytes),
            ExchangeStep::Done(Ok(key)) => {
                HostKeys { keys: vec![key], missing: None, others: *others }
            }
            ExchangeStep::Done(Err(failure)) => {
                HostKeys { missing: Some(failure), others: *others, ..HostKeys::default() }
            }
        };
        let offer = KeyExchange::Offered(std::mem::take(offer));
        self.judged(offer, host_keys)
    }

    /// Processes bytes after an identification that only an `SSH_MSG_KEXINIT` confirms.
    pub(super) fn confirm(&mut self, bytes: &[u8]) -> Confirmation {
        let HandshakeStage::Offer(reader) = &mut self.stage else { return Confirmation::Refuted };
        match reader.receive(&mut &bytes[..]) {
            KexProgress::Pending => Confirmation::Pending,
            KexProgress::Received(kex_init) => Confirmation::Confirmed(
                self.judge(KeyExchange::Offered(kex_init), HostKeys::default()),
            ),
            KexProgress::Failed(_) => Confirmation::Refuted,
        }
    }

    /// Judges the server by its identification alone.
    pub(super) fn judge_identification(&self) -> Judgement {
        self.judge(KeyExchange::NotAsked, HostKeys::default())
    }

    /// Judges a server from which no more bytes will arrive.
    pub(super) fn finish(&self, end: EndOfInput) -> Judgement {
        match &self.stage {
            HandshakeStage::Offer(reader) if interactive::is_interactive(reader.received()) => {
                self.judge_contradicted(reader.received())
            }
            HandshakeStage::Offer(_) => self.judge_without_kex_init(end.into()),
            HandshakeStage::Other { text, first, .. } if text.is_interactive() => {
                self.judge_contradicted(first)
            }
            HandshakeStage::Other { .. } => self.judge_without_kex_init(KexFailure::NoPacket),
            HandshakeStage::HostKey { offer, others, .. } => {
                let missing = Some(end.into());
                let host_keys = HostKeys { missing, others: *others, ..HostKeys::default() };
                self.judge(KeyExchange::Offered(offer.clone()), host_keys)
            }
        }
    }

    /// Judges a server that sent an ssh identification, and then telnet commands or a prompt.
    fn judge_contradicted(&self, bytes: &[u8]) -> Judgement {
        let mut banner = [&self.line[..], b"\r\n", bytes].concat();
        banner.truncate(BANNER_MAX);
        Judgement::new(Service::Unknown, Rule::UnknownBytes, banner)
    }

    /// Returns whether the next bytes may be a packet: the `SSH_MSG_KEXINIT` or the host key.
    pub(super) fn expects_packets(&self) -> bool {
        !matches!(self.stage, HandshakeStage::Other { .. })
    }

    /// Judges a server whose `SSH_MSG_KEXINIT` will not arrive.
    pub(super) fn judge_without_kex_init(&self, failure: KexFailure) -> Judgement {
        let is_version_1 = !self.identification.has_version_2();
        let missing = if is_version_1 { HostKeyFailure::Version1 } else { HostKeyFailure::NoOffer };
        let missing = (self.host_key != HostKeyPlan::None).then_some(missing);
        let key_exchange = match self.status {
            _ if is_version_1 => KeyExchange::NotAsked,
            LineStatus::TooLong => KeyExchange::Missing(KexFailure::LongIdentification),
            LineStatus::Complete | LineStatus::CutOff => KeyExchange::Missing(failure),
        };
        self.judge(key_exchange, HostKeys { missing, ..HostKeys::default() })
    }

    /// Returns the allocated memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        let stage = match &self.stage {
            HandshakeStage::Offer(reader) => reader.memory(),
            HandshakeStage::Other { text, first, .. } => {
                size_of::<InteractiveText>() + text.memory() + first.capacity()
            }
            HandshakeStage::HostKey { offer, exchange, .. } => offer.size() + exchange.memory(),
        };
        self.line.capacity() + self.signed_line.capacity() + stage
    }

    fn without_key(&self, offer: Box<KexInit>, failure: HostKeyFailure) -> HandshakeStep {
        let host_keys = HostKeys { missing: Some(failure), ..HostKeys::default() };
        self.judged(KeyExchange::Offered(offer), host_keys)
    }

    fn judged(&self, key_exchange: KeyExchange, host_keys: HostKeys) -> HandshakeStep {
        HandshakeStep::Judged(self.judge(key_exchange, host_keys))
    }

    fn judge(&self, key_exchange: KeyExchange, host_keys: HostKeys) -> Judgement {
        let rule = match self.status {
            LineStatus::CutOff => Rule::IdentificationCutOff,
            LineStatus::Complete | LineStatus::TooLong => Rule::Identification,
        };
        let identification = self.identification.clone();
        let findings = Weakness::all_in(&identification, key_exchange.kex_init(), &host_keys);
        let identification = Some(identification);
        let details = ServiceDetails {
            identification,
            key_exchange,
            host_keys,
            findings,
            ..ServiceDetails::default()
        };
        Judgement::new(Service::Ssh, rule, self.line.clone()).with_details(details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identification(line: &[u8]) -> Option<Identification> {
        let mut buffer = LineBuffer::default();
        line.iter().any(|&byte| buffer.push(byte)).then_some(buffer.handshake()?.identification)
    }

    #[test]
    fn identification_is_split_into_protocol_software_and_comment() {
        let it = identification(b"SSH-2.0-OpenSSH_9.2p1 Debian-2 x\r\n")
            .expect("the line is an identification");
        assert_eq!((it.protocol.as_str(), &*it.software), ("2.0", &b"OpenSSH_9.2p1"[..]));
        assert_eq!(it.comment.as_deref(), Some(&b"Debian-2 x"[..]));
        assert!(it.has_version_2() && !it.has_version_1());

        let it = identification(b"SSH-1.99-Cisco-1.25\n").expect("the line is an identification");
        assert_eq!((&*it.software, it.comment.as_deref()), (&b"Cisco-1.25"[..], None));
        assert!(it.has_version_2() && it.has_version_1());

        let it = identification(b"SSH-1.5-\xff\r\n").expect("the line is an identification");
        assert_eq!(it.software, b"\xff");
        assert!(!it.has_version_2());
    }

    #[test]
    fn our_identification_follows_the_rfc() {
        let ours = OUR_IDENTIFICATION.trim_ascii_end();
        let it = parse_identification(ours).expect("the line is an identification");
        assert_eq!(it.software, concat!("portmuster_", env!("CARGO_PKG_VERSION")).as_bytes());
        assert!(OUR_IDENTIFICATION.len() <= 255 && it.software.iter().all(u8::is_ascii_graphic));
        assert!(!it.software.contains(&b'-'), "RFC 4253 §4.2 forbids it in a software's version");
    }

    #[test]
    fn refusal_is_the_whole_text_and_a_broken_sshd_the_start_of_one() {
        assert!(is_refusal(b"Exceeded MaxStartups\r\n"));
        assert!(!is_refusal(b"220 Exceeded MaxStartups\r\n"));
        assert!(is_broken(b"You are not welcome to use sshd from 192.0.2.1.\n"));
        assert!(is_broken(b"Could not load host key. Closing connection...\r\n"));
        assert!(is_broken(b"No host key is configured!\n"));
        assert!(!is_broken(b"You are not welcome to use telnetd from 192.0.2.1.\n"));
        assert!(!is_broken(b"Welcome\r\nNo host key is configured!\n"));
    }

    #[test]
    fn padding_of_an_identification_is_removed() {
        for line in
            [&b"SSH-1.99-Cisco_server-1.24 \0\0\0\n"[..], b"SSH-1.99-Cisco_server-1.24\0\r\n"]
        {
            let it = identification(line).expect("the line is an identification");
            assert_eq!((&*it.software, it.comment), (&b"Cisco_server-1.24"[..], None));
        }
    }

    #[test]
    fn echo_of_our_identification_is_ignored() {
        let mut buffer = LineBuffer::default();
        assert!(OUR_IDENTIFICATION.iter().any(|&byte| buffer.push(byte)));
        assert!(buffer.handshake().is_none());
        for ours in [&b"SSH-2.0-"[..], b"SSH-2.0-port", b"SSH-2.0-PORTMUSTER_0.2.0: not found"] {
            assert!(is_ours(ours), "{}", ours.escape_ascii());
        }
        for other in [&b"SSH-2.0-portable_1"[..], b"SSH-2.0-OpenSSH_9.2", b"SSH-1.99-x"] {
            assert!(!is_ours(other), "{}", other.escape_ascii());
        }
    }
}
