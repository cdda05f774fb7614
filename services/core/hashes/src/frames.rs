//! The frames of a video: one hash of the type `vpdq`.
//!
//! A frame has [`FRAME_BYTES`] bytes: its PDQ hash (32), its PDQ quality (1, 0 to 100), and its time from the
//! beginning of the video in milliseconds (3, big-endian). A hash has 1 to [`FRAMES_MAX`] frames, and their
//! times never decrease. Equal videos that were sampled in the same way therefore have equal bytes.

pub mod text;
pub mod distinct;

use std::fmt;

use thiserror::Error;

/// The 32 bytes of a PDQ hash, in the order of its usual hexadecimal form.
pub type PdqHash = [u8; 32];

/// The size of a frame, in bytes.
pub const FRAME_BYTES: usize = 36;
/// The largest number of frames in one hash.
pub const FRAMES_MAX: usize = 4_096;
/// The latest time of a frame, in milliseconds: 4 hours, 39 minutes and 37 seconds.
pub const TIME_MS_MAX: u32 = (1 << 24) - 1;
/// The highest quality.
const QUALITY_MAX: u8 = 100;
/// The offset of the quality in a frame, in bytes.
pub(crate) const QUALITY_AT: usize = 32;

/// A frame of a video: its PDQ hash, quality and time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The PDQ hash.
    pub pdq: PdqHash,
    /// The PDQ quality, 0 to 100. Below 50 the hash is not to be trusted.
    pub quality: u8,
    /// The time at which the frame is shown, in milliseconds from the beginning of the video; at most
    /// [`TIME_MS_MAX`].
    pub time_ms: u32,
}

/// The frames of a hash: a view of its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frames<'a>(&'a [[u8; FRAME_BYTES]]);

/// The reasons why frames or their text are not a hash. No message repeats the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FramesError {
    /// The number of frames is 0, or above [`FRAMES_MAX`].
    #[error("a video has 1 to {FRAMES_MAX} frames, not {0}")]
    Count(usize),
    /// A quality is outside 0 to 100.
    #[error("frame {at}, counted from 0, has quality {quality}; it is 0 to 100")]
    Quality {
        /// The position of the frame in the list, from 0.
        at: usize,
        /// The quality that the frame has.
        quality: u8,
    },
    /// A time is above [`TIME_MS_MAX`], so it does not fit into three bytes.
    #[error(
        "frame {at}, counted from 0, is at {time_ms} ms; a frame is at {TIME_MS_MAX} ms (4 h 39 min) at most"
    )]
    Time {
        /// The position of the frame in the list, from 0.
        at: usize,
        /// The time that the frame has, in milliseconds.
        time_ms: u32,
    },
    /// A frame is earlier than the one before it.
    #[error("frame {at}, counted from 0, is earlier than the one before it")]
    Order {
        /// The position of the frame in the list, from 0.
        at: usize,
    },
    /// The text has none of the accepted forms.
    #[error("line {line} is no frame: a video is written as {form}", form = text::FORM)]
    Text {
        /// The number of the line, or of the entry of the JSON list, from 1.
        line: usize,
    },
}

impl Frame {
    /// The lowest quality of a frame that is searched: the threshold of the PDQ reference implementation.
    pub const QUALITY_FLOOR: u8 = 50;

    /// The largest distance, in bits, at which a frame counts as equal to the one kept before it and is not
    /// banked.
    pub const ALIKE: u16 = 8;

