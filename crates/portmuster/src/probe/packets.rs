//! Reads the packets of an ssh 2 server before encryption begins (RFC 4253 §6).
//!
//! Invariant: every length is checked before use. At most [`PACKET_MAX`] bytes of one packet are
//! stored, and memory is allocated for received bytes, not for announced ones.

use crate::outcome::KexFailure;

/// Limit of the packet length: the longest packet that every implementation must accept (RFC 4253
/// §6.1).
const PACKET_MAX: usize = 35_000;
/// Limit of bytes up to the awaited message, including messages that are allowed at any time.
const TOTAL_MAX: usize = 2 * PACKET_MAX;

/// Limit of the memory that is reserved ahead, in bytes.
const RESERVE_MAX: usize = 4096;

const SSH_MSG_DISCONNECT: u8 = 1;
const SSH_MSG_IGNORE: u8 = 2;
const SSH_MSG_DEBUG: u8 = 4;

const LENGTH_SIZE: usize = 4;

/// Reads packets up to an awaited message.
#[derive(Debug, Default)]
pub(super) struct PacketReader {
    /// The received part of the current packet, including its length field.
    packet: Vec<u8>,
    /// Whether the current packet is complete.
    is_complete: bool,
    /// Number of bytes received.
    seen: usize,
}

impl PacketReader {
    /// Takes bytes from the front of `bytes` until a packet is complete, and returns whether one is. Messages
    /// that are allowed at any time are skipped.
    ///
    /// # Errors
    /// The bytes are no packet, or too many, or the server ends the connection.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<bool, KexFailure> {
        if std::mem::take(&mut self.is_complete) {
            self.packet.clear();
        }
        while !bytes.is_empty() {
            let missing = self.missing()?;
            let (taken, rest) = bytes.split_at(bytes.len().min(missing));
            self.reserve(taken.len(), missing);
            self.packet.extend_from_slice(taken);
            self.seen += taken.len();
            *bytes = rest;
            match self.received_payload()?.map(<[u8]>::first) {
                None => {}
                Some(None) => return Err(KexFailure::NoPacket),
                // RFC 4253 §11: these are allowed at any time and have to be ignored.
                Some(Some(&(SSH_MSG_IGNORE | SSH_MSG_DEBUG))) => self.packet.clear(),
                Some(Some(&SSH_MSG_DISCONNECT)) => return Err(KexFailure::Disconnected),
                Some(Some(_)) => {
                    self.is_complete = true;
                    return Ok(true);
                }
            }
            if self.seen > TOTAL_MAX {
                return Err(KexFailure::TooMuch);
            }
        }
        Ok(false)
    }

    /// Returns the payload of the packet that is complete; nothing if none is.
    pub(super) fn payload(&self) -> &[u8] {
        let payload = self.received_payload().ok().flatten();
        payload.filter(|_| self.is_complete).unwrap_or_default()
    }

    /// Returns the received bytes of the current packet, including its length field. After
    /// [`KexFailure::NoPacket`] these are the bytes that are no packet.
    pub(super) fn received(&self) -> &[u8] {
        &self.packet
    }

    /// Returns the allocated memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.packet.capacity()
    }

    /// Reserves memory for the received bytes, and ahead as much again of the missing ones, up to
    /// [`RESERVE_MAX`]. A vector that grows by itself takes up to twice the size of a packet.
    fn reserve(&mut self, taken: usize, missing: usize) {
        if self.packet.capacity() - self.packet.len() < taken {
            self.packet.reserve_exact(taken.max(missing.min(RESERVE_MAX).min(self.packet.len())));
        }
    }

    /// Returns the number of bytes missing to the end of the length field, or of the packet.
    fn missing(&self) -> Result<usize, KexFailure> {
        let whole = match length(&self.packet)? {
            None => LENGTH_SIZE,
            Some(length) => LENGTH_SIZE + length,
        };
        Ok(whole - self.packet.len())
    }

    /// Returns the payload of the packet; `None` while it is incomplete.
    fn received_payload(&self) -> Result<Option<&[u8]>, KexFailure> {
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

/// Returns the length of the packet; `None` while the field is incomplete. An invalid length fails
/// immediately, because it may be text.
fn length(packet: &[u8]) -> Result<Option<usize>, KexFailure> {
    let Some(length) = packet.first_chunk::<LENGTH_SIZE>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| KexFailure::NoPacket)?;
    // At least the padding length and one byte of payload.
    if (2..=PACKET_MAX).contains(&length) { Ok(Some(length)) } else { Err(KexFailure::NoPacket) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::samples::packet;

    #[test]
    fn packets_are_read_one_after_another() {
        let sent = [packet(&[20, 1]), packet(&[SSH_MSG_IGNORE, 9]), packet(&[31])].concat();
        for size in 1..sent.len() {
            let mut reader = PacketReader::default();
            let mut payloads = Vec::new();
            for mut part in sent.chunks(size) {
                while reader.next(&mut part).expect("they are packets") {
                    payloads.push(reader.payload().to_vec());
                }
            }
            assert_eq!(payloads, [vec![20, 1], vec![31]], "in parts of {size}");
            assert_eq!(reader.payload(), b"");
        }
    }

    #[test]
    fn endless_packets_fail_in_bounded_memory() {
        let ignored = packet(&[&[SSH_MSG_IGNORE][..], &[0; 1000]].concat());
        let mut reader = PacketReader::default();
        let progress: Vec<_> = (0..100).map(|_| reader.next(&mut &ignored[..])).collect();
        assert!(progress.contains(&Err(KexFailure::TooMuch)));
        assert!(reader.packet.capacity() <= 2 * ignored.len());

        let mut reader = PacketReader::default();
        assert_eq!(reader.next(&mut &b"\0\0\x88\xb8\x04\x14"[..]), Ok(false));
        assert!(reader.packet.capacity() < 64, "announced bytes take no memory");
    }
}
