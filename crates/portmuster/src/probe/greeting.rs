//! The greeting of a server that is not yet known to be ssh, and what it proves.

use super::{
    BANNER_MAX, BYTES_MAX, Ending, Judgement, LINES_MAX, plain, prompt, screen, ssh, telnet,
};
use crate::outcome::{Rule, Service, ServiceDetails};

/// What one more byte of a greeting has shown.
pub(super) enum Heard {
    Nothing,
    Enough(Judgement),
    Identification(ssh::Conversation),
}

/// What came behind the first bytes of another protocol and contradicts them.
#[derive(Debug, Default)]
struct Behind {
    /// A telnet command.
    command: bool,
    /// An identification of ssh.
    identification: bool,
}

/// The greeting of a server that is not yet known to be ssh.
#[derive(Debug, Default)]
pub(super) struct Greeting {
    pub(super) ssh: ssh::Lines,
    pub(super) telnet: telnet::Negotiation,
    pub(super) screen: screen::Screen,
    /// The first bytes as they came.
    pub(super) raw: Vec<u8>,
    pub(super) seen: usize,
    lines: usize,
    /// What the commands prove that came while all before them was text.
    proof: telnet::Proof,
    /// A byte came that no text of ASCII has.
    beyond_ascii: bool,
    /// A byte came that no text has: what looks like a command after it proves nothing.
    binary: bool,
    behind: Behind,
    /// Whether the first bytes, when there were so many of them, were those of another protocol.
    named: (usize, bool),
    /// What the server was sent before it said anything.
    pub(super) sent: Vec<u8>,
    /// The latest byte of the text.
    last: Option<u8>,
}

impl Greeting {
    /// Makes room for the first bytes that came, which mostly are all: letting it grow byte by byte
    /// takes an allocation for each doubling.
    pub(super) fn make_room(&mut self, bytes: usize) {
        self.raw.reserve_exact(bytes.min(BANNER_MAX));
        self.ssh.make_room(bytes);
        self.screen.make_room(bytes);
    }

    pub(super) fn byte(&mut self, byte: u8, replies: &mut Vec<u8>) -> Heard {
        self.seen += 1;
        if self.raw.len() < BANNER_MAX {
            self.raw.push(byte);
        }
        match self.telnet.byte(byte) {
            telnet::Meaning::Text(text) => {
                // Servers written in C end their texts with a NUL, and pad identifications.
                let is_end_of_text = text == 0
                    && (self.last.is_some_and(|last| last != 0) || self.ssh.is_identification());
                self.binary |= !(is_text(text) || is_end_of_text);
                self.beyond_ascii |= !text.is_ascii() || self.last == Some(0);
                self.last = Some(text);
                self.screen.push(text);
                if self.ssh.push(text)
                    && let Some(ssh) = self.ssh.conversation()
                    && !self.binary
                    && !self.is_commanded()
                {
                    if !self.is_named_before() {
                        return Heard::Identification(ssh);
                    }
                    self.behind.identification = true;
                }
                self.lines += usize::from(text == b'\n');
            }
            telnet::Meaning::Unfinished => {}
            telnet::Meaning::Command { .. } if self.binary || self.is_echo() => {}
            telnet::Meaning::Command { reply, proof } => {
                // Behind the first bytes of another protocol it may be that protocol's.
                if self.proof < proof {
                    let is_named = self.is_named();
                    self.behind.command |= is_named && proof == telnet::Proof::Whole;
                    if !is_named {
                        self.proof = proof;
                    }
                }
                if self.is_commanded() {
                    replies.extend(reply.into_iter().flatten());
                }
            }
        }
        match () {
            () if self.seen >= BYTES_MAX => Heard::Enough(self.too_much(Rule::TooManyBytes)),
            () if self.lines >= LINES_MAX => Heard::Enough(self.too_much(Rule::TooManyLines)),
            () => Heard::Nothing,
        }
    }

    /// Whether the first bytes so far are those of another protocol. Asked for each command, of
    /// which there may be thousands, so the answer is kept until more of them have come.
    fn is_named(&mut self) -> bool {
        if self.named.0 != self.raw.len() {
            self.named = (self.raw.len(), plain::name(&self.raw).is_some());
        }
        self.named.1
    }

    /// Whether the lines before the latest one are those of another protocol: then an identification
    /// may be part of what it says.
    fn is_named_before(&self) -> bool {
        self.lines > 0 && plain::name(&self.raw).is_some()
    }

    /// What has come of an identification that the server stopped in. Bytes that are no text may
    /// have such a line anywhere.
    pub(super) fn conversation(&self) -> Option<ssh::Conversation> {
        let is_other = self.is_commanded() || self.binary;
        self.ssh.conversation().filter(|_| !is_other && !self.is_named_before())
    }

