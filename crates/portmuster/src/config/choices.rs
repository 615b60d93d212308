//! Settings that are a choice.

use serde::{Deserialize, Serialize};

use crate::named_enum::named_enum;

/// What an attempt finds out about an open port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probing {
    /// Reads the server's bytes, judges the service, and reads ssh up to the server's KEXINIT message.
    #[default]
    KeyExchange,
    /// As `KeyExchange`, but stops at the identification of ssh.
    Greeting,
    /// Only connects.
    ConnectOnly,
}

named_enum! {
    /// Which host keys ssh servers are asked for.
    #[derive(Default)]
    pub enum HostKeyProbing: "choice of host keys" {
        /// None: servers get no key exchange.
        #[default]
        Off = "off",
        /// One, of the first type that the server offers of Ed25519, ECDSA, RSA, the types of FIDO tokens,
        /// and DSA.
        First = "first",
        /// One of each type that the server offers, with one connection for each.
        All = "all",
    }
}

/// Whether a port gets a second connection on which this side speaks first, as ssh clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpeakFirst {
    /// A port that stays silent, or answers the empty line in another protocol, gets one. Multiplexers
    /// (sslh, `HAProxy`, nginx) pass a connection to sshd by the client's first bytes, and some servers
    /// wait for them. Ports 9100 to 9107, where printers print every byte, get one only if ssh was
    /// seen there.
    #[default]
    Auto,
    /// No port gets one.
    Never,
}

/// Which addresses of a name are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Addresses {
    /// In the resolver's order until one accepts, at most 256. When all that were tried have refused
    /// and others exist, the reason is [`RefusedInPart`](crate::Reason::RefusedInPart).
    #[default]
    UntilOneAccepts,
    /// Each as a target of its own, at most 8,192. If there are more, or the lookup of IPv4 or IPv6
    /// addresses failed, the name gets one more outcome, which is unchecked.
    Each,
}

named_enum! {
    /// How long an attempt waits for an endpoint that does not answer.
    #[derive(Default)]
    pub enum Patience: "patience" {
        /// The whole [timeout](crate::Config::timeout).
        #[default]
        Full = "full",
        /// As long as the answers of the run so far require: at least 3.2 s, in which the kernel sends
        /// four SYNs, and at most the timeout.
        ///
        /// One first attempt in 64 keeps the whole timeout, so that the run learns of late answers,
        /// in general and for each network. Without retries every attempt keeps it.
        Adaptive = "adaptive",
    }
}
