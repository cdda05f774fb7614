//! BMP: Windows' and OS/2's headers, 1 to 32 bits per pixel, palettes, bit fields and run lengths.
//!
//! The project has its own decoder because banks need two things that the available decoders lack: palette
//! indices, which some tools hash, and index 0 for pixels that run lengths skip, as in Pillow. `image` and
//! `zune-bmp` provide neither. Where the format leaves a choice, this decoder follows Pillow: bit fields are
//! scaled downwards, indices beyond the palette are black, and a fourth channel is dropped.

use crate::error::DecodeError;
use crate::frames::{Frame, Frames};
use crate::limits::Limits;
use crate::luma::Luma;
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

pub(super) const FORMAT: &str = "BMP";

const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

/// The length of the file header: `BM`, the file's size, and the position of the pixels.
const FILE_HEADER_BYTES: usize = 14;

/// The coding of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// Indices of 1, 2, 4 or 8 bits.
    Indices,
    /// Run lengths of indices.
    RunLengths,
    /// Blue, green and red bytes.
    Bytes,
    /// Red, green and blue at these bits of 16 or 32.
    Fields([u32; CHANNELS]),
}

/// The values that the headers declare.
struct Header {
    width: u32,
    height: u32,
    top_down: bool,
    bits: usize,
    coding: Coding,
    /// The length of a palette entry: blue, green and red, and often a fourth byte.
    palette_entry_bytes: usize,
    palette_start: usize,
    palette_len: usize,
    pixels_start: usize,
}

/// Decodes a BMP.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let header = Header::read(content, limits)?;
    let (width, height) = (header.width as usize, header.height as usize);
    let indexed = matches!(header.coding, Coding::Indices | Coding::RunLengths);
    let index_bytes = if indexed { width * height } else { 0 };
    limits.check_alloc((width * height * CHANNELS + index_bytes) as u64)?;
    frames.wants(header.width, header.height);
    let data = content.get(header.pixels_start..).ok_or(TRUNCATED)?;

    let mut rgb = Pixels::zeroed(width * height * CHANNELS);
    let mut indices = Pixels::zeroed(index_bytes);
    match header.coding {
        Coding::Indices => unpack(&header, data, &mut indices)?,
        Coding::RunLengths => run_lengths(&header, data, &mut indices)?,
        Coding::Bytes => {
            let bytes = header.bits / 8;
            for (row, out) in header.rows(data)?.zip(header.rows_of(&mut rgb, CHANNELS)) {
                for (out, pixel) in out.as_chunks_mut().0.iter_mut().zip(row.chunks_exact(bytes)) {
                    *out = [pixel[2], pixel[1], pixel[0]];
                }
            }
        }
        Coding::Fields(masks) => {
            let fields = masks.map(Field::new);
            let bytes = header.bits / 8;
            for (row, out) in header.rows(data)?.zip(header.rows_of(&mut rgb, CHANNELS)) {
                for (out, pixel) in out.as_chunks_mut().0.iter_mut().zip(row.chunks_exact(bytes)) {
                    let pixel = pixel.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte));
                    *out = fields.map(|field| field.sample(pixel));
                }
            }
        }
    }
    let palette = indexed.then(|| header.palette(content));
    if let Some(palette) = &palette {
        for (out, &index) in rgb.as_chunks_mut().0.iter_mut().zip(&*indices) {
            *out = palette[usize::from(index)];
        }
    }
    let picture = Picture::from_pixels(header.width, header.height, rgb).ok_or(DecodeError::Corrupt {
        reason: "the image holds another number of pixels than it declares",
    })?;
    let indices = indexed.then(|| Luma::new(header.width, header.height, width, indices)).flatten();
    frames.take(Frame { indices, ..Frame::still(picture) });
    Ok(())
}

