//! Strips and tiles that are JPEG or WebP streams, decoded by the modules of those formats.
//!
//! TIFF stores the tables that all strips share in a tag, and a tag declares whether the samples are YCbCr:
//! markers in the strips do not count (TIFF Technical Note 2). Each strip is therefore turned into a whole
//! JPEG file, with the tables and with a marker that declares the meaning of the samples.
//!
//! The older way (TIFF 6.0, section 22) has the headers in a separate stream, or each table in a tag, or
//! everything in the strip, and writers mixed these. A strip's missing parts are taken from there.

use crate::error::DecodeError;
use crate::frames::{Frame, Frames, Samples, Taken};
use crate::limits::Limits;
use crate::picture::Picture;

use super::directory::Directory;
use super::page::{Compression, Page};
use super::{TRUNCATED, corrupt, lossless, tag, unsupported};

mod marker {
    pub(super) const START: u8 = 0xd8;
    pub(super) const END: u8 = 0xd9;
    pub(super) const SCAN: u8 = 0xda;
    pub(super) const FRAME: u8 = 0xc0;
    pub(super) const HUFFMAN: u8 = 0xc4;
    pub(super) const QUANTISATION: u8 = 0xdb;
}

const START: [u8; 2] = [0xff, marker::START];
const END: [u8; 2] = [0xff, marker::END];
const SCAN: [u8; 2] = [0xff, marker::SCAN];

/// The number of rows by which a strip's JPEG may exceed the strip, because encoders complete the last row of
/// blocks.
const ROWS_MORE_MAX: usize = 64;

/// The data that the strips of a page share.
#[derive(Default)]
pub(super) struct Streams {
    /// The beginning of a JPEG file: a marker of colour, and the tables.
    tables: Vec<u8>,
    /// The position of a frame header in it, and the header's values.
    frame: Option<Shape>,
    /// The header of the scan, for strips that are a scan's data only.
    scan: Vec<u8>,
}

/// The position of a frame header in a stream, and the width, height and components that it declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    at: usize,
    width: usize,
    height: usize,
    components: usize,
}

