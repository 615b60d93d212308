//! The algorithms that an ssh server offers in its `SSH_MSG_KEXINIT`.

use serde::{Deserialize, Serialize};

use crate::named_enum::named_enum;

/// The algorithms that an ssh server offers for the key exchange, or why they are unknown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KeyExchange {
    /// The probe did not ask for them, or the server does not support protocol version 2.
    #[default]
    NotAsked,
    /// The server sent its `SSH_MSG_KEXINIT`.
    Offered(Box<KexInit>),
    /// The probe waited for the `SSH_MSG_KEXINIT` and did not receive a valid one.
    Missing(KexFailure),
}

impl KeyExchange {
    /// Returns the `SSH_MSG_KEXINIT` of the server, if it sent one.
    #[must_use]
    pub fn kex_init(&self) -> Option<&KexInit> {
        match self {
            Self::Offered(kex_init) => Some(kex_init),
            Self::NotAsked | Self::Missing(_) => None,
        }
    }
}

/// The algorithm lists of an `SSH_MSG_KEXINIT` (RFC 4253 §7.1), each in the order of the server.
///
/// The language lists are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KexInit {
    /// Key exchange methods, including the extensions that the server signals among them.
    pub kex: NameList,
    /// Host key algorithms.
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
    /// Returns a lower bound of the memory that the lists occupy, in bytes.
    pub(crate) fn size(&self) -> usize {
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

/// A list of algorithm names in printable ASCII, in order of arrival (RFC 4251 §6).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NameList(String);

impl NameList {
    /// Parses a comma-separated list; `None` if it contains anything but printable ASCII.
    pub(crate) fn parse(list: &[u8]) -> Option<Self> {
        let list = std::str::from_utf8(list).ok()?;
        list.bytes().all(|byte| byte.is_ascii_graphic()).then(|| Self(list.to_owned()))
    }

    /// Returns the comma-separated list as it was received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Iterates over the names, without empty ones.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').filter(|name| !name.is_empty())
    }

    /// Returns whether the list contains the name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|listed| listed == name)
    }
}

named_enum! {
    /// Why the `SSH_MSG_KEXINIT` of a server is unknown.
    #[non_exhaustive]
    pub enum KexFailure: "failure of a key exchange" {
        /// The server closed the connection first.
        HungUp = "hung-up",
        /// The server stopped sending first.
        Silence = "silence",
        /// The deadline of the conversation passed first.
        Deadline = "deadline",
        /// The server ended the connection with `SSH_MSG_DISCONNECT`.
        Disconnected = "disconnected",
        /// The identification line exceeds the length limit.
        LongIdentification = "long-identification",
        /// The bytes are not a packet: its length or padding is invalid (RFC 4253 §6).
        NoPacket = "no-packet",
        /// The server sent another kind of packet.
        OtherPacket = "other-packet",
        /// The packets before it exceed the size limit.
        TooMuch = "too-much",
        /// A length in the message is wrong, or a name is not printable ASCII.
        Malformed = "malformed",
        /// The client had sent an empty line because the server was silent; sshd takes that line
        /// for a bad identification.
        Spoiled = "spoiled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_list_is_printable_and_keeps_its_order() {
        let list = NameList::parse(b"b,a@x,,c").expect("all of it is printable");
        assert_eq!(list.iter().collect::<Vec<_>>(), ["b", "a@x", "c"]);
        assert!(list.contains("a@x") && !list.contains("a"));
        assert_eq!(NameList::parse(b"").expect("nothing is a list").iter().count(), 0);
        for bytes in [&b"a b"[..], b"a\x1b[2J", b"a\0", b"caf\xc3\xa9"] {
            assert_eq!(NameList::parse(bytes), None, "{bytes:?}");
        }
    }
}
