//! The blocks of a GIF: the screen, and the images with the properties that the extensions before each one
//! give it.
//!
//! Source: the GIF89a specification, and Pillow for files that break it: bytes that begin no block are
//! skipped, a graphic control extension may have any length, and a disposal of 0 keeps the previous one.

use std::time::Duration;

use weezl::{BitOrder, LzwStatus, decode::Configuration};

use crate::error::DecodeError;

use super::FORMAT;

/// A colour table: red, green and blue of each entry.
pub(super) type Palette<'a> = &'a [[u8; 3]];

/// The largest size in bits of LZW's first codes. Larger sizes would leave no bits for longer codes.
const CODE_BITS_MAX: u8 = 11;

/// The logical screen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) palette: Option<Palette<'a>>,
    /// The index of the background colour, for a screen with a palette.
    pub(super) background: u8,
}

/// The treatment of an image's rectangle before the next image is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    Keep,
    Background,
    Previous,
}

/// A part of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rectangle {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// An image, not decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image<'a> {
    pub(super) delay: Duration,
    pub(super) disposal: Disposal,
    pub(super) transparent: Option<u8>,
    pub(super) rectangle: Rectangle,
    /// The image's own palette.
    pub(super) own_palette: Option<Palette<'a>>,
    interlaced: bool,
    code_bits: u8,
    /// The data from the first sub-block on.
    data: Reader<'a>,
}

/// The images of a file, in order.
#[derive(Debug, Clone)]
pub(super) struct Images<'a> {
    reader: Reader<'a>,
    disposal: Disposal,
    /// Whether the bytes ended before the trailer.
    pub(super) cut_short: bool,
}

/// Reads the screen. The images follow it.
pub(super) fn read(content: &[u8]) -> Result<(Screen<'_>, Images<'_>), DecodeError> {
    let mut reader = Reader(content);
    let (screen, palette) = reader.header().ok_or(DecodeError::Truncated { format: FORMAT })?;
    let [width, height] = sides(screen[6..10].as_chunks().0);
    let background = if palette.is_some() { screen[11] } else { 0 };
    let images = Images { reader, disposal: Disposal::Keep, cut_short: false };
    Ok((Screen { width, height, palette, background }, images))
}

impl<'a> Iterator for Images<'a> {
    type Item = Image<'a>;

    fn next(&mut self) -> Option<Image<'a>> {
        let (mut delay, mut transparent) = (Duration::ZERO, None);
        loop {
            let Some([introducer]) = self.reader.take() else {
                self.cut_short = true;
                return None;
            };
            match introducer {
                b';' => return None,
                b'!' => {
                    let Some([label]) = self.reader.take() else { continue };
                    let control = self.reader.sub_block();
                    if let (0xf9, Some([flags, d0, d1, index, ..])) = (label, control) {
                        delay = Duration::from_millis(u64::from(u16::from_le_bytes([*d0, *d1])) * 10);
                        transparent = if flags & 1 != 0 { Some(*index) } else { transparent };
                        self.disposal = match (flags >> 2) & 7 {
                            0 => self.disposal,
                            1 => Disposal::Keep,
                            2 => Disposal::Background,
                            _ => Disposal::Previous,
                        };
                    }
                    if control.is_some() {
                        self.reader.skip_sub_blocks();
                    }
                }
                b',' => {
                    let Some((header, own_palette, code_bits)) = self.reader.image_header() else { continue };
                    let data = self.reader;
                    self.reader.skip_sub_blocks();
                    let [left, top, width, height] = sides(header[..8].as_chunks().0);
                    return Some(Image {
                        delay,
                        disposal: self.disposal,
                        transparent,
                        rectangle: Rectangle { left, top, width, height },
                        own_palette,
                        interlaced: header[8] & 0x40 != 0,
                        code_bits,
                        data,
                    });
                }
                _ => {}
            }
        }
    }
}

impl Image<'_> {
    /// Decodes the palette indices, in the order of [`Image::rows`].
    pub(super) fn indices(&self) -> Result<Vec<u8>, DecodeError> {
        let corrupt = DecodeError::Corrupt { reason: "the GIF's data cannot be decoded" };
        if !(1..=CODE_BITS_MAX).contains(&self.code_bits) {
            return Err(corrupt);
        }
        let mut lzw =
            Configuration::new(BitOrder::Lsb, self.code_bits).with_yield_on_full_buffer(true).build();
        let mut indices = vec![0; self.rectangle.width * self.rectangle.height];
        let (mut filled, mut data) = (0, self.data);
        'data: while let Some(mut block) = data.sub_block() {
            loop {
                let done = lzw.decode_bytes(block, &mut indices[filled..]);
                filled += done.consumed_out;
                block = &block[done.consumed_in..];
                match done.status {
                    _ if filled == indices.len() => break 'data,
                    Ok(LzwStatus::Ok) => {}
                    // The decoder keeps the bits of a code that the next block completes.
                    Ok(LzwStatus::NoProgress) if done.consumed_in > 0 => {}
                    Ok(LzwStatus::NoProgress) => break,
                    Ok(LzwStatus::Done) | Err(_) => return Err(corrupt),
                }
            }
        }
        if filled == indices.len() {
            Ok(indices)
        } else if data.0.is_empty() {
            Err(DecodeError::Truncated { format: FORMAT })
        } else {
            Err(corrupt)
        }
    }

    /// Returns the position of each stored row, from the top.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        let passes: &[(usize, usize)] =
            if self.interlaced { &[(0, 8), (4, 8), (2, 4), (1, 2)] } else { &[(0, 1)] };
        let height = self.rectangle.height;
        passes.iter().flat_map(move |&(first, step)| (first..height).step_by(step))
    }
}

/// The bytes that are not read yet.
#[derive(Debug, Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// Reads the signature and the screen's descriptor, with its palette if it has one.
    fn header(&mut self) -> Option<([u8; 13], Option<Palette<'a>>)> {
        let screen = self.take::<13>()?;
        let palette = self.palette(screen[10])?;
        Some((screen, palette))
    }

    /// Reads an image's descriptor, its palette if it has one, and the number of bits of LZW's first codes.
    fn image_header(&mut self) -> Option<([u8; 9], Option<Palette<'a>>, u8)> {
        let header = self.take::<9>()?;
        let palette = self.palette(header[8])?;
        let [code_bits] = self.take()?;
        Some((header, palette, code_bits))
    }

    /// Reads the palette that these flags announce: `Some(None)` if they announce none, `None` if the palette
    /// is cut off.
    fn palette(&mut self, flags: u8) -> Option<Option<Palette<'a>>> {
        if flags & 0x80 == 0 {
            return Some(None);
        }
        let (palette, rest) = self.0.split_at_checked(3 << ((flags & 7) + 1))?;
        self.0 = rest;
        Some(Some(palette.as_chunks().0))
    }

    /// Reads the next sub-block, cut at the end of the bytes; `None` at the terminator.
    fn sub_block(&mut self) -> Option<&'a [u8]> {
        let [length] = self.take()?;
        let (block, rest) = self.0.split_at(usize::from(length).min(self.0.len()));
        self.0 = rest;
        (length > 0).then_some(block)
    }

    fn skip_sub_blocks(&mut self) {
        while self.sub_block().is_some() {}
    }
}

/// Reads sides and offsets of 16 bits.
fn sides<const N: usize>(bytes: &[[u8; 2]]) -> [usize; N] {
    std::array::from_fn(|index| usize::from(u16::from_le_bytes(bytes[index])))
}
