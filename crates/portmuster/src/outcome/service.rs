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
        /// Another protocol, named by [`ServiceDetails::protocol`](crate::outcome::ServiceDetails::protocol).
        Other = "other",
        /// Bytes that no rule recognises. They prove nothing.
        Unknown = "unknown",
        /// The connection was accepted and closed without probing, as requested.
        NotProbed = "not-probed",
    }
}
