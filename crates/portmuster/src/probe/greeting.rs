//! The greeting of a server whose service is not known yet, and the rules that judge it.

use super::{
    interactive::{self, InteractiveText},
    judgement::{EndOfInput, Judgement},
    limits::{BANNER_MAX, BYTES_MAX, LINES_MAX},
    plain, prompt, screen, ssh, telnet,
};
use crate::outcome::{Rule, Service, ServiceDetails, Weakness};

/// What follows from one more byte of a greeting.
pub(super) enum GreetingStep {
    /// More bytes are needed.
    Continue,
    /// The service is known.
    Judged(Judgement),
    /// The byte completed an ssh identification line.
    Ssh(ssh::Handshake),
}

/// Whether later bytes contradict the protocol that the first bytes identify.
#[derive(Debug, Default)]
struct Contradictions {
    /// The number of bytes up to the end of the latest telnet command after the stored bytes; 0: there was none.
    latest_command: usize,
    /// The sum of the [weights](interactive::command_weight) of these commands.
    command_weight: usize,
    /// An ssh identification line was received.
    identification: bool,
}

/// An identification line with bytes that RFC 4253 §4.2 does not allow, without software, or after the text
/// of another protocol. It proves ssh only together with the `SSH_MSG_KEXINIT` that follows.
#[derive(Debug, Default)]
enum Unconfirmed {
    /// There was none.
    #[default]
    None,
    /// What follows is not known yet. Our identification is sent if it was not `asked`.
    Pending { handshake: Box<ssh::Handshake>, asked: bool },
    /// Something else followed.
    Refuted,
}

/// The greeting of a server whose service is not known yet.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    pub(super) ssh: ssh::LineBuffer,
    pub(super) telnet: telnet::Negotiation,
    pub(super) screen: screen::Screen,
    /// The first bytes, as received.
    pub(super) raw: Vec<u8>,
    /// Number of bytes received.
    pub(super) seen: usize,
    /// Number of lines received.
    lines: usize,
    /// The strongest proof among the telnet commands that only text preceded.
    proof: telnet::Proof,
    /// Whether a byte occurred that ASCII text does not contain.
    has_non_ascii: bool,
    /// Whether a byte occurred that no text contains. Telnet commands after it prove nothing.
    is_binary: bool,
    /// Whether such a byte occurred before the current line.
    was_binary: bool,
    unconfirmed: Unconfirmed,
    contradictions: Contradictions,
    /// The number of first bytes at the latest check for another protocol, and its result.
    named: (usize, bool),
    /// The bytes that the client sent before the server sent anything.
    pub(super) sent: Vec<u8>,
    /// The latest byte of the text.
    last: Option<u8>,
}

impl Greeting {
    /// Reserves memory for the first bytes, which usually are the whole greeting. Growing byte by byte
    /// takes an allocation for each doubling.
    pub(super) fn reserve(&mut self, bytes: usize) {
        self.raw.reserve_exact(bytes.min(BANNER_MAX));
        self.ssh.reserve(bytes);
        self.screen.reserve(bytes);
    }

    /// Processes one byte, and appends replies to telnet commands.
    pub(super) fn receive(&mut self, byte: u8, replies: &mut Vec<u8>) -> GreetingStep {
        self.seen += 1;
        if self.raw.len() < BANNER_MAX {
            self.raw.push(byte);
        }
        if let Some(judgement) = self.confirm(byte) {
            return GreetingStep::Judged(judgement);
        }
        match self.telnet.receive(byte) {
            telnet::TelnetEvent::Text(text) => {
                if let Some(handshake) = self.receive_text(text) {
                    return GreetingStep::Ssh(handshake);
                }
            }
            telnet::TelnetEvent::Incomplete => {}
            telnet::TelnetEvent::Command { .. } if self.is_echo() => {}
            telnet::TelnetEvent::Command { proof, .. } if self.is_binary => {
                if proof == telnet::Proof::Conclusive {
                    self.note_contradiction(byte);
                }
            }
            telnet::TelnetEvent::Command { reply, proof } => {
                // After the first bytes of another protocol, it may belong to that protocol.
                if self.proof < proof {
                    if !self.is_named() {
                        self.proof = proof;
                    } else if proof == telnet::Proof::Conclusive {
                        self.note_contradiction(byte);
                    }
                }
                if self.is_telnet() {
                    replies.extend(reply.into_iter().flatten());
                }
            }
        }
        match () {
            () if self.seen >= BYTES_MAX => {
                GreetingStep::Judged(self.judge_endless(Rule::TooManyBytes))
            }
            () if self.lines >= LINES_MAX => {
                GreetingStep::Judged(self.judge_endless(Rule::TooManyLines))
            }
            () => GreetingStep::Continue,
        }
    }

