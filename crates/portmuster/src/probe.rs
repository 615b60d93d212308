//! Judges a service by its bytes, never by its port number. No I/O.
//!
//! A [`Probe`] is fed what a server says and answers with what it wants done next; when the
//! server stops, it says what the bytes so far prove.
//!
//! To add a service: a file in `probe/`, its place in [`Greeting`], a variant of [`Service`] and
//! one of [`Rule`]. A protocol that is only to be named is a row of a table in `probe/plain/`.
//!
//! Invariant: memory is bounded by [`BANNER_MAX`], [`ssh::IDENTIFICATION_MAX`] and one packet of
//! ssh, the work by [`BYTES_MAX`] and [`LINES_MAX`], whatever a server sends and however it is
//! split.
//!
//! Invariant: all that is written in one conversation stays below [`WRITTEN_MAX`] bytes, and none
//! of it is text but our identification and one empty line.

use crate::{
    config::Probing,
    outcome::{Evidence, KexFailure, KeyExchange, Rule, Service, ServiceDetails},
};

mod greeting;
mod kexinit;
mod plain;
mod prompt;
#[cfg(test)]
pub(crate) mod samples;
mod screen;
mod ssh;
mod telnet;
#[cfg(test)]
pub(crate) mod transcripts;

use self::greeting::{Greeting, Heard};
pub use plain::known_protocols;

/// Bytes read from one server before it counts as a tarpit.
pub(crate) const BYTES_MAX: usize = 64 * 1024;
/// Lines read from one server before it counts as a tarpit. RFC 4253 §4.2 sets no number for the
/// lines before an identification; OpenSSH's client gives up after as many.
pub(crate) const LINES_MAX: usize = 1024;
/// Bytes of a greeting that are kept for the row.
pub(crate) const BANNER_MAX: usize = 1024;
/// Bytes that are written in one conversation: drivers rely on it that a send buffer has room for
/// them.
pub(crate) const WRITTEN_MAX: usize = 4096;

const _: () = assert!(
    ssh::OURS.len()
        + EMPTY_LINE.len()
        + telnet::WISH.len()
        + telnet::REPLIES_MAX * telnet::REPLY_SIZE
        < WRITTEN_MAX,
    "a conversation writes less than a send buffer holds"
);

const EMPTY_LINE: &[u8] = b"\r\n";

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
    pub(crate) rule: Rule,
    /// The greeting: the identification of ssh, the text of telnet, the first bytes of others.
    pub(crate) banner: Vec<u8>,
    pub(crate) details: Option<Box<ServiceDetails>>,
}

impl Judgement {
    pub(crate) fn new(service: Service, rule: Rule, banner: Vec<u8>) -> Self {
        Self { service, rule, banner, details: None }
    }

    /// The same, with what else the bytes say.
    fn with(self, details: ServiceDetails) -> Self {
        Self { details: (details != ServiceDetails::default()).then(|| Box::new(details)), ..self }
    }

    /// The same, with the conversation, if it was kept.
    pub(crate) fn proven_by(mut self, evidence: Option<Evidence>) -> Self {
        if evidence.is_some() {
            self.details.get_or_insert_default().evidence = evidence;
        }
        self
    }
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

impl From<Ending> for KexFailure {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Closed => Self::HungUp,
            Ending::Quiet => Self::Silence,
            Ending::Deadline => Self::Deadline,
        }
    }
}

/// What one server says, as far as it has come.
#[derive(Debug)]
pub(crate) struct Probe {
    probing: Probing,
    stage: Stage,
    /// The server was sent an empty line before it said anything.
    stepped: bool,
    /// The server was sent our identification before it said anything.
    introduced: bool,
}

#[derive(Debug)]
enum Stage {
    Greeting(Greeting),
    /// It is ssh; its offer for the key exchange is to come.
    Ssh(ssh::Conversation),
}

impl Probe {
    pub(crate) fn new(probing: Probing) -> Self {
        let stage = Stage::Greeting(Greeting::default());
        Self { probing, stage, stepped: false, introduced: false }
    }

    /// What to send first to a server that waits for its client to speak: our identification, as
    /// ssh clients send it.
    pub(crate) fn introduce(&mut self) -> Vec<u8> {
        self.introduced = true;
        if let Stage::Greeting(greeting) = &mut self.stage {
            greeting.sent = ssh::OURS.to_vec();
        }
        ssh::OURS.to_vec()
    }

