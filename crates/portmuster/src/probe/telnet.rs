//! Tells telnet's commands (RFC 854) from its text, across any split of the stream.
//!
//! Every option is refused, once: `DO x` is answered `WONT x`, `WILL x` is answered `DONT x`.
//! A state that is never changed needs no other answer, so no loop can arise (RFC 1143 §2).

const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
const IAC: u8 = 255;
/// The lowest command: end of file, RFC 1184 §2.4.
const LOWEST: u8 = 236;

/// What one byte of the stream means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is a byte of the text.
    Text(u8),
    /// It belongs to a command that is not yet whole.
    Unfinished,
    /// It completes a command, which may want a reply.
    Command(Option<[u8; 3]>),
}

#[derive(Debug, Clone, Copy, Default)]
enum Place {
    #[default]
    Text,
    Command,
    Option(u8),
    Subnegotiation,
    SubnegotiationCommand,
}

/// The state of one connection's stream.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    place: Place,
    /// Options that were refused, a bit each: first those the server asked of us, then its own.
    refused: [[u64; 4]; 2],
}

impl Negotiation {
    /// Takes the next byte of the stream.
    pub(super) fn byte(&mut self, byte: u8) -> Meaning {
        let (place, meaning) = match (self.place, byte) {
            (Place::Text, IAC) => (Place::Command, Meaning::Unfinished),
            (Place::Command, WILL..=DONT) => (Place::Option(byte), Meaning::Unfinished),
            (Place::Command, SB) => (Place::Subnegotiation, Meaning::Unfinished),
            (Place::Command, LOWEST..=DONT) | (Place::SubnegotiationCommand, SE) => {
                (Place::Text, Meaning::Command(None))
            }
            // IAC IAC is the data byte 255; IAC and anything lower is no command at all.
            (Place::Text | Place::Command, _) => (Place::Text, Meaning::Text(byte)),
            (Place::Option(verb), option) => {
                (Place::Text, Meaning::Command(self.refusal(verb, option)))
            }
            (Place::Subnegotiation, IAC) => (Place::SubnegotiationCommand, Meaning::Unfinished),
            (Place::Subnegotiation | Place::SubnegotiationCommand, _) => {
                (Place::Subnegotiation, Meaning::Unfinished)
            }
        };
        self.place = place;
        meaning
    }

    /// The refusal of an option, unless it was refused before or the server itself says no.
    fn refusal(&mut self, verb: u8, option: u8) -> Option<[u8; 3]> {
        let (side, answer) = match verb {
            DO => (0, WONT),
            WILL => (1, DONT),
            _ => return None,
        };
        let word = &mut self.refused[side][usize::from(option / 64)];
        let bit = 1 << (option % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first.then_some([IAC, answer, option])
    }
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

    #[test]
    fn commands_and_subnegotiations_are_no_text() {
        assert_eq!(text(b"a\xff\xf1b\xff\xfa\x18\x01x\xff\xff\xf0y\xff\xf0c\xff\xf9"), b"abc");
        assert_eq!(text(b"a\xff\xffb"), b"a\xffb");
    }

    #[test]
    fn a_server_that_says_no_gets_no_reply() {
        let mut negotiation = Negotiation::default();
        for byte in [IAC, WONT, 1, IAC, DONT, 24] {
            assert!(matches!(negotiation.byte(byte), Meaning::Unfinished | Meaning::Command(None)));
        }
    }
}
