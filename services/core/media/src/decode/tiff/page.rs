//! A page: the values of its directory, checked before anything is decoded.
//!
//! Missing tags have the defaults of TIFF 6.0, or those of Pillow where they differ.

use crate::error::DecodeError;
use crate::limits::Limits;

use super::directory::{Directory, Values};
use super::ycbcr::Levels;
use super::{TRUNCATED, corrupt, tag, unsupported};

/// Tags whose values are elsewhere in the file and may be cut off. Their defaults would give a different
/// picture.
const LONG_TAGS: [u16; 12] = [
    tag::BITS,
    tag::STRIP_OFFSETS,
    tag::STRIP_BYTES,
    tag::COLOUR_MAP,
    tag::TILE_OFFSETS,
    tag::TILE_BYTES,
    tag::EXTRA_SAMPLES,
    tag::SAMPLE_FORMAT,
    tag::JPEG_TABLES,
    tag::SUBSAMPLING,
    tag::COEFFICIENTS,
    tag::REFERENCE_BLACK_WHITE,
];

/// The largest number of samples of a pixel, as in Pillow.
const SAMPLES_MAX: usize = 6;

/// The number of pixels by which tiles may extend beyond a small picture.
const TILE_MARGIN_PIXELS: u64 = 1 << 22;

/// The compression of strips and tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    /// CCITT's codes, row by row. With `word`, a row begins at an even byte.
    HuffmanRows {
        word: bool,
    },
    Group3 {
        two_dimensional: bool,
    },
    Group4,
    Lzw,
    OldJpeg,
    Jpeg,
    Deflate,
    PackBits,
    Lzma,
    Zstd,
    WebP,
}

/// The meaning of a pixel's samples.
#[derive(Clone, Copy)]
pub(super) enum Colour<'a> {
    Grey {
        inverted: bool,
    },
    Rgb,
    /// The values are 16-bit: red of all colours, then green, then blue.
    Palette(Values<'a>),
    Cmyk,
    YCbCr(Levels),
    Lab,
}

impl Colour<'_> {
    /// Returns the number of samples of one pixel, without alpha.
    pub(super) const fn samples(&self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr(_) | Self::Lab => 3,
            Self::Cmyk => 4,
        }
    }
}

/// The storage form of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Depth {
    pub(super) bits: usize,
    pub(super) kind: Number,
}

/// The kind of number of the samples: the tag `SampleFormat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Unsigned,
    Signed,
    Float,
}

/// Difference coding of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    Horizontal,
    Float,
}

/// The strips or tiles.
#[derive(Clone, Copy)]
pub(super) struct Chunks<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) across: usize,
    pub(super) down: usize,
    pub(super) tiled: bool,
    offsets: Values<'a>,
    bytes: Option<Values<'a>>,
}

/// A page that can be decoded.
pub(super) struct Page<'a> {
    pub(super) directory: &'a Directory<'a>,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) depth: Depth,
    /// The number of samples of a pixel in the file.
    pub(super) samples: usize,
    pub(super) colour: Colour<'a>,
    /// Whether the sample after the colours is an alpha by which they are multiplied.
    pub(super) premultiplied: bool,
    /// Whether each sample has strips or tiles of its own.
    pub(super) planar: bool,
    /// The number of pixels across and down that share their chroma samples, if samples are stored in such
    /// units.
    pub(super) units: Option<(usize, usize)>,
    pub(super) compression: Compression,
    pub(super) predictor: Predictor,
    /// Whether the bits of each byte are stored in reverse order.
    pub(super) bits_reversed: bool,
    /// Whether the JPEG decoder must convert YCbCr to RGB.
    pub(super) jpeg_ycbcr: bool,
    pub(super) chunks: Chunks<'a>,
    pub(super) orientation: u16,
}

/// Returns width and height as the directory declares them, checked against the limits.
pub(super) fn dimensions(directory: &Directory<'_>, limits: &Limits) -> Result<(u32, u32), DecodeError> {
    let side = |tag| {
        let side = directory.value(tag).ok_or(corrupt("a directory declares no width or no height"))?;
        Ok(u32::try_from(side).unwrap_or(u32::MAX))
    };
    let (width, height) = (side(tag::WIDTH)?, side(tag::HEIGHT)?);
    limits.check_dimensions(width, height)?;
    Ok((width, height))
}

