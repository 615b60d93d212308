//! The rules that decide on a service. Each has a name, which every verdict carries.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The rule that decided on an open port's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// The server sent an ssh identification line.
    Identification,
    /// The server stopped within its ssh identification line.
    IdentificationCutOff,
    /// The server sent the message with which sshd refuses a connection.
    SshdRefusal,
    /// The server sent a message with which an sshd fails before its identification.
    SshdBroken,
    /// The server sent telnet commands, and only text before them.
    TelnetCommands,
    /// The text ends with a prompt for a user name or a password; there was no telnet command.
    LoginPrompt,
    /// The text ends with a shell or command-line prompt; there was no telnet command.
    ShellPrompt,
    /// The text ends with a prompt for a choice or a key; there was no telnet command.
    Menu,
    /// The text mentions telnet; there was no telnet command.
    NamesTelnet,
    /// The text mentions a login, a session or a console; there was no telnet command.
    NamesLogin,
    /// The first bytes belong to a known protocol other than ssh and telnet.
    KnownProtocol,
    /// The server sent bytes that no other rule recognises.
    UnknownBytes,
    /// The server reached the limit of bytes.
    TooManyBytes,
    /// The server reached the limit of lines.
    TooManyLines,
    /// The server was still sending when the deadline of the conversation passed.
    StillTalking,
    /// The server sent nothing and kept the connection open.
    Silence,
    /// The server closed the connection without sending anything.
    HungUp,
    /// Only a connection was requested.
    ConnectOnly,
}

impl Rule {
    /// Every rule, in the order of the variants.
    pub const ALL: [Self; 18] = [
        Self::Identification,
        Self::IdentificationCutOff,
        Self::SshdRefusal,
        Self::SshdBroken,
        Self::TelnetCommands,
        Self::LoginPrompt,
        Self::ShellPrompt,
        Self::Menu,
        Self::NamesTelnet,
        Self::NamesLogin,
        Self::KnownProtocol,
        Self::UnknownBytes,
        Self::TooManyBytes,
        Self::TooManyLines,
        Self::StillTalking,
        Self::Silence,
        Self::HungUp,
        Self::ConnectOnly,
    ];

    /// Returns the name of the rule in rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identification => "identification",
            Self::IdentificationCutOff => "identification-cut-off",
            Self::SshdRefusal => "sshd-refusal",
            Self::SshdBroken => "sshd-broken",
            Self::TelnetCommands => "telnet-commands",
            Self::LoginPrompt => "login-prompt",
            Self::ShellPrompt => "shell-prompt",
            Self::Menu => "menu",
            Self::NamesTelnet => "names-telnet",
            Self::NamesLogin => "names-login",
            Self::KnownProtocol => "known-protocol",
            Self::UnknownBytes => "unknown-bytes",
            Self::TooManyBytes => "too-many-bytes",
            Self::TooManyLines => "too-many-lines",
            Self::StillTalking => "still-talking",
            Self::Silence => "silence",
            Self::HungUp => "hung-up",
            Self::ConnectOnly => "connect-only",
        }
    }

    /// Describes the rule in one sentence, with its source if it has one.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Identification => "the server sent an ssh identification line (RFC 4253 §4.2)",
            Self::IdentificationCutOff => {
                "the server stopped within its ssh identification line (RFC 4253 §4.2)"
            }
            Self::SshdRefusal => "the text is sshd's refusal of too many connections",
            Self::SshdBroken => {
                "the text is that of an sshd that can't start, or that rejects this address"
            }
            Self::TelnetCommands => {
                "the server sent telnet commands, and only text before them (RFC 854)"
            }
            Self::LoginPrompt => "the text ends with a login prompt; there was no telnet command",
            Self::ShellPrompt => "the text ends with a shell prompt; there was no telnet command",
            Self::Menu => {
                "the text ends with a prompt for a choice or a key; there was no telnet command"
            }
            Self::NamesTelnet => "the text mentions telnet; there was no telnet command",
            Self::NamesLogin => {
                "the text mentions a login, a session or a console; there was no telnet command"
            }
            Self::KnownProtocol => "the first bytes belong to another known protocol",
            Self::UnknownBytes => "the server sent bytes that no rule recognises",
            Self::TooManyBytes => "the server sent more bytes than any greeting has",
            Self::TooManyLines => "the server sent more lines than any greeting has",
            Self::StillTalking => "the server was still sending when the deadline passed",
            Self::Silence => "the server accepted the connection and sent nothing",
            Self::HungUp => {
                "the server accepted the connection and closed it without sending anything"
            }
            Self::ConnectOnly => "only a connection was requested",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_a_unique_name_and_a_description() {
        let names: BTreeSet<_> = Rule::ALL.map(Rule::name).into();
        assert_eq!(names.len(), Rule::ALL.len());
        for (position, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule as usize, position);
            assert!(!rule.describe().is_empty());
        }
    }
}
