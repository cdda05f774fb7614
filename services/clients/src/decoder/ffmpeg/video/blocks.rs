//! Frames in the program's output: blocks of Matroska, each with its time and the bytes of one frame.
//!
//! Source: RFC 8794 (EBML) and RFC 9559 (Matroska). Other elements are skipped, and the bytes of frames are
//! counted: a frame has exactly the number of bytes that follows from the size in the header.

use crate::decoder::child::Stopped;

/// The source of the bytes.
pub(super) trait Source {
    /// Waits for bytes, and returns the number of bytes read. [`Stopped::Ended`] at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stopped>;
}

const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK_ENTRY: u32 = 0xae;
const VIDEO: u32 = 0xe0;
const PIXEL_WIDTH: u32 = 0xb0;
const PIXEL_HEIGHT: u32 = 0xba;
const CLUSTER: u32 = 0x1f43_b675;
const CLUSTER_TIME: u32 = 0xe7;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const SIMPLE_BLOCK: u32 = 0xa3;

/// The length of a block's header: the number of its track, two bytes of time and one of flags.
const BLOCK_HEAD_BYTES: usize = 4;
/// The marker of a one-byte number, and the flags of frames that share a block.
const SHORT_NUMBER: u8 = 0x80;
const LACING: u8 = 0x06;
/// The longest element that is skipped, in bytes.
const SKIPPED_BYTES_MAX: u64 = 1 << 20;
/// The number of bytes that are read at a time for small elements.
const CHUNK_BYTES: usize = 64 << 10;

/// Reads the blocks of a source.
pub(super) struct Blocks<'a, S> {
    source: &'a mut S,
    chunk: Vec<u8>,
    at: usize,
    filled: usize,
    cluster_time: u64,
}

impl<'a, S: Source> Blocks<'a, S> {
    pub(super) fn new(source: &'a mut S) -> Self {
        Self { source, chunk: vec![0; CHUNK_BYTES], at: 0, filled: 0, cluster_time: 0 }
    }

    /// Returns the source, for questions other than its bytes.
    pub(super) const fn source(&mut self) -> &mut S {
        self.source
    }

    /// Reads the header. Returns width and height of all frames, in pixels.
    pub(super) fn begin(&mut self) -> Result<(u32, u32), Stopped> {
        let (mut width, mut height) = (None, None);
        loop {
            let Some((identifier, bytes)) = self.element()? else { return Err(Stopped::Ended) };
            match identifier {
                SEGMENT | TRACKS | TRACK_ENTRY | VIDEO => {}
                PIXEL_WIDTH => width = Some(self.number(bytes)?),
                PIXEL_HEIGHT => height = Some(self.number(bytes)?),
                CLUSTER | BLOCK_GROUP | BLOCK | SIMPLE_BLOCK => return Err(Stopped::Malformed),
                _ => self.skip(bytes)?,
            }
            if let (Some(width), Some(height)) = (width, height) {
                let side = |side: u64| u32::try_from(side).map_err(|_| Stopped::Malformed);
                return Ok((side(width)?, side(height)?));
            }
        }
    }

    /// Reads the next block, whose frame fills all of `frame`, and returns its time. `None` at the end.
    pub(super) fn next(&mut self, frame: &mut [u8]) -> Result<Option<u64>, Stopped> {
        while let Some((identifier, bytes)) = self.element()? {
            match identifier {
                CLUSTER | BLOCK_GROUP => {}
                CLUSTER_TIME => self.cluster_time = self.number(bytes)?,
                SIMPLE_BLOCK | BLOCK => {
                    let expected = u64::try_from(BLOCK_HEAD_BYTES + frame.len()).ok();
                    if bytes != expected {
                        return Err(Stopped::Malformed);
                    }
                    let mut head = [0; BLOCK_HEAD_BYTES];
                    self.exact(&mut head)?;
                    let [track, high, low, flags] = head;
                    if track & SHORT_NUMBER == 0 || flags & LACING != 0 {
                        return Err(Stopped::Malformed);
                    }
                    let after = i64::from(i16::from_be_bytes([high, low]));
                    self.exact(frame)?;
                    return Ok(Some(self.cluster_time.saturating_add_signed(after)));
                }
                _ => self.skip(bytes)?,
            }
        }
        Ok(None)
    }

    /// Returns the identifier of the next element and its length, if it is known. `None` at the end.
    fn element(&mut self) -> Result<Option<(u32, Option<u64>)>, Stopped> {
        if self.at == self.filled
            && let Err(stopped) = self.fill()
        {
            return if stopped == Stopped::Ended { Ok(None) } else { Err(stopped) };
        }
        let (identifier, _) = self.marked(4)?;
        let identifier = u32::try_from(identifier).map_err(|_| Stopped::Malformed)?;
        let (length, bits) = self.marked(8)?;
        let mask = (1 << bits) - 1;
        let length = length & mask;
        Ok(Some((identifier, (length != mask).then_some(length))))
    }

    /// Reads a number of at most `bytes_max` bytes, whose first set bit marks the number of bytes. Returns
    /// the number, and the number of bits after the mark.
    fn marked(&mut self, bytes_max: usize) -> Result<(u64, u32), Stopped> {
        let mut first = [0];
        self.exact(&mut first)?;
        let further = first[0].leading_zeros() as usize;
        if further >= bytes_max {
            return Err(Stopped::Malformed);
        }
        let mut rest = [0; 8];
        self.exact(&mut rest[..further])?;
        let value =
            rest[..further].iter().fold(u64::from(first[0]), |value, &byte| value << 8 | u64::from(byte));
        Ok((value, 7 * (first[0].leading_zeros() + 1)))
    }