impl<'a> Page<'a> {
    /// Reads and checks the values of the directory.
    pub(super) fn of(directory: &'a Directory<'a>, limits: &Limits) -> Result<Self, DecodeError> {
        let (width, height) = dimensions(directory, limits)?;
        if !LONG_TAGS.iter().all(|&tag| directory.is_whole(tag)) {
            return Err(TRUNCATED);
        }
        let value = |tag, default| directory.value(tag).unwrap_or(default);
        let compression = compression(directory)?;
        // Old-style JPEG implies YCbCr and three samples.
        let old_jpeg = compression == Compression::OldJpeg;
        let photometric = if old_jpeg { 6 } else { value(tag::PHOTOMETRIC, 0) };
        let samples =
            usize::try_from(value(tag::SAMPLES, if old_jpeg { 3 } else { 1 })).unwrap_or(usize::MAX);
        if !(1..=SAMPLES_MAX).contains(&samples) {
            return Err(unsupported("this many samples of a pixel; 1 to 6 are accepted"));
        }
        let depth = depth(directory, samples)?;
        let planar = value(tag::PLANAR, 1) == 2 && samples > 1;
        let jpeg_ycbcr = photometric == 6 && samples == 3 && compression == Compression::Jpeg;
        let mut page = Self {
            directory,
            width,
            height,
            depth,
            samples,
            colour: Colour::Rgb,
            premultiplied: premultiplied(directory, compression, planar),
            planar,
            units: None,
            compression,
            predictor: predictor(directory, compression)?,
            bits_reversed: value(tag::FILL_ORDER, 1) == 2,
            jpeg_ycbcr,
            chunks: chunks(directory, compression, (width, height), limits)?,
            orientation: u16::try_from(value(tag::ORIENTATION, 1)).unwrap_or(1),
        };
        page.colour = page.colour(photometric)?;
        let colours = page.colour.samples();
        if samples < colours {
            return Err(corrupt("a pixel has fewer samples than its colour needs"));
        }
        page.premultiplied &= samples > colours && matches!(page.colour, Colour::Grey { .. } | Colour::Rgb);
        page.check_depth()?;
        page.check_chunks()?;
        Ok(page)
    }

