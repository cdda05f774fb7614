//! TIFF and BigTIFF: every page of the main chain, in the layouts, compressions and colours that Pillow
//! reads.
//!
//! The crate `tiff` is not used: it supports neither palettes, YCbCr nor reversed bits, undoes the predictor
//! of four samples wrongly, and allocates memory and does work according to what a file declares. This module
//! reads the directories in place ([`directory`]), checks the declarations of a page ([`page`]), passes its
//! strips and tiles to the usual decompressors ([`unpack`], [`fax`], [`jpeg`]) and converts the samples
//! ([`rows`]). Pillow itself reads uncompressed files, and libtiff the others; where the two differ, this
//! module differs in the same way.
//!
//! Work is limited by the picture and the file. The decompressed bytes of a page are those that its declared
//! pixels need, and all strips together may not read more bytes than the file and the decompressed samples
//! have ([`Work`]).

use crate::error::DecodeError;
use crate::frames::{Frame, Frames, Samples};
use crate::limits::Limits;
use crate::luma::Luma;
use crate::orientation::Orientation;
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

mod directory;
mod tag;
mod page;
mod unpack;
mod fax;
mod jpeg;
mod lossless;
mod ycbcr;
mod lab;
mod rows;
#[cfg(test)]
mod tests;

use directory::{Directory, File};
use jpeg::Streams;
use page::{Colour, Compression, Page};
use rows::Rows;

pub(super) const FORMAT: &str = "TIFF";

/// The largest number of directories that are read. All further ones count as one page that was left out.
const DIRECTORIES_MAX: usize = 1_000;

/// The largest number of strips and tiles of one file that are decompressed. Starting one takes up to 16
/// microseconds (measured), whatever it contains, and all pages may refer to the same ones.
const CHUNKS_MAX: usize = 131_072;

/// The number of bytes that each strip or tile may have beyond its samples, for shared tables and data that
/// do not compress.
const CHUNK_OVERHEAD_BYTES: u64 = 1_024;

const TRUNCATED: DecodeError = DecodeError::Truncated { format: FORMAT };

const TOO_MANY_CHUNKS: DecodeError =
    unsupported("this many strips or tiles; re-encode the picture as PNG or JPEG");

const fn corrupt(reason: &'static str) -> DecodeError {
    DecodeError::Corrupt { reason }
}

const fn unsupported(reason: &'static str) -> DecodeError {
    DecodeError::Unsupported { format: FORMAT, reason }
}

/// Decodes a TIFF.
///
/// A page that cannot be decoded is left out, unless it is the first one.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let file = File::new(content);
    let mut offset = file.first().ok_or(TRUNCATED)?;
    let mut seen = Vec::new();
    let mut work = Work { bytes_left: content.len() as u64, chunks_left: CHUNKS_MAX };
    while offset != 0 && !seen.contains(&offset) {
        if seen.len() == DIRECTORIES_MAX {
            frames.leave_out(1);
            break;
        }
        seen.push(offset);
        let directory = file.directory(offset).ok_or(TRUNCATED)?;
        offset = directory.next.unwrap_or(0);
        match decode_page(&directory, limits, &mut work, frames) {
            Err(error) if frames.taken() == 0 => return Err(error),
            Err(_) => frames.leave_out(1),
            Ok(()) => {}
        }
        if directory.next.is_none() {
            // There may be more pages after this one.
            frames.leave_out(1);
        }
    }
    Ok(())
}

/// Decodes the page of one directory, if it is wanted.
fn decode_page(
    directory: &Directory<'_>,
    limits: &Limits,
    work: &mut Work,
    frames: &mut Frames<'_>,
) -> Result<(), DecodeError> {
    let (width, height) = page::dimensions(directory, limits)?;
    if !frames.wants(width, height) {
        return Ok(());
    }
    let page = Page::of(directory, limits)?;
    let orientation = Orientation::from_tag(page.orientation);
    let (picture, indices) = samples(&page, limits, work)?;
    // Indices are not rotated, and no tool hashes the indices of the picture as stored.
    let indices = indices.filter(|_| orientation == Orientation::UPRIGHT);
    frames.take(Frame { time: None, samples: Samples::Rgb(picture), orientation, indices });
    Ok(())
}