    /// Reads the integer of an element.
    fn number(&mut self, bytes: Option<u64>) -> Result<u64, Stopped> {
        let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes <= 8);
        let mut number = [0; 8];
        let from = 8 - bytes.ok_or(Stopped::Malformed)?;
        self.exact(&mut number[from..])?;
        Ok(u64::from_be_bytes(number))
    }

    fn skip(&mut self, bytes: Option<u64>) -> Result<(), Stopped> {
        let mut left = bytes.filter(|bytes| *bytes <= SKIPPED_BYTES_MAX).ok_or(Stopped::Malformed)?;
        let mut skipped = [0; 512];
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(skipped.len());
            self.exact(&mut skipped[..part])?;
            left -= u64::try_from(part).unwrap_or(left);
        }
        Ok(())
    }

    /// Fills all of `wanted`. Large parts are read from the source without a copy.
    fn exact(&mut self, wanted: &mut [u8]) -> Result<(), Stopped> {
        let ready = (self.filled - self.at).min(wanted.len());
        let (copied, mut rest) = wanted.split_at_mut(ready);
        copied.copy_from_slice(&self.chunk[self.at..self.at + ready]);
        self.at += ready;
        while rest.len() >= CHUNK_BYTES {
            let read = self.source.read(rest)?;
            rest = &mut rest[read..];
        }
        while !rest.is_empty() {
            self.fill()?;
            let part = self.filled.min(rest.len());
            let (copied, left) = rest.split_at_mut(part);
            copied.copy_from_slice(&self.chunk[..part]);
            self.at = part;
            rest = left;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), Stopped> {
        (self.at, self.filled) = (0, 0);
        self.filled = self.source.read(&mut self.chunk)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that returns a few bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Source for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stopped> {
            let bytes = self.0.len().min(self.1).min(buffer.len());
            let (now, later) = self.0.split_at(bytes);
            buffer[..bytes].copy_from_slice(now);
            self.0 = later;
            if bytes == 0 { Err(Stopped::Ended) } else { Ok(bytes) }
        }
    }

    fn head(width: u8, height: u8) -> Vec<u8> {
        let video = [0xe0, 0x86, 0xb0, 0x81, width, 0xba, 0x81, height];
        [
            &b"\x1a\x45\xdf\xa3\x84head\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff\xec\x82vo\x16\x54\xae\x6b\x8a\xae\x88"[..],
            &video,
        ]
        .concat()
    }

    fn cluster(time: u16, blocks: &[(i16, &[u8])]) -> Vec<u8> {
        let mut cluster = b"\x1f\x43\xb6\x75\xff\xe7\x82".to_vec();
        cluster.extend(time.to_be_bytes());
        for (after, frame) in blocks {
            cluster.extend([0xa3, 0x40, u8::try_from(frame.len() + 4).unwrap(), 0x81]);
            cluster.extend(after.to_be_bytes());
            cluster.push(0);
            cluster.extend(*frame);
        }
        cluster
    }

    /// The size, the frames with their times, and the end of the source.
    type Outcome = (Result<(u32, u32), Stopped>, Vec<(u64, [u8; 6])>, Option<Stopped>);

    fn read(bytes: &[u8], at_once: usize) -> Outcome {
        let mut source = Pieces(bytes, at_once);
        let mut blocks = Blocks::new(&mut source);
        let size = blocks.begin();
        let (mut frames, mut frame) = (Vec::new(), [0; 6]);
        loop {
            match blocks.next(&mut frame) {
                Ok(Some(time)) => frames.push((time, frame)),
                Ok(None) => return (size, frames, None),
                Err(stopped) => return (size, frames, Some(stopped)),
            }
        }
    }

    #[test]
    fn frames_come_with_their_times_in_whatever_pieces() {
        let first = cluster(1_000, &[(0, b"frame1"), (40, b"frame2")]);
        let bytes =
            [head(2, 1), first, b"\xbf\x84abcd".to_vec(), cluster(2_000, &[(-5, b"frame3")])].concat();
        let expected = vec![(1_000, *b"frame1"), (1_040, *b"frame2"), (1_995, *b"frame3")];
        for at_once in [1, 7, 1_000] {
            assert_eq!(read(&bytes, at_once), (Ok((2, 1)), expected.clone(), None));
        }
        for end in head(2, 1).len()..bytes.len() {
            let (size, frames, _) = read(&bytes[..end], 50);
            assert_eq!(size, Ok((2, 1)));
            assert!(expected.starts_with(&frames), "{end}");
        }
    }

    #[test]
    fn a_frame_of_another_length_ends_it() {
        for other in [&b"frame"[..], b"frame12"] {
            let bytes = [head(2, 1), cluster(0, &[(0, b"frame1"), (1, other)])].concat();
            let (_, frames, end) = read(&bytes, 50);
            assert_eq!((frames.len(), end), (1, Some(Stopped::Malformed)));
        }
        let cut = [head(2, 1), cluster(0, &[(0, b"frame1")])].concat();
        assert_eq!(read(&cut[..cut.len() - 1], 50).2, Some(Stopped::Ended));
    }

    #[test]
    fn what_is_no_matroska_ends_it() {
        for bytes in [&b""[..], b"\0\0\0\0\0", &[0xff; 100], b"\xec\x08\xff\xff\xff\xff\xff", b"\xa3\x81a"] {
            let (size, frames, _) = read(bytes, 50);
            assert!(size.is_err() && frames.is_empty(), "{}", bytes.escape_ascii());
        }
    }

    /// Damaged bytes cause neither a panic nor an invented frame.
    #[test]
    fn damaged_bytes_end_it_without_harm() {
        let bytes = [head(2, 1), cluster(1_000, &[(0, b"frame1"), (40, b"frame2")])].concat();
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 0x10] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                assert!(read(&bytes, 64).1.len() <= 3);
            }
        }
    }
}
