//! Reads the first packets of ssh's version 2, up to the server's offer for the key exchange
//! (RFC 4253 §6, §7.1). They are not yet encrypted.
//!
//! Invariant: every length is checked before it is used, and at most [`PACKET_MAX`] bytes of one
//! packet are held, those that have come and not those that were announced.

use crate::outcome::{KexFailure, KexInit, NameList};

/// The longest packet that every implementation must be able to take (RFC 4253 §6.1).
const PACKET_MAX: usize = 35_000;
/// Bytes that are read before an offer, of messages that may come at any time.
const BEFORE_MAX: usize = 2 * PACKET_MAX;

/// Bytes that room is made for at a time.
const ROOM: usize = 4096;

const SSH_MSG_DISCONNECT: u8 = 1;
const SSH_MSG_IGNORE: u8 = 2;
const SSH_MSG_DEBUG: u8 = 4;
const SSH_MSG_KEXINIT: u8 = 20;

const LENGTH_SIZE: usize = 4;
const COOKIE_SIZE: usize = 16;
/// Behind the lists: `first_kex_packet_follows` and a number that is reserved.
const TAIL_SIZE: usize = 5;

/// What the bytes so far have shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// More is to be read.
    Nothing,
    /// The offer.
    KexInit(Box<KexInit>),
    /// There will be none.
    KexFailure(KexFailure),
}

/// The packets of one connection.
#[derive(Debug, Default)]
pub(super) struct Packets {
    /// What has come of the current packet, its length too.
    packet: Vec<u8>,
    seen: usize,
}

impl Packets {
    /// Takes what has come.
    pub(super) fn bytes(&mut self, mut bytes: &[u8]) -> Found {
        while !bytes.is_empty() {
            let Ok(wanted) = self.wanted() else { return Found::KexFailure(KexFailure::NoPacket) };
            let (taken, rest) = bytes.split_at(bytes.len().min(wanted));
            self.make_room(taken.len(), wanted);
            self.packet.extend_from_slice(taken);
            self.seen += taken.len();
            bytes = rest;
            match self.whole() {
                Ok(None) => {}
                Ok(Some(payload)) => {
                    let found = offer(payload);
                    if found != Found::Nothing {
                        return found;
                    }
                    self.packet.clear();
                }
                Err(reason) => return Found::KexFailure(reason),
            }
            if self.seen > BEFORE_MAX {
                return Found::KexFailure(KexFailure::TooMuch);
            }
        }
        Found::Nothing
    }

    pub(super) fn held(&self) -> usize {
        self.packet.capacity()
    }

    /// Makes room for what has come, and for as much again of what is wanted, up to [`ROOM`]: a vector
    /// that grows by itself takes up to twice as much as a packet has.
    fn make_room(&mut self, taken: usize, wanted: usize) {
        if self.packet.capacity() - self.packet.len() < taken {
            self.packet.reserve_exact(taken.max(wanted.min(ROOM).min(self.packet.len())));
        }
    }

    /// Bytes that are missing to the packet's length, or to its end.
    fn wanted(&self) -> Result<usize, KexFailure> {
        let whole = match length(&self.packet)? {
            None => LENGTH_SIZE,
            Some(length) => LENGTH_SIZE + length,
        };
        Ok(whole - self.packet.len())
    }

    /// The payload, once all of the packet has come.
    fn whole(&self) -> Result<Option<&[u8]>, KexFailure> {
        let Some(length) = length(&self.packet)? else { return Ok(None) };
        let body = &self.packet[LENGTH_SIZE..];
        if body.len() < length {
            return Ok(None);
        }
        let (&padding, body) = body.split_first().ok_or(KexFailure::NoPacket)?;
        let payload = body.len().checked_sub(padding.into()).ok_or(KexFailure::NoPacket)?;
        Ok(Some(&body[..payload]))
    }
}

/// The packet's length, once it has come. What can't be one is told at once: it may be a text.
fn length(packet: &[u8]) -> Result<Option<usize>, KexFailure> {
    let Some(length) = packet.first_chunk::<LENGTH_SIZE>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| KexFailure::NoPacket)?;
    // One byte of padding's length and one of payload.
    if (2..=PACKET_MAX).contains(&length) { Ok(Some(length)) } else { Err(KexFailure::NoPacket) }
}

fn offer(payload: &[u8]) -> Found {
    match payload.split_first() {
        Some((&SSH_MSG_KEXINIT, rest)) => lists(rest)
            .map_or(Found::KexFailure(KexFailure::Malformed), |offer| {
                Found::KexInit(Box::new(offer))
            }),
        // RFC 4253 §11: they may come at any time, and are to be passed over.
        Some((&(SSH_MSG_IGNORE | SSH_MSG_DEBUG), _)) => Found::Nothing,
        Some((&SSH_MSG_DISCONNECT, _)) => Found::KexFailure(KexFailure::Disconnected),
        Some(_) => Found::KexFailure(KexFailure::OtherPacket),
        None => Found::KexFailure(KexFailure::NoPacket),
    }
}

