//! What the bytes of an open port say beyond its service.
//!
//! Invariant: everything here is owned, and of a bounded size: the probe reads no more.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Evidence, TelnetOption, Weakness};

/// What the bytes of an open port say beyond its service, and the bytes themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ServiceDetails {
    /// The identification of ssh, in its parts.
    pub identification: Option<Identification>,
    /// What ssh offers for the key exchange.
    pub key_exchange: KeyExchange,
    /// The options that telnet named, each once, in the order in which they came.
    pub options: Vec<TelnetOption>,
    /// What [`Service::Other`](super::Service::Other) speaks, one of
    /// [`known_protocols`](crate::known_protocols); `None` for every other service.
    pub protocol: Option<String>,
    /// Whether [`Service::Other`](super::Service::Other),
    /// [`Service::Unknown`](super::Service::Unknown) or
    /// [`Service::ClosedEarly`](super::Service::ClosedEarly) did nothing until it was sent an empty
    /// line.
    pub answers_empty_line: bool,
    /// What is weak.
    pub findings: Vec<Weakness>,
    /// The conversation; `None` unless it was asked for.
    pub evidence: Option<Evidence>,
}

impl ServiceDetails {
    /// Bytes of memory that they take, at least.
    pub(super) fn size(&self) -> usize {
        let offer = self.key_exchange.offer().map_or(0, KexInit::size);
        let evidence = self.evidence.iter().flat_map(|evidence| &evidence.parts);
        size_of::<Self>() + offer + evidence.map(|part| part.bytes.len()).sum::<usize>()
    }
}

/// An identification line of ssh, `SSH-protocol-software comment` (RFC 4253 §4.2).
///
/// What the server chose is kept in its bytes, unescaped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identification {
    /// The protocol's version: `2.0`; `1.99` for both; `1.5` and the like for the old one only.
    pub protocol: String,
    /// The software and its version.
    pub software: Vec<u8>,
    /// What stands behind the first space; `None` where there is none.
    pub comment: Option<Vec<u8>>,
}

impl Identification {
    /// Whether the server speaks the protocol's version 2 (RFC 4253 §5.1).
    #[must_use]
    pub fn has_version_2(&self) -> bool {
        matches!(self.protocol.as_str(), "2.0" | "1.99")
    }

    /// Whether the server speaks the protocol's old version.
    #[must_use]
    pub fn has_version_1(&self) -> bool {
        self.protocol.starts_with("1.")
    }
}

/// What ssh offers for the key exchange, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KeyExchange {
    /// It was not asked for, or it is not ssh's version 2.
    #[default]
    NotAsked,
    /// The server's offer.
    Offered(Box<KexInit>),
    /// It was asked for, and did not come.
    Missing(KexFailure),
}

impl KeyExchange {
    /// The offer, if there is one.
    #[must_use]
    pub fn offer(&self) -> Option<&KexInit> {
        match self {
            Self::Offered(offer) => Some(offer),
            Self::NotAsked | Self::Missing(_) => None,
        }
    }
}

/// The lists of a server's `SSH_MSG_KEXINIT` (RFC 4253 §7.1), each in the server's order.
///
/// The lists of languages are not kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KexInit {
    /// Methods of key exchange, and what the server signals among them.
    pub kex: NameList,
    /// Algorithms of the server's host keys.
    pub host_keys: NameList,
    /// Ciphers from the client to the server.
    pub ciphers_client_to_server: NameList,
    /// Ciphers from the server to the client.
    pub ciphers_server_to_client: NameList,
    /// Message authentication codes from the client to the server.
    pub macs_client_to_server: NameList,
    /// Message authentication codes from the server to the client.
    pub macs_server_to_client: NameList,
    /// Compression from the client to the server.
    pub compression_client_to_server: NameList,
    /// Compression from the server to the client.
    pub compression_server_to_client: NameList,
}

impl KexInit {
    /// Bytes of memory that it takes, at least.
    fn size(&self) -> usize {
        let lists = [
            &self.kex,
            &self.host_keys,
            &self.ciphers_client_to_server,
            &self.ciphers_server_to_client,
            &self.macs_client_to_server,
            &self.macs_server_to_client,
            &self.compression_client_to_server,
            &self.compression_server_to_client,
        ];
        size_of::<Self>() + lists.map(|list| list.as_str().len()).iter().sum::<usize>()
    }
}

/// Names of algorithms: printable ASCII, in the order in which they came (RFC 4251 §6).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NameList(String);

impl NameList {
    /// The names of a comma-separated list, if all of it is printable ASCII.
    pub(crate) fn parse(list: &[u8]) -> Option<Self> {
        let list = std::str::from_utf8(list).ok()?;
        list.bytes().all(|byte| byte.is_ascii_graphic()).then(|| Self(list.to_owned()))
    }

    /// The names as they came, with commas between them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names, one after another.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').filter(|name| !name.is_empty())
    }

    /// Whether the name is among them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|one| one == name)
    }
}

/// Why a server's offer for the key exchange is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KexFailure {
    /// The server hung up before.
    HungUp,
    /// The server stopped before.
    Silence,
    /// The deadline passed before.
    Deadline,
    /// The server said that it ends the connection (`SSH_MSG_DISCONNECT`).
    Disconnected,
    /// The identification line is longer than is read.
    LongIdentification,
    /// What came is no packet: its length or padding can't be (RFC 4253 §6).
    NoPacket,
    /// A packet of another kind came.
    OtherPacket,
    /// Other packets came for longer than is read.
    TooMuch,
    /// A length in the offer lies, or a name in it is none.
    Malformed,
    /// The server was silent for so long that it had been sent an empty line, which sshd takes for
    /// a bad identification.
    Spoiled,
}

impl KexFailure {
    /// The reason's name in rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HungUp => "hung-up",
            Self::Silence => "silence",
            Self::Deadline => "deadline",
            Self::Disconnected => "disconnected",
            Self::LongIdentification => "long-identification",
            Self::NoPacket => "no-packet",
            Self::OtherPacket => "other-packet",
            Self::TooMuch => "too-much",
            Self::Malformed => "malformed",
            Self::Spoiled => "spoiled",
        }
    }
}

impl fmt::Display for KexFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_keep_their_order() {
        let list = NameList::parse(b"b,a@x,,c").expect("all of it is printable");
        assert_eq!(list.iter().collect::<Vec<_>>(), ["b", "a@x", "c"]);
        assert!(list.contains("a@x") && !list.contains("a"));
        assert_eq!(NameList::parse(b"").expect("nothing is a list").iter().count(), 0);
        for bytes in [&b"a b"[..], b"a\x1b[2J", b"a\0", b"caf\xc3\xa9"] {
            assert_eq!(NameList::parse(bytes), None, "{bytes:?}");
        }
    }
}
