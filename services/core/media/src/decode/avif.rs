//! AVIF: a still picture, whole or in tiles, or an image sequence; decoded by `re_rav1d`, with a reader of
//! the container.
//!
//! Pillow reads AVIF with libavif, and this module produces the same pixels as Pillow: alpha is dropped;
//! rotation, mirroring and cropping that the file asks for are not applied; film grain is applied. A file
//! whose first brand is `avis` is a sequence; one whose first brand is `avif` is its primary picture. If such
//! a file has the other one too, that is not hashed and counts as left out.

use crate::error::DecodeError;
use crate::frames::{Frame, Frames};
use crate::limits::Limits;
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

mod av1;
pub(super) mod cicp;
mod colour;
mod items;
mod track;
mod units;

use super::boxes::find;
use av1::{Decoder, Header, Layout, Planes};
use cicp::Cicp;
use colour::Converter;
use items::Still;
use track::Track;

pub(super) const FORMAT: &str = "AVIF";

/// The number of pictures that a decoder of a sequence holds: references, the one that it decodes, and its
/// film grain.
const KEPT_PICTURES: u64 = 10;

/// The decoder's memory for each pixel of a picture besides samples, in bytes: modes, motion, filter levels.
const STATE_BYTES_PER_PX: u64 = 2;

/// The decoder's memory for tables and rows, whatever the picture's size, in bytes.
const STATE_BYTES: u64 = 1_500_000;

/// Decodes an AVIF.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let prefers_still = content.get(8..12) == Some(b"avif");
    if !prefers_still {
        let track = track::read(content, limits.frames_max);
        if let Some(track) = track {
            sequence(&track, limits, frames)?;
            if has_other_picture(content, &track) {
                frames.leave_out(1);
            }
            return Ok(());
        }
        if content.get(8..12) == Some(b"avis") {
            return Err(if find(content, *b"moov").is_some() {
                damaged()
            } else {
                DecodeError::Truncated { format: FORMAT }
            });
        }
    }
    still(&items::read(content)?, limits, frames)?;
    if find(content, *b"moov").is_some() {
        let sequence = track::read(content, 0);
        frames.leave_out(sequence.map_or(1, |track| track.sample_count.max(1)));
    }
    Ok(())
}

/// Checks whether the primary picture of a file with a sequence differs from the sequence's first picture,
/// which encoders usually make the primary one.
fn has_other_picture(content: &[u8], track: &Track<'_>) -> bool {
    let first = track.samples.first().map(|&(_, sample)| sample);
    find(content, *b"meta").is_some()
        && items::read(content)
            .map_or(true, |still| still.tiles.len() != 1 || first != Some(&*still.tiles[0]))
}

/// The error for colours multiplied by alpha: Pillow divides them by alpha, which is not decoded here.
const PREMULTIPLIED: DecodeError = DecodeError::Unsupported {
    format: FORMAT,
    reason: "colours that are multiplied by alpha; re-encode the picture as PNG or JPEG",
};

const fn damaged() -> DecodeError {
    DecodeError::Corrupt { reason: "the AVIF's boxes or its AV1 data cannot be decoded" }
}

/// Decodes a still picture.
fn still(still: &Still<'_>, limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let first = still.tiles.first().and_then(|tile| Header::read(tile)).ok_or_else(damaged)?;
    let (width, height) = still.size.unwrap_or((first.width, first.height));
    limits.check_dimensions(width, height)?;
    limits.check_dimensions(first.width, first.height)?;
    // Tiles cover the picture, and no tile lies completely outside it.
    let covers = |count: u32, tile: u32, side: u32| {
        u64::from(count - 1) * u64::from(tile) < side.into()
            && u64::from(count) * u64::from(tile) >= side.into()
    };
    if !covers(still.columns, first.width, width) || !covers(still.rows, first.height, height) {
        return Err(damaged());
    }
    check_alloc(&first, (width, height), 2, limits)?;
    frames.wants(width, height);

    let (width, height) = (width as usize, height as usize);
    let (tile_width, tile_height) = (first.width as usize, first.height as usize);
    let mut rgb = Pixels::zeroed(width * height * CHANNELS);
    for (number, tile) in still.tiles.iter().enumerate() {
        let (row, column) = (number / still.columns as usize, number % still.columns as usize);
        let (left, top) = (column * tile_width, row * tile_height);
        let planes = decode_sample(&mut decoder(&first, still.operating_point)?, tile)?;
        if (planes.width, planes.height) != (tile_width, tile_height) {
            return Err(damaged());
        }
        let converter = converter(still.colour.unwrap_or(first.colour), &planes, still.has_alpha)?;
        let visible = (tile_width.min(width - left), tile_height.min(height - top));
        let from = (top * width + left) * CHANNELS;
        converter.convert(&planes, &mut rgb[from..], width, visible).ok_or_else(damaged)?;
    }
    frames.take(Frame::still(picture(width, height, rgb)?));
    Ok(())
}

