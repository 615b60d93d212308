//! Reads and writes the data types of ssh messages (RFC 4251 §5) and packets without encryption (RFC
//! 4253 §6).
//!
//! Invariant: every length is checked before use, and nothing is copied.

/// The block size of packets that are not encrypted, in bytes.
const BLOCK: usize = 8;
/// The shortest padding of a packet, in bytes.
const PADDING_MIN: usize = 4;

/// Reads values from the front of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct WireReader<'a> {
    rest: &'a [u8],
}

impl<'a> WireReader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Returns whether everything was read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the bytes that were not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns how many bytes were not read yet.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    pub(super) fn uint32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    pub(super) fn uint64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u64::from_be_bytes(*bytes))
    }

    /// Reads a length and as many bytes.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.uint32()?).ok()?;
        let (string, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(string)
    }

    /// Reads an integer: its bytes in big-endian order without leading zeros. `None` if it is
    /// negative.
    pub(super) fn unsigned(&mut self) -> Option<&'a [u8]> {
        let bytes = self.string()?;
        let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
        (!is_negative).then(|| without_zeros(bytes))
    }
}

/// Returns a big-endian number without its leading zeros.
pub(super) fn without_zeros(number: &[u8]) -> &[u8] {
    let start = number.iter().position(|&byte| byte != 0).unwrap_or(number.len());
    &number[start..]
}

/// Appends the length of the bytes and the bytes.
///
/// # Panics
/// There are more than `u32::MAX` bytes; messages are shorter than 64 KiB.
pub(super) fn put_string(message: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a message is shorter than 64 KiB");
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(bytes);
}

/// Appends a number that is not negative, given in big-endian order, in the shortest form.
pub(super) fn put_unsigned(message: &mut Vec<u8>, number: &[u8]) {
    let number = without_zeros(number);
    let needs_zero = number.first().is_some_and(|first| first & 0x80 != 0);
    let length = u32::try_from(number.len() + usize::from(needs_zero));
    let length = length.expect("a message is shorter than 64 KiB");
    message.extend_from_slice(&length.to_be_bytes());
    if needs_zero {
        message.push(0);
    }
    message.extend_from_slice(number);
}

/// Returns a packet with this payload. Its padding consists of zeros, because nothing is encrypted.
pub(super) fn packet(payload: &[u8]) -> Vec<u8> {
    let before = size_of::<u32>() + 1 + payload.len();
    let padding = PADDING_MIN + (BLOCK - (before + PADDING_MIN) % BLOCK) % BLOCK;
    let length = u32::try_from(1 + payload.len() + padding);
    let mut packet = length.expect("a message is shorter than 64 KiB").to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).expect("it is shorter than two blocks"));
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_in_order_and_never_beyond_the_end() {
        let message = b"\x07\0\0\0\x02hi\0\0\0\x03\0\x80\0\0\0\0\0\0\0\0\0\x09";
        let mut reader = WireReader::new(message);
        assert_eq!(reader.byte(), Some(7));
        assert_eq!(reader.string(), Some(&b"hi"[..]));
        assert_eq!(reader.unsigned(), Some(&b"\x80\0"[..]));
        assert_eq!((reader.uint32(), reader.left()), (Some(0), 5));
        let mut at_end = reader;
        assert_eq!(at_end.uint64(), None);
        assert_eq!(at_end.uint32(), Some(0));
        assert_eq!((at_end.string(), at_end.left()), (None, 1));
        for lying in [&b"\0\0\0\x02h"[..], b"\xff\xff\xff\xffh", b"\0\0\0"] {
            assert_eq!(WireReader::new(lying).string(), None);
        }
    }

    #[test]
    fn integers_are_unsigned_and_written_in_the_shortest_form() {
        assert_eq!(WireReader::new(b"\0\0\0\x01\x80").unsigned(), None);
        assert_eq!(WireReader::new(b"\0\0\0\x03\0\0\x01").unsigned(), Some(&[1][..]));
        for (number, written) in [
            (&b""[..], &b"\0\0\0\0"[..]),
            (b"\0\0", b"\0\0\0\0"),
            (b"\0\x7f", b"\0\0\0\x01\x7f"),
            (b"\x80", b"\0\0\0\x02\0\x80"),
        ] {
            let mut message = Vec::new();
            put_unsigned(&mut message, number);
            assert_eq!(message, written);
        }
    }

    #[test]
    fn packets_are_whole_blocks_with_enough_padding() {
        for length in 1..40 {
            let packet = packet(&vec![20; length]);
            assert_eq!(packet.len() % BLOCK, 0);
            assert!((PADDING_MIN..PADDING_MIN + BLOCK).contains(&usize::from(packet[4])));
            assert_eq!(packet.len(), 4 + 1 + length + usize::from(packet[4]));
        }
    }
}
