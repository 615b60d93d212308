//! What passes between the coordinator and a worker: frames, each with its length before it.
//!
//! A frame is four bytes of length (little-endian), a byte that tells its kind, and values in
//! postcard's wire format one behind the other. The first frame each way carries [`VERSION`].
//!
//! Invariant: a frame is at most [`FRAME_MAX`] long, so what a reader keeps is bounded, whatever
//! the other side sends.

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// The version of this protocol. Both sides have the same.
pub(super) const VERSION: u16 = 1;

/// Bytes of one frame behind its length.
pub(super) const FRAME_MAX: usize = 16 << 20;

/// Bytes after which a frame takes no more values.
pub(super) const FRAME_FULL: usize = 256 << 10;

/// Bytes of a frame's length.
const LENGTH: usize = size_of::<u32>();

/// What a frame is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Coordinator: the version, the most that is ever leased, the setting.
    Hello = 1,
    /// Coordinator: tickets, each with its work.
    Lease = 2,
    /// Coordinator: give back so many that have not begun.
    Recall = 3,
    /// Worker: the version, and how many it does at once.
    Ready = 16,
    /// Worker: tickets, each with its result.
    Settled = 17,
    /// Worker: tickets that it gives back.
    Returned = 18,
    /// Worker: it is alive, and has read so many tickets so far.
    Alive = 19,
    /// Worker: tickets whose results can't be sent.
    Failed = 20,
}

impl Kind {
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

/// These bytes are no frames of ours.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes is longer than any can be")]
    TooLong(usize),
    #[error("there is no kind of frame {0}")]
    Kind(u8),
    #[error("a value in a frame can't be read or written: {0}")]
    Value(#[from] postcard::Error),
    #[error("it speaks version {0} of the protocol, not {VERSION}")]
    Version(u16),
    #[error("a frame of kind {0:?} is out of place")]
    OutOfPlace(Kind),
}

/// A frame that is being written at the end of a buffer.
#[derive(Debug)]
pub(super) struct FrameWriter<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> FrameWriter<'a> {
    pub(super) fn begin(buffer: &'a mut Vec<u8>, kind: Kind) -> Self {
        let start = buffer.len();
        buffer.extend([0; LENGTH]);
        buffer.push(kind as u8);
        Self { buffer, start }
    }

    /// Adds a value.
    ///
    /// # Errors
    /// It can't be written, or makes the frame too long; the frame is as it was before.
    pub(super) fn value<T: Serialize>(&mut self, value: &T) -> Result<(), FrameError> {
        let before = self.buffer.len();
        let written = postcard::serialize_with_flavor(value, Appending(self.buffer));
        let length = self.length();
        let error = match written {
            Ok(()) if length <= FRAME_MAX => return Ok(()),
            Ok(()) => FrameError::TooLong(length),
            Err(error) => error.into(),
        };
        self.buffer.truncate(before);
        Err(error)
    }

    /// Whether the next value had better go into another frame.
    pub(super) fn is_full(&self) -> bool {
        self.length() >= FRAME_FULL
    }

    pub(super) fn end(self) {
        let length = u32::try_from(self.length()).expect("values are bounded by FRAME_MAX");
        self.buffer[self.start..self.start + LENGTH].copy_from_slice(&length.to_le_bytes());
    }

    fn length(&self) -> usize {
        self.buffer.len() - self.start - LENGTH
    }
}

/// Where postcard writes to: the end of a buffer.
struct Appending<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Appending<'_> {
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

/// Writes a frame of one value.
pub(super) fn write<T: Serialize>(
    buffer: &mut Vec<u8>,
    kind: Kind,
    value: &T,
) -> Result<(), FrameError> {
    let mut frame = FrameWriter::begin(buffer, kind);
    frame.value(value)?;
    frame.end();
    Ok(())
}

/// Frames, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    taken: usize,
}