impl Streams {
    /// Reads the data that the page's directory has for all strips.
    pub(super) fn new(page: &Page<'_>) -> Result<Self, DecodeError> {
        let mut streams = Self::default();
        if !matches!(page.compression, Compression::Jpeg | Compression::OldJpeg) {
            return Ok(streams);
        }
        streams.tables.extend(START);
        // Adobe's marker: version 100, no flags, and whether three components are YCbCr.
        streams.tables.extend(*b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0");
        streams.tables.push(u8::from(page.jpeg_ycbcr));
        if page.compression == Compression::Jpeg {
            let tables = page.directory.values(tag::JPEG_TABLES).map_or(&[][..], |tables| tables.bytes());
            copy_segments(tables, &mut streams.tables, &mut streams.frame)?;
            return Ok(streams);
        }
        match interchange(page) {
            Some(stream) => {
                // The end of a scan header may be in the first strip.
                let scan = copy_segments(stream, &mut streams.tables, &mut streams.frame)?;
                streams.scan.extend(scan_header(scan).unwrap_or(scan));
            }
            None => {
                copy_tables(page.directory, &mut streams.tables)?;
                streams.frame = Some(frame_header(page, &mut streams.tables)?);
            }
        }
        if streams.scan.is_empty()
            && let Some(scan) = page.stored(0, 0, 0).ok().and_then(scan_header)
        {
            streams.scan.extend(scan);
        }
        if streams.scan.is_empty() {
            // One scan of all components, each with its own tables.
            let count = byte(page.samples)?;
            streams.scan.extend([0xff, marker::SCAN, 0, 6 + 2 * count, count]);
            streams.scan.extend((1..=count).flat_map(|number| [number, (number - 1) * 0x11]));
            streams.scan.extend([0, 63, 0]);
        }
        Ok(streams)
    }

    /// Returns the number of bytes that each strip reads besides its own.
    pub(super) const fn header_bytes(&self) -> usize {
        self.tables.len() + self.scan.len()
    }

    /// Decodes the stream of a strip or tile of `rows` rows into `out`, sample by sample.
    pub(super) fn decode(
        &self,
        page: &Page<'_>,
        data: &[u8],
        rows: usize,
        out: &mut [u8],
        limits: &Limits,
    ) -> Result<(), DecodeError> {
        let samples = page.samples_together();
        if !matches!((page.compression, samples), (_, 1 | 3) | (Compression::Jpeg, 4)) {
            return Err(unsupported("JPEG with this many samples; re-encode the picture as PNG or JPEG"));
        }
        let picture = if page.compression == Compression::WebP {
            decode_nested(super::super::webp::decode, data, limits)?
        } else {
            let (stream, shape) = self.whole_stream(page, data, rows)?;
            let fits = shape.width == page.chunks.width
                && (rows..=page.chunks.height + ROWS_MORE_MAX).contains(&shape.height)
                && shape.components == samples;
            if !fits {
                return Err(OTHER_SIZE);
            }
            if stream[shape.at + 1] == lossless::FRAME && page.compression == Compression::Jpeg {
                return decode_lossless(page, &stream, out);
            }
            if page.depth.bits != 8 {
                return Err(unsupported("lossy JPEG of 12 bits; re-encode the picture as PNG or JPEG"));
            }
            if samples == 4 {
                return super::super::jpeg::stored::decode(&stream, limits, out);
            }
            decode_nested(super::super::jpeg::decode, &stream, limits)?
        };
        let pixels = page.chunks.width * rows;
        if picture.width() as usize != page.chunks.width || picture.rgb().len() < pixels * 3 {
            return Err(OTHER_SIZE);
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

    /// Returns a JPEG file made of the shared data and a strip's own stream.
    fn whole_stream(
        &self,
        page: &Page<'_>,
        data: &[u8],
        rows: usize,
    ) -> Result<(Vec<u8>, Shape), DecodeError> {
        let mut stream = Vec::with_capacity(self.header_bytes() + data.len() + 8);
        stream.extend(&self.tables);
        let mut shape = self.frame;
        let old = page.compression == Compression::OldJpeg;
        let is_scan_data = old && !data.starts_with(&START) && !data.starts_with(&SCAN);
        let scans = if is_scan_data {
            data
        } else {
            // The strip's own frame header replaces the shared one.
            let shared = shape.filter(|_| data.starts_with(&START)).map(|shape| (shape, stream.len()));
            let mut own = None;
            let scans = copy_segments(data, &mut stream, &mut own)?;
            if let (Some(mut own), Some((shared, _))) = (own, shared) {
                let len = segment_bytes(&stream, shared.at);
                stream.drain(shared.at..shared.at + len);
                own.at -= len;
                shape = Some(own);
            } else {
                shape = own.or(shape);
            }
            scans
        };
        let mut shape = shape.ok_or(corrupt("a strip's JPEG declares no size"))?;
        if old && !data.starts_with(&START) {
            // The shared header has the size of the whole picture.
            shape.height = rows;
            shape.width = page.chunks.width;
            let (height, width) = (u16::try_from(rows), u16::try_from(page.chunks.width));
            let (Ok(height), Ok(width)) = (height, width) else { return Err(OTHER_SIZE) };
            stream[shape.at + 5..][..2].copy_from_slice(&height.to_be_bytes());
            stream[shape.at + 7..][..2].copy_from_slice(&width.to_be_bytes());
        }
        if is_scan_data {
            stream.extend(&self.scan);
        }
        stream.extend(scans);
        if old && !stream.ends_with(&END) {
            stream.extend(END);
        }
        Ok((stream, shape))
    }
}

const OTHER_SIZE: DecodeError = corrupt("a strip's JPEG has another size than the strip");

fn byte(number: usize) -> Result<u8, DecodeError> {
    u8::try_from(number).map_err(|_| corrupt("a JPEG's header has a number that is too large"))
}

/// Decodes a strip's lossless JPEG. libjpeg converts no colours of such files.
fn decode_lossless(page: &Page<'_>, stream: &[u8], out: &mut [u8]) -> Result<(), DecodeError> {
    if page.jpeg_ycbcr {
        return Err(unsupported("lossless JPEG of YCbCr; re-encode the picture as PNG or JPEG"));
    }
    let output = lossless::Output { rows: out, row_bytes: page.row_bytes(), bits: page.depth.bits };
    lossless::decode(stream, output)
}

/// Decodes one picture of another format.
fn decode_nested(
    decode: impl Fn(&[u8], &Limits, &mut Frames<'_>) -> Result<(), DecodeError>,
    data: &[u8],
    limits: &Limits,
) -> Result<Picture, DecodeError> {
    let limits = Limits { frames_max: 1, ..*limits };
    let mut picture = None;
    let mut visit = |_, frame: Frame| match frame.samples {
        Samples::Near(_) => Taken::NeedsRgb,
        Samples::Rgb(rgb) => {
            picture = Some(rgb);
            Taken::Hashed
        }
    };
    decode(data, &limits, &mut Frames::exact(&limits, &mut visit))?;
    picture.ok_or(corrupt("a strip holds no picture"))
}

/// Copies the segments before the first scan, without application segments and comments, and returns the
/// rest.
fn copy_segments<'a>(
    mut data: &'a [u8],
    out: &mut Vec<u8>,
    frame: &mut Option<Shape>,
) -> Result<&'a [u8], DecodeError> {
    data = data.strip_prefix(&START).unwrap_or(data);
    loop {
        let segment = match data {
            [] => return Ok(data),
            [0xff, 0xff, ..] => {
                data = &data[1..];
                continue;
            }
            [0xff, marker::SCAN, ..] => return Ok(data),
            [0xff, marker::END, ..] => return Ok(&[]),
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
            // Application segments and comments.
            0xe0..=0xef | 0xfe => continue,
            // Frame headers. Tables and reserved markers have numbers in the same range.
            0xc0..=0xcf if !matches!(segment[1], 0xc4 | 0xc8 | 0xcc) => {
                let &[height_1, height_0, width_1, width_0, components] =
                    segment.get(5..10).and_then(|sides| sides.first_chunk()).ok_or(TRUNCATED)?;
                *frame = Some(Shape {
                    at: out.len(),
                    width: u16::from_be_bytes([width_1, width_0]).into(),
                    height: u16::from_be_bytes([height_1, height_0]).into(),
                    components: components.into(),
                });
            }
            _ => {}
        }
        out.extend(segment);
    }
}

/// Returns the stream of headers that old strips share, which ends where the first strip begins.
fn interchange<'a>(page: &Page<'a>) -> Option<&'a [u8]> {
    let offset = page.directory.value(tag::INTERCHANGE)?;
    let stream = page.directory.file().rest(offset)?;
    let to_strip = page.first_offset().and_then(|strip| strip.checked_sub(offset));
    let declared = page.directory.value(tag::INTERCHANGE_BYTES).filter(|&bytes| bytes > 0);
    let len = to_strip.into_iter().chain(declared).min().and_then(|len| usize::try_from(len).ok());
    let stream = len.and_then(|len| stream.get(..len)).unwrap_or(stream);
    (stream.is_empty() || stream.starts_with(&START)).then_some(stream)
}

