//! Why a target has no verdict. Pure.

use serde::{Deserialize, Serialize};

/// Why it is not known whether a thing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Doubt {
    /// Nothing answered, or something on the way refused the connection.
    Filtered,
    /// There is no such name, or none that the resolver knows.
    Unresolved,
    /// This machine could not, or may not, try.
    Unchecked,
    /// The addresses of a name that were tried refused, and others were not tried.
    RefusedInPart,
    /// The server accepted and said nothing.
    Silent,
    /// The server accepted and hung up without a word.
    ClosedEarly,
    /// The server did not stop; its end was not waited for.
    Tarpit,
    /// No rule recognises what the server said.
    Unknown,
    /// A prompt, or a text that names telnet, without a telnet command.
    TelnetLikely,
    /// An sshd that gave up before its identification.
    SshBroken,
    /// An sshd that asked for fewer connections before it made an offer.
    SshThrottled,
    /// An ssh whose offer did not come.
    KexMissing,
    /// Only the connection was asked for.
    NotProbed,
    /// The target is excluded, so nobody looked.
    Excluded,
    /// A line or a record of the input could not be read and was passed over.
    BadLines,
}

impl Doubt {
    /// In the order in which the summary lists them.
    pub(crate) const ALL: [Self; 15] = [
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

    /// Its name in summaries and on the command line.
    pub(crate) fn name(self) -> &'static str {
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

    /// The doubt of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|doubt| doubt.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_doubt_has_a_name_of_its_own_and_stands_at_its_place() {
        for (place, doubt) in Doubt::ALL.into_iter().enumerate() {
            assert_eq!(doubt as usize, place);
            assert_eq!(Doubt::named(doubt.name()), Some(doubt));
        }
        assert_eq!(Doubt::named("left"), None);
    }
}
