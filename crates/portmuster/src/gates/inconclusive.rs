//! The kinds of targets without a verdict.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a target neither proves nor disproves that something is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Inconclusive {
    /// Nothing answered, or a device on the path rejected the connection.
    Filtered,
    /// The name does not exist, or the resolver does not know it.
    Unresolved,
    /// This machine could not connect, or is not permitted to.
    Unchecked,
    /// The tried addresses of a name refused, and others were not tried.
    RefusedInPart,
    /// The server accepted and sent nothing.
    Silent,
    /// The server accepted and closed the connection without sending anything.
    ClosedEarly,
    /// The server kept sending bytes of no known protocol.
    Tarpit,
    /// No rule recognises what the server sent.
    Unknown,
    /// The server sent a prompt or a text about telnet, but no telnet command.
    TelnetLikely,
    /// The sshd failed before it sent its identification.
    SshBroken,
    /// The sshd rejected the connection for load before it sent its algorithms.
    SshThrottled,
    /// The ssh server did not send its algorithms.
    KexMissing,
    /// The run only tested the connection.
    NotProbed,
    /// The target is excluded, so it was not checked.
    Excluded,
    /// An input line or record could not be read and was skipped.
    BadLines,
}

impl Inconclusive {
    /// Every kind, in the order in which summaries list them.
    pub const ALL: [Self; 15] = [
        Self::Filtered,
        Self::Unresolved,
        Self::Unchecked,
        Self::RefusedInPart,
        Self::Silent,
        Self::ClosedEarly,
        Self::Tarpit,
        Self::Unknown,
        Self::TelnetLikely,
        Self::SshBroken,
        Self::SshThrottled,
        Self::KexMissing,
        Self::NotProbed,
        Self::Excluded,
        Self::BadLines,
    ];

    /// Returns the name of the kind, as texts and summaries write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Filtered => "filtered",
            Self::Unresolved => "unresolved",
            Self::Unchecked => "unchecked",
            Self::RefusedInPart => "refused-in-part",
            Self::Silent => "silent",
            Self::ClosedEarly => "closed-early",
            Self::Tarpit => "tarpit",
            Self::Unknown => "unknown",
            Self::TelnetLikely => "telnet-likely",
            Self::SshBroken => "ssh-broken",
            Self::SshThrottled => "ssh-throttled",
            Self::KexMissing => "kex-missing",
            Self::NotProbed => "not-probed",
            Self::Excluded => "excluded",
            Self::BadLines => "bad-lines",
        }
    }
}

/// A text that is not the name of a kind of target without a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no kind {0:?} of targets without a verdict")]
pub struct UnknownInconclusive(String);

impl fmt::Display for Inconclusive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Inconclusive {
    type Err = UnknownInconclusive;

    fn from_str(name: &str) -> Result<Self, UnknownInconclusive> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| UnknownInconclusive(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_discriminants_match_the_order() {
        for (index, kind) in Inconclusive::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index);
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!("left".parse::<Inconclusive>().is_err());
    }
}
