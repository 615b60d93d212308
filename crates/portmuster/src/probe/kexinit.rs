//! Reads the first packets of an ssh 2 server, up to its `SSH_MSG_KEXINIT` (RFC 4253 §6, §7.1). They
//! are not encrypted yet.
//!
//! Invariant: every length is checked before use.

use super::packets::PacketReader;
use crate::outcome::{KexFailure, KexInit, NameList};

const SSH_MSG_KEXINIT: u8 = 20;

const LENGTH_SIZE: usize = 4;
const COOKIE_SIZE: usize = 16;
/// Size of the fields after the lists: `first_kex_packet_follows` and a reserved number.
const TAIL_SIZE: usize = 5;

/// What follows from the bytes so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KexProgress {
    /// More bytes are needed.
    Pending,
    /// The `SSH_MSG_KEXINIT` is complete.
    Received(Box<KexInit>),
    /// There will be no `SSH_MSG_KEXINIT`.
    Failed(KexFailure),
}

/// Reads the packets of one connection up to the `SSH_MSG_KEXINIT`.
#[derive(Debug, Default)]
pub(super) struct OfferReader {
    packets: PacketReader,
}

impl OfferReader {
    /// Takes bytes of the server up to the end of the `SSH_MSG_KEXINIT`; `bytes` is what follows it.
    pub(super) fn receive(&mut self, bytes: &mut &[u8]) -> KexProgress {
        match self.packets.next(bytes) {
            Ok(false) => KexProgress::Pending,
            Ok(true) => parse_message(self.packets.payload()),
            Err(failure) => KexProgress::Failed(failure),
        }
    }

    /// Returns the payload of the `SSH_MSG_KEXINIT`; nothing if it is incomplete.
    pub(super) fn payload(&self) -> &[u8] {
        self.packets.payload()
    }

    /// Returns the received bytes of the current packet, including its length field. After
    /// [`KexFailure::NoPacket`] these are the bytes that are no packet.
    pub(super) fn received(&self) -> &[u8] {
        self.packets.received()
    }

    /// Returns the allocated memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.packets.memory()
    }
}

/// Parses the message in the payload of a packet.
fn parse_message(payload: &[u8]) -> KexProgress {
    match payload.split_first() {
        Some((&SSH_MSG_KEXINIT, rest)) => parse_lists(rest)
            .map_or(KexProgress::Failed(KexFailure::Malformed), |kex_init| {
                KexProgress::Received(Box::new(kex_init))
            }),
        Some(_) => KexProgress::Failed(KexFailure::OtherPacket),
        None => KexProgress::Failed(KexFailure::NoPacket),
    }
}

/// Parses the lists of an `SSH_MSG_KEXINIT` after its message number.
fn parse_lists(payload: &[u8]) -> Option<KexInit> {
    let mut rest = payload.get(COOKIE_SIZE..)?;
    let mut next = || {
        let (length, remainder) = rest.split_first_chunk::<LENGTH_SIZE>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (list, remainder) = remainder.split_at_checked(length)?;
        rest = remainder;
        NameList::parse(list)
    };
    let kex_init = KexInit {
        kex: next()?,
        host_keys: next()?,
        ciphers_client_to_server: next()?,
        ciphers_server_to_client: next()?,
        macs_client_to_server: next()?,
        macs_server_to_client: next()?,
        compression_client_to_server: next()?,
        compression_server_to_client: next()?,
    };
    let _languages = (next()?, next()?);
    (rest.len() >= TAIL_SIZE).then_some(kex_init)
}

