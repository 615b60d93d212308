//! The kinds of targets without a verdict.

use crate::named_enum::named_enum;

named_enum! {
    /// Why a target neither proves nor disproves that something is present.
    #[non_exhaustive]
    pub enum Inconclusive: "kind of target without a verdict" {
        /// Nothing answered, or a device on the path rejected the connection.
        Filtered = "filtered",
        /// The name does not exist, or the resolver does not know it.
        Unresolved = "unresolved",
        /// This machine could not connect, or is not permitted to.
        Unchecked = "unchecked",
        /// The tried addresses of a name refused, and others were not tried.
        RefusedInPart = "refused-in-part",
        /// The server accepted and sent nothing.
        Silent = "silent",
        /// The server accepted and closed the connection without sending anything.
        ClosedEarly = "closed-early",
        /// The server kept sending bytes of no known protocol.
        Tarpit = "tarpit",
        /// No rule recognises what the server sent.
        Unknown = "unknown",
        /// The server sent a prompt or a text about telnet, but no telnet command.
        TelnetLikely = "telnet-likely",
        /// The sshd failed before it sent its identification.
        SshBroken = "ssh-broken",
        /// The sshd rejected the connection for load before it sent its algorithms.
        SshThrottled = "ssh-throttled",
        /// The ssh server did not send its algorithms.
        KexMissing = "kex-missing",
        /// The run only tested the connection.
        NotProbed = "not-probed",
        /// The target is excluded, so it was not checked.
        Excluded = "excluded",
        /// An input line or record could not be read and was skipped.
        BadLines = "bad-lines",
        /// The host key of the ssh server is unknown.
        HostKeyMissing = "host-key-missing",
    }
}
