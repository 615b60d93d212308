//! Separates telnet commands (RFC 854) from text, across any split of the stream, and replies to
//! option requests so that the server proceeds to its prompt.
//!
//! The replies accept that the server echoes and suppresses its go-aheads, like every terminal, and
//! refuse all other options. Only changes of state get a reply, and each refused option gets one, so
//! that no loop can arise (RFC 1143 §2).
//!
//! Invariant: there are at most [`REPLIES_MAX`] replies, whatever a server sends.

use crate::outcome::{TelnetOption, Verb};

const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
pub(super) const IAC: u8 = 255;
/// The lowest command: end of file (RFC 1184 §2.4).
const LOWEST: u8 = 236;

const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
/// Options that the server may enable on its side.
const ACCEPTED: [u8; 2] = [ECHO, SUPPRESS_GO_AHEAD];

/// Limit of replies in one conversation: one to each option of either side, and as many again for
/// servers that change their mind.
pub(super) const REPLIES_MAX: usize = 1024;
/// Size of one reply, in bytes.
pub(super) const REPLY_SIZE: usize = 3;

/// A request for the echo option, which every telnet server must answer, to make a silent server
/// respond. It is sent after an empty line, so that a server without telnet takes it for the start of
/// another, incomplete line.
pub(super) const DO_ECHO: [u8; REPLY_SIZE] = [IAC, DO, ECHO];

/// What follows from one byte of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TelnetEvent {
    /// A byte of the text.
    Text(u8),
    /// Part of an incomplete command.
    Incomplete,
    /// A complete command, with the reply that it requires.
    Command { reply: Option<[u8; REPLY_SIZE]>, proof: Proof },
}

/// How strongly a command proves telnet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// It proves nothing.
    #[default]
    None,
    /// Letters of national code pages and other protocols contain the same bytes: commands without an
    /// option, and refusals of options that nobody requested, with which some printers start.
    Weak,
    /// Only telnet has this command.
    Conclusive,
}

/// State of the decoder within a command.
#[derive(Debug, Clone, Copy, Default)]
enum DecoderState {
    #[default]
    Text,
    Command,
    Option(u8),
    SubnegotiationOption,
    Subnegotiation {
        of_known: bool,
    },
    SubnegotiationCommand {
        of_known: bool,
    },
}

/// State of an option of the server (RFC 1143 §7, without the queue, because no request is repeated).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum OptionState {
    /// The option is disabled.
    #[default]
    No,
    /// The client has requested the option.
    WantYes,
    /// The option is enabled.
    Yes,
}

/// The decoder and the option negotiation of one connection.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    state: DecoderState,
    /// The states of the [`ACCEPTED`] options.
    accepted: [OptionState; ACCEPTED.len()],
    /// The options that the server offered or asked for, each once.
    options: Vec<TelnetOption>,
    /// The same options as bits, by verb and number.
    option_bits: [[u64; 4]; 2],
    /// Number of replies.
    replies: usize,
}

impl Negotiation {
    /// Processes the next byte of the stream.
    pub(super) fn receive(&mut self, byte: u8) -> TelnetEvent {
        let (state, event) = match (self.state, byte) {
            (DecoderState::Text, IAC) => (DecoderState::Command, TelnetEvent::Incomplete),
            (DecoderState::Command, WILL..=DONT) => {
                (DecoderState::Option(byte), TelnetEvent::Incomplete)
            }
            (DecoderState::Command, SB) => {
                (DecoderState::SubnegotiationOption, TelnetEvent::Incomplete)
            }
            // The end of a subnegotiation without a start: the web server of an HP JetDirect starts
            // its response with it.
            (DecoderState::Command, SE) => {
                (DecoderState::Text, TelnetEvent::Command { reply: None, proof: Proof::None })
            }
            (DecoderState::Command, LOWEST..=DONT) => {
                (DecoderState::Text, TelnetEvent::Command { reply: None, proof: Proof::Weak })
            }
            // IAC IAC is the data byte 255; IAC and a lower byte are not a command.
            (DecoderState::Text | DecoderState::Command, _) => {
                (DecoderState::Text, TelnetEvent::Text(byte))
            }
            (DecoderState::Option(verb), option) => {
                (DecoderState::Text, self.command(verb, option))
            }
            (DecoderState::SubnegotiationOption, option) => (
                DecoderState::Subnegotiation { of_known: is_known(option) },
                TelnetEvent::Incomplete,
            ),
            (DecoderState::Subnegotiation { of_known }, IAC) => {
                (DecoderState::SubnegotiationCommand { of_known }, TelnetEvent::Incomplete)
            }
            (DecoderState::SubnegotiationCommand { of_known }, SE) => {
                let proof = if of_known { Proof::Conclusive } else { Proof::None };
                (DecoderState::Text, TelnetEvent::Command { reply: None, proof })
            }
            (
                DecoderState::Subnegotiation { of_known }
                | DecoderState::SubnegotiationCommand { of_known },
                _,
            ) => (DecoderState::Subnegotiation { of_known }, TelnetEvent::Incomplete),
        };
        self.state = state;
        event
    }

