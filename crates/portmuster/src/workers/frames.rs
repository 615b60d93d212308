//! The frames of the protocol between the supervisor and a worker.
//!
//! A frame is its length (four bytes, little-endian), a byte for its kind, and a sequence of values
//! in postcard's wire format. The first frame in each direction contains [`VERSION`].
//!
//! Invariant: a frame has at most [`FRAME_MAX`] bytes after its length, which bounds the memory of
//! a reader whatever the other side sends.

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// The version of this protocol. Both sides must have the same.
pub(super) const VERSION: u16 = 1;

/// The most bytes of a frame after its length.
pub(super) const FRAME_MAX: usize = 16 << 20;

/// Size in bytes at which a writer ends a frame and begins the next.
pub(super) const FRAME_FULL: usize = 256 << 10;

/// Size of the length field in bytes.
const LENGTH: usize = size_of::<u32>();

/// Says what the values of a frame are. The discriminant is the byte in the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// To the worker, first: the version, the most work it will hold, and the settings.
    Hello = 1,
    /// To the worker: tickets, each with its work.
    Lease = 2,
    /// To the worker: the most pieces of unstarted work that it is to return.
    Recall = 3,
    /// From the worker, first: the version, and its concurrency.
    Ready = 16,
    /// From the worker: tickets, each with its result.
    Settled = 17,
    /// From the worker: the tickets that it returns after a recall.
    Returned = 18,
    /// From the worker: a heartbeat with the number of tickets that it has read so far.
    Alive = 19,
    /// From the worker: tickets whose results can't be sent.
    Failed = 20,
}

impl FrameKind {
    const ALL: [Self; 8] = [
        Self::Hello,
        Self::Lease,
        Self::Recall,
        Self::Ready,
        Self::Settled,
        Self::Returned,
        Self::Alive,
        Self::Failed,
    ];
}

/// Why bytes are not a valid frame, or a value can't be part of one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes is longer than {FRAME_MAX} bytes")]
    TooLong(usize),
    #[error("unknown kind of frame: {0}")]
    UnknownKind(u8),
    #[error("a value in a frame can't be read or written: {0}")]
    Value(#[from] postcard::Error),
    #[error("the other side speaks version {0} of the protocol, not {VERSION}")]
    Version(u16),
    #[error("unexpected frame of kind {0:?}")]
    Unexpected(FrameKind),
}

/// Writes one frame to the end of a buffer.
#[derive(Debug)]
pub(super) struct FrameWriter<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> FrameWriter<'a> {
    /// Begins a frame without values.
    pub(super) fn begin(buffer: &'a mut Vec<u8>, kind: FrameKind) -> Self {
        let start = buffer.len();
        buffer.extend([0; LENGTH]);
        buffer.push(kind as u8);
        Self { buffer, start }
    }

    /// Appends a value.
    ///
    /// # Errors
    /// The value can't be serialized, or makes the frame longer than [`FRAME_MAX`]. The frame is
    /// then unchanged.
    pub(super) fn value<T: Serialize>(&mut self, value: &T) -> Result<(), FrameError> {
        let before = self.buffer.len();
        let written = postcard::serialize_with_flavor(value, AppendTo(self.buffer));
        let length = self.length();
        let error = match written {
            Ok(()) if length <= FRAME_MAX => return Ok(()),
            Ok(()) => FrameError::TooLong(length),
            Err(error) => error.into(),
        };
        self.buffer.truncate(before);
        Err(error)
    }

    /// Returns whether the frame has reached [`FRAME_FULL`], so that the next value belongs in
    /// another.
    pub(super) fn is_full(&self) -> bool {
        self.length() >= FRAME_FULL
    }

    /// Ends the frame: writes its length.
    pub(super) fn end(self) {
        let length =
            u32::try_from(self.length()).expect("`value` keeps the length within FRAME_MAX");
        self.buffer[self.start..self.start + LENGTH].copy_from_slice(&length.to_le_bytes());
    }

    fn length(&self) -> usize {
        self.buffer.len() - self.start - LENGTH
    }
}

/// Lets postcard append to a buffer.
struct AppendTo<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for AppendTo<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Appends a frame with one value to a buffer.
///
/// # Errors
/// The value can't be serialized, or makes the frame longer than [`FRAME_MAX`].
pub(super) fn write<T: Serialize>(
    buffer: &mut Vec<u8>,
    kind: FrameKind,
    value: &T,
) -> Result<(), FrameError> {
    let mut frame = FrameWriter::begin(buffer, kind);
    frame.value(value)?;
    frame.end();
    Ok(())
}

