//! Strips and tiles that are JPEG or WebP streams, decoded by the modules of those formats.
//!
//! TIFF keeps the tables that all strips share in a tag, and says itself whether the samples are YCbCr: markers in the
//! strips do not count (TIFF Technical Note 2). So each strip is made a whole JPEG file, with the tables and with a marker
//! that says what its samples are.

use crate::error::DecodeError;
use crate::frames::{Frame, Frames, Samples, Taken};
use crate::limits::Limits;
use crate::picture::Picture;

use super::page::{Compression, Page};
use super::{TRUNCATED, corrupt, unsupported};

const START: [u8; 2] = [0xff, 0xd8];
const END_MARKER: u8 = 0xd9;
const SCAN_MARKER: u8 = 0xda;

/// A strip's JPEG may have so many rows more than the strip: encoders fill up the last row of blocks.
const ROWS_MORE_MAX: usize = 64;

/// Decodes the stream of a strip or tile of `rows` rows into `out`, sample by sample.
pub(super) fn decode(
    page: &Page<'_>,
    data: &[u8],
    rows: usize,
    out: &mut [u8],
    limits: &Limits,
) -> Result<(), DecodeError> {
    let samples = page.samples_together();
    if !matches!(samples, 1 | 3) {
        return Err(unsupported("JPEG with this many samples; re-encode the picture as PNG or JPEG"));
    }
    let picture = if page.compression == Compression::WebP {
        decode_nested(super::super::webp::decode, data, limits)?
    } else {
        let tables = page.jpeg_tables.map_or(&[][..], |tables| tables.bytes());
        let (stream, shape) = whole_stream(tables, data, page.jpeg_ycbcr)?;
        let fits = shape.width == page.chunks.width
            && (rows..=page.chunks.height + ROWS_MORE_MAX).contains(&shape.height)
            && shape.components == samples;
        if !fits {
            return Err(corrupt("a strip's JPEG has another size than the strip"));
        }
        decode_nested(super::super::jpeg::decode, &stream, limits)?
    };
    let pixels = page.chunks.width * rows;
    if picture.width() as usize != page.chunks.width || picture.rgb().len() < pixels * 3 {
        return Err(corrupt("a strip's JPEG has another size than the strip"));
    }
    let rgb = &picture.rgb()[..pixels * 3];
    if samples == 3 {
        out.copy_from_slice(rgb);
    } else {
        for (grey, pixel) in out.iter_mut().zip(rgb.as_chunks::<3>().0) {
            *grey = pixel[0];
        }
    }
    Ok(())
}

/// Decodes one picture of another format.
pub(super) fn decode_nested(
    decode: impl Fn(&[u8], &Limits, &mut Frames<'_>) -> Result<(), DecodeError>,
    data: &[u8],
    limits: &Limits,
) -> Result<Picture, DecodeError> {
    let limits = Limits { frames_max: 1, ..*limits };
    let mut picture = None;
    let mut visit = |_, frame: Frame| match frame.samples {
        Samples::Luma(_) => Taken::NeedsRgb,
        Samples::Rgb(rgb) => {
            picture = Some(rgb);
            Taken::Hashed
        }
    };
    decode(data, &limits, &mut Frames::new(&limits, &mut visit))?;
    picture.ok_or(corrupt("a strip holds no picture"))
}

/// Width, height and components that a JPEG declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shape {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: usize,
}

/// A JPEG file of shared tables and a strip's own stream.
fn whole_stream(tables: &[u8], data: &[u8], ycbcr: bool) -> Result<(Vec<u8>, Shape), DecodeError> {
    let mut stream = Vec::with_capacity(tables.len() + data.len() + 16);
    stream.extend(START);
    // Adobe's marker: version 100, no flags, and whether three components are YCbCr.
    stream.extend(*b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0");
    stream.push(u8::from(ycbcr));
    let mut shape = Shape::default();
    copy_segments(tables, &mut stream, &mut shape)?;
    let scans = copy_segments(data, &mut stream, &mut shape)?;
    stream.extend(scans);
    Ok((stream, shape))
}

/// Copies the segments before the first scan, without applications' markers and comments; the rest is returned.
pub(super) fn copy_segments<'a>(
    mut data: &'a [u8],
    out: &mut Vec<u8>,
    shape: &mut Shape,
) -> Result<&'a [u8], DecodeError> {
    data = data.strip_prefix(&START).unwrap_or(data);
    loop {
        let segment = match data {
            [] => return Ok(data),
            [0xff, 0xff, ..] => {
                data = &data[1..];
                continue;
            }
            [0xff, SCAN_MARKER, ..] => return Ok(data),
            [0xff, END_MARKER, ..] => return Ok(&[]),
            [0xff, _, high, low, ..] => {
                let len = 2 + usize::from(u16::from_be_bytes([*high, *low]));
                let (segment, rest) = data.split_at_checked(len).ok_or(TRUNCATED)?;
                data = rest;
                segment
            }
            [0xff] | [0xff, _] | [0xff, _, _] => return Err(TRUNCATED),
            _ => return Err(corrupt("a strip's JPEG has no segments")),
        };
        match segment[1] {
            // Applications' data and comments.
            0xe0..=0xef | 0xfe => continue,
            // Frame headers; tables and reserved markers have numbers among them.
            0xc0..=0xcf if !matches!(segment[1], 0xc4 | 0xc8 | 0xcc) => {
                let [height_1, height_0, width_1, width_0, components] =
                    *segment.get(5..10).and_then(|sides| sides.first_chunk()).ok_or(TRUNCATED)?;
                *shape = Shape {
                    width: u16::from_be_bytes([width_1, width_0]).into(),
                    height: u16::from_be_bytes([height_1, height_0]).into(),
                    components: components.into(),
                };
            }
            _ => {}
        }
        out.extend(segment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_strip_become_one_stream_with_one_marker_of_colour() {
        let tables = b"\xff\xd8\xff\xdb\0\x04QQ\xff\xd9";
        let strip = b"\xff\xd8\xff\xee\0\x04xx\xff\xc0\0\x0b\x08\0\x10\0\x20\x03\x01\x22\0\xff\xda\0\x02data\xff\xd9";
        let (stream, shape) = whole_stream(tables, strip, true).unwrap();
        let expected = b"\xff\xd8\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x01\xff\xdb\0\x04QQ\
            \xff\xc0\0\x0b\x08\0\x10\0\x20\x03\x01\x22\0\xff\xda\0\x02data\xff\xd9";
        assert_eq!(stream, expected);
        assert_eq!(shape, Shape { width: 32, height: 16, components: 3 });
        assert_eq!(whole_stream(tables, &strip[..20], true).unwrap_err(), TRUNCATED);
    }
}