    /// Records that [`DO_ECHO`] was sent.
    pub(super) fn note_echo_request(&mut self) {
        if let Some(state) = self.accepted(ECHO)
            && *state == OptionState::No
        {
            *state = OptionState::WantYes;
        }
    }

    /// Returns whether the latest subnegotiation is unfinished. Everything after its start belongs to it, also
    /// what a server meant as text.
    pub(super) fn is_in_subnegotiation(&self) -> bool {
        matches!(
            self.state,
            DecoderState::SubnegotiationOption
                | DecoderState::Subnegotiation { .. }
                | DecoderState::SubnegotiationCommand { .. }
        )
    }

    /// Returns the allocated memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.options.capacity() * size_of::<TelnetOption>()
    }

    /// Returns the options that the server offered or asked for.
    pub(super) fn options(&self) -> &[TelnetOption] {
        &self.options
    }

    /// Processes an option command. An offer or a request is proof if the option is known, and so is
    /// the answer to our own request.
    fn command(&mut self, verb: u8, option: u8) -> TelnetEvent {
        let was_requested =
            self.accepted(option).is_some_and(|state| *state == OptionState::WantYes);
        let proof = match verb {
            // The echo of our own request says nothing about the server.
            DO if was_requested => Proof::None,
            WILL | DO if is_known(option) => Proof::Conclusive,
            WONT if was_requested => Proof::Conclusive,
            WONT | DONT if is_known(option) => Proof::Weak,
            _ => Proof::None,
        };
        TelnetEvent::Command { reply: self.reply(verb, option), proof }
    }

    fn reply(&mut self, verb: u8, option: u8) -> Option<[u8; REPLY_SIZE]> {
        let is_new = self.note(verb, option);
        let answer = match self.accepted(option) {
            Some(state) if verb == WILL => {
                let before = std::mem::replace(state, OptionState::Yes);
                (before == OptionState::No).then_some(DO)
            }
            Some(state) if verb == WONT => {
                let before = std::mem::replace(state, OptionState::No);
                (before == OptionState::Yes).then_some(DONT)
            }
            _ if !is_new => None,
            _ if verb == WILL => Some(DONT),
            _ => Some(WONT),
        };
        let answer = answer.filter(|_| self.replies < REPLIES_MAX)?;
        self.replies += 1;
        Some([IAC, answer, option])
    }

    fn accepted(&mut self, option: u8) -> Option<&mut OptionState> {
        let index = ACCEPTED.iter().position(|&accepted| accepted == option)?;
        Some(&mut self.accepted[index])
    }

    /// Records an offer or a request; returns whether it is new.
    fn note(&mut self, verb: u8, number: u8) -> bool {
        let verb = match verb {
            WILL => Verb::Will,
            DO => Verb::Do,
            _ => return false,
        };
        let word = &mut self.option_bits[verb as usize][usize::from(number / 64)];
        let bit = 1 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        if is_new {
            self.options.push(TelnetOption { verb, number });
        }
        is_new
    }
}

