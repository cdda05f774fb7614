//! A strip or tile: decompression, and the predictor that was applied before compression.
//!
//! Every decompressor writes into a buffer of the size that the picture needs, and stops when it is full.
//! Further data of a stream are ignored, as in libtiff.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;
use weezl::BitOrder;
use weezl::LzwStatus;
use weezl::decode::Decoder as Lzw;

use crate::error::DecodeError;

use super::page::{Compression, Depth, Page, Predictor};
use super::{TRUNCATED, corrupt, fax, unsupported};

/// The largest window or dictionary of a decompressor in bytes: the one that the highest presets of Zstandard
/// declare.
const WINDOW_BYTES_MAX: u64 = 128 << 20;

const DAMAGED: DecodeError = corrupt("compressed samples cannot be decompressed");

/// Decompresses `data` into `out`. JPEG and WebP are not among the compressions here.
///
/// `window_bytes_max` limits the additional memory of a decompressor.
pub(super) fn decompress(
    page: &Page<'_>,
    data: &[u8],
    out: &mut [u8],
    window_bytes_max: u64,
) -> Result<(), DecodeError> {
    let reversed;
    let data = if page.bits_reversed {
        reversed = data.iter().map(|byte| byte.reverse_bits()).collect::<Vec<_>>();
        &reversed
    } else {
        data
    };
    let window_bytes_max = window_bytes_max.min(WINDOW_BYTES_MAX);
    let fax = |coding, out| fax::decode(data, coding, page.chunks.width, page.row_bytes(), out);
    match page.compression {
        Compression::None => {
            out.copy_from_slice(data.get(..out.len()).ok_or(TRUNCATED)?);
            Ok(())
        }
        Compression::HuffmanRows { word } => fax(fax::Coding::Rows { word }, out),
        Compression::Group3 { two_dimensional } => fax(fax::Coding::Group3 { two_dimensional }, out),
        Compression::Group4 => fax(fax::Coding::Group4, out),
        Compression::Lzw => lzw(data, out),
        Compression::Deflate => deflate(data, out),
        Compression::PackBits => pack_bits(data, out),
        Compression::Lzma => {
            let limit_kb = u32::try_from(window_bytes_max >> 10).unwrap_or(u32::MAX);
            read(XzReader::new_mem_limit(data, false, limit_kb), out)
        }
        Compression::Zstd => {
            let decoder = StreamingDecoder::new_with_max_window_size(data, window_bytes_max);
            read(decoder.map_err(|_| DAMAGED)?, out)
        }
        Compression::Jpeg | Compression::OldJpeg | Compression::WebP => {
            Err(unsupported("this compression; re-encode the picture as PNG or JPEG"))
        }
    }
}

/// Fills `out` from a decompressor.
fn read(mut decoder: impl Read, out: &mut [u8]) -> Result<(), DecodeError> {
    decoder
        .read_exact(out)
        .map_err(|error| if error.kind() == io::ErrorKind::UnexpectedEof { TRUNCATED } else { DAMAGED })
}

/// Decompresses LZW in the form of TIFF 6.0, or in the form of earlier writers, which its first two bytes
/// show.
fn lzw(mut data: &[u8], mut out: &mut [u8]) -> Result<(), DecodeError> {
    let mut decoder = match data {
        [0, second, ..] if second & 1 == 1 => Lzw::new(BitOrder::Lsb, 8),
        _ => Lzw::with_tiff_size_switch(BitOrder::Msb, 8),
    };
    while !out.is_empty() {
        let result = decoder.decode_bytes(data, out);
        data = &data[result.consumed_in..];
        out = &mut out[result.consumed_out..];
        match result.status {
            Ok(LzwStatus::Ok) if result.consumed_in + result.consumed_out > 0 => {}
            Ok(LzwStatus::Ok | LzwStatus::NoProgress | LzwStatus::Done) => break,
            Err(_) => return Err(DAMAGED),
        }
    }
    if out.is_empty() { Ok(()) } else { Err(TRUNCATED) }
}

fn deflate(mut data: &[u8], mut out: &mut [u8]) -> Result<(), DecodeError> {
    let mut decoder = Decompress::new(true);
    while !out.is_empty() {
        let (read, written) = (decoder.total_in(), decoder.total_out());
        // With `Finish` the decompressor needs no window of its own.
        let status = decoder.decompress(data, out, FlushDecompress::Finish);
        let read = usize::try_from(decoder.total_in() - read).map_err(|_| DAMAGED)?;
        let written = usize::try_from(decoder.total_out() - written).map_err(|_| DAMAGED)?;
        data = &data[read..];
        out = &mut out[written..];
        match status {
            Ok(Status::Ok) if read + written > 0 => {}
            Ok(Status::Ok | Status::BufError | Status::StreamEnd) => break,
            Err(_) if out.is_empty() => break,
            Err(_) => return Err(DAMAGED),
        }
    }
    if out.is_empty() { Ok(()) } else { Err(TRUNCATED) }
}

