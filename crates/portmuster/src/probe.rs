//! Recognises a service by its bytes, never by its port number. No I/O.
//!
//! A [`Probe`] receives the bytes from a server and returns what to do next. When no more bytes
//! come, it returns what the bytes so far prove.
//!
//! To add a service, add a file in `probe/`, its use in [`Greeting`], a variant of [`Service`] and one
//! of [`Rule`]. To add only the name of a protocol, add a row to a table in `probe/plain/`.
//!
//! Invariant: memory is bounded by [`limits::BANNER_MAX`], [`ssh::IDENTIFICATION_MAX`] and one ssh
//! packet, and work by [`limits::BYTES_MAX`] and [`limits::LINES_MAX`], whatever a server sends and
//! however it is split.
//!
//! Invariant: a conversation writes less than [`WRITTEN_MAX`] bytes. The only text among them is our
//! identification and one empty line, and names of algorithms if a [host key](host_key) is asked for.

use crate::{
    config::{HostKeyProbing, Probing},
    outcome::{HostKeyFailure, KexFailure, KeyExchange, KeyRequest, KeyTypes, Rule, Service},
};

mod greeting;
mod host_key;
mod interactive;
mod judgement;
mod kexinit;
mod limits;
mod packets;
mod plain;
mod prompt;
#[cfg(any(test, feature = "__fuzzing"))]
pub(crate) mod samples;
mod screen;
mod ssh;
mod telnet;
#[cfg(test)]
pub(crate) mod transcripts;

use self::{
    greeting::{Greeting, GreetingStep},
    ssh::{HandshakeStep, HostKeyPlan},
};
pub(crate) use judgement::{EndOfInput, Judgement};
pub(crate) use limits::WRITTEN_MAX;
#[cfg(any(test, feature = "__fuzzing"))]
pub(crate) use limits::{BANNER_MAX, BYTES_MAX, LINES_MAX};
pub use plain::{known_protocols, protocol_meaning};

const _: () = assert!(
    ssh::OUR_IDENTIFICATION.len()
        + EMPTY_LINE.len()
        + telnet::DO_ECHO.len()
        + telnet::REPLIES_MAX * telnet::REPLY_SIZE
        < WRITTEN_MAX,
    "a conversation writes less than a send buffer holds"
);
// Either telnet options are answered or a host key is asked for.
const _: () = assert!(
    ssh::OUR_IDENTIFICATION.len() + host_key::EXCHANGE_WRITTEN_MAX < WRITTEN_MAX,
    "a conversation writes less than a send buffer holds"
);

const EMPTY_LINE: &[u8] = b"\r\n";

/// What the caller of a probe should do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ProbeStep {
    /// Read more bytes.
    Read,
    /// Write these bytes, then read more.
    Write(Vec<u8>),
    /// Stop: the service is known.
    Judged(Judgement),
}

/// The state machine that recognises the service of one server.
#[derive(Debug)]
pub(crate) struct Probe {
    probing: Probing,
    /// Which host key an ssh server is asked for; `None`: for none.
    key_request: Option<KeyRequest>,
    state: ProbeState,
    /// Whether the client sent an empty line before the server sent anything.
    sent_empty_line: bool,
    /// Whether the client sent its identification before the server sent anything.
    sent_identification: bool,
}

#[derive(Debug)]
enum ProbeState {
    /// The service is not known yet.
    Greeting(Greeting),
    /// The service is ssh; its `SSH_MSG_KEXINIT` is expected.
    Ssh(ssh::Handshake),
}

impl Probe {
    /// Creates a probe that has received nothing.
    pub(crate) fn new(probing: Probing) -> Self {
        let state = ProbeState::Greeting(Greeting::default());
        Self {
            probing,
            key_request: None,
            state,
            sent_empty_line: false,
            sent_identification: false,
        }
    }

    /// Sets which host keys an ssh server is asked for, of those that are not known.
    pub(crate) fn host_keys(self, host_keys: HostKeyProbing, known: KeyTypes) -> Self {
        let request = KeyRequest { known, all: host_keys == HostKeyProbing::All };
        let key_request = (host_keys != HostKeyProbing::Off).then_some(request);
        Self { key_request, ..self }
    }

    /// Returns our identification, to be sent first to a server that waits for the client to speak.
    pub(crate) fn introduce(&mut self) -> Vec<u8> {
        self.sent_identification = true;
        if let ProbeState::Greeting(greeting) = &mut self.state {
            greeting.sent = ssh::OUR_IDENTIFICATION.to_vec();
        }
        ssh::OUR_IDENTIFICATION.to_vec()
    }