/// Decodes the samples of a page: as RGB, and as palette indices.
fn samples(
    page: &Page<'_>,
    limits: &Limits,
    work: &mut Work,
) -> Result<(Picture, Option<Luma>), DecodeError> {
    let (width, height) = (page.width as usize, page.height as usize);
    let chunks = &page.chunks;
    let planes = page.planes();
    // Uncompressed samples are read in place.
    let in_place = page.compression == Compression::None && !page.bits_reversed && planes == 1;
    let buffer_bytes = if in_place { 0 } else { planes * page.chunk_bytes(chunks.height) };
    let index_bytes = if matches!(page.colour, Colour::Palette(_)) { width * height } else { 0 };
    let bytes = width * height * CHANNELS + index_bytes + buffer_bytes + chunks.width * page.samples_used();
    limits.check_alloc(bytes as u64)?;
    let rest = Limits { alloc_bytes_max: limits.alloc_bytes_max - bytes as u64, ..*limits };
    work.allow(page);

    let mut rgb = Pixels::zeroed(width * height * CHANNELS);
    let mut indices = Pixels::zeroed(index_bytes);
    let mut buffer = vec![0; buffer_bytes];
    let mut rows = Rows::new(page);
    let streams = Streams::new(page)?;
    for down in 0..chunks.down {
        let chunk_rows = page.chunk_rows(down);
        let top = down * chunks.height;
        let expected = page.chunk_bytes(chunk_rows);
        for across in 0..chunks.across {
            let index = down * chunks.across + across;
            let stored = if in_place {
                page.stored(0, index, expected)?
            } else {
                for (plane, out) in buffer.chunks_exact_mut(expected).take(planes).enumerate() {
                    let data = jpeg::enclosed(page, page.stored(plane, index, expected)?);
                    work.spend(data.len() + streams.header_bytes())?;
                    unpack(page, &streams, data, chunk_rows, out, &rest)?;
                }
                &buffer[..planes * expected]
            };
            let left = across * chunks.width;
            let columns = chunks.width.min(width - left);
            for row in 0..chunk_rows.min(height - top) {
                let first = (top + row) * width + left;
                let rgb = &mut rgb[first * CHANNELS..][..columns * CHANNELS];
                let indices = (index_bytes > 0).then(|| &mut indices[first..][..columns]);
                rows.convert(stored, row, rgb, indices);
            }
        }
    }
    let picture = Picture::from_pixels(page.width, page.height, rgb)
        .ok_or(corrupt("the image holds another number of pixels than it declares"))?;
    let indices = (index_bytes > 0).then(|| Luma::new(page.width, page.height, width, indices)).flatten();
    Ok((picture, indices))
}

/// Decompresses a strip or tile of `rows` rows.
fn unpack(
    page: &Page<'_>,
    streams: &Streams,
    data: &[u8],
    rows: usize,
    out: &mut [u8],
    limits: &Limits,
) -> Result<(), DecodeError> {
    if matches!(page.compression, Compression::Jpeg | Compression::OldJpeg | Compression::WebP) {
        return streams.decode(page, data, rows, out, limits);
    }
    unpack::decompress(page, data, out, limits.alloc_bytes_max)?;
    unpack::unpredict(page, out)
}

/// The remaining work of decompressors.
///
/// A directory may name the same bytes for every strip, and most compressions have codes that produce no
/// output. All strips together therefore read at most as many bytes as the file has, plus for each page as
/// many as its samples have. A file that shares its blank tiles needs that many.
struct Work {
    bytes_left: u64,
    /// The number of strips and tiles that may still be decompressed.
    chunks_left: usize,
}

impl Work {
    /// Adds the bytes of a page's samples.
    fn allow(&mut self, page: &Page<'_>) {
        let chunks = page.chunk_count() as u64;
        let bytes = chunks * (page.chunk_bytes(page.chunks.height) as u64 + CHUNK_OVERHEAD_BYTES);
        self.bytes_left = self.bytes_left.saturating_add(bytes);
    }

    /// Counts the bytes that a strip or tile reads.
    fn spend(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.chunks_left = self.chunks_left.checked_sub(1).ok_or(TOO_MANY_CHUNKS)?;
        let left = self.bytes_left.checked_sub(bytes as u64);
        self.bytes_left = left.ok_or(corrupt("strips or tiles overlap"))?;
        Ok(())
    }
}
