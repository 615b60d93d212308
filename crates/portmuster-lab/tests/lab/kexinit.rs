//! A second, independent reader of KEXINIT packets (RFC 4253, sections 6 and 7.1).

use std::net::TcpStream;

use crate::client::read;

/// The algorithms in a server's KEXINIT, in the order of preference. All servers of these tests
/// have the same lists in both directions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReceivedKexInit {
    pub(crate) key_exchanges: Vec<String>,
    pub(crate) host_keys: Vec<String>,
    pub(crate) ciphers: Vec<String>,
    pub(crate) macs: Vec<String>,
    pub(crate) compressions: Vec<String>,
}

impl ReceivedKexInit {
    /// Reads the next packet, which must be a valid KEXINIT.
    pub(crate) fn read(stream: &mut TcpStream) -> Self {
        let length = length(&read(stream, 4));
        assert!((16..=35_000).contains(&length) && (length + 4).is_multiple_of(8), "{length}");
        let packet = read(stream, length);
        let (padding, rest) = (usize::from(packet[0]), &packet[1..]);
        assert!(padding >= 4);
        let (message, rest) = rest[..rest.len() - padding].split_at(17);
        assert_eq!(message[0], 20, "it is a KEXINIT");

        let mut rest = rest;
        let lists: Vec<_> = (0..10).map(|_| list(&mut rest)).collect();
        assert_eq!(rest, [0; 5], "no guess follows, and the reserved number is zero");
        assert_eq!((&lists[2], &lists[4], &lists[6]), (&lists[3], &lists[5], &lists[7]));
        assert!(lists[8].is_empty() && lists[9].is_empty(), "languages are not in use");
        let mut lists = lists.into_iter();
        let mut next = || lists.next().expect("there are ten");
        let (key_exchanges, host_keys, ciphers) = (next(), next(), next());
        next();
        let macs = next();
        next();
        Self { key_exchanges, host_keys, ciphers, macs, compressions: next() }
    }
}

/// Takes a name-list off the front of `rest`.
fn list(rest: &mut &[u8]) -> Vec<String> {
    let (head, tail) = rest.split_at(4);
    let (names, tail) = tail.split_at(length(head));
    *rest = tail;
    let names = std::str::from_utf8(names).expect("names are US-ASCII");
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn length(bytes: &[u8]) -> usize {
    let bytes = bytes.try_into().expect("a length has four bytes");
    u32::from_be_bytes(bytes).try_into().expect("a length fits into usize")
}