    /// Records a telnet command that contradicts the protocol; `last` is its last byte. Commands within the
    /// stored bytes are not recorded, because [`Self::protocol`] reads these again.
    fn note_contradiction(&mut self, last: u8) {
        if self.seen > self.raw.len() {
            self.contradictions.latest_command = self.seen;
            self.contradictions.command_weight += interactive::command_weight(last);
        }
    }

    /// Processes one byte of the text. Returns the handshake if it completes an identification line.
    fn receive_text(&mut self, text: u8) -> Option<ssh::Handshake> {
        // Servers written in C end texts with NUL, and pad identifications with it.
        let is_end_of_text =
            text == 0 && (self.last.is_some_and(|last| last != 0) || self.ssh.is_identification());
        self.is_binary |= !(interactive::is_text(text) || is_end_of_text);
        self.has_non_ascii |= !text.is_ascii() || self.last == Some(0);
        self.last = Some(text);
        self.screen.push(text);
        let is_identification = self.ssh.push(text) && !self.is_telnet();
        let handshake = if is_identification { self.identified() } else { None };
        if text == b'\n' {
            self.lines += 1;
            self.was_binary = self.is_binary;
        }
        handshake
    }

    /// Processes an identification line. Returns its handshake if the line alone proves ssh: after the text of
    /// another protocol, or with characters that are not allowed, it proves ssh only together with an offer,
    /// and after binary data not even then.
    fn identified(&mut self) -> Option<ssh::Handshake> {
        let handshake = self.ssh.handshake();
        if !self.is_binary && !self.is_named_before() && handshake.is_some() {
            return handshake;
        }
        let unconfirmed = self.ssh.unconfirmed_handshake();
        self.contradictions.identification |= handshake.is_some() || unconfirmed.is_some();
        if matches!(self.unconfirmed, Unconfirmed::None)
            && !self.was_binary
            && let Some(handshake) = unconfirmed
        {
            let handshake = Box::new(handshake);
            self.unconfirmed = Unconfirmed::Pending { handshake, asked: false };
        }
        None
    }

    /// Processes a byte after an identification that needs to be confirmed. Returns the judgement if the
    /// byte completes the `SSH_MSG_KEXINIT`.
    fn confirm(&mut self, byte: u8) -> Option<Judgement> {
        let Unconfirmed::Pending { handshake, .. } = &mut self.unconfirmed else { return None };
        match handshake.confirm(&[byte]) {
            ssh::Confirmation::Pending => None,
            ssh::Confirmation::Confirmed(judgement) => Some(judgement),
            ssh::Confirmation::Refuted => {
                self.unconfirmed = Unconfirmed::Refuted;
                None
            }
        }
    }

    /// Returns, once, whether our identification is needed so that the server confirms its own.
    pub(super) fn take_identification_request(&mut self) -> bool {
        match &mut self.unconfirmed {
            Unconfirmed::Pending { asked, .. } => !std::mem::replace(asked, true),
            Unconfirmed::None | Unconfirmed::Refuted => false,
        }
    }