    /// Returns whether a rule recognises the bytes so far, so that the caller need not wait for more.
    pub(crate) fn is_recognised(&self) -> bool {
        match &self.state {
            ProbeState::Ssh(_) => true,
            // A notice may be followed by a prompt, and a weak protocol name by a better one.
            ProbeState::Greeting(greeting) => greeting.recognised(true).is_some_and(|judgement| {
                let details = judgement.details.as_ref();
                let protocol = details.and_then(|details| details.protocol.as_deref());
                let is_notice = matches!(judgement.rule, Rule::NamesTelnet | Rule::NamesLogin);
                !is_notice && !protocol.is_some_and(plain::is_weak)
            }),
        }
    }

    /// Processes bytes from the server.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> ProbeStep {
        let greeting = match &mut self.state {
            ProbeState::Greeting(greeting) => greeting,
            ProbeState::Ssh(handshake) => {
                return match handshake.receive(bytes) {
                    HandshakeStep::Read => ProbeStep::Read,
                    HandshakeStep::Write(bytes) => ProbeStep::Write(bytes),
                    HandshakeStep::Judged(judgement) => {
                        ProbeStep::Judged(self.mark_spoiled(judgement))
                    }
                };
            }
        };
        if greeting.seen == 0 {
            greeting.reserve(bytes.len());
        }
        let mut replies = Vec::new();
        for (at, &byte) in bytes.iter().enumerate() {
            match greeting.receive(byte, &mut replies) {
                GreetingStep::Continue => {}
                GreetingStep::Judged(judgement) => {
                    let judgement = self.mark_odd_identification(judgement);
                    return ProbeStep::Judged(self.mark_answers_empty_line(judgement));
                }
                GreetingStep::Ssh(mut handshake) => {
                    handshake.host_key =
                        host_key_plan(self.key_request, greeting, self.sent_empty_line);
                    return self.start_handshake(handshake, &bytes[at + 1..]);
                }
            }
        }
        // Only after all bytes, because a server sends nothing after a prompt.
        if greeting.is_at_prompt() {
            return ProbeStep::Judged(greeting.judge(Service::Telnet, Rule::TelnetCommands));
        }
        if self.probing == Probing::KeyExchange
            && !self.sent_identification
            && greeting.take_identification_request()
        {
            replies.extend(ssh::OUR_IDENTIFICATION);
        }
        if replies.is_empty() { ProbeStep::Read } else { ProbeStep::Write(replies) }
    }

    /// Judges the bytes so far, because no more will be read.
    pub(crate) fn finish(&self, end: EndOfInput) -> Judgement {
        match &self.state {
            ProbeState::Ssh(handshake) => self.mark_spoiled(handshake.finish(end)),
            ProbeState::Greeting(greeting) => match greeting.handshake() {
                Some(mut handshake) => {
                    handshake.host_key =
                        host_key_plan(self.key_request, greeting, self.sent_empty_line);
                    self.judge_without_kex_init(&handshake, end.into())
                }
                None => self.mark_answers_empty_line(greeting.finish(end)),
            },
        }
    }

    /// Records that a service other than ssh and telnet reacted to the empty line: behind a
    /// multiplexer, another service may react to an ssh client.
    fn mark_answers_empty_line(&self, mut judgement: Judgement) -> Judgement {
        let is_neither =
            matches!(judgement.service, Service::Other | Service::Unknown | Service::ClosedEarly);
        if self.sent_empty_line && is_neither {
            judgement.details.get_or_insert_default().answers_empty_line = true;
        }
        judgement
    }

    /// Records that an ssh server was not asked for its host key, because RFC 4253 does not allow its
    /// identification.
    fn mark_odd_identification(&self, mut judgement: Judgement) -> Judgement {
        if self.key_request.is_some()
            && judgement.service == Service::Ssh
            && let Some(details) = &mut judgement.details
        {
            details.host_keys.missing = Some(HostKeyFailure::OddIdentification);
        }
        judgement
    }

    /// Records that the empty line may be the reason for a missing `SSH_MSG_KEXINIT`.
    fn mark_spoiled(&self, mut judgement: Judgement) -> Judgement {
        if self.sent_empty_line
            && let Some(details) = &mut judgement.details
            && let KeyExchange::Missing(failure) = &mut details.key_exchange
        {
            *failure = KexFailure::Spoiled;
        }
        judgement
    }

    /// Returns whether the server has started its ssh identification and will send more.
    pub(crate) fn is_in_ssh(&self) -> bool {
        match &self.state {
            ProbeState::Ssh(handshake) => handshake.expects_packets(),
            ProbeState::Greeting(greeting) => greeting.ssh.may_become_identification(),
        }
    }

    /// Returns the bytes to send to a silent server, once: an empty line, and a telnet option request
    /// if the server has sent nothing at all.
    pub(crate) fn active_step(&mut self) -> Vec<u8> {
        match &mut self.state {
            ProbeState::Greeting(greeting) if greeting.raw.is_empty() => {
                self.sent_empty_line = true;
                greeting.telnet.note_echo_request();
                greeting.sent = [EMPTY_LINE, &telnet::DO_ECHO].concat();
                greeting.sent.clone()
            }
            _ => EMPTY_LINE.to_vec(),
        }
    }

    /// Returns whether a silent server seems to wait for an empty line: it has only negotiated telnet
    /// options, or it asks for a key.
    pub(crate) fn awaits_active_step(&self) -> bool {
        let ProbeState::Greeting(greeting) = &self.state else { return false };
        let has_only_negotiated = greeting.is_telnet() && greeting.screen.text().is_empty();
        has_only_negotiated || prompt::asks_for_key(&greeting.screen)
    }

    /// Returns the memory that is allocated for the server, in bytes.
    pub(crate) fn memory(&self) -> usize {
        match &self.state {
            ProbeState::Ssh(handshake) => handshake.memory(),
            ProbeState::Greeting(greeting) => greeting.memory(),
        }
    }

    /// Continues with the ssh handshake; `rest` are the bytes after the identification line.
    fn start_handshake(&mut self, mut handshake: ssh::Handshake, rest: &[u8]) -> ProbeStep {
        if self.probing != Probing::KeyExchange || !handshake.expects_kex_init() {
            let failure = KexFailure::LongIdentification;
            return ProbeStep::Judged(self.judge_without_kex_init(&handshake, failure));
        }
        // Some servers send their SSH_MSG_KEXINIT together with the identification. Then the client
        // need not write anything, unless it asks for a host key.
        let step = handshake.receive(rest);
        self.state = ProbeState::Ssh(handshake);
        match step {
            HandshakeStep::Judged(judgement) => ProbeStep::Judged(self.mark_spoiled(judgement)),
            HandshakeStep::Read if self.sent_identification => ProbeStep::Read,
            HandshakeStep::Read => ProbeStep::Write(ssh::OUR_IDENTIFICATION.to_vec()),
            HandshakeStep::Write(bytes) if self.sent_identification => ProbeStep::Write(bytes),
            HandshakeStep::Write(bytes) => {
                ProbeStep::Write([ssh::OUR_IDENTIFICATION, &bytes].concat())
            }
        }
    }

    fn judge_without_kex_init(&self, handshake: &ssh::Handshake, failure: KexFailure) -> Judgement {
        match self.probing {
            Probing::KeyExchange => handshake.judge_without_kex_init(failure),
            Probing::Greeting | Probing::ConnectOnly => handshake.judge_identification(),
        }
    }
}