/// Splits received bytes into frames.
#[derive(Debug, Default)]
pub(super) struct FrameBuffer {
    bytes: Vec<u8>,
    /// How many of them belong to frames that [`Self::next`] has returned.
    read: usize,
}

impl FrameBuffer {
    /// Appends received bytes.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.read));
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next frame, its kind and values; `None` until it is complete.
    ///
    /// # Errors
    /// The frame is too long, or its kind is unknown.
    pub(super) fn next(&mut self) -> Result<Option<(FrameKind, Values<'_>)>, FrameError> {
        let rest = &self.bytes[self.read..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > FRAME_MAX {
            return Err(FrameError::TooLong(length));
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        self.read += LENGTH + length;
        let (&kind, values) = frame.split_first().ok_or(FrameError::UnknownKind(0))?;
        let known = FrameKind::ALL.into_iter().find(|known| *known as u8 == kind);
        Ok(Some((known.ok_or(FrameError::UnknownKind(kind))?, Values(values))))
    }
}

/// Reads the values of a frame.
#[derive(Debug)]
pub(super) struct Values<'a>(&'a [u8]);

impl Values<'_> {
    /// Reads the next value; `None` after the last.
    ///
    /// # Errors
    /// The bytes are not a valid `T`.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (value, rest) = postcard::take_from_bytes(self.0)?;
        self.0 = rest;
        Ok(Some(value))
    }

    /// Reads the next value, which must exist.
    ///
    /// # Errors
    /// There is no next value, or the bytes are not a valid `T`.
    pub(super) fn expect<T: DeserializeOwned>(&mut self) -> Result<T, FrameError> {
        self.next()?.ok_or(FrameError::Value(postcard::Error::DeserializeUnexpectedEnd))
    }

    /// Reads all remaining values.
    ///
    /// # Errors
    /// The bytes of one are not a valid `T`.
    pub(super) fn all<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, FrameError> {
        let mut values = Vec::new();
        while let Some(value) = self.next()? {
            values.push(value);
        }
        Ok(values)
    }
}

/// Reads and checks the version, the first value in each direction.
///
/// # Errors
/// It is missing, or is not [`VERSION`].
pub(super) fn check_version(values: &mut Values<'_>) -> Result<(), FrameError> {
    match values.expect()? {
        VERSION => Ok(()),
        other => Err(FrameError::Version(other)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_round_trip_in_pieces_of_any_size(
            values in proptest::collection::vec(proptest::collection::vec(any::<u64>(), 0..9), 0..9),
            piece in 1_usize..40,
        ) {
            let mut bytes = Vec::new();
            for frame in &values {
                let mut writer = FrameWriter::begin(&mut bytes, FrameKind::Settled);
                for value in frame {
                    writer.value(value).expect("a number is serializable");
                }
                writer.end();
            }
            let (mut frames, mut read) = (FrameBuffer::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                frames.extend(piece);
                while let Some((kind, mut values)) = frames.next().expect("the frames are valid") {
                    prop_assert_eq!(kind, FrameKind::Settled);
                    read.push(values.all::<u64>().expect("the values are numbers"));
                }
            }
            prop_assert_eq!(read, values);
        }

        #[test]
        fn random_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            let mut frames = FrameBuffer::default();
            frames.extend(&bytes);
            while let Ok(Some((_, mut values))) = frames.next() {
                let _ = values.all::<(u32, String)>();
            }
        }
    }

    #[test]
    fn value_that_is_too_long_leaves_the_frame_unchanged() {
        let mut bytes = Vec::new();
        let mut frame = FrameWriter::begin(&mut bytes, FrameKind::Lease);
        frame.value(&7_u32).expect("a number is serializable");
        let error = frame.value(&vec![0_u8; FRAME_MAX]).expect_err("the value is too long");
        assert!(matches!(error, FrameError::TooLong(_)), "{error}");
        frame.end();
        let mut frames = FrameBuffer::default();
        frames.extend(&bytes);
        let (kind, mut values) =
            frames.next().expect("the frame is valid").expect("the frame is complete");
        assert_eq!((kind, values.all::<u32>()), (FrameKind::Lease, Ok(vec![7])));
    }

    #[test]
    fn other_version_is_an_error() {
        let mut bytes = Vec::new();
        write(&mut bytes, FrameKind::Hello, &(VERSION + 1)).expect("a number is serializable");
        let mut frames = FrameBuffer::default();
        frames.extend(&bytes);
        let (_, mut values) =
            frames.next().expect("the frame is valid").expect("the frame is complete");
        assert_eq!(check_version(&mut values), Err(FrameError::Version(VERSION + 1)));
    }
}