impl Header {
    /// Reads the headers, and checks the size that they declare.
    fn read(content: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        let long = |at: usize| number::<4>(content, at);
        let short = |at: usize| number::<2>(content, at);
        let header_bytes = long(FILE_HEADER_BYTES)? as usize;
        let short_header = header_bytes == 12;
        if !matches!(header_bytes, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124) {
            return Err(unsupported("this header; re-encode the picture as PNG or JPEG"));
        }
        let (width, height, bits) = if short_header {
            (short(18)?, short(20)?.cast_signed(), short(24)?)
        } else {
            (long(18)?, long(22)?.cast_signed(), short(28)?)
        };
        limits.check_dimensions(width, height.unsigned_abs())?;
        let bits = bits as usize;
        // The shortest header of OS/2 2.x does not contain these fields.
        let optional = |at: usize| if header_bytes >= 40 { long(at) } else { Ok(0) };
        let after_header = FILE_HEADER_BYTES + header_bytes;
        let coding = match (optional(30)?, bits) {
            (0, 1 | 2 | 4 | 8) => Coding::Indices,
            (1, 8) | (2, 4) => Coding::RunLengths,
            (0, 24 | 32) => Coding::Bytes,
            (0, 16) => Coding::Fields([0x7c00, 0x03e0, 0x001f]),
            // The masks are in the header, or follow a header that is too short for them: in both cases at
            // the same position.
            (3, 16 | 24 | 32) => Coding::fields([long(54)?, long(58)?, long(62)?], bits)?,
            _ => return Err(unsupported("this depth or compression; re-encode the picture as PNG or JPEG")),
        };
        let declared = optional(46)? as usize;
        let palette_len = if declared == 0 && bits <= 8 { 1 << bits } else { declared };
        let palette_entry_bytes = if short_header { 3 } else { 4 };
        let after_palette = after_header.saturating_add(palette_len.saturating_mul(palette_entry_bytes));
        let pixels_start = match long(10)? as usize {
            0 => after_palette,
            // Some writers do not count the palette.
            start if start == after_header && bits <= 8 => after_palette,
            start => start,
        };
        Ok(Self {
            width,
            height: height.unsigned_abs(),
            top_down: height < 0,
            bits,
            coding,
            palette_entry_bytes,
            palette_start: after_header,
            palette_len,
            pixels_start,
        })
    }

    /// Returns the bytes of a row's pixels, without padding.
    const fn row_bytes(&self) -> usize {
        (self.width as usize * self.bits).div_ceil(8)
    }

    /// Returns the rows in the order in which they are stored. The last one may lack its padding.
    fn rows<'a>(&self, data: &'a [u8]) -> Result<impl Iterator<Item = &'a [u8]>, DecodeError> {
        let row_bytes = self.row_bytes();
        let stride = row_bytes.next_multiple_of(4);
        let rows = self.height as usize;
        if data.len() < stride * (rows - 1) + row_bytes {
            return Err(TRUNCATED);
        }
        Ok(data.chunks(stride).take(rows).map(move |row| &row[..row_bytes]))
    }

    /// Returns the rows of a plane with `samples` bytes per pixel, in the order in which they are stored.
    fn rows_of<'a>(&self, plane: &'a mut [u8], samples: usize) -> impl Iterator<Item = &'a mut [u8]> {
        let (top_down, rows) = (self.top_down, self.height as usize);
        let mut plane: Vec<_> = plane.chunks_exact_mut(self.width as usize * samples).take(rows).collect();
        if !top_down {
            plane.reverse();
        }
        plane.into_iter()
    }

    /// Returns red, green and blue of each index.
    fn palette(&self, content: &[u8]) -> [[u8; CHANNELS]; 256] {
        let mut palette = [[0; CHANNELS]; 256];
        let entries = content.get(self.palette_start..).unwrap_or(&[]).chunks_exact(self.palette_entry_bytes);
        for (colour, entry) in palette.iter_mut().zip(entries.take(self.palette_len)) {
            *colour = [entry[2], entry[1], entry[0]];
        }
        palette
    }
}

const fn unsupported(reason: &'static str) -> DecodeError {
    DecodeError::Unsupported { format: FORMAT, reason }
}

/// Reads a number of `N` bytes, at most four.
fn number<const N: usize>(content: &[u8], at: usize) -> Result<u32, DecodeError> {
    let bytes = content.get(at..at + N).ok_or(TRUNCATED)?;
    Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
}