/// Decompresses PackBits: a count, followed by bytes to copy or one byte to repeat.
fn pack_bits(mut data: &[u8], mut out: &mut [u8]) -> Result<(), DecodeError> {
    while !out.is_empty() {
        let (&count, rest) = data.split_first().ok_or(TRUNCATED)?;
        data = rest;
        match count.cast_signed() {
            -128 => {}
            count if count < 0 => {
                let (&byte, rest) = data.split_first().ok_or(TRUNCATED)?;
                data = rest;
                let (run, after) = out.split_at_mut((1 + usize::from(count.unsigned_abs())).min(out.len()));
                run.fill(byte);
                out = after;
            }
            count => {
                let count = (1 + usize::from(count.unsigned_abs())).min(out.len());
                let (copied, rest) = data.split_at_checked(count).ok_or(TRUNCATED)?;
                data = rest;
                let (to, after) = out.split_at_mut(count);
                to.copy_from_slice(copied);
                out = after;
            }
        }
    }
    Ok(())
}

/// Undoes a predictor by adding up the differences in the rows of a strip or tile.
pub(super) fn unpredict(page: &Page<'_>, rows: &mut [u8]) -> Result<(), DecodeError> {
    let Depth { bits, .. } = page.depth;
    let big_endian = page.directory.big_endian();
    let samples = page.samples_together();
    let needed = (page.predictor, bits);
    for row in rows.chunks_exact_mut(page.row_bytes()) {
        match needed {
            (Predictor::None, _) => return Ok(()),
            (Predictor::Horizontal, 8) => add_up(row, samples),
            (Predictor::Horizontal, 16) => add_up_wide::<2>(row, samples, big_endian),
            (Predictor::Horizontal, 32) => add_up_wide::<4>(row, samples, big_endian),
            (Predictor::Float, 32) => {
                add_up(row, samples);
                // The most significant bytes of all samples come first, then the next ones.
                let planes = row.to_vec();
                let count = planes.len() / 4;
                for (index, sample) in row.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    *sample = std::array::from_fn(|byte| planes[byte * count + index]);
                    if !big_endian {
                        sample.reverse();
                    }
                }
            }
            _ => {
                return Err(unsupported(
                    "this predictor at this depth; re-encode the picture as PNG or JPEG",
                ));
            }
        }
    }
    Ok(())
}

fn add_up(row: &mut [u8], step: usize) {
    match step {
        1 => add_up_by::<1>(row),
        3 => add_up_by::<3>(row),
        4 => add_up_by::<4>(row),
        _ => {
            for at in step..row.len() {
                row[at] = row[at].wrapping_add(row[at - step]);
            }
        }
    }
}

/// Adds up differences for a number of samples known at compile time, which is several times faster.
fn add_up_by<const N: usize>(row: &mut [u8]) {
    let mut sum = [0_u8; N];
    for pixel in row.as_chunks_mut::<N>().0 {
        for (sample, sum) in pixel.iter_mut().zip(&mut sum) {
            *sum = sum.wrapping_add(*sample);
            *sample = *sum;
        }
    }
}

/// Adds up differences of samples of two or four bytes.
fn add_up_wide<const N: usize>(row: &mut [u8], step: usize, big_endian: bool) {
    let number = |bytes: [u8; N]| -> u32 {
        let add = |number, &byte: &u8| number << 8 | u32::from(byte);
        if big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    };
    let row = row.as_chunks_mut::<N>().0;
    for at in step..row.len() {
        let sum = number(row[at]).wrapping_add(number(row[at - step]));
        row[at].copy_from_slice(&sum.to_le_bytes()[..N]);
        if big_endian {
            row[at].reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_bits_copies_repeats_and_skips() {
        // The example of TIFF 6.0, section 9.
        let packed = [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x80, 0x03, 0x80, 0x00, 0x2a, 0x22];
        let mut out = [0; 14];
        pack_bits(&packed, &mut out).unwrap();
        assert_eq!(out, [0xaa, 0xaa, 0xaa, 0x80, 0, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0, 0x2a, 0x22]);
        assert_eq!(pack_bits(&packed[..13], &mut out), Err(TRUNCATED));
        assert_eq!(pack_bits(&[0x80; 9], &mut out), Err(TRUNCATED));
    }

    #[test]
    fn differences_of_wide_samples_carry() {
        let mut row = [0xff, 0, 2, 0, 0xff, 0xff];
        add_up_wide::<2>(&mut row, 1, false);
        assert_eq!(row, [0xff, 0, 1, 1, 0, 1]);
        let mut row = [0, 0, 0, 0xff, 0, 0, 0, 9, 0, 0, 0, 2];
        add_up_wide::<4>(&mut row, 2, true);
        assert_eq!(row, [0, 0, 0, 0xff, 0, 0, 0, 9, 0, 0, 1, 1]);
    }

    #[test]
    fn differences_add_up_by_pixel() {
        for step in 1..=6 {
            let mut row: Vec<u8> = (0..60).map(|number: u8| number.wrapping_mul(7)).collect();
            let mut expected = row.clone();
            for at in step..expected.len() {
                expected[at] = expected[at].wrapping_add(expected[at - step]);
            }
            add_up(&mut row, step);
            assert_eq!(row, expected, "{step} samples");
        }
    }
}