impl Frames {
    /// Takes what came.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.taken));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame that has come whole.
    ///
    /// # Errors
    /// What came are no frames.
    pub(super) fn next(&mut self) -> Result<Option<(Kind, Values<'_>)>, FrameError> {
        let rest = &self.bytes[self.taken..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > FRAME_MAX {
            return Err(FrameError::TooLong(length));
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        self.taken += LENGTH + length;
        let (&kind, values) = frame.split_first().ok_or(FrameError::Kind(0))?;
        let known = Kind::ALL.into_iter().find(|known| *known as u8 == kind);
        Ok(Some((known.ok_or(FrameError::Kind(kind))?, Values(values))))
    }
}

/// The values of a frame.
#[derive(Debug)]
pub(super) struct Values<'a>(&'a [u8]);

impl Values<'_> {
    /// The next value; `None` behind the last.
    ///
    /// # Errors
    /// It is no such value.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (value, rest) = postcard::take_from_bytes(self.0)?;
        self.0 = rest;
        Ok(Some(value))
    }

    /// The value that must come next.
    ///
    /// # Errors
    /// None comes, or it is no such value.
    pub(super) fn expect<T: DeserializeOwned>(&mut self) -> Result<T, FrameError> {
        self.next()?.ok_or(FrameError::Value(postcard::Error::DeserializeUnexpectedEnd))
    }

    /// Every value.
    ///
    /// # Errors
    /// One is no such value.
    pub(super) fn all<T: DeserializeOwned>(&mut self) -> Result<Vec<T>, FrameError> {
        let mut values = Vec::new();
        while let Some(value) = self.next()? {
            values.push(value);
        }
        Ok(values)
    }
}

/// Reads the version with which both sides begin.
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
        fn frames_come_back_however_they_are_cut(
            values in proptest::collection::vec(proptest::collection::vec(any::<u64>(), 0..9), 0..9),
            piece in 1_usize..40,
        ) {
            let mut bytes = Vec::new();
            for frame in &values {
                let mut writing = FrameWriter::begin(&mut bytes, Kind::Settled);
                for value in frame {
                    writing.value(value).expect("a number can be written");
                }
                writing.end();
            }
            let (mut frames, mut back) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                frames.extend(piece);
                while let Some((kind, mut values)) = frames.next().expect("they are frames") {
                    prop_assert_eq!(kind, Kind::Settled);
                    back.push(values.all::<u64>().expect("they are numbers"));
                }
            }
            prop_assert_eq!(back, values);
        }

        #[test]
        fn garbage_is_an_error_or_waits_for_more(bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            let mut frames = Frames::default();
            frames.extend(&bytes);
            while let Ok(Some((_, mut values))) = frames.next() {
                let _ = values.all::<(u32, String)>();
            }
        }
    }

    #[test]
    fn what_is_too_long_leaves_the_frame_as_it_was() {
        let mut bytes = Vec::new();
        let mut frame = FrameWriter::begin(&mut bytes, Kind::Lease);
        frame.value(&7_u32).expect("a number can be written");
        let error = frame.value(&vec![0_u8; FRAME_MAX]).expect_err("it is too long");
        assert!(matches!(error, FrameError::TooLong(_)), "{error}");
        frame.end();
        let mut frames = Frames::default();
        frames.extend(&bytes);
        let (kind, mut values) = frames.next().expect("a frame").expect("whole");
        assert_eq!((kind, values.all::<u32>()), (Kind::Lease, Ok(vec![7])));
    }

    #[test]
    fn another_version_is_refused() {
        let mut bytes = Vec::new();
        write(&mut bytes, Kind::Hello, &(VERSION + 1)).expect("a number can be written");
        let mut frames = Frames::default();
        frames.extend(&bytes);
        let (_, mut values) = frames.next().expect("a frame").expect("whole");
        assert_eq!(check_version(&mut values), Err(FrameError::Version(VERSION + 1)));
    }
}
