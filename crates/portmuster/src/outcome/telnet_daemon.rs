//! Which daemon a telnet server is, and what it says of encryption.

use crate::named_enum::named_enum;

/// The family of a telnet daemon, as the order of its options tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TelnetDaemon {
    /// The name of the family, one of [`known_telnet_daemons`](crate::software::known_telnet_daemons).
    pub name: &'static str,
    /// How certain this is, in percent: the share of its pattern that was seen, and less if others have the
    /// same pattern.
    pub confidence_percent: u8,
}

named_enum! {
    /// Whether a telnet server offers to encrypt the session.
    #[non_exhaustive]
    pub enum TelnetEncryption: "offer of encryption" {
        /// It offers or requests encryption or TLS (options 38 and 46). Most clients do not use it.
        Offered = "offered",
        /// It names neither, so passwords are sent in plain text.
        No = "no",
    }
}