/// Returns the data of an only strip. If the interchange stream encloses them, they extend to its end,
/// because writers have declared fewer bytes.
pub(super) fn enclosed<'a>(page: &Page<'a>, data: &'a [u8]) -> &'a [u8] {
    let longer = || {
        let offset = page.first_offset()?;
        let start = page.directory.value(tag::INTERCHANGE)?;
        let end = start.checked_add(page.directory.value(tag::INTERCHANGE_BYTES)?)?;
        page.directory.file().bytes(offset, end.checked_sub(offset)?)
    };
    let only = page.compression == Compression::OldJpeg && page.chunk_count() == 1;
    longer().filter(|longer| only && longer.len() > data.len()).unwrap_or(data)
}

/// Returns the length of the segment at `at`, including its marker.
fn segment_bytes(stream: &[u8], at: usize) -> usize {
    2 + usize::from(u16::from_be_bytes([stream[at + 2], stream[at + 3]]))
}

/// Returns the header at the beginning of a scan.
fn scan_header(scan: &[u8]) -> Option<&[u8]> {
    let &[0xff, marker::SCAN, high, low] = scan.first_chunk()? else { return None };
    scan.get(..2 + usize::from(u16::from_be_bytes([high, low])))
}

/// Writes the tables that are in tags, in the order of the components.
fn copy_tables(directory: &Directory<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let table = |tag, number: u8| {
        let offset = directory.values(tag)?.get(number.into())?;
        directory.file().rest(offset)
    };
    for number in 0..3 {
        if let Some(steps) = table(tag::QUANTISATION_TABLES, number) {
            out.extend([0xff, marker::QUANTISATION, 0, 2 + 1 + 64, number]);
            out.extend(steps.get(..64).ok_or(TRUNCATED)?);
        }
        for (class, tag) in [tag::DC_TABLES, tag::AC_TABLES].into_iter().enumerate() {
            if let Some(codes) = table(tag, number) {
                let counts = codes.get(..16).ok_or(TRUNCATED)?;
                let len = 16 + counts.iter().map(|&count| usize::from(count)).sum::<usize>();
                let segment_len = u16::try_from(2 + 1 + len).map_err(|_| OTHER_SIZE)?;
                out.extend([0xff, marker::HUFFMAN]);
                out.extend(segment_len.to_be_bytes());
                out.push(byte(class)? << 4 | number);
                out.extend(codes.get(..len).ok_or(TRUNCATED)?);
            }
        }
    }
    Ok(())
}