    /// Returns the meaning of the samples, and records units of shared chroma.
    fn colour(&mut self, photometric: u64) -> Result<Colour<'a>, DecodeError> {
        Ok(match photometric {
            0 | 1 => Colour::Grey { inverted: photometric == 0 },
            2 => Colour::Rgb,
            3 => Colour::Palette(
                self.directory.values(tag::COLOUR_MAP).ok_or(corrupt("a palette picture has no palette"))?,
            ),
            5 => Colour::Cmyk,
            6 if self.samples == 1 => Colour::Grey { inverted: false },
            // JPEG's own conversion gives RGB.
            6 if self.compression == Compression::Jpeg && !self.planar => Colour::Rgb,
            6 if self.compression == Compression::OldJpeg => Colour::YCbCr(Levels::of(self.directory)),
            6 => {
                self.units = self.units()?;
                let raw = self.compression == Compression::None;
                Colour::YCbCr(if raw { Levels::FULL } else { Levels::of(self.directory) })
            }
            8 => Colour::Lab,
            _ => return Err(unsupported("this colour space; re-encode the picture as PNG or JPEG")),
        })
    }

    /// Returns the units of YCbCr. Uncompressed samples without the tag have no units, which is how Pillow
    /// writes and reads them, unless the strip is too short for that.
    fn units(&self) -> Result<Option<(usize, usize)>, DecodeError> {
        let declared = self.directory.values(tag::SUBSAMPLING);
        let (across, down) = match declared {
            Some(values) => (values.get(0).unwrap_or(0), values.get(1).unwrap_or(0)),
            None if self.compression == Compression::None && self.first_chunk_is_whole() => (1, 1),
            None => (2, 2),
        };
        match (across, down) {
            (1, 1) => Ok(None),
            (1 | 2 | 4, 1 | 2 | 4) if !self.planar && self.samples == 3 && self.depth.bits == 8 => {
                Ok(Some((usize::try_from(across).unwrap_or(1), usize::try_from(down).unwrap_or(1))))
            }
            _ => Err(unsupported("this subsampling; re-encode the picture as PNG or JPEG")),
        }
    }

    fn first_chunk_is_whole(&self) -> bool {
        let whole = (self.chunks.width * self.chunks.height * self.samples) as u64;
        self.chunks.bytes.and_then(|bytes| bytes.get(0)).is_some_and(|bytes| bytes >= whole)
    }

    /// Checks that samples of this depth are supported.
    fn check_depth(&self) -> Result<(), DecodeError> {
        let Depth { bits, kind } = self.depth;
        let grey = matches!(self.colour, Colour::Grey { .. });
        let whole = match self.compression {
            Compression::HuffmanRows { .. } | Compression::Group3 { .. } | Compression::Group4 => {
                bits == 1 && self.samples == 1
            }
            Compression::Jpeg => bits == 8 || bits == 12,
            Compression::OldJpeg | Compression::WebP => bits == 8,
            Compression::None
            | Compression::Lzw
            | Compression::Deflate
            | Compression::PackBits
            | Compression::Lzma
            | Compression::Zstd => true,
        };
        let meant = match (kind, bits) {
            (Number::Unsigned, 8) => true,
            (Number::Unsigned, 1 | 2 | 4) => !matches!(self.colour, Colour::YCbCr(_) | Colour::Lab),
            (Number::Unsigned, 16) => matches!(self.colour, Colour::Grey { .. } | Colour::Rgb | Colour::Cmyk),
            (Number::Unsigned, 12 | 32) | (Number::Signed, 8 | 16 | 32) | (Number::Float, 32) => grey,
            _ => false,
        };
        if whole && meant {
            return Ok(());
        }
        Err(unsupported("samples of this depth; re-encode the picture as PNG or JPEG"))
    }

    /// Checks that there are as many strips or tiles as the picture needs.
    fn check_chunks(&self) -> Result<(), DecodeError> {
        if self.chunks.offsets.len() < self.chunk_count() {
            return Err(corrupt("there are fewer strips or tiles than the picture needs"));
        }
        Ok(())
    }

    /// Returns the number of samples of a pixel that are in the same strip or tile.
    pub(super) const fn samples_together(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Returns the number of samples of a pixel that determine its colour.
    pub(super) const fn samples_used(&self) -> usize {
        self.colour.samples() + self.premultiplied as usize
    }

    /// Returns the number of planes that are decoded.
    pub(super) const fn planes(&self) -> usize {
        if self.planar { self.samples_used() } else { 1 }
    }

    /// Returns the number of strips or tiles that are decoded.
    pub(super) const fn chunk_count(&self) -> usize {
        self.chunks.across * self.chunks.down * self.planes()
    }

    /// Returns the bytes of one row of a strip or tile, or of one row of units.
    pub(super) const fn row_bytes(&self) -> usize {
        match self.units {
            Some((across, down)) => self.chunks.width.div_ceil(across) * (across * down + 2),
            None => (self.chunks.width * self.samples_together() * self.depth.bits).div_ceil(8),
        }
    }

    /// Returns the bytes of this many rows of a strip or tile.
    pub(super) const fn chunk_bytes(&self, rows: usize) -> usize {
        match self.units {
            Some((_, down)) => rows.div_ceil(down) * self.row_bytes(),
            None => rows * self.row_bytes(),
        }
    }

    /// Returns the number of rows of the strips or tiles at this position from the top. The last strip has
    /// the remaining rows.
    pub(super) fn chunk_rows(&self, down: usize) -> usize {
        if self.chunks.tiled {
            self.chunks.height
        } else {
            self.chunks.height.min(self.height as usize - down * self.chunks.height)
        }
    }

    /// Returns the position of the first strip or tile.
    pub(super) fn first_offset(&self) -> Option<u64> {
        self.chunks.offsets.get(0)
    }

    /// Returns the stored bytes of a strip or tile that decompresses to `expected` bytes.
    pub(super) fn stored(
        &self,
        plane: usize,
        index: usize,
        expected: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let Chunks { across, down, offsets, bytes, .. } = self.chunks;
        let file = self.directory.file();
        // If several strips each cover the whole picture, the last one is used.
        let raw = self.compression == Compression::None;
        let last = raw && !self.planar && across * down == 1;
        let index = if last { offsets.len() - 1 } else { plane * across * down + index };
        let offset = offsets.get(index).ok_or(TRUNCATED)?;
        if raw {
            return file.bytes(offset, expected as u64).ok_or(TRUNCATED);
        }
        match bytes.and_then(|bytes| bytes.get(index)).filter(|&bytes| bytes > 0) {
            Some(bytes) => file.bytes(offset, bytes),
            None => file.rest(offset),
        }
        .ok_or(TRUNCATED)
    }
}

fn compression(directory: &Directory<'_>) -> Result<Compression, DecodeError> {
    Ok(match directory.value(tag::COMPRESSION).unwrap_or(1) {
        1 => Compression::None,
        2 => Compression::HuffmanRows { word: false },
        3 => {
            let options = directory.value(tag::GROUP_3_OPTIONS).unwrap_or(0);
            Compression::Group3 { two_dimensional: options & 1 != 0 }
        }
        4 => Compression::Group4,
        5 => Compression::Lzw,
        6 => Compression::OldJpeg,
        7 => Compression::Jpeg,
        8 | 32946 => Compression::Deflate,
        32771 => Compression::HuffmanRows { word: true },
        32773 => Compression::PackBits,
        34925 => Compression::Lzma,
        50000 => Compression::Zstd,
        50001 => Compression::WebP,
        _ => return Err(unsupported("this compression; re-encode the picture as PNG or JPEG")),
    })
}

