//! What a row means for the question "is telnet left?": one class for each colour of the page, and the
//! reason why a target is undecided, which is to say that it may or may not be telnet.

use std::fmt;

use serde::{Serialize, Serializer};

/// The class of a target, from the one that needs attention most.
///
/// The worst of several is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The server sent telnet commands.
    Telnet,
    /// A prompt or a text that suggests telnet, without a telnet command.
    Likely,
    /// An open port whose bytes identify no service.
    Unproven,
    /// An ssh server with a weakness.
    WeakSsh,
    /// An ssh server without a known weakness.
    Ssh,
    /// Another protocol, by name.
    Other,
    /// No answer.
    Silent,
    /// The target was not checked, or not at every address, or its name was not found.
    Unchecked,
    /// The connection was refused.
    Refused,
}

impl Class {
    /// All classes, from the worst.
    pub const ALL: [Self; 9] = [
        Self::Telnet,
        Self::Likely,
        Self::Unproven,
        Self::WeakSsh,
        Self::Ssh,
        Self::Other,
        Self::Silent,
        Self::Unchecked,
        Self::Refused,
    ];

    /// Returns the name in JSON and in the markup: a word of letters and hyphens.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Telnet => "telnet",
            Self::Likely => "likely",
            Self::Unproven => "unproven",
            Self::WeakSsh => "weak-ssh",
            Self::Ssh => "ssh",
            Self::Other => "other",
            Self::Silent => "silent",
            Self::Unchecked => "unchecked",
            Self::Refused => "refused",
        }
    }

    /// Returns the words of legends and headings.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Telnet => "telnet",
            Self::Likely => "looks like telnet",
            Self::Unproven => "open, unidentified",
            Self::WeakSsh => "weak ssh",
            Self::Ssh => "other ssh",
            Self::Other => "other service",
            Self::Silent => "no answer",
            Self::Unchecked => "not checked",
            Self::Refused => "refused",
        }
    }

    /// Returns what its targets have shown, as the rest of a sentence about one of them.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Telnet => "sent telnet commands",
            Self::Likely => "shows a login prompt or a menu, but sent no telnet command",
            Self::Unproven => "is open, and its bytes identify no service",
            Self::WeakSsh => "is an ssh server with a known weakness",
            Self::Ssh => "is an ssh server without a known weakness",
            Self::Other => "speaks another protocol that its bytes identify",
            Self::Silent => "gave no answer, or a device on the way rejected the connection",
            Self::Unchecked => "was not checked at all its addresses, or its name was not found",
            Self::Refused => "refused the connection, so nothing is served there",
        }
    }

    /// Returns whether the port was open.
    #[must_use]
    pub fn is_open(self) -> bool {
        self <= Self::Other
    }

    /// Returns whether its targets neither prove nor disprove that telnet is there.
    #[must_use]
    pub fn is_undecided(self) -> bool {
        matches!(self, Self::Likely | Self::Unproven | Self::Silent | Self::Unchecked)
    }
}

/// Why a target neither proves nor disproves that telnet is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Doubt {
    /// A prompt or a text that suggests telnet, without a telnet command.
    TelnetLikely,
    /// Bytes that no rule recognises.
    Unknown,
    /// The server accepted and sent nothing.
    Silent,
    /// The server accepted and closed the connection without a byte.
    ClosedEarly,
    /// The server kept sending bytes of no known protocol.
    Tarpit,
    /// An sshd that failed before its identification.
    SshBroken,
    /// The run only tested the connection.
    NotProbed,
    /// Nothing answered, or a device on the path rejected the connection.
    Filtered,
    /// Only some addresses of a name refused.
    RefusedInPart,
    /// The name was not found.
    Unresolved,
    /// The machine that ran the check could not connect.
    Unchecked,
    /// The target was excluded from the run.
    Excluded,
    /// The run was stopped before it reached the target.
    Left,
    /// The run has counted the target, and the rows lack it.
    NoRow,
}

impl Doubt {
    /// All of them, in the order in which the page lists them.
    pub const ALL: [Self; 14] = [
        Self::TelnetLikely,
        Self::Unknown,
        Self::Silent,
        Self::ClosedEarly,
        Self::Tarpit,
        Self::SshBroken,
        Self::NotProbed,
        Self::Filtered,
        Self::RefusedInPart,
        Self::Unresolved,
        Self::Unchecked,
        Self::Excluded,
        Self::Left,
        Self::NoRow,
    ];