    /// Checks whether the quality is at least [`Self::QUALITY_FLOOR`], so that the hash can be trusted.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.quality >= Self::QUALITY_FLOOR
    }

    /// Returns the second of the video in which the frame is shown, from 0.
    #[must_use]
    pub const fn second(&self) -> u32 {
        self.time_ms / 1_000
    }

    /// Returns the number of bits in which the two PDQ hashes differ.
    #[must_use]
    pub fn distance(&self, other: &Self) -> u16 {
        let (words, _) = self.pdq.as_chunks::<8>();
        let (others, _) = other.pdq.as_chunks::<8>();
        let bits = words
            .iter()
            .zip(others)
            .map(|(one, other)| (u64::from_ne_bytes(*one) ^ u64::from_ne_bytes(*other)).count_ones());
        u16::try_from(bits.sum::<u32>()).unwrap_or(u16::MAX)
    }

    /// Returns the frames without those that resemble the last kept frame: both are usable or neither is, and
    /// their hashes differ by at most [`Self::ALIKE`] bits. The last frame is always kept, because its time
    /// determines how long the frame before it lasts.
    #[must_use]
    pub fn pruned(frames: &[Self]) -> Vec<Self> {
        let mut kept: Vec<Self> = Vec::new();
        for (at, frame) in frames.iter().enumerate() {
            let is_alike = kept.last().is_some_and(|last| {
                last.is_usable() == frame.is_usable() && last.distance(frame) <= Self::ALIKE
            });
            if !is_alike || at + 1 == frames.len() {
                kept.push(*frame);
            }
        }
        kept
    }

    fn from_bytes(bytes: &[u8; FRAME_BYTES]) -> Self {
        let mut pdq = [0; QUALITY_AT];
        pdq.copy_from_slice(&bytes[..QUALITY_AT]);
        let [.., quality, high, middle, low] = *bytes;
        Self { pdq, quality, time_ms: u32::from_be_bytes([0, high, middle, low]) }
    }

    fn to_bytes(self) -> [u8; FRAME_BYTES] {
        let mut bytes = [0; FRAME_BYTES];
        bytes[..QUALITY_AT].copy_from_slice(&self.pdq);
        bytes[QUALITY_AT] = self.quality;
        bytes[QUALITY_AT + 1..].copy_from_slice(&self.time_ms.to_be_bytes()[1..]);
        bytes
    }
}

impl<'a> Frames<'a> {
    /// Reads the frames from the bytes of a checked hash of type `vpdq`. `None` if the length is 0 or not a
    /// multiple of [`FRAME_BYTES`].
    #[must_use]
    pub fn of_bytes(bytes: &'a [u8]) -> Option<Self> {
        let (frames, rest) = bytes.as_chunks();
        (rest.is_empty() && !frames.is_empty()).then_some(Self(frames))
    }

    /// Returns the frames, ordered by time.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Frame> + Clone + 'a {
        self.0.iter().map(Frame::from_bytes)
    }

    /// Returns the number of frames: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub const fn len(self) -> usize {
        self.0.len()
    }
}

/// Encodes frames as the bytes of a hash.
pub(crate) fn encode(frames: &[Frame]) -> Result<Vec<u8>, FramesError> {
    if !(1..=FRAMES_MAX).contains(&frames.len()) {
        return Err(FramesError::Count(frames.len()));
    }
    if let Some((at, frame)) = frames.iter().enumerate().find(|(_, frame)| frame.time_ms > TIME_MS_MAX) {
        return Err(FramesError::Time { at, time_ms: frame.time_ms });
    }
    let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.to_bytes()).collect();
    check(&bytes)?;
    Ok(bytes)
}

/// Checks the bytes of whole frames.
pub(crate) fn check(bytes: &[u8]) -> Result<(), FramesError> {
    let (frames, _) = bytes.as_chunks();
    let mut time_before = 0;
    for (at, frame) in frames.iter().map(Frame::from_bytes).enumerate() {
        let Frame { quality, time_ms, .. } = frame;
        if quality > QUALITY_MAX {
            return Err(FramesError::Quality { at, quality });
        }
        if time_ms < time_before {
            return Err(FramesError::Order { at });
        }
        time_before = time_ms;
    }
    Ok(())
}

/// Omits the hash, which is sensitive.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("quality", &self.quality)
            .field("time_ms", &self.time_ms)
            .finish_non_exhaustive()
    }
}