/// Returns whether an option is registered or used by game servers: MSDP, MSSP, MCCP, MSP, MXP, ZMP,
/// ATCP and GMCP.
fn is_known(option: u8) -> bool {
    let is_registered = TelnetOption { verb: Verb::Will, number: option }.name().is_some();
    is_registered || matches!(option, 69 | 70 | 85..=87 | 90..=93 | 200 | 201)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Vec<u8> {
        let mut negotiation = Negotiation::default();
        let events = bytes.iter().map(|&byte| negotiation.receive(byte));
        events
            .filter_map(|event| if let TelnetEvent::Text(byte) = event { Some(byte) } else { None })
            .collect()
    }

    fn replies(negotiation: &mut Negotiation, bytes: &[u8]) -> Vec<u8> {
        let reply = |&byte| match negotiation.receive(byte) {
            TelnetEvent::Command { reply, .. } => reply,
            _ => None,
        };
        bytes.iter().filter_map(reply).flatten().collect()
    }

    #[test]
    fn commands_and_subnegotiations_are_not_text() {
        assert_eq!(text(b"a\xff\xf1b\xff\xfa\x18\x01x\xff\xff\xf0y\xff\xf0c\xff\xf9"), b"abc");
        assert_eq!(text(b"a\xff\xffb"), b"a\xffb");
    }

    #[test]
    fn only_commands_that_telnet_alone_has_are_conclusive() {
        let proof = |is_requested: bool, bytes: &[u8]| {
            let mut negotiation = Negotiation::default();
            if is_requested {
                negotiation.note_echo_request();
            }
            let proof = |&byte: &u8| match negotiation.receive(byte) {
                TelnetEvent::Command { proof, .. } => Some(proof),
                _ => None,
            };
            bytes.iter().filter_map(proof).collect::<Vec<_>>()
        };
        for command in [&b"\xff\xfb\x01"[..], b"\xff\xfd\x18", b"\xff\xfa\x18\x01\xff\xf0"] {
            assert_eq!(proof(false, command), [Proof::Conclusive], "{command:?}");
        }
        // NOP, GA, DM, and refusals.
        let weak = b"\xff\xf1\xff\xf9\xff\xf2\xff\xfc\x01\xff\xfe\x18";
        assert_eq!(proof(false, weak), [Proof::Weak; 5]);
        // Unregistered options and subnegotiations.
        for other in [
            &b"\xff\xfb\x90"[..],
            b"\xff\xfe\x48",
            b"\xff\xfd\xef",
            b"\xff\xfa\x90\x01\xff\xf0",
            b"\xff\xf0",
        ] {
            assert_eq!(proof(false, other), [Proof::None], "{other:?}");
        }
        assert_eq!(proof(false, b"\xff\xff"), []);
        assert_eq!(proof(true, b"\xff\xfc\x01"), [Proof::Conclusive], "answer to our request");
    }

    #[test]
    fn echo_is_accepted_and_other_options_are_refused_once() {
        let mut negotiation = Negotiation::default();
        let requests = [IAC, DO, 24, IAC, WILL, ECHO, IAC, WILL, 3, IAC, DO, 24, IAC, WILL, 5];
        let expected = [IAC, WONT, 24, IAC, DO, ECHO, IAC, DO, 3, IAC, DONT, 5];
        assert_eq!(replies(&mut negotiation, &requests), expected);
        assert_eq!(replies(&mut negotiation, &requests), b"");
        assert_eq!(replies(&mut negotiation, &[IAC, DO, ECHO]), [IAC, WONT, ECHO]);
    }

    #[test]
    fn refusals_get_no_reply() {
        let mut negotiation = Negotiation::default();
        assert_eq!(replies(&mut negotiation, &[IAC, WONT, ECHO, IAC, DONT, 24]), b"");
    }

    #[test]
    fn answer_to_our_request_gets_no_reply() {
        for (answer, then) in [(WILL, &b""[..]), (WONT, &[IAC, DO, ECHO])] {
            let mut negotiation = Negotiation::default();
            negotiation.note_echo_request();
            assert_eq!(replies(&mut negotiation, &[IAC, answer, ECHO]), b"");
            assert_eq!(replies(&mut negotiation, &[IAC, WILL, ECHO]), then);
        }
    }

    #[test]
    fn number_of_replies_is_limited() {
        let mut negotiation = Negotiation::default();
        let fickle = [IAC, WILL, ECHO, IAC, WONT, ECHO].repeat(10_000);
        assert_eq!(replies(&mut negotiation, &fickle).len(), REPLIES_MAX * REPLY_SIZE);

        let mut negotiation = Negotiation::default();
        let all: Vec<_> = (0..=255).flat_map(|it| [IAC, WILL, it, IAC, DO, it]).collect();
        assert_eq!(replies(&mut negotiation, &all.repeat(100)).len(), all.len());
        assert_eq!(negotiation.options().len(), 512);
    }
}
