//! Tells telnet's commands (RFC 854) from its text, across any split of the stream, and answers
//! options so that the server goes on to its prompt.
//!
//! A server may echo and suppress its go-aheads, which is what every terminal agrees to; all else
//! is refused. Only a change of state is answered, and a refusal once, so no loop can arise
//! (RFC 1143 §2).
//!
//! Invariant: at most [`REPLIES_MAX`] replies are written, whatever a server asks.

use crate::outcome::{TelnetOption, Verb};

const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
pub(super) const IAC: u8 = 255;
/// The lowest command: end of file, RFC 1184 §2.4.
const LOWEST: u8 = 236;

const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;
/// What a server may do.
const AGREEABLE: [u8; 2] = [ECHO, SUPPRESS_GO_AHEAD];

/// Replies in one conversation: one to each option of either side, and as many again for servers
/// that change their mind.
pub(super) const REPLIES_MAX: usize = 1024;
/// Bytes of one reply.
pub(super) const REPLY_SIZE: usize = 3;

/// What may bring a silent server to speak: a wish that every telnet server must answer. Behind an
/// empty line, so that a server which knows no telnet takes it for the start of a line that is
/// never sent.
pub(super) const WISH: [u8; REPLY_SIZE] = [IAC, DO, ECHO];

/// What one byte of the stream means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is a byte of the text.
    Text(u8),
    /// It belongs to a command that is not yet whole.
    Unfinished,
    /// It completes a command, which may want a reply.
    Command { reply: Option<[u8; REPLY_SIZE]>, proof: Proof },
}

/// How much a command proves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    #[default]
    None,
    /// Letters of national code pages and other protocols have these bytes, too: commands without
    /// an option, and refusals of what nobody wished for, with which some printers begin.
    Slight,
    /// Only telnet has it.
    Whole,
}

#[derive(Debug, Clone, Copy, Default)]
enum Place {
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

/// How an option of the server stands (RFC 1143 §7, without its queue: nothing is asked twice).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    No,
    /// We have asked for it.
    WantYes,
    Yes,
}

/// The state of one connection's stream.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    place: Place,
    /// In the order of [`AGREEABLE`].
    agreed: [State; AGREEABLE.len()],
    /// Options that were named, each once: those the server offered, those it asked for.
    options: Vec<TelnetOption>,
    /// The same as bits, by verb and number.
    noted: [[u64; 4]; 2],
    replies: usize,
}

impl Negotiation {
    /// Takes the next byte of the stream.
    pub(super) fn byte(&mut self, byte: u8) -> Meaning {
        let (place, meaning) = match (self.place, byte) {
            (Place::Text, IAC) => (Place::Command, Meaning::Unfinished),
            (Place::Command, WILL..=DONT) => (Place::Option(byte), Meaning::Unfinished),
            (Place::Command, SB) => (Place::SubnegotiationOption, Meaning::Unfinished),
            // The end of a subnegotiation that did not begin: an HP JetDirect begins an answer of
            // its web server with it.
            (Place::Command, SE) => {
                (Place::Text, Meaning::Command { reply: None, proof: Proof::None })
            }
            (Place::Command, LOWEST..=DONT) => {
                (Place::Text, Meaning::Command { reply: None, proof: Proof::Slight })
            }
            // IAC IAC is the data byte 255; IAC and anything lower is no command at all.
            (Place::Text | Place::Command, _) => (Place::Text, Meaning::Text(byte)),
            (Place::Option(verb), option) => (Place::Text, self.command(verb, option)),
            (Place::SubnegotiationOption, option) => {
                (Place::Subnegotiation { of_known: is_known(option) }, Meaning::Unfinished)
            }
            (Place::Subnegotiation { of_known }, IAC) => {
                (Place::SubnegotiationCommand { of_known }, Meaning::Unfinished)
            }
            (Place::SubnegotiationCommand { of_known }, SE) => {
                let proof = if of_known { Proof::Whole } else { Proof::None };
                (Place::Text, Meaning::Command { reply: None, proof })
            }
            (Place::Subnegotiation { of_known } | Place::SubnegotiationCommand { of_known }, _) => {
                (Place::Subnegotiation { of_known }, Meaning::Unfinished)
            }
        };
        self.place = place;
        meaning
    }

    /// The [`WISH`] has been sent.
    pub(super) fn wished(&mut self) {
        if let Some(state) = self.agreed(ECHO)
            && *state == State::No
        {
            *state = State::WantYes;
        }
    }

    pub(super) fn held(&self) -> usize {
        self.options.capacity() * size_of::<TelnetOption>()
    }

    /// The options that the server offered or asked for.
    pub(super) fn options(&self) -> &[TelnetOption] {
        &self.options
    }

    /// Takes an offer, a wish or a refusal. The first two are proof, where the option has a name;
    /// so is what is said to our own wish.
    fn command(&mut self, verb: u8, option: u8) -> Meaning {
        let was_wished = self.agreed(option).is_some_and(|state| *state == State::WantYes);
        let proof = match verb {
            // What we have sent ourselves: a server that reflects it says nothing of its own.
            DO if was_wished => Proof::None,
            WILL | DO if is_known(option) => Proof::Whole,
            WONT if was_wished => Proof::Whole,
            WONT | DONT if is_known(option) => Proof::Slight,
            _ => Proof::None,
        };
        Meaning::Command { reply: self.answer(verb, option), proof }
    }