    /// Returns the name, as gates write it where they have this kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TelnetLikely => "telnet-likely",
            Self::Unknown => "unknown",
            Self::Silent => "silent",
            Self::ClosedEarly => "closed-early",
            Self::Tarpit => "tarpit",
            Self::SshBroken => "ssh-broken",
            Self::NotProbed => "not-probed",
            Self::Filtered => "filtered",
            Self::RefusedInPart => "refused-in-part",
            Self::Unresolved => "unresolved",
            Self::Unchecked => "unchecked",
            Self::Excluded => "excluded",
            Self::Left => "left",
            Self::NoRow => "no-row",
        }
    }

    /// Returns what it means, as the rest of a sentence about targets.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::TelnetLikely => {
                "show a login prompt or a menu, as telnet does, but sent no telnet command"
            }
            Self::Unknown => "sent bytes that no rule recognises",
            Self::Silent => "accepted the connection and sent nothing",
            Self::ClosedEarly => "accepted the connection and closed it without a byte",
            Self::Tarpit => "kept sending bytes of no known protocol",
            Self::SshBroken => "run an sshd that failed before it identified itself",
            Self::NotProbed => "are open, and were only tested for a connection",
            Self::Filtered => "gave no answer, or a device on the way rejected the connection",
            Self::RefusedInPart => "refused at some of their addresses only",
            Self::Unresolved => "have a name that was not found",
            Self::Unchecked => "could not be checked by this machine",
            Self::Excluded => "were excluded from the run",
            Self::Left => "were not reached before the run was stopped",
            Self::NoRow => "were counted by the run, but have no row here",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl Serialize for Doubt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Returns the class of a row, and why the row is undecided; `None`: it proves whether telnet is there.
///
/// Only a refusal at every address, ssh, telnet and another protocol by its name are proof. A service of
/// a later version counts as unknown.
///
/// ```
/// use portmuster_report::{Class, Doubt, classify};
///
/// assert_eq!(classify("closed", "refused", None, false), (Class::Refused, None));
/// assert_eq!(classify("open", "accepted", Some("silent"), false).1, Some(Doubt::Silent));
/// ```
#[must_use]
pub fn classify(
    state: &str,
    reason: &str,
    service: Option<&str>,
    has_findings: bool,
) -> (Class, Option<Doubt>) {
    match (state, reason, service.unwrap_or_default()) {
        ("open", _, "telnet") => (Class::Telnet, None),
        ("open", _, "ssh" | "ssh-throttled") if has_findings => (Class::WeakSsh, None),
        ("open", _, "ssh" | "ssh-throttled") => (Class::Ssh, None),
        ("open", _, "other") => (Class::Other, None),
        ("open", _, "telnet-likely") => (Class::Likely, Some(Doubt::TelnetLikely)),
        ("open", _, service) => (Class::Unproven, Some(doubt_about(service))),
        ("closed", "refused-in-part", _) => (Class::Unchecked, Some(Doubt::RefusedInPart)),
        ("closed", ..) => (Class::Refused, None),
        ("filtered", ..) => (Class::Silent, Some(Doubt::Filtered)),
        ("unresolved", ..) => (Class::Unchecked, Some(Doubt::Unresolved)),
        _ => (Class::Unchecked, Some(Doubt::Unchecked)),
    }
}

fn doubt_about(service: &str) -> Doubt {
    let services =
        [Doubt::Silent, Doubt::ClosedEarly, Doubt::Tarpit, Doubt::SshBroken, Doubt::NotProbed];
    services.into_iter().find(|doubt| doubt.name() == service).unwrap_or(Doubt::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_complete_and_in_the_order_of_the_variants() {
        assert!(Class::ALL.is_sorted() && Doubt::ALL.is_sorted());
        assert_eq!(Class::ALL[Class::Refused as usize], Class::Refused);
        assert_eq!(Doubt::ALL[Doubt::NoRow as usize], Doubt::NoRow);
    }

    #[test]
    fn only_proof_counts_as_proof() {
        let doubt = |state, reason, service| classify(state, reason, service, false).1;
        for proof in ["telnet", "ssh", "ssh-throttled", "other"] {
            assert_eq!(doubt("open", "accepted", Some(proof)), None, "{proof}");
        }
        assert_eq!(doubt("closed", "refused", None), None);
        for (service, expected) in [
            (Some("telnet-likely"), Doubt::TelnetLikely),
            (Some("tarpit"), Doubt::Tarpit),
            (Some("service-of-tomorrow"), Doubt::Unknown),
            (None, Doubt::Unknown),
        ] {
            assert_eq!(doubt("open", "accepted", service), Some(expected));
        }
        assert_eq!(doubt("closed", "refused-in-part", None), Some(Doubt::RefusedInPart));
        assert_eq!(doubt("filtered", "no-answer", None), Some(Doubt::Filtered));
        assert_eq!(doubt("state-of-tomorrow", "x", None), Some(Doubt::Unchecked));
    }

    #[test]
    fn class_is_undecided_if_and_only_if_its_rows_have_a_doubt() {
        let services = ["telnet", "telnet-likely", "silent", "tarpit", "ssh", "other", "x"];
        let open = services.map(|service| ("open", "accepted", Some(service)));
        let others = [
            ("closed", "refused", None),
            ("closed", "refused-in-part", None),
            ("filtered", "no-answer", None),
            ("unresolved", "no-such-name", None),
            ("unchecked", "no-route", None),
        ];
        for (state, reason, service) in open.into_iter().chain(others) {
            for has_findings in [false, true] {
                let (class, doubt) = classify(state, reason, service, has_findings);
                assert_eq!(class.is_undecided(), doubt.is_some(), "{state} {reason} {service:?}");
            }
        }
    }
}