/// The lists of an offer, behind its message number.
fn lists(payload: &[u8]) -> Option<KexInit> {
    let mut rest = payload.get(COOKIE_SIZE..)?;
    let mut next = || {
        let (length, behind) = rest.split_first_chunk::<LENGTH_SIZE>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (list, behind) = behind.split_at_checked(length)?;
        rest = behind;
        NameList::parse(list)
    };
    let offer = KexInit {
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
    (rest.len() >= TAIL_SIZE).then_some(offer)
}

/// Reads an offer and writes it again: what comes out must be what went in.
///
/// # Panics
/// It is not.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn read_back(payload: &[u8]) {
    let Found::KexInit(offer) = offer(payload) else { return };
    let mut written = payload[..=COOKIE_SIZE].to_vec();
    for list in [
        &offer.kex,
        &offer.host_keys,
        &offer.ciphers_client_to_server,
        &offer.ciphers_server_to_client,
        &offer.macs_client_to_server,
        &offer.macs_server_to_client,
        &offer.compression_client_to_server,
        &offer.compression_server_to_client,
    ] {
        let list = list.as_str().as_bytes();
        let length = u32::try_from(list.len()).expect("it was read from 32 bits");
        written.extend_from_slice(&length.to_be_bytes());
        written.extend_from_slice(list);
    }
    assert!(payload.starts_with(&written), "{offer:?} was read otherwise than it was written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::samples::{LISTS, kexinit, packet};

    fn found(bytes: &[u8]) -> Found {
        let whole = Packets::default().bytes(bytes);
        for place in 0..bytes.len() {
            let mut packets = Packets::default();
            let (front, back) = bytes.split_at(place);
            let found = match packets.bytes(front) {
                Found::Nothing => packets.bytes(back),
                found => found,
            };
            assert_eq!(found, whole, "at {place}");
        }
        whole
    }

    #[test]
    fn an_offer_has_its_lists_in_order() {
        let Found::KexInit(offer) = found(&packet(&kexinit(LISTS))) else { panic!("no offer") };
        let names = |list: &NameList| list.iter().collect::<Vec<_>>().join(",");
        assert_eq!(names(&offer.kex), LISTS[0]);
        assert_eq!(names(&offer.host_keys), LISTS[1]);
        assert_eq!(names(&offer.ciphers_client_to_server), LISTS[2]);
        assert_eq!(names(&offer.ciphers_server_to_client), LISTS[3]);
        assert_eq!(names(&offer.macs_client_to_server), LISTS[4]);
        assert_eq!(names(&offer.macs_server_to_client), LISTS[5]);
        assert_eq!(names(&offer.compression_client_to_server), LISTS[6]);
        assert_eq!(names(&offer.compression_server_to_client), LISTS[7]);
    }

    #[test]
    fn messages_for_nobody_may_come_before_it() {
        let before = [packet(&[SSH_MSG_IGNORE, 0, 0, 0, 0]), packet(&[SSH_MSG_DEBUG, 1])].concat();
        assert!(matches!(found(&[before, packet(&kexinit(LISTS))].concat()), Found::KexInit(_)));
    }

    #[test]
    fn whatever_else_comes_is_told() {
        let no_offer = |reason| Found::KexFailure(reason);
        assert_eq!(found(&packet(&[SSH_MSG_DISCONNECT, 0])), no_offer(KexFailure::Disconnected));
        assert_eq!(found(&packet(&[21])), no_offer(KexFailure::OtherPacket));
        assert_eq!(found(b"Invalid SSH identification string."), no_offer(KexFailure::NoPacket));
        assert_eq!(found(b"\0\0\0\x01\0"), no_offer(KexFailure::NoPacket));
        assert_eq!(found(b"\0\0\x88\xb9\0"), no_offer(KexFailure::NoPacket));
        // Padding that is longer than its packet, and a packet of nothing else.
        assert_eq!(found(b"\0\0\0\x02\x03\x14"), no_offer(KexFailure::NoPacket));
        assert_eq!(found(b"\0\0\0\x02\x01\x14"), no_offer(KexFailure::NoPacket));
    }

    #[test]
    fn an_offer_that_lies_about_a_length_is_none() {
        let good = kexinit(LISTS);
        let first_list = 1 + COOKIE_SIZE;
        for (place, lie) in [(first_list, 0xff), (first_list + 2, 1), (first_list + 3, 0xff)] {
            let mut lying = good.clone();
            lying[place] = lie;
            assert_eq!(found(&packet(&lying)), Found::KexFailure(KexFailure::Malformed), "{place}");
        }
        for end in 1..good.len() {
            let cut_off = found(&packet(&good[..end]));
            assert_eq!(cut_off, Found::KexFailure(KexFailure::Malformed), "cut off at {end}");
        }
        let mut unprintable = LISTS;
        unprintable[1] = "ssh-\x1b[2Jrsa";
        assert_eq!(found(&packet(&kexinit(unprintable))), Found::KexFailure(KexFailure::Malformed));
    }

    #[test]
    fn packets_without_end_end_in_bounded_memory() {
        let ignored = packet(&[&[SSH_MSG_IGNORE][..], &[0; 1000]].concat());
        let mut packets = Packets::default();
        let found: Vec<_> = (0..100).map(|_| packets.bytes(&ignored)).collect();
        assert!(found.contains(&Found::KexFailure(KexFailure::TooMuch)));
        assert!(packets.packet.capacity() <= 2 * ignored.len());

        let mut packets = Packets::default();
        assert_eq!(packets.bytes(b"\0\0\x88\xb8\x04\x14"), Found::Nothing);
        assert!(packets.packet.capacity() < 64, "what is announced takes no memory");
    }
}