    fn answer(&mut self, verb: u8, option: u8) -> Option<[u8; REPLY_SIZE]> {
        let is_new = self.note(verb, option);
        let answer = match self.agreed(option) {
            Some(state) if verb == WILL => {
                let before = std::mem::replace(state, State::Yes);
                (before == State::No).then_some(DO)
            }
            Some(state) if verb == WONT => {
                let before = std::mem::replace(state, State::No);
                (before == State::Yes).then_some(DONT)
            }
            _ if !is_new => None,
            _ if verb == WILL => Some(DONT),
            _ => Some(WONT),
        };
        let answer = answer.filter(|_| self.replies < REPLIES_MAX)?;
        self.replies += 1;
        Some([IAC, answer, option])
    }

    fn agreed(&mut self, option: u8) -> Option<&mut State> {
        let place = AGREEABLE.iter().position(|&agreeable| agreeable == option)?;
        Some(&mut self.agreed[place])
    }

    /// Keeps an offer or a wish; whether it is the first of its kind.
    fn note(&mut self, verb: u8, number: u8) -> bool {
        let verb = match verb {
            WILL => Verb::Will,
            DO => Verb::Do,
            _ => return false,
        };
        let word = &mut self.noted[verb as usize][usize::from(number / 64)];
        let bit = 1 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        if is_new {
            self.options.push(TelnetOption { verb, number });
        }
        is_new
    }
}

/// Whether an option is registered, or one that game servers use: MSDP, MSSP, MCCP, MSP, MXP, ZMP,
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
        let meanings = bytes.iter().map(|&byte| negotiation.byte(byte));
        meanings
            .filter_map(|meaning| if let Meaning::Text(byte) = meaning { Some(byte) } else { None })
            .collect()
    }

    fn replies(negotiation: &mut Negotiation, bytes: &[u8]) -> Vec<u8> {
        let reply = |&byte| match negotiation.byte(byte) {
            Meaning::Command { reply, .. } => reply,
            _ => None,
        };
        bytes.iter().filter_map(reply).flatten().collect()
    }

    #[test]
    fn commands_and_subnegotiations_are_no_text() {
        assert_eq!(text(b"a\xff\xf1b\xff\xfa\x18\x01x\xff\xff\xf0y\xff\xf0c\xff\xf9"), b"abc");
        assert_eq!(text(b"a\xff\xffb"), b"a\xffb");
    }

    #[test]
    fn only_what_telnet_alone_has_is_proof() {
        let proof = |wished: bool, bytes: &[u8]| {
            let mut negotiation = Negotiation::default();
            if wished {
                negotiation.wished();
            }
            let proof = |&byte: &u8| match negotiation.byte(byte) {
                Meaning::Command { proof, .. } => Some(proof),
                _ => None,
            };
            bytes.iter().filter_map(proof).collect::<Vec<_>>()
        };
        for whole in [&b"\xff\xfb\x01"[..], b"\xff\xfd\x18", b"\xff\xfa\x18\x01\xff\xf0"] {
            assert_eq!(proof(false, whole), [Proof::Whole], "{whole:?}");
        }
        // NOP, GA, DM, and refusals.
        let slight = b"\xff\xf1\xff\xf9\xff\xf2\xff\xfc\x01\xff\xfe\x18";
        assert_eq!(proof(false, slight), [Proof::Slight; 5]);
        // Options and subnegotiations that nobody has registered.
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
        assert_eq!(proof(true, b"\xff\xfc\x01"), [Proof::Whole], "to our own wish");
    }

    #[test]
    fn echo_is_agreed_to_and_all_else_refused_once() {
        let mut negotiation = Negotiation::default();
        let asked = [IAC, DO, 24, IAC, WILL, ECHO, IAC, WILL, 3, IAC, DO, 24, IAC, WILL, 5];
        let answered = [IAC, WONT, 24, IAC, DO, ECHO, IAC, DO, 3, IAC, DONT, 5];
        assert_eq!(replies(&mut negotiation, &asked), answered);
        assert_eq!(replies(&mut negotiation, &asked), b"");
        assert_eq!(replies(&mut negotiation, &[IAC, DO, ECHO]), [IAC, WONT, ECHO]);
    }

    #[test]
    fn a_server_that_says_no_gets_no_reply() {
        let mut negotiation = Negotiation::default();
        assert_eq!(replies(&mut negotiation, &[IAC, WONT, ECHO, IAC, DONT, 24]), b"");
    }

    #[test]
    fn what_was_wished_for_is_not_answered_again() {
        for (answer, then) in [(WILL, &b""[..]), (WONT, &[IAC, DO, ECHO])] {
            let mut negotiation = Negotiation::default();
            negotiation.wished();
            assert_eq!(replies(&mut negotiation, &[IAC, answer, ECHO]), b"");
            assert_eq!(replies(&mut negotiation, &[IAC, WILL, ECHO]), then);
        }
    }

    #[test]
    fn a_server_that_never_makes_up_its_mind_gets_no_more_than_so_many_replies() {
        let mut negotiation = Negotiation::default();
        let fickle = [IAC, WILL, ECHO, IAC, WONT, ECHO].repeat(10_000);
        assert_eq!(replies(&mut negotiation, &fickle).len(), REPLIES_MAX * REPLY_SIZE);

        let mut negotiation = Negotiation::default();
        let all: Vec<_> = (0..=255).flat_map(|it| [IAC, WILL, it, IAC, DO, it]).collect();
        assert_eq!(replies(&mut negotiation, &all.repeat(100)).len(), all.len());
        assert_eq!(negotiation.options().len(), 512);
    }
}
