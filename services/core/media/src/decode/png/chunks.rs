//! The chunks of a PNG that determine its pixels. All others are skipped unread, however large.
//!
//! Source: the PNG specification (third edition, which includes APNG), and Pillow for files that break it:
//! checksums are not checked, and a file needs no `IEND`.

use std::time::Duration;

use crate::error::DecodeError;
use crate::limits::Limits;

use super::FORMAT;

const SIGNATURE_BYTES: usize = 8;

/// A chunk, cut at the end of the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) kind: [u8; 4],
    pub(super) data: &'a [u8],
}

/// The chunks of a file up to `IEND`, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks<'a> {
    rest: &'a [u8],
    /// Whether the bytes ended within the last chunk, or after it without an `IEND`.
    pub(super) cut_short: bool,
}

/// The header chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bits of a sample.
    pub(super) depth: u8,
    pub(super) colour: Colour,
    /// The methods of compression, filtering and interlacing.
    pub(super) methods: [u8; 3],
}

/// The meaning of the samples of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Grey,
    Rgb,
    Palette,
    GreyAlpha,
    Rgba,
}

/// The chunks before the pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) header: Header,
    /// Red, green and blue of each entry.
    pub(super) palette: &'a [[u8; 3]],
    pub(super) transparency: &'a [u8],
}

/// The control chunk of one frame of an animation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Control {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) delay: Duration,
    pub(super) disposal: Disposal,
    /// Whether the frame is blended with what is below it.
    pub(super) blended: bool,
}

/// The treatment of a frame's rectangle before the next frame is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    Keep,
    Clear,
    Previous,
}

/// An image, not decoded. Its data begin with the first of these chunks and end before the first chunk of
/// another kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image<'a> {
    /// `None` for an image that is not part of an animation.
    pub(super) control: Option<Control>,
    pub(super) data: Chunks<'a>,
}

/// The largest number of frames that an animation may announce.
const ANNOUNCED_MAX: u32 = 1 << 31;

/// The images of a file, in order.
#[derive(Debug, Clone)]
pub(super) struct Images<'a> {
    chunks: Chunks<'a>,
    control: Option<Control>,
    animated: bool,
    first: bool,
    /// The number of frames that the file announces; `None` if it is not an animation.
    announced: Option<u32>,
}

/// Reads the chunks before the pixels, and checks the size. The images follow.
pub(super) fn read<'a>(content: &'a [u8], limits: &Limits) -> Result<(Head<'a>, Images<'a>), DecodeError> {
    let mut chunks = Chunks { rest: content.get(SIGNATURE_BYTES..).unwrap_or_default(), cut_short: false };
    let header = match chunks.next() {
        Some(Chunk { kind: [b'I', b'H', b'D', b'R'], data }) => Header::read(data)?,
        Some(_) => return Err(DecodeError::Corrupt { reason: "the PNG does not begin with its header" }),
        None => return Err(DecodeError::Truncated { format: FORMAT }),
    };
    limits.check_dimensions(header.width, header.height)?;
    let mut head = Head { header, palette: &[], transparency: &[] };
    let (mut control, mut announced) = (None, None);
    // As in Pillow, a second announcement cancels the animation, and the next one makes it an animation
    // again.
    let mut animated = false;
    loop {
        let before = chunks;
        let Some(chunk) = chunks.next() else {
            return Err(if chunks.cut_short {
                DecodeError::Truncated { format: FORMAT }
            } else {
                DecodeError::Corrupt { reason: "the PNG has no pixels" }
            });
        };
        match &chunk.kind {
            b"IDAT" => {
                return Ok((head, Images { chunks: before, control, animated, first: true, announced }));
            }
            b"PLTE" => head.palette = chunk.data.as_chunks().0,
            b"tRNS" => head.transparency = chunk.data,
            b"acTL" if chunk.data.len() >= 8 => {
                let count = chunk.data.first_chunk().map_or(0, |count| u32::from_be_bytes(*count));
                animated = !animated && (1..=ANNOUNCED_MAX).contains(&count);
                announced = announced.max(Some(count));
            }
            b"fcTL" => control = Control::read(chunk.data),
            _ => {}
        }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let Some(([l3, l2, l1, l0, kind @ ..], rest)) = self.rest.split_first_chunk::<8>() else {
            self.cut_short = true;
            return None;
        };
        if kind == b"IEND" {
            return None;
        }
        let length = u32::from_be_bytes([*l3, *l2, *l1, *l0]) as usize;
        self.cut_short = length > rest.len();
        let (data, rest) = rest.split_at(length.min(rest.len()));
        // A checksum follows the data.
        self.rest = rest.get(4..).unwrap_or_default();
        Some(Chunk { kind: *kind, data })
    }
}