    /// Returns the allocated memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        let unconfirmed = match &self.unconfirmed {
            Unconfirmed::Pending { handshake, .. } => {
                size_of::<ssh::Handshake>() + handshake.memory()
            }
            Unconfirmed::None | Unconfirmed::Refuted => 0,
        };
        let parts = [self.ssh.memory(), self.screen.memory(), self.telnet.memory(), unconfirmed];
        self.raw.capacity() + parts.iter().sum::<usize>()
    }

    /// Returns whether the first bytes belong to another protocol. The result is cached until more
    /// bytes arrive, because it is needed for each command, and there may be thousands.
    fn is_named(&mut self) -> bool {
        if self.named.0 != self.raw.len() {
            self.named = (self.raw.len(), plain::name(&self.raw).is_some());
        }
        self.named.1
    }

    /// Returns whether earlier lines belong to another protocol, whose text an identification line may
    /// be part of.
    fn is_named_before(&self) -> bool {
        self.lines > 0 && plain::name(&self.raw).is_some()
    }

    /// Returns the handshake of an incomplete identification line; `None` in binary data, which may
    /// contain such a line anywhere.
    pub(super) fn handshake(&self) -> Option<ssh::Handshake> {
        let is_other = self.is_telnet() || self.is_binary;
        self.ssh.handshake().filter(|_| !is_other && !self.is_named_before())
    }

    /// Returns whether the server sent a command that only telnet has.
    pub(super) fn is_telnet(&self) -> bool {
        self.proof == telnet::Proof::Conclusive
    }

    /// Returns whether the server has only echoed the bytes of the client, which proves nothing.
    fn is_echo(&self) -> bool {
        self.seen <= self.sent.len() && self.sent.starts_with(&self.raw)
    }

    /// Returns whether telnet is proven and the text ends with a login prompt.
    pub(super) fn is_at_prompt(&self) -> bool {
        self.is_telnet() && prompt::asks_for_login(&self.screen)
    }

    /// Judges the greeting, because no more bytes will be read.
    pub(super) fn finish(&self, end: EndOfInput) -> Judgement {
        if self.seen == 0 {
            return match end {
                EndOfInput::Closed => self.judge(Service::ClosedEarly, Rule::HungUp),
                EndOfInput::Quiet | EndOfInput::Deadline => {
                    self.judge(Service::Silent, Rule::Silence)
                }
            };
        }
        if end == EndOfInput::Deadline {
            return self.judge_endless(Rule::StillTalking);
        }
        let is_open = end != EndOfInput::Closed;
        self.recognised(is_open).unwrap_or_else(|| self.judge(Service::Unknown, Rule::UnknownBytes))
    }

    /// Judges the greeting by a rule that recognises it, if there is one. `is_open` says whether the
    /// connection is open, so that the server may wait for an answer.
    pub(super) fn recognised(&self, is_open: bool) -> Option<Judgement> {
        if !self.is_telnet() && self.seen <= self.raw.len() {
            if ssh::is_refusal(&self.raw) {
                return Some(self.judge(Service::SshThrottled, Rule::SshdRefusal));
            }
            if ssh::is_broken(&self.raw) && !interactive::is_interactive(&self.raw) {
                return Some(self.judge(Service::SshBroken, Rule::SshdBroken));
            }
        }
        self.proven(is_open).or_else(|| {
            let prompt = if self.is_binary { None } else { prompt::rule(&self.screen) };
            prompt.map(|rule| self.judge(Service::TelnetLikely, rule))
        })
    }

    /// Judges a server that does not stop sending.
    fn judge_endless(&self, rule: Rule) -> Judgement {
        self.proven(true).unwrap_or_else(|| self.judge(Service::Tarpit, rule))
    }

    /// Judges the greeting if its bytes are proof regardless of how the conversation ends.
    fn proven(&self, is_open: bool) -> Option<Judgement> {
        let is_ascii = !self.has_non_ascii && !self.is_binary;
        let protocol = self.protocol(is_open).filter(|_| !self.is_telnet());
        let is_weak_telnet = is_ascii && self.proof == telnet::Proof::Weak;
        if self.is_telnet() || is_weak_telnet && protocol.is_none() {
            return Some(self.judge(Service::Telnet, Rule::TelnetCommands));
        }
        let protocol = Some(protocol?.to_owned());
        let details = ServiceDetails { protocol, ..ServiceDetails::default() };
        Some(self.judge(Service::Other, Rule::KnownProtocol).with_details(details))
    }

    /// Returns the name of the protocol of the first bytes, unless later bytes contradict it: a telnet
    /// command, an ssh identification, or a prompt.
    fn protocol(&self, is_open: bool) -> Option<&'static str> {
        let name = plain::name(&self.raw).or_else(|| {
            // Some printers start with refusals of telnet options, whatever protocol follows.
            let is_negotiated = self.proof == telnet::Proof::Weak && self.raw[0] == telnet::IAC;
            if is_negotiated { plain::name(self.screen.text()) } else { None }
        })?;
        let messages = plain::messages_length(name, &self.raw, self.seen);
        let after = self.raw.get(messages..).unwrap_or_default();
        let mut after = InteractiveText::read(after, !self.sent.is_empty());
        let is_contradicted = self.contradictions.identification
            || self.has_commands(&mut after, messages)
            || self.is_interactive(name, self.prompt(&after), is_open);
        (!is_contradicted).then_some(name)
    }

    /// Returns whether telnet commands follow the messages of the protocol, whose length is `messages`. `after` is
    /// what follows them among the stored bytes.
    fn has_commands(&self, after: &mut InteractiveText, messages: usize) -> bool {
        let is_cut = self.seen > self.raw.len() && messages < self.seen;
        let is_later = self.contradictions.latest_command > messages;
        let later_weight = if is_later { self.contradictions.command_weight } else { 0 };
        after.add(later_weight, is_cut && self.has_non_ascii);
        after.has_commands() || is_cut && self.telnet.is_in_subnegotiation()
    }

    /// Returns the rule of the prompt at the end of the greeting. `after` is what follows the messages of the
    /// protocol among the stored bytes.
    fn prompt(&self, after: &InteractiveText) -> Option<Rule> {
        // In binary data, the screen also shows what the messages contain.
        let is_stored = self.seen <= self.raw.len();
        if self.is_binary && is_stored {
            after.prompt()
        } else {
            interactive::prompt_on(&self.screen)
        }
    }

    /// Returns whether a text that looks like this protocol and ends with a prompt of this rule is that of an
    /// interactive server. If the form of the text is nearly all that identifies the protocol, mentioning a
    /// login counts, too.
    fn is_interactive(&self, name: &str, rule: Option<Rule>, is_open: bool) -> bool {
        let Some(rule) = rule else { return false };
        if plain::is_fixed(&self.raw) {
            // A page may end with any words, but its server then closes the connection, or the page
            // ends with a tag.
            let line = self.screen.last_line().trim_ascii_end();
            let ends_with_tag = line.ends_with(b">") && line.contains(&b'<');
            return interactive::awaits_input(rule) && is_open && !ends_with_tag;
        }
        match rule {
            rule if interactive::awaits_input(rule) => true,
            Rule::NamesLogin => plain::is_weak(name) && prompt::mentions_login(&self.screen),
            _ => plain::is_weak(name),
        }
    }

    /// Returns the judgement with the banner and the details of this greeting.
    pub(super) fn judge(&self, service: Service, rule: Rule) -> Judgement {
        let judgement = |banner: &[u8]| Judgement::new(service, rule, banner.to_vec());
        match service {
            Service::Telnet => {
                let options = self.telnet.options().to_vec();
                let findings = Weakness::all_in_telnet(&options);
                let details = ServiceDetails { options, findings, ..ServiceDetails::default() };
                judgement(self.screen.text()).with_details(details)
            }
            Service::TelnetLikely => judgement(self.screen.text()),
            _ if self.is_binary => judgement(&self.raw),
            _ => judgement(self.raw.trim_ascii()),
        }
    }
}