/// Returns whether a host key is asked for. The server's signature covers our identification, so it must be
/// all that the server has received; and the line of the server must be as it was sent, without bytes
/// that may have been taken for telnet commands.
fn host_key_plan(
    key_request: Option<KeyRequest>,
    greeting: &Greeting,
    sent_empty_line: bool,
) -> HostKeyPlan {
    let Some(request) = key_request else { return HostKeyPlan::None };
    let has_commands = !greeting.telnet.options().is_empty() || greeting.raw.contains(&telnet::IAC);
    if sent_empty_line || has_commands { HostKeyPlan::Spoiled } else { HostKeyPlan::Ask(request) }
}

/// Parses the payload of an `SSH_MSG_KEXINIT` and checks the result, for fuzzers.
///
/// # Panics
/// The parsed lists differ from the payload.
#[cfg(any(test, feature = "__fuzzing"))]
pub(crate) fn check_kex_init(payload: &[u8]) {
    kexinit::check_round_trip(payload);
}

/// Returns the packet of an `SSH_MSG_KEXINIT` with this method and one host key algorithm, for fuzzers.
#[cfg(all(any(test, feature = "__fuzzing"), feature = "host-keys"))]
pub(crate) fn sample_offer(method: &str, host_key: u8) -> Vec<u8> {
    let mut lists = samples::LISTS;
    (lists[0], lists[1]) = (method, host_key::algorithm_name(host_key));
    samples::packet(&samples::kexinit(lists))
}

#[cfg(test)]
mod tests;