impl Images<'_> {
    /// Returns how many images this iterator omits. If a further announcement cancelled the animation, these
    /// are the images after the first. If frames of the announced animation are missing, they count as one.
    pub(super) fn missing(&self) -> u32 {
        let Some(announced) = self.announced else { return 0 };
        let (mut images, mut frames) = (0, 0);
        for image in (Images { animated: true, ..self.clone() }) {
            images += 1;
            frames += u32::from(image.control.is_some());
        }
        let hidden = if self.animated { 0_u32 } else { images - 1 };
        hidden.max(u32::from(frames < announced))
    }
}

impl<'a> Iterator for Images<'a> {
    type Item = Image<'a>;

    fn next(&mut self) -> Option<Image<'a>> {
        let kind = if self.first { *b"IDAT" } else { *b"fdAT" };
        // Without an animation, the data after the first image are not a picture.
        while self.first || self.animated {
            let data = self.chunks;
            let chunk = self.chunks.next()?;
            if chunk.kind == kind {
                self.first = false;
                self.chunks = after(data, kind);
                let control = self.control.take().filter(|_| self.animated);
                return Some(Image { control, data });
            }
            if chunk.kind == *b"fcTL" {
                self.control = Control::read(chunk.data);
            }
        }
        None
    }
}

impl Image<'_> {
    /// Checks whether the data end with the file.
    pub(super) fn is_cut_short(&self) -> bool {
        let kind = { self.data }.next().map_or([0; 4], |chunk| chunk.kind);
        let mut rest = after(self.data, kind);
        rest.next().is_none() && rest.cut_short
    }
}

/// Returns the chunks after those of this kind.
fn after(mut chunks: Chunks<'_>, kind: [u8; 4]) -> Chunks<'_> {
    loop {
        let before = chunks;
        if chunks.next().is_none_or(|chunk| chunk.kind != kind) {
            return before;
        }
    }
}

impl Header {
    fn read(data: &[u8]) -> Result<Self, DecodeError> {
        let Some(&[w3, w2, w1, w0, h3, h2, h1, h0, depth, colour, ref methods @ ..]) =
            data.first_chunk::<13>()
        else {
            return Err(DecodeError::Truncated { format: FORMAT });
        };
        let colour = match (colour, depth) {
            (0, 1 | 2 | 4 | 8 | 16) => Colour::Grey,
            (2, 8 | 16) => Colour::Rgb,
            (3, 1 | 2 | 4 | 8) => Colour::Palette,
            (4, 8 | 16) => Colour::GreyAlpha,
            (6, 8 | 16) => Colour::Rgba,
            _ => {
                return Err(DecodeError::Corrupt {
                    reason: "the PNG declares an unknown colour type or depth",
                });
            }
        };
        Ok(Self {
            width: u32::from_be_bytes([w3, w2, w1, w0]),
            height: u32::from_be_bytes([h3, h2, h1, h0]),
            depth,
            colour,
            methods: *methods,
        })
    }

    /// Returns the number of samples of one pixel.
    pub(super) const fn channels(&self) -> usize {
        match self.colour {
            Colour::Grey | Colour::Palette => 1,
            Colour::GreyAlpha => 2,
            Colour::Rgb => 3,
            Colour::Rgba => 4,
        }
    }

    /// Returns the number of bytes of one packed row.
    pub(super) fn row_bytes(&self, width: u32) -> usize {
        (width as usize * self.channels() * usize::from(self.depth)).div_ceil(8)
    }

    /// Checks whether rows come in passes.
    pub(super) const fn is_interlaced(&self) -> bool {
        self.methods[2] != 0
    }
}

impl Control {
    /// Reads the control chunk; `None` if it is too short.
    fn read(data: &[u8]) -> Option<Self> {
        let data = data.first_chunk::<26>()?;
        let word = |index: usize| {
            u32::from_be_bytes([data[index], data[index + 1], data[index + 2], data[index + 3]])
        };
        let count = |index: usize| u64::from(u16::from_be_bytes([data[index], data[index + 1]]));
        let denominator = if count(22) == 0 { 100 } else { count(22) };
        Some(Self {
            width: word(4),
            height: word(8),
            left: word(12),
            top: word(16),
            delay: Duration::from_nanos(count(20) * 1_000_000_000 / denominator),
            disposal: match data[24] {
                1 => Disposal::Clear,
                2 => Disposal::Previous,
                _ => Disposal::Keep,
            },
            blended: data[25] == 1,
        })
    }
}