/// Checks whether the first extra sample is an alpha by which the colours are multiplied. For compressed
/// planes, Pillow also treats a sample without a declared meaning as such an alpha.
fn premultiplied(directory: &Directory<'_>, compression: Compression, planar: bool) -> bool {
    match directory.value(tag::EXTRA_SAMPLES) {
        Some(kind) => kind == 1,
        None => planar && compression != Compression::None,
    }
}

/// Returns the predictor, which only some compressions have.
fn predictor(directory: &Directory<'_>, compression: Compression) -> Result<Predictor, DecodeError> {
    let predicted = matches!(
        compression,
        Compression::Lzw | Compression::Deflate | Compression::Lzma | Compression::Zstd
    );
    match directory.value(tag::PREDICTOR).filter(|_| predicted).unwrap_or(1) {
        1 => Ok(Predictor::None),
        2 => Ok(Predictor::Horizontal),
        3 => Ok(Predictor::Float),
        _ => Err(unsupported("this predictor; re-encode the picture as PNG or JPEG")),
    }
}

fn depth(directory: &Directory<'_>, samples: usize) -> Result<Depth, DecodeError> {
    /// Returns the one value that a tag has for all samples.
    fn same(values: Option<Values<'_>>, default: u64, samples: usize) -> Option<u64> {
        let Some(values) = values else { return Some(default) };
        let first = values.get(0)?;
        (1..values.len().min(samples)).all(|index| values.get(index) == Some(first)).then_some(first)
    }
    let mixed = unsupported("samples of different depths; re-encode the picture as PNG or JPEG");
    let bits = same(directory.values(tag::BITS), 1, samples).ok_or(mixed.clone())?;
    let kind = match same(directory.values(tag::SAMPLE_FORMAT), 1, samples).ok_or(mixed)? {
        2 => Number::Signed,
        3 => Number::Float,
        // The format "undefined" (4) is read like whole numbers.
        _ => Number::Unsigned,
    };
    Ok(Depth { bits: usize::try_from(bits).unwrap_or(usize::MAX), kind })
}

fn chunks<'a>(
    directory: &'a Directory<'a>,
    compression: Compression,
    (width, height): (u32, u32),
    limits: &Limits,
) -> Result<Chunks<'a>, DecodeError> {
    let tile = directory.value(tag::TILE_WIDTH).zip(directory.value(tag::TILE_HEIGHT));
    let strip_offsets = directory.values(tag::STRIP_OFFSETS);
    // Old files have their tiles in the tags of strips. If such tiles are uncompressed, Pillow reads them as
    // strips.
    let tile_offsets =
        directory.values(tag::TILE_OFFSETS).or(strip_offsets.filter(|_| compression != Compression::None));
    let chunks = match tile.filter(|_| tile_offsets.is_some()) {
        Some((tile_width, tile_height)) => {
            let side = |side| usize::try_from(side).ok().filter(|side| (1..1 << 24).contains(side));
            let no_tiles = corrupt("tiles have no size");
            let tile_width = side(tile_width).ok_or(no_tiles.clone())?;
            let tile_height = side(tile_height).ok_or(no_tiles)?;
            Chunks {
                width: tile_width,
                height: tile_height,
                across: (width as usize).div_ceil(tile_width),
                down: (height as usize).div_ceil(tile_height),
                tiled: true,
                offsets: tile_offsets.ok_or(TRUNCATED)?,
                bytes: directory.values(tag::TILE_BYTES).or(directory.values(tag::STRIP_BYTES)),
            }
        }
        None => {
            let rows = directory.value(tag::ROWS_PER_STRIP).unwrap_or(u64::MAX);
            let rows = usize::try_from(rows).unwrap_or(usize::MAX).min(height as usize);
            if rows == 0 {
                return Err(corrupt("strips have no rows"));
            }
            Chunks {
                width: width as usize,
                height: rows,
                across: 1,
                down: (height as usize).div_ceil(rows),
                tiled: false,
                offsets: strip_offsets.ok_or(TRUNCATED)?,
                bytes: directory.values(tag::STRIP_BYTES),
            }
        }
    };
    // Padding is decoded too, so its size is limited like the picture's.
    let padded = (chunks.width * chunks.across) as u64 * (chunks.height * chunks.down) as u64;
    let pixels = u64::from(width) * u64::from(height);
    if chunks.tiled && padded > pixels.saturating_mul(4).saturating_add(TILE_MARGIN_PIXELS) {
        return Err(DecodeError::AllocTooLarge { bytes_max: limits.alloc_bytes_max });
    }
    Ok(chunks)
}
