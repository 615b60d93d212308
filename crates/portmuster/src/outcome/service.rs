//! The service behind an open port.

use crate::named_enum::named_enum;

named_enum! {
    /// The service that the bytes from an open port prove.
    #[non_exhaustive]
    pub enum Service: "service" {
        /// ssh: the server sent an identification line (RFC 4253 §4.2).
        Ssh = "ssh",
        /// ssh that limits its connections: sshd refused this one with a message of its own.
        SshThrottled = "ssh-throttled",
        /// An sshd that can't start or rejects this address: it says so in one sentence and closes the
        /// connection before its identification.
        SshBroken = "ssh-broken",
        /// Telnet: the server sent telnet commands (RFC 854).
        Telnet = "telnet",
        /// Possibly telnet: a login prompt, a shell prompt, a menu, or a text that mentions telnet, but
        /// no telnet command. It proves neither the presence nor the absence of telnet.
        TelnetLikely = "telnet-likely",
        /// A server that keeps sending bytes of no known protocol.
        Tarpit = "tarpit",
        /// The server accepted the connection and sent nothing.
        Silent = "silent",
        /// The server accepted the connection and closed it without sending anything.
        ClosedEarly = "closed-early",
        /// Another protocol, which proves that the port is neither ssh nor telnet.
        ///
        /// [`ServiceDetails::protocol`](crate::outcome::ServiceDetails::protocol) has its name.
        Other = "other",
        /// Bytes that no rule recognises. They prove nothing.
        Unknown = "unknown",
        /// The connection was accepted and closed without probing, as requested.
        NotProbed = "not-probed",
    }
}

impl Service {
    /// Returns whether the bytes identify the protocol of the port, so that it offers no other.
    ///
    /// Bytes that may belong to several protocols, and silence, identify none.
    ///
    /// ```
    /// use portmuster::Service;
    ///
    /// assert!(Service::Ssh.is_identified());
    /// assert!(!Service::Silent.is_identified(), "it may be telnet");
    /// ```
    #[must_use]
    pub fn is_identified(self) -> bool {
        match self {
            Self::Ssh | Self::SshThrottled | Self::Telnet | Self::Other => true,
            Self::SshBroken
            | Self::TelnetLikely
            | Self::Tarpit
            | Self::Silent
            | Self::ClosedEarly
            | Self::Unknown
            | Self::NotProbed => false,
        }
    }

    /// Returns how strongly the service indicates ssh or telnet, from 1 to 10.
    ///
    /// A service that may be ssh or telnet ranks above another protocol, because the other protocol is
    /// proof only if both attempts saw nothing else.
    pub(crate) fn strength(self) -> u8 {
        match self {
            Self::Ssh | Self::Telnet => 10,
            Self::SshThrottled => 9,
            Self::SshBroken => 8,
            Self::TelnetLikely => 7,
            Self::Unknown => 6,
            Self::Tarpit => 5,
            Self::Other => 4,
            Self::Silent => 3,
            Self::ClosedEarly => 2,
            Self::NotProbed => 1,
        }
    }

    /// Returns nmap's name of the service, and a confidence from 0 to 10. `None` if the port was not
    /// probed.
    pub(crate) fn nmap_name(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Ssh | Self::SshThrottled => ("ssh", "10"),
            Self::SshBroken => ("ssh", "5"),
            Self::Telnet => ("telnet", "10"),
            Self::TelnetLikely => ("telnet", "5"),
            // A port that accepts and closes the connection without sending a byte.
            Self::ClosedEarly => ("tcpwrapped", "8"),
            Self::Other => ("unknown", "8"),
            Self::Tarpit | Self::Silent | Self::Unknown => ("unknown", "0"),
            Self::NotProbed => return None,
        })
    }
}