/// Parses an `SSH_MSG_KEXINIT`, serializes it again, and compares the bytes.
///
/// # Panics
/// The bytes differ.
#[cfg(any(test, feature = "__fuzzing"))]
pub(super) fn check_round_trip(payload: &[u8]) {
    let KexProgress::Received(kex_init) = parse_message(payload) else { return };
    let mut written = payload[..=COOKIE_SIZE].to_vec();
    for list in [
        &kex_init.kex,
        &kex_init.host_keys,
        &kex_init.ciphers_client_to_server,
        &kex_init.ciphers_server_to_client,
        &kex_init.macs_client_to_server,
        &kex_init.macs_server_to_client,
        &kex_init.compression_client_to_server,
        &kex_init.compression_server_to_client,
    ] {
        let list = list.as_str().as_bytes();
        let length = u32::try_from(list.len()).expect("the length was read from 32 bits");
        written.extend_from_slice(&length.to_be_bytes());
        written.extend_from_slice(list);
    }
    assert!(payload.starts_with(&written), "{kex_init:?} differs from the payload");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::samples::{LISTS, kexinit, packet};

    const SSH_MSG_DISCONNECT: u8 = 1;
    const SSH_MSG_IGNORE: u8 = 2;
    const SSH_MSG_DEBUG: u8 = 4;

    /// Reads the bytes whole and split at every position, and checks that the results agree.
    fn read(bytes: &[u8]) -> KexProgress {
        let whole = OfferReader::default().receive(&mut &bytes[..]);
        for position in 0..bytes.len() {
            let mut reader = OfferReader::default();
            let (mut front, mut back) = bytes.split_at(position);
            let progress = match reader.receive(&mut front) {
                KexProgress::Pending => reader.receive(&mut back),
                progress => progress,
            };
            assert_eq!(progress, whole, "at {position}");
        }
        whole
    }

    #[test]
    fn kex_init_has_its_lists_in_order() {
        let KexProgress::Received(kex_init) = read(&packet(&kexinit(LISTS))) else {
            panic!("the message is complete")
        };
        let names = |list: &NameList| list.iter().collect::<Vec<_>>().join(",");
        assert_eq!(names(&kex_init.kex), LISTS[0]);
        assert_eq!(names(&kex_init.host_keys), LISTS[1]);
        assert_eq!(names(&kex_init.ciphers_client_to_server), LISTS[2]);
        assert_eq!(names(&kex_init.ciphers_server_to_client), LISTS[3]);
        assert_eq!(names(&kex_init.macs_client_to_server), LISTS[4]);
        assert_eq!(names(&kex_init.macs_server_to_client), LISTS[5]);
        assert_eq!(names(&kex_init.compression_client_to_server), LISTS[6]);
        assert_eq!(names(&kex_init.compression_server_to_client), LISTS[7]);
    }

    #[test]
    fn ignore_and_debug_messages_are_skipped() {
        let before = [packet(&[SSH_MSG_IGNORE, 0, 0, 0, 0]), packet(&[SSH_MSG_DEBUG, 1])].concat();
        let progress = read(&[before, packet(&kexinit(LISTS))].concat());
        assert!(matches!(progress, KexProgress::Received(_)));
    }

    #[test]
    fn other_packets_fail_with_their_reason() {
        let failed = |failure| KexProgress::Failed(failure);
        assert_eq!(read(&packet(&[SSH_MSG_DISCONNECT, 0])), failed(KexFailure::Disconnected));
        assert_eq!(read(&packet(&[21])), failed(KexFailure::OtherPacket));
        assert_eq!(read(b"Invalid SSH identification string."), failed(KexFailure::NoPacket));
        assert_eq!(read(b"\0\0\0\x01\0"), failed(KexFailure::NoPacket));
        assert_eq!(read(b"\0\0\x88\xb9\0"), failed(KexFailure::NoPacket));
        // Padding that is longer than its packet, and a packet that is nothing but padding.
        assert_eq!(read(b"\0\0\0\x02\x03\x14"), failed(KexFailure::NoPacket));
        assert_eq!(read(b"\0\0\0\x02\x01\x14"), failed(KexFailure::NoPacket));
    }

    #[test]
    fn kex_init_with_a_wrong_length_is_malformed() {
        let good = kexinit(LISTS);
        let first_list = 1 + COOKIE_SIZE;
        let malformed = KexProgress::Failed(KexFailure::Malformed);
        for (index, byte) in [(first_list, 0xff), (first_list + 2, 1), (first_list + 3, 0xff)] {
            let mut wrong = good.clone();
            wrong[index] = byte;
            assert_eq!(read(&packet(&wrong)), malformed, "{index}");
        }
        for end in 1..good.len() {
            assert_eq!(read(&packet(&good[..end])), malformed, "cut off at {end}");
        }
        let mut unprintable = LISTS;
        unprintable[1] = "ssh-\x1b[2Jrsa";
        assert_eq!(read(&packet(&kexinit(unprintable))), malformed);
    }
}