    /// Whether a command came that only telnet has.
    pub(super) fn is_commanded(&self) -> bool {
        self.proof == telnet::Proof::Whole
    }

    /// Whether all that has come is what was sent: it proves nothing.
    fn is_echo(&self) -> bool {
        self.seen <= self.sent.len() && self.sent.starts_with(&self.raw)
    }

    pub(super) fn is_at_prompt(&self) -> bool {
        self.is_commanded() && prompt::asks_for_login(&self.screen)
    }

    pub(super) fn ended(&self, ending: Ending) -> Judgement {
        if self.seen == 0 {
            return match ending {
                Ending::Closed => self.judge(Service::ClosedEarly, Rule::HungUp),
                Ending::Quiet | Ending::Deadline => self.judge(Service::Silent, Rule::Silence),
            };
        }
        if ending == Ending::Deadline {
            return self.too_much(Rule::StillTalking);
        }
        self.recognised().unwrap_or_else(|| self.judge(Service::Unknown, Rule::UnknownBytes))
    }

    /// The judgement on what has come, if a rule recognises it.
    pub(super) fn recognised(&self) -> Option<Judgement> {
        if !self.is_commanded() {
            if ssh::is_refusal(&self.raw) {
                return Some(self.judge(Service::SshThrottled, Rule::SshdRefusal));
            }
            if ssh::is_broken(&self.raw) {
                return Some(self.judge(Service::SshBroken, Rule::SshdBroken));
            }
        }
        self.known().or_else(|| {
            let prompt = if self.binary { None } else { prompt::rule(&self.screen) };
            prompt.map(|rule| self.judge(Service::TelnetLikely, rule))
        })
    }

    /// Judges a server that does not stop.
    fn too_much(&self, rule: Rule) -> Judgement {
        self.known().unwrap_or_else(|| self.judge(Service::Tarpit, rule))
    }

    /// The judgement, where the bytes are proof however the conversation ends.
    fn known(&self) -> Option<Judgement> {
        let in_ascii = !self.beyond_ascii && !self.binary;
        let protocol = self.protocol().filter(|_| !self.is_commanded());
        let is_slight = in_ascii && self.proof == telnet::Proof::Slight;
        if self.is_commanded() || is_slight && protocol.is_none() {
            return Some(self.judge(Service::Telnet, Rule::TelnetCommands));
        }
        let protocol = Some(protocol?.to_owned());
        let details = ServiceDetails { protocol, ..ServiceDetails::default() };
        Some(self.judge(Service::Other, Rule::KnownProtocol).with(details))
    }

    /// The name of the protocol that the first bytes are of, unless what came behind them says
    /// otherwise: a telnet command, an identification of ssh, or a prompt.
    fn protocol(&self) -> Option<&'static str> {
        let name = plain::name(&self.raw).or_else(|| {
            // Some printers begin with refusals of options, whatever they speak.
            let is_negotiated = self.proof == telnet::Proof::Slight && self.raw[0] == telnet::IAC;
            if is_negotiated { plain::name(self.screen.text()) } else { None }
        })?;
        // Letters of national code pages look like commands.
        let is_commanded = self.behind.command && !self.beyond_ascii;
        let is_contradicted = !self.binary && (is_commanded || self.behind.identification);
        (!is_contradicted && !self.is_interactive(name)).then_some(name)
    }

    /// Whether a text that looks like this protocol's ends as only an interactive server's does. Of
    /// a protocol that is known by little more than its form it may not speak of a login either.
    fn is_interactive(&self, name: &str) -> bool {
        let has_no_prompt = self.binary || plain::is_fixed(&self.raw);
        let rule = if has_no_prompt { None } else { prompt::rule(&self.screen) };
        match rule {
            Some(Rule::LoginPrompt | Rule::ShellPrompt | Rule::Menu) => true,
            Some(Rule::NamesLogin) => plain::is_weak(name) && prompt::speaks_of_login(&self.screen),
            Some(_) => plain::is_weak(name),
            None => false,
        }
    }

    pub(super) fn judge(&self, service: Service, rule: Rule) -> Judgement {
        let judgement = |banner: &[u8]| Judgement::new(service, rule, banner.to_vec());
        match service {
            Service::Telnet => {
                let options = self.telnet.options().to_vec();
                judgement(self.screen.text())
                    .with(ServiceDetails { options, ..ServiceDetails::default() })
            }
            Service::TelnetLikely => judgement(self.screen.text()),
            _ if self.binary => judgement(&self.raw),
            _ => judgement(self.raw.trim_ascii()),
        }
    }
}

/// Whether a byte occurs in the greetings of people: anything printable in ASCII, UTF-8 or a
/// national code page, white space, and what draws on a terminal (bell, backspace, escape).
fn is_text(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | 0x80..=0xff | b'\t'..=b'\r' | 0x07 | 0x08 | 0x1b)
}
