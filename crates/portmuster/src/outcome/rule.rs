//! The rules that decide on a service. Each has a name, which every verdict carries.

use crate::named_enum::named_enum;

named_enum! {
    /// The rule that decided on an open port's service.
    #[non_exhaustive]
    pub enum Rule: "rule" {
        /// The server sent an ssh identification line.
        Identification = "identification",
        /// The server stopped within its ssh identification line.
        IdentificationCutOff = "identification-cut-off",
        /// The server sent the message with which sshd refuses a connection.
        SshdRefusal = "sshd-refusal",
        /// The server sent a message with which an sshd fails before its identification.
        SshdBroken = "sshd-broken",
        /// The server sent telnet commands, and only text before them.
        TelnetCommands = "telnet-commands",
        /// The text ends with a prompt for a user name or a password; there was no telnet command.
        LoginPrompt = "login-prompt",
        /// The text ends with a shell or command-line prompt; there was no telnet command.
        ShellPrompt = "shell-prompt",
        /// The text ends with a prompt for a choice or a key; there was no telnet command.
        Menu = "menu",
        /// The text mentions telnet; there was no telnet command.
        NamesTelnet = "names-telnet",
        /// The text mentions a login, a session or a console; there was no telnet command.
        NamesLogin = "names-login",
        /// The first bytes belong to a known protocol other than ssh and telnet.
        KnownProtocol = "known-protocol",
        /// The server sent bytes that no other rule recognises.
        UnknownBytes = "unknown-bytes",
        /// The server reached the limit of bytes.
        TooManyBytes = "too-many-bytes",
        /// The server reached the limit of lines.
        TooManyLines = "too-many-lines",
        /// The server was still sending when the deadline of the conversation passed.
        StillTalking = "still-talking",
        /// The server sent nothing and kept the connection open.
        Silence = "silence",
        /// The server closed the connection without sending anything.
        HungUp = "hung-up",
        /// Only a connection was requested.
        ConnectOnly = "connect-only",
    }
}

impl Rule {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_a_description_of_its_own() {
        let descriptions: BTreeSet<_> = Rule::ALL.map(Rule::describe).into();
        assert_eq!(descriptions.len(), Rule::ALL.len());
    }
}