    /// Whether a rule recognises what has come so far as a whole, so that more need not be waited
    /// for.
    pub(crate) fn is_recognised(&self) -> bool {
        match &self.stage {
            Stage::Ssh(_) => true,
            // More may come behind a notice, and say what a weak name leaves open.
            Stage::Greeting(greeting) => greeting.recognised().is_some_and(|judgement| {
                let details = judgement.details.as_ref();
                let protocol = details.and_then(|details| details.protocol.as_deref());
                let is_notice = matches!(judgement.rule, Rule::NamesTelnet | Rule::NamesLogin);
                !is_notice && !protocol.is_some_and(plain::is_weak)
            }),
        }
    }

    /// Takes what came from the server.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> ProbeStep {
        let greeting = match &mut self.stage {
            Stage::Greeting(greeting) => greeting,
            Stage::Ssh(conversation) => {
                let judged = conversation.bytes(bytes);
                let judged = judged.map(|judgement| self.disturbed(judgement));
                return judged.map_or(ProbeStep::Read, ProbeStep::Judged);
            }
        };
        if greeting.seen == 0 {
            greeting.make_room(bytes.len());
        }
        let mut replies = Vec::new();
        for (at, &byte) in bytes.iter().enumerate() {
            match greeting.byte(byte, &mut replies) {
                Heard::Nothing => {}
                Heard::Enough(judgement) => return ProbeStep::Judged(self.answered(judgement)),
                Heard::Identification(ssh) => return self.identified(ssh, &bytes[at + 1..]),
            }
        }
        // Only at the end of what has come: a prompt is the last thing that a server says.
        if greeting.is_at_prompt() {
            return ProbeStep::Judged(greeting.judge(Service::Telnet, Rule::TelnetCommands));
        }
        if replies.is_empty() { ProbeStep::Read } else { ProbeStep::Write(replies) }
    }

    /// Judges what has come, because no more does.
    pub(crate) fn ended(&self, ending: Ending) -> Judgement {
        match &self.stage {
            Stage::Ssh(conversation) => self.disturbed(conversation.without_offer(ending.into())),
            Stage::Greeting(greeting) => match greeting.conversation() {
                Some(ssh) => self.without_offer(&ssh, ending.into()),
                None => self.answered(greeting.ended(ending)),
            },
        }
    }

    /// Says of another protocol, and of hanging up, that it answers an empty line: behind a
    /// multiplexer something else may answer an ssh client.
    fn answered(&self, mut judgement: Judgement) -> Judgement {
        let is_neither =
            matches!(judgement.service, Service::Other | Service::Unknown | Service::ClosedEarly);
        if self.stepped && is_neither {
            judgement.details.get_or_insert_default().answers_empty_line = true;
        }
        judgement
    }

    /// Says of an offer that is missing that the empty line may be why.
    fn disturbed(&self, mut judgement: Judgement) -> Judgement {
        if self.stepped
            && let Some(details) = &mut judgement.details
            && let KeyExchange::Missing(reason) = &mut details.key_exchange
        {
            *reason = KexFailure::Spoiled;
        }
        judgement
    }

    /// Whether the server has begun to say that it is ssh and has more to say.
    pub(crate) fn is_in_ssh(&self) -> bool {
        match &self.stage {
            Stage::Ssh(_) => true,
            Stage::Greeting(greeting) => greeting.ssh.may_identify(),
        }
    }

    /// What to send to a server that says nothing, once.
    pub(crate) fn active_step(&mut self) -> Vec<u8> {
        match &mut self.stage {
            Stage::Greeting(greeting) if greeting.raw.is_empty() => {
                self.stepped = true;
                greeting.telnet.wished();
                greeting.sent = [EMPTY_LINE, &telnet::WISH].concat();
                greeting.sent.clone()
            }
            _ => EMPTY_LINE.to_vec(),
        }
    }

    /// Whether a server that has gone quiet waits for an empty line: it has negotiated and said
    /// nothing else, or it asks for a key.
    pub(crate) fn awaits_active_step(&self) -> bool {
        let Stage::Greeting(greeting) = &self.stage else { return false };
        let has_only_negotiated = greeting.is_commanded() && greeting.screen.text().is_empty();
        has_only_negotiated || prompt::asks_for_key(&greeting.screen)
    }

    /// Bytes of memory that are held for the server.
    pub(crate) fn held(&self) -> usize {
        match &self.stage {
            Stage::Ssh(conversation) => conversation.held(),
            Stage::Greeting(greeting) => {
                greeting.raw.capacity()
                    + greeting.ssh.held()
                    + greeting.screen.held()
                    + greeting.telnet.held()
            }
        }
    }

    fn identified(&mut self, mut ssh: ssh::Conversation, rest: &[u8]) -> ProbeStep {
        if self.probing != Probing::KeyExchange || !ssh.goes_on() {
            return ProbeStep::Judged(self.without_offer(&ssh, KexFailure::LongIdentification));
        }
        // Some servers send their offer along: then nothing needs to be written.
        let judged = ssh.bytes(rest).map(|judgement| self.disturbed(judgement));
        self.stage = Stage::Ssh(ssh);
        match judged {
            Some(judgement) => ProbeStep::Judged(judgement),
            None if self.introduced => ProbeStep::Read,
            None => ProbeStep::Write(ssh::OURS.to_vec()),
        }
    }

    fn without_offer(&self, ssh: &ssh::Conversation, reason: KexFailure) -> Judgement {
        match self.probing {
            Probing::KeyExchange => ssh.without_offer(reason),
            Probing::Greeting | Probing::ConnectOnly => ssh.identified(),
        }
    }
}

