//! Finds what only interactive servers send, behind the greeting of another protocol or of ssh.

use super::{prompt, screen::Screen, telnet};
use crate::outcome::Rule;

/// Counts the commands that only telnet has.
pub(super) struct CommandSearch {
    commands: telnet::Negotiation,
    /// How much the commands so far count.
    pub(super) weight: usize,
    /// Whether the text has bytes that are letters of a national code page.
    pub(super) has_letters: bool,
}

impl CommandSearch {
    pub(super) fn new(has_requested_echo: bool) -> Self {
        let mut commands = telnet::Negotiation::default();
        if has_requested_echo {
            commands.note_echo_request();
        }
        Self { commands, weight: 0, has_letters: false }
    }

    pub(super) fn receive(&mut self, byte: u8) {
        match self.commands.receive(byte) {
            telnet::TelnetEvent::Text(text) => self.has_letters |= !text.is_ascii(),
            telnet::TelnetEvent::Command { proof: telnet::Proof::Conclusive, .. } => {
                self.weight += weight(byte);
            }
            telnet::TelnetEvent::Command { .. } | telnet::TelnetEvent::Incomplete => {}
        }
    }

    /// Returns whether telnet sent the bytes. Three letters of a national code page may look like one
    /// command.
    pub(super) fn is_telnet(&self) -> bool {
        self.weight > usize::from(self.has_letters) || self.commands.is_in_subnegotiation()
    }
}

/// Returns how much a command that ends with this byte counts: 1 if all its bytes may be letters, else 2.
pub(super) fn weight(last: u8) -> usize {
    if is_text(last) { 1 } else { 2 }
}

/// Returns whether bytes contain commands that only telnet has, or end like the text of an interactive
/// server.
pub(super) fn is_interactive_text(bytes: &[u8]) -> bool {
    let mut found = CommandSearch::new(false);
    let mut screen = Screen::default();
    for &byte in bytes {
        found.receive(byte);
        screen.push(byte);
    }
    let asks =
        matches!(prompt::rule(&screen), Some(Rule::LoginPrompt | Rule::ShellPrompt | Rule::Menu));
    found.is_telnet() || asks || screen.is_in_control_string()
}

/// Returns whether a byte occurs in text for people: printable in ASCII, UTF-8 or a national code
/// page, white space, or terminal control (bell, backspace, escape).
pub(super) fn is_text(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | 0x80..=0xff | b'\t'..=b'\r' | 0x07 | 0x08 | 0x1b)
}