impl Coding {
    /// Creates the coding for pixels with these masks of red, green and blue.
    fn fields(masks: [u32; CHANNELS], bits: usize) -> Result<Self, DecodeError> {
        if masks == [0; CHANNELS] && bits == 32 {
            return Ok(Self::Bytes);
        }
        let within = |mask: u32| mask > 0 && u64::from(mask) < 1 << bits;
        // A mask must consist of adjacent ones.
        let whole = |mask: u32| (u64::from(mask >> mask.trailing_zeros().min(31)) + 1).is_power_of_two();
        if !masks.iter().all(|&mask| within(mask) && whole(mask)) {
            return Err(unsupported("these bit fields; re-encode the picture as PNG or JPEG"));
        }
        Ok(Self::Fields(masks))
    }
}

/// The bits of one channel.
#[derive(Clone, Copy)]
struct Field {
    mask: u32,
    shift: u32,
    max: u64,
}

impl Field {
    const fn new(mask: u32) -> Self {
        let shift = mask.trailing_zeros();
        Self { mask, shift, max: (mask >> shift) as u64 }
    }

    /// Returns the channel's sample, scaled to 0 to 255.
    fn sample(self, pixel: u32) -> u8 {
        let value = u64::from((pixel & self.mask) >> self.shift);
        u8::try_from(value * 255 / self.max).unwrap_or(255)
    }
}

/// Unpacks indices of 1 to 8 bits.
fn unpack(header: &Header, data: &[u8], indices: &mut [u8]) -> Result<(), DecodeError> {
    let bits = header.bits;
    let (per_byte, mask) = (8 / bits, u8::MAX >> (8 - bits));
    for (row, out) in header.rows(data)?.zip(header.rows_of(indices, 1)) {
        for (out, &byte) in out.chunks_mut(per_byte).zip(row) {
            for (place, index) in out.iter_mut().enumerate() {
                *index = byte >> (8 - bits - place * bits) & mask;
            }
        }
    }
    Ok(())
}

/// Decodes run lengths of 8 or 4 bits. Skipped pixels keep index 0.
fn run_lengths(header: &Header, data: &[u8], indices: &mut [u8]) -> Result<(), DecodeError> {
    let width = header.width as usize;
    let mut rows = header.rows_of(indices, 1);
    let Some(mut row) = rows.next() else { return Ok(()) };
    let nibbles = header.bits == 4;
    let index_of = |pair: &[u8], place: usize| {
        if !nibbles {
            pair[place % pair.len()]
        } else if place.is_multiple_of(2) {
            pair[place / 2 % pair.len()] >> 4
        } else {
            pair[place / 2 % pair.len()] & 0xf
        }
    };
    let (mut x, mut at) = (0, 0);
    loop {
        let &[count, value] = data.get(at..at + 2).and_then(|pair| pair.first_chunk()).ok_or(TRUNCATED)?;
        at += 2;
        match (count, value) {
            (0, 1) => return Ok(()),
            (0, 0) => {
                x = 0;
                let Some(next) = rows.next() else { return Ok(()) };
                row = next;
            }
            (0, 2) => {
                let &[right, up] =
                    data.get(at..at + 2).and_then(|pair| pair.first_chunk()).ok_or(TRUNCATED)?;
                at += 2;
                x = (x + usize::from(right)).min(width);
                if up > 0 {
                    let Some(next) = rows.nth(usize::from(up) - 1) else { return Ok(()) };
                    row = next;
                }
            }
            (0, count) => {
                let bytes = if nibbles { usize::from(count).div_ceil(2) } else { count.into() };
                let copied = data.get(at..at + bytes).ok_or(TRUNCATED)?;
                at += bytes.next_multiple_of(2);
                for (place, out) in row[x..].iter_mut().take(count.into()).enumerate() {
                    *out = index_of(copied, place);
                }
                x = (x + usize::from(count)).min(width);
            }
            (count, value) => {
                for (place, out) in row[x..].iter_mut().take(count.into()).enumerate() {
                    *out = index_of(&[value], place);
                }
                x = (x + usize::from(count)).min(width);
            }
        }
        // No code is needed after the last pixel.
        if x == width && rows.size_hint().0 == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