/// Writes the header of a baseline frame.
fn frame_header(page: &Page<'_>, out: &mut Vec<u8>) -> Result<Shape, DecodeError> {
    let sampling = page.directory.values(tag::SUBSAMPLING);
    let sampling = |index| {
        let declared = sampling.map_or(Some(2), |values| values.get(index));
        declared.and_then(|factor| u8::try_from(factor).ok()).filter(|factor| (1..=4).contains(factor))
    };
    let (Some(across), Some(down)) = (sampling(0), sampling(1)) else {
        return Err(corrupt("a JPEG's subsampling is none"));
    };
    let at = out.len();
    let count = byte(page.samples)?;
    out.extend([0xff, marker::FRAME, 0, 8 + 3 * count, 8, 0, 0, 0, 0, count]);
    for number in 1..=count {
        let factors = if number == 1 && count > 1 { across << 4 | down } else { 0x11 };
        out.extend([number, factors, number - 1]);
    }
    Ok(Shape { at, width: 0, height: 0, components: page.samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_copied_up_to_the_scan_without_markers_of_applications() {
        let strip =
            b"\xff\xd8\xff\xee\0\x04xx\xff\xff\xfe\0\x03c\xff\xdb\0\x04QQ\xff\xc0\0\x09\x08\0\x10\0\x20\x03\x01\xff\xda\0\x02data\xff\xd9";
        let (mut out, mut frame) = (b"..".to_vec(), None);
        let scans = copy_segments(strip, &mut out, &mut frame).unwrap();
        assert_eq!(scans, b"\xff\xda\0\x02data\xff\xd9");
        assert_eq!(out, b"..\xff\xdb\0\x04QQ\xff\xc0\0\x09\x08\0\x10\0\x20\x03\x01");
        assert_eq!(frame, Some(Shape { at: 8, width: 32, height: 16, components: 3 }));
        assert_eq!(scan_header(scans), Some(&b"\xff\xda\0\x02"[..]));
        assert_eq!(copy_segments(&strip[..24], &mut out, &mut frame).unwrap_err(), TRUNCATED);
    }
}