/// Decodes an image sequence.
fn sequence(track: &Track<'_>, limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    if track.has_alpha && track.premultiplied {
        return Err(PREMULTIPLIED);
    }
    let (_, first) = track.samples.first().ok_or(DecodeError::Truncated { format: FORMAT })?;
    let header = Header::read(first).ok_or_else(damaged)?;
    limits.check_dimensions(header.width, header.height)?;
    let kept = if track.sample_count == 1 { 2 } else { KEPT_PICTURES };
    check_alloc(&header, (header.width, header.height), kept, limits)?;
    let mut decoder = decoder(&header, 0)?;
    for number in 0..track.sample_count {
        let rest = track.sample_count - number - 1;
        if !frames.wants(header.width, header.height) {
            frames.leave_out(rest);
            break;
        }
        let decoded = track.samples.get(number as usize).map_or(
            Err(DecodeError::Truncated { format: FORMAT }),
            |&(time, sample)| {
                let planes = decode_sample(&mut decoder, sample)?;
                let converter = converter(track.colour.unwrap_or(header.colour), &planes, track.has_alpha)?;
                let (width, height) = (planes.width, planes.height);
                let mut rgb = Pixels::zeroed(width * height * CHANNELS);
                converter.convert(&planes, &mut rgb, width, (width, height)).ok_or_else(damaged)?;
                Ok((time, picture(width, height, rgb)?))
            },
        );
        match decoded {
            Ok((time, picture)) => {
                frames.take(Frame { time: Some(time), ..Frame::still(picture) });
            }
            // Later frames are predicted from this one.
            Err(error) => {
                frames.leave_out(rest);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Checks the memory for the pictures that the decoder holds, and for the RGB.
fn check_alloc(
    header: &Header,
    (width, height): (u32, u32),
    pictures: u64,
    limits: &Limits,
) -> Result<(), DecodeError> {
    // The sides of the decoder's pictures are multiples of 128.
    let side = |side: u32| u64::from(side).next_multiple_of(128);
    let pixels = side(header.width) * side(header.height);
    // Counted in halves of a sample for each pixel.
    let halves = match header.layout {
        Layout::Grey => 2,
        Layout::Colour420 => 3,
        Layout::Colour422 => 4,
        Layout::Colour444 => 6,
    };
    let samples = pixels * halves / 2 * if header.wide { 2 } else { 1 };
    let rgb = u64::from(width) * u64::from(height) * CHANNELS as u64;
    limits.check_alloc(samples * pictures + pixels * STATE_BYTES_PER_PX + rgb + STATE_BYTES)
}

fn decoder(header: &Header, operating_point: u8) -> Result<Decoder, DecodeError> {
    Decoder::new(header.width.saturating_mul(header.height), operating_point).ok_or_else(damaged)
}

fn decode_sample(decoder: &mut Decoder, sample: &[u8]) -> Result<Planes, DecodeError> {
    if units::frame_count(sample) > units::FRAMES_MAX {
        return Err(DecodeError::Unsupported {
            format: FORMAT,
            reason: "so many hidden frames in a picture",
        });
    }
    decoder.decode(sample).ok_or_else(damaged)
}

fn converter(colour: Cicp, planes: &Planes, with_alpha: bool) -> Result<Converter, DecodeError> {
    Converter::new(colour, planes.layout, planes.bits, with_alpha).ok_or(DecodeError::Unsupported {
        format: FORMAT,
        reason: "colours in this matrix; BT.601, BT.709, BT.2020, RGB and YCgCo are accepted",
    })
}

fn picture(width: usize, height: usize, rgb: Pixels) -> Result<Picture, DecodeError> {
    let side = |side: usize| u32::try_from(side).unwrap_or(0);
    Picture::from_pixels(side(width), side(height), rgb).ok_or_else(damaged)
}

#[cfg(test)]
mod tests;
