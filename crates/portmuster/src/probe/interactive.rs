//! Recognises an interactive server, telnet or a shell, in bytes that follow the greeting of another protocol
//! or an ssh identification.

use super::{
    prompt,
    screen::Screen,
    telnet::{Negotiation, Proof, TelnetEvent},
};
use crate::outcome::Rule;

/// Separates telnet commands from text, and keeps of both what an interactive server is recognised by.
#[derive(Debug, Default)]
pub(super) struct InteractiveText {
    negotiation: Negotiation,
    screen: Screen,
    /// The sum of the [weights](command_weight) of the telnet commands.
    command_weight: usize,
    /// Whether the text contains a byte outside ASCII, which may be a letter of a national code page.
    has_letters: bool,
}

impl InteractiveText {
    /// Reads all bytes of a server. `has_requested_echo` says whether the client has sent a request that the
    /// server may echo.
    pub(super) fn read(bytes: &[u8], has_requested_echo: bool) -> Self {
        let mut text = Self::default();
        if has_requested_echo {
            text.negotiation.note_echo_request();
        }
        text.receive(bytes);
        text
    }

    /// Processes more bytes of the server.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.receive_byte(byte);
        }
    }

    fn receive_byte(&mut self, byte: u8) {
        match self.negotiation.receive(byte) {
            TelnetEvent::Text(text) => {
                self.has_letters |= !text.is_ascii();
                self.screen.push(text);
            }
            TelnetEvent::Command { proof: Proof::Conclusive, .. } => {
                self.command_weight += command_weight(byte);
            }
            TelnetEvent::Command { .. } | TelnetEvent::Incomplete => {}
        }
    }

    /// Adds commands, as the sum of their weights, and letters that were received after these bytes.
    pub(super) fn add(&mut self, command_weight: usize, has_letters: bool) {
        self.command_weight += command_weight;
        self.has_letters |= has_letters;
    }

    /// Returns whether the bytes contain telnet commands, in whole or in part. If the text has letters of a
    /// national code page, one command that may consist of such letters does not count.
    pub(super) fn has_commands(&self) -> bool {
        self.command_weight > usize::from(self.has_letters)
            || self.negotiation.is_in_subnegotiation()
    }

    /// Returns whether the bytes contain telnet commands or end with a prompt.
    pub(super) fn is_interactive(&self) -> bool {
        self.has_commands() || self.prompt().is_some_and(awaits_input)
    }

    /// Returns the allocated memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.negotiation.memory() + self.screen.memory()
    }

    /// Returns the rule that recognises a prompt at the end of the text.
    pub(super) fn prompt(&self) -> Option<Rule> {
        prompt_on(&self.screen)
    }
}

/// Returns the weight of a telnet command with this last byte: 1 if all its bytes may be letters or signs of a
/// national code page, otherwise 2.
pub(super) fn command_weight(last: u8) -> usize {
    if is_text(last) { 1 } else { 2 }
}

/// Returns whether bytes contain telnet commands or end with a prompt.
pub(super) fn is_interactive(bytes: &[u8]) -> bool {
    InteractiveText::read(bytes, false).is_interactive()
}

/// Returns the rule that recognises a prompt on the screen. An unfinished control string may hide a prompt, so
/// it counts as one.
pub(super) fn prompt_on(screen: &Screen) -> Option<Rule> {
    if screen.is_in_control_string() { Some(Rule::LoginPrompt) } else { prompt::rule(screen) }
}

/// Returns whether a text that this rule recognises ends with a prompt, rather than mentions a login.
pub(super) fn awaits_input(rule: Rule) -> bool {
    matches!(rule, Rule::LoginPrompt | Rule::ShellPrompt | Rule::Menu)
}

/// Returns whether a byte occurs in text for people: printable in ASCII, UTF-8 or a national code
/// page, white space, or terminal control (bell, backspace, escape).
pub(super) fn is_text(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e | 0x80..=0xff | b'\t'..=b'\r' | 0x07 | 0x08 | 0x1b)
}
