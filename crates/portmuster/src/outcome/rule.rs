//! The rules that decide on a service: each is named once, so that every verdict can say by which
//! it came about.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The rule that decided on an open port's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// An identification line of ssh came.
    Identification,
    /// The server stopped in its identification line.
    IdentificationCutOff,
    /// A refusal that only sshd words like this came.
    SshdRefusal,
    /// A text came with which an sshd gives up before its identification.
    SshdBroken,
    /// Telnet commands came before any byte that is no text.
    TelnetCommands,
    /// The text ends by asking for a user name or a password, and no telnet command came.
    LoginPrompt,
    /// The text ends in the prompt of a shell or a command line, and no telnet command came.
    ShellPrompt,
    /// The text ends by asking for a choice or a key, and no telnet command came.
    Menu,
    /// The text names telnet, and no telnet command came.
    NamesTelnet,
    /// The text speaks of a login, a session or a console, and no telnet command came.
    NamesLogin,
    /// The first bytes are those of a protocol that is neither ssh nor telnet.
    KnownProtocol,
    /// Bytes came, and no other rule knows them.
    UnknownBytes,
    /// As many bytes came as are read from one server.
    TooManyBytes,
    /// As many lines came as are read from one server.
    TooManyLines,
    /// Bytes still came when the conversation had lasted long enough.
    StillTalking,
    /// Nothing came, and the server kept the connection.
    Silence,
    /// Nothing came before the server hung up.
    HungUp,
    /// Only the connection was asked for.
    ConnectOnly,
}

impl Rule {
    /// Every rule, in the order of its variants.
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

    /// The rule's name in rows.
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

    /// The rule in a sentence, with its source where it has one.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Identification => "an ssh identification line came (RFC 4253 §4.2)",
            Self::IdentificationCutOff => {
                "an ssh identification line began, and the server stopped in it (RFC 4253 §4.2)"
            }
            Self::SshdRefusal => "the text is how sshd refuses one more connection",
            Self::SshdBroken => {
                "the text is how an sshd gives up that can't start, or turns this address away"
            }
            Self::TelnetCommands => {
                "telnet commands came, and before them nothing but text (RFC 854)"
            }
            Self::LoginPrompt => "the text ends in a login prompt, and no telnet command came",
            Self::ShellPrompt => "the text ends in a shell's prompt, and no telnet command came",
            Self::Menu => {
                "the text ends by asking for a choice or a key, and no telnet command came"
            }
            Self::NamesTelnet => "the text names telnet, and no telnet command came",
            Self::NamesLogin => {
                "the text speaks of a login, a session or a console, and no telnet command came"
            }
            Self::KnownProtocol => "the first bytes are those of another protocol that we know",
            Self::UnknownBytes => "bytes came, and no rule knows them",
            Self::TooManyBytes => "more bytes came than any greeting has",
            Self::TooManyLines => "more lines came than any greeting has",
            Self::StillTalking => "the deadline passed while bytes still came",
            Self::Silence => "the connection was accepted, and nothing came",
            Self::HungUp => "the connection was accepted and ended before anything came",
            Self::ConnectOnly => "only the connection was asked for",
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
    fn every_rule_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Rule::ALL.map(Rule::name).into();
        assert_eq!(names.len(), Rule::ALL.len());
        for (position, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule as usize, position);
            assert!(!rule.told().is_empty());
        }
    }
}