/// Reads an offer as fuzzers want it read.
///
/// # Panics
/// What was read is not what was written.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn read_offer(payload: &[u8]) {
    kexinit::read_back(payload);
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
        let mut probe = Probe::new(Probing::Greeting);
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

    fn is_neither(service: Service) -> bool {
        matches!(service, Service::Other | Service::Unknown)
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
    fn what_others_have_too_proves_no_telnet() {
        for other in [
            &b"HTTP/1.1 400 Bad\r\n\r\n\xff\xfb\x01\xff\xfd\x18"[..],
            b"220 FTP \xe2\xfb\xef\xee\xeb\xed\xff\xfe\xf2\r\n",
            b"\xcb\xe8\xed\xe8\xff \xe7\xe0\xed\xff\xf2\xe0\r\n",
            b"\xff\xfeH\0e\0l\0l\0o\0",
            b"\xff\xfb\x90d\0\x03\x01",
            b"\xff\xf9\0\x01\x02\x03",
            b"\xff\xf0 400 Bad Request\r\nContent-Type: text/html\r\n",
        ] {
            assert!(is_neither(service(other, Ending::Quiet)), "{other:?}");
        }
        for telnet in [&b"login: \xff\xf9"[..], b"\xff\xfc\x01\r\nHP JetDirect\r\n"] {
            assert_eq!(service(telnet, Ending::Quiet), Service::Telnet, "{telnet:?}");
        }
    }

    #[test]
    fn what_only_begins_as_sshds_refusal_is_none() {
        let riddle = b"Not allowed at this time of night, brave adventurer!\r\n";
        assert_eq!(service(riddle, Ending::Quiet), Service::Unknown);
        let more = b"Exceeded MaxStartups\r\nand a word more\r\n";
        assert_eq!(service(more, Ending::Closed), Service::Unknown);
        let endless = [&b"Not allowed at this time\r\n"[..], &b"no\n".repeat(LINES_MAX)].concat();
        assert_eq!(service(&endless, Ending::Closed), Service::Tarpit);
    }

    #[test]
    fn what_is_echoed_proves_nothing() {
        let mut probe = Probe::new(Probing::KeyExchange);
        let sent = probe.active_step();
        assert_eq!(probe.bytes(&sent), ProbeStep::Read);
        assert_eq!(probe.ended(Ending::Quiet).service, Service::Unknown);
        assert!(matches!(probe.bytes(b"\xff\xfd\x18"), ProbeStep::Write(_)));
        assert_eq!(probe.ended(Ending::Quiet).service, Service::Telnet);
    }

    #[test]
    fn an_identification_in_what_others_say_is_no_ssh() {
        for other in [
            &b"HTTP/1.1 200 OK\r\n\r\nlog:\r\nSSH-2.0-foo\r\n"[..],
            b"220-mail ESMTP\r\nSSH-2.0-foo\r\n",
            b"\x00\x01\x02\x03\nSSH-2.0-foo\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0-fo",
        ] {
            assert!(is_neither(service(other, Ending::Closed)), "{other:?}");
        }
        let notice = [b"a line of a notice\r\n".repeat(LINES_MAX - 1), b"SSH-2.0-x\r\n".to_vec()];
        assert_eq!(service(&notice.concat(), Ending::Quiet), Service::Ssh);
    }

    #[test]
    fn an_offer_that_follows_an_empty_line_may_be_spoiled() {
        let invalid = b"Invalid SSH identification string.\r\n";
        for parts in [&[&b"SSH-2.0-x\r\n"[..], invalid][..], &[b"SSH-2.0-x\r\nInvalid SSH\r\n"]] {
            let mut probe = Probe::new(Probing::KeyExchange);
            probe.active_step();
            let steps = parts.iter().map(|part| probe.bytes(part));
            let Some(ProbeStep::Judged(judgement)) = steps.last() else {
                panic!("it is no packet")
            };
            let details = judgement.details.expect("ssh has details");
            assert_eq!(details.key_exchange, KeyExchange::Missing(KexFailure::Spoiled));
        }
    }

    /// Runs a conversation to its judgement, and says what was written in it.
    fn conversation(parts: &[&[u8]], ending: Ending) -> (Vec<u8>, Judgement) {
        let mut probe = Probe::new(Probing::KeyExchange);
        let mut written = Vec::new();
        for part in parts {
            match probe.bytes(part) {
                ProbeStep::Read => {}
                ProbeStep::Write(bytes) => written.extend(bytes),
                ProbeStep::Judged(judgement) => return (written, judgement),
            }
        }
        (written, probe.ended(ending))
    }

    fn key_exchange(parts: &[&[u8]], ending: Ending) -> (Vec<u8>, KeyExchange) {
        let (written, judgement) = conversation(parts, ending);
        assert_eq!(judgement.service, Service::Ssh);
        let details = judgement.details.expect("ssh has details");
        assert!(details.identification.is_some());
        (written, details.key_exchange)
    }

    #[test]
    fn an_offer_is_asked_for_with_our_identification_and_nothing_else() {
        let offer = samples::packet(&samples::kexinit(samples::LISTS));
        let parts = [&b"SSH-2.0-x\r\n"[..], &offer[..7], &offer[7..]];
        let (written, judgement) = conversation(&parts, Ending::Quiet);
        assert_eq!(written, ssh::OURS);
        let details = judgement.details.expect("ssh has details");
        let offer = details.key_exchange.kex_init().expect("it came");
        assert!(offer.kex.contains("curve25519-sha256"));
        let findings: Vec<_> = details.findings.iter().map(|it| it.name()).collect();
        assert_eq!(findings, ["group1-sha1", "sha1-kex", "ssh-dss", "cbc", "md5"]);
    }

    #[test]
    fn an_offer_may_come_along_with_the_identification() {
        let offer = samples::packet(&samples::kexinit(samples::LISTS));
        let (written, offered) =
            key_exchange(&[&[b"SSH-2.0-x\n", &offer[..]].concat()], Ending::Quiet);
        assert!(written.is_empty() && offered.kex_init().is_some());
    }

    #[test]
    fn ssh_without_an_offer_is_ssh_and_says_why() {
        let missing = KeyExchange::Missing;
        let greeting = b"SSH-2.0-x\r\n";
        for (ending, why) in [
            (Ending::Closed, KexFailure::HungUp),
            (Ending::Quiet, KexFailure::Silence),
            (Ending::Deadline, KexFailure::Deadline),
        ] {
            assert_eq!(key_exchange(&[greeting], ending).1, missing(why));
            assert_eq!(key_exchange(&[b"SSH-2.0-Ope"], ending).1, missing(why));
        }
        let lies = key_exchange(&[greeting, b"\0\0\x10\0\x04\x14", &[0xff; 5000]], Ending::Quiet);
        assert_eq!(lies.1, missing(KexFailure::Malformed));
        let text = key_exchange(&[greeting, b"Protocol mismatch.\n"], Ending::Closed);
        assert_eq!(text.1, missing(KexFailure::NoPacket));
        let long = [&b"SSH-2.0-"[..], &[b'x'; 1000], b"\r\n"].concat();
        assert_eq!(
            key_exchange(&[&long], Ending::Quiet).1,
            missing(KexFailure::LongIdentification)
        );
        assert_eq!(conversation(&[&long], Ending::Quiet).1.rule, Rule::Identification);
    }

    #[test]
    fn the_old_protocol_is_not_asked_for_an_offer() {
        let (written, offered) = key_exchange(&[b"SSH-1.5-x\r\n"], Ending::Quiet);
        assert_eq!((written, offered), (Vec::new(), KeyExchange::NotAsked));
        let (written, _) = key_exchange(&[b"SSH-1.99-x\r\n"], Ending::Quiet);
        assert_eq!(written, ssh::OURS);
    }

    #[test]
    fn a_probe_of_greetings_stops_at_the_identification() {
        let mut probe = Probe::new(Probing::Greeting);
        let ProbeStep::Judged(judgement) = probe.bytes(b"SSH-2.0-x\r\n") else {
            panic!("it goes on")
        };
        let details = judgement.details.expect("ssh has details");
        assert_eq!(details.key_exchange, KeyExchange::NotAsked);
    }

    #[test]
    fn all_that_is_written_to_telnet_is_bounded_and_no_text() {
        let all: Vec<_> = (0..=255).flat_map(|it| [0xff, 0xfb, it, 0xff, 0xfd, it]).collect();
        let fickle = b"\xff\xfb\x01\xff\xfc\x01".repeat(9_000);
        let mut probe = Probe::new(Probing::KeyExchange);
        let mut written = probe.active_step();
        for part in [&all[..], &fickle, b"login: \nSSH-2.0-x\r\n"] {
            if let ProbeStep::Write(bytes) = probe.bytes(part) {
                written.extend(bytes);
            }
        }
        assert!(written.len() < WRITTEN_MAX, "{}", written.len());
        let replies = written.strip_prefix(EMPTY_LINE).expect("it begins with an empty line");
        assert!(replies.chunks(3).all(|reply| matches!(reply, [0xff, 0xfb..=0xfe, _])));
    }

    #[test]
    fn a_server_that_only_negotiates_gets_an_empty_line() {
        let mut probe = Probe::new(Probing::KeyExchange);
        probe.bytes(b"\xff\xfb\x01\r\n");
        assert!(probe.awaits_active_step());
        assert_eq!(probe.active_step(), EMPTY_LINE);
        probe.bytes(b"Welcome to this device");
        assert!(!probe.awaits_active_step());

        let mut probe = Probe::new(Probing::KeyExchange);
        probe.bytes(b"con0 is now available\r\n\nPress RETURN to get started.\r\n");
        assert!(probe.awaits_active_step());
        probe.bytes(b"\r\nUsername: ");
        assert!(!probe.awaits_active_step());
        assert_eq!(probe.ended(Ending::Quiet).service, Service::TelnetLikely);
    }

    #[test]
    fn what_a_silent_server_was_asked_for_is_not_asked_for_again() {
        let mut probe = Probe::new(Probing::KeyExchange);
        assert_eq!(probe.active_step(), [EMPTY_LINE, b"\xff\xfd\x01"].concat());
        assert_eq!(probe.bytes(b"\xff\xfb\x01"), ProbeStep::Read);
        assert_eq!(probe.ended(Ending::Quiet).service, Service::Telnet);
    }

    #[test]
    fn a_banner_that_is_no_text_keeps_every_byte() {
        assert_eq!(judged(b"\x15\x03\x03\0\x02\x02\n", Ending::Quiet).banner.last(), Some(&b'\n'));
        assert_eq!(judged(b"\r\nhello \r\n", Ending::Quiet).banner, b"hello");
    }

    #[test]
    fn other_protocols_are_named_even_when_they_do_not_stop() {
        let page = [&b"HTTP/1.1 400 Bad Request\r\n"[..], &b"x: y\r\n".repeat(LINES_MAX)].concat();
        for (bytes, ending) in [(&page[..], Ending::Quiet), (&page[..20], Ending::Deadline)] {
            let judgement = judged(bytes, ending);
            assert_eq!(judgement.service, Service::Other);
            let details = judgement.details.expect("it has a name");
            assert_eq!(details.protocol.as_deref(), Some("http"));
        }
        assert_eq!(judged(b"hello\r\n", Ending::Quiet).details, None);
    }

    #[test]
    fn a_telnet_banner_is_read_as_a_person_would() {
        let bytes = b"\xff\xfb\x01\x1b[2J\x1b[HUser Access\r\0\n\xff\xfd\x1f\x1b[1mlogin:\x1b[0m ";
        let judgement = judged(bytes, Ending::Quiet);
        assert_eq!(judgement.banner, b"User Access\r\nlogin:");
        let details = judgement.details.expect("it has options");
        let options: Vec<_> = details.options.iter().map(ToString::to_string).collect();
        assert_eq!(options, ["will echo", "do window-size"]);
    }

    #[test]
    fn what_only_mentions_ssh_is_not_ssh() {
        for bytes in [&b"220 SSH-2.0-x\r\n"[..], b"SSH-3.0-x\r\n", b"SSH-2\r\n", b"SSH-\r\n"] {
            assert_eq!(service(bytes, Ending::Quiet), Service::Unknown, "{bytes:?}");
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
    fn options_are_answered_so_that_the_server_goes_on() {
        let mut probe = Probe::new(Probing::KeyExchange);
        assert_eq!(
            probe.bytes(b"\xff\xfd\x18\xff\xfb\x01\xff\xfd\x18"),
            ProbeStep::Write(b"\xff\xfc\x18\xff\xfd\x01".to_vec())
        );
        assert_eq!(probe.bytes(b"\xff\xfd\x18\xff\xfb\x01"), ProbeStep::Read);
    }

    #[test]
    fn commands_in_binary_noise_prove_nothing() {
        assert_eq!(
            service(b"\x03\x9b\x01\xff\xfd\x18\xff\xfb\x01", Ending::Quiet),
            Service::Unknown
        );
        // MySQL 5.5: a thread id that passes for text, and capabilities 0xf7ff.
        let mysql = b"\x4a\0\0\0\x0a5.5.62-log\0\x2b\0\0\0saltsalt\0\xff\xf7\x08\x02\0";
        assert_eq!(service(mysql, Ending::Quiet), Service::Other);
        assert_eq!(service(b"padded\r\0\n\xff\xfb\x01", Ending::Quiet), Service::Telnet);
        assert_eq!(service(b"a\0\0\xff\xfb\x01", Ending::Quiet), Service::Unknown);
        assert_eq!(service(b"\0\xff\xfb\x01", Ending::Quiet), Service::Unknown);
    }

    #[test]
    fn a_prompt_alone_is_likely_telnet() {
        assert_eq!(service(b"\r\nUser Name: ", Ending::Quiet), Service::TelnetLikely);
        assert_eq!(service(b"220 login: ok\r\n", Ending::Quiet), Service::TelnetLikely);
        assert_eq!(service(b"temperature 21.5\r\n", Ending::Quiet), Service::Unknown);
        let notice = [b"Authorised use only.\r\n".repeat(60), b"login: ".to_vec()].concat();
        assert!(notice.len() > BANNER_MAX);
        assert_eq!(service(&notice, Ending::Quiet), Service::TelnetLikely);
    }

    #[test]
    fn a_refusal_of_sshd_is_ssh_that_asks_for_less() {
        for refusal in [&b"Exceeded MaxStartups\r\n"[..], b"Not allowed at this time\r\n"] {
            assert_eq!(service(refusal, Ending::Closed), Service::SshThrottled);
        }
        assert!(is_neither(service(b"220 Exceeded MaxStartups\r\n", Ending::Closed)));
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
        assert_eq!(service(&b"no\n".repeat(LINES_MAX - 1), Ending::Quiet), Service::Unknown);
        assert_eq!(service(b"drip", Ending::Deadline), Service::Tarpit);

        let mut probe = Probe::new(Probing::Greeting);
        let step = probe.bytes(&vec![b'x'; 10 * BYTES_MAX]);
        assert!(matches!(step, ProbeStep::Judged(Judgement { service: Service::Tarpit, .. })));
        let Stage::Greeting(greeting) = &probe.stage else { panic!("it is no ssh") };
        assert!(greeting.raw.capacity() <= 2 * BANNER_MAX);
        assert_eq!(greeting.seen, BYTES_MAX);
    }
}
