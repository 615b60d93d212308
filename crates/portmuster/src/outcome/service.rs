//! The service behind an open port.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The service that the bytes from an open port prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Service {
    /// ssh: the server sent an identification line (RFC 4253 §4.2).
    Ssh,
    /// ssh that limits its connections: sshd refused this one with a message of its own.
    SshThrottled,
    /// An sshd that can't start or rejects this address: it says so in one sentence and closes the
    /// connection before its identification.
    SshBroken,
    /// Telnet: the server sent telnet commands (RFC 854).
    Telnet,
    /// Possibly telnet: a login prompt, a shell prompt, a menu, or a text that mentions telnet, but
    /// no telnet command. It proves neither the presence nor the absence of telnet.
    TelnetLikely,
    /// A server that keeps sending bytes of no known protocol.
    Tarpit,
    /// The server accepted the connection and sent nothing.
    Silent,
    /// The server accepted the connection and closed it without sending anything.
    ClosedEarly,
    /// Another protocol, named by [`ServiceDetails::protocol`](crate::ServiceDetails::protocol).
    Other,
    /// Bytes that no rule recognises. They prove nothing.
    Unknown,
    /// The connection was accepted and closed without probing, as requested.
    NotProbed,
}

impl Service {
    /// Every service, in the order in which summaries list them.
    pub const ALL: [Self; 11] = [
        Self::Ssh,
        Self::SshThrottled,
        Self::SshBroken,
        Self::Telnet,
        Self::TelnetLikely,
        Self::Tarpit,
        Self::Silent,
        Self::ClosedEarly,
        Self::Other,
        Self::Unknown,
        Self::NotProbed,
    ];

    /// Returns the name of the service in rows and summaries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::SshThrottled => "ssh-throttled",
            Self::SshBroken => "ssh-broken",
            Self::Telnet => "telnet",
            Self::TelnetLikely => "telnet-likely",
            Self::Tarpit => "tarpit",
            Self::Silent => "silent",
            Self::ClosedEarly => "closed-early",
            Self::Other => "other",
            Self::Unknown => "unknown",
            Self::NotProbed => "not-probed",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}