/// Shows only the number of frames.
impl fmt::Debug for Frames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frames({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::{Hash, HashError};
    use crate::table::HashType;

    const fn frame(number: u8, quality: u8, time_ms: u32) -> Frame {
        Frame { pdq: [number; 32], quality, time_ms }
    }

    #[test]
    fn frames_are_read_as_they_were_written() {
        let frames = [frame(1, 0, 0), frame(2, 100, 999), frame(3, 50, 999), frame(4, 49, TIME_MS_MAX)];
        let hash = Hash::of_frames(&frames).unwrap();
        assert_eq!(hash.as_bytes().len(), 4 * FRAME_BYTES);
        assert_eq!(hash.as_bytes()[FRAME_BYTES + 32..2 * FRAME_BYTES], [100, 0, 3, 231]);
        assert_eq!(hash.frames().unwrap().iter().collect::<Vec<_>>(), frames);
        assert_eq!(Hash::from_bytes(HashType::VPDQ, hash.as_bytes()), Ok(hash));
        assert_eq!(frames.map(|frame| frame.is_usable()), [false, true, true, false]);
        assert_eq!(Hash::pdq([1; 32]).frames(), None);
    }

    #[test]
    fn every_bound_is_enforced() {
        assert_eq!(Hash::of_frames(&[]), Err(FramesError::Count(0)));
        assert!(Hash::of_frames(&vec![frame(1, 1, 1); FRAMES_MAX]).is_ok());
        assert_eq!(Hash::of_frames(&vec![frame(1, 1, 1); FRAMES_MAX + 1]), Err(FramesError::Count(4_097)));
        let late = frame(1, 1, TIME_MS_MAX + 1);
        assert_eq!(Hash::of_frames(&[late]), Err(FramesError::Time { at: 0, time_ms: 1 << 24 }));
        let poor = Hash::of_frames(&[frame(1, 1, 1), frame(1, 101, 1)]);
        assert_eq!(poor, Err(FramesError::Quality { at: 1, quality: 101 }));
        let early = Hash::of_frames(&[frame(1, 1, 2), frame(1, 1, 1)]);
        assert_eq!(early, Err(FramesError::Order { at: 1 }));
        let mut bytes = Hash::of_frames(&[frame(1, 1, 1)]).unwrap().as_bytes().to_vec();
        bytes[QUALITY_AT] = 200;
        let refused = Hash::from_peer(HashType::VPDQ, &bytes);
        assert_eq!(refused, Err(HashError::Frames(FramesError::Quality { at: 0, quality: 200 })));
        for len in [0, 35, 37, (FRAMES_MAX + 1) * FRAME_BYTES] {
            let error = Hash::from_bytes(HashType::VPDQ, &vec![0; len]).unwrap_err();
            assert_eq!(error, HashError::Length { hash_type: HashType::VPDQ, actual: len });
        }
    }

    #[test]
    fn what_hardly_changes_is_kept_once_and_the_last_frame_always() {
        let bits = |bits: u32| {
            let mut frame = frame(0, 100, bits * 10);
            (0..bits).for_each(|bit| frame.pdq[bit as usize / 8] |= 1 << (bit % 8));
            frame
        };
        let frames: Vec<Frame> = (0..=30).map(bits).collect();
        let kept: Vec<u32> = Frame::pruned(&frames).iter().map(|frame| frame.time_ms).collect();
        assert_eq!(kept, [0, 90, 180, 270, 300]);
        assert!(Frame::pruned(&[]).is_empty());
        let poor = Frame { quality: 0, ..bits(1) };
        assert_eq!(Frame::pruned(&[bits(0), poor, bits(1), bits(1)]).len(), 4);
    }

    #[test]
    fn frames_are_compared_bit_by_bit() {
        let mut other = frame(0, 1, 1);
        other.pdq[31] = 0b101;
        other.pdq[0] = 0xff;
        assert_eq!(frame(0, 9, 9).distance(&other), 10);
    }
}
