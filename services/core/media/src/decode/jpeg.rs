//! JPEG: baseline, progressive and arithmetic coding; grey, YCbCr, RGB, CMYK and YCCK.
//!
//! The meaning of samples follows libjpeg, which Pillow uses, so exact pictures come from libjpeg
//! (`libjpeg.rs`). Its vector code needs an assembler that a user may not have, and without it a photograph
//! takes twice the time. Two faster ways are therefore tried first for a large picture, and each is used only
//! if its result decides the hash (see `near.rs`):
//!
//! - libjpeg decodes to the means of cells of 4 or 8 pixels each way, from fewer coefficients, and converts
//!   fewer pixels;
//! - `zune-jpeg` decodes ordinary files, with vector instructions and slightly different rounding
//!   (`ordinary.rs`).

use crate::error::DecodeError;
use crate::frames::{Frame, Frames, Samples, Taken};
use crate::limits::Limits;
use crate::pdq::near::Near;
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

pub(super) mod header;
mod inks;
mod libjpeg;
mod ordinary;
mod pictures;
pub(super) mod stored;

use header::{Colours, Header};
use libjpeg::{Output, Rows};

/// Pairs of a length of PDQ's window and the cell side to which a picture with at least that window is
/// decoded, in pixels. The shorter side of the picture determines the window, which is a 128th of it. Three
/// cells to a window keep the error small enough for most pictures.
const CELLS: [(u32, u8); 2] = [(24, 8), (12, 4)];

/// Decodes the pictures of a JPEG file: one, unless it is a multi-picture file.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let header = checked_header(content, limits)?;
    decode_picture(content, &header, frames)?;
    let Some(index) = header.index else { return Ok(()) };
    let Some(further) = pictures::further(content, index) else {
        // The file announces further pictures, but their number is not known.
        frames.leave_out(1);
        return Ok(());
    };
    let known = further.len().min(usize::try_from(limits.frames_max).unwrap_or(usize::MAX));
    for &start in &further[..known] {
        let content = content.get(start..).unwrap_or_default();
        let decoded =
            checked_header(content, limits).and_then(|header| decode_picture(content, &header, frames));
        if decoded.is_err() {
            frames.leave_out(1);
        }
    }
    frames.leave_out(u32::try_from(further.len() - known).unwrap_or(u32::MAX));
    Ok(())
}

/// Decodes one picture: fast if the result decides the hash, otherwise exactly; exactly too if a classifier
/// needs its pixels.
fn decode_picture(content: &[u8], header: &Header, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    if !frames.wants(header.width.into(), header.height.into()) {
        return Ok(());
    }
    let exact = frames.are_exact();
    let mut take = |samples| frames.take(Frame::of(samples));
    let mut taken = Taken::NeedsRgb;
    if !exact && let Some(cells) = cells(content, header)? {
        taken = take(Samples::Near(cells));
    }
    if !exact
        && taken == Taken::NeedsRgb
        && let Some(rgb) = ordinary::decode(content, header)
    {
        taken = take(Samples::Near(rgb));
    }
    match taken {
        Taken::Hashed => {}
        Taken::NeedsRgb => {
            take(Samples::Rgb(decode_rgb(content, header)?));
        }
        Taken::HashedAndWanted => {
            // A file that only the quicker decoder accepts is hashed all the same.
            if let Ok(picture) = decode_rgb(content, header) {
                frames.show(Frame::still(picture));
            }
        }
    }
    Ok(())
}

/// Returns the means of cells of the picture; `None` if it is too small, or its colours have no mean.
fn cells(content: &[u8], header: &Header) -> Result<Option<Near>, DecodeError> {
    let window = u32::from(header.width.min(header.height)).div_ceil(128);
    let Some((_, cell)) = CELLS.into_iter().find(|&(window_min, _)| window >= window_min) else {
        return Ok(None);
    };
    if !matches!(header.colours, Colours::Grey | Colours::YCbCr) {
        return Ok(None);
    }
    let mut rows = started(content, header, Output::Rgb, cell)?;
    let (across, down) = rows.size();
    let mut rgb = Pixels::zeroed(across * down * CHANNELS);
    rows.read_into(&mut rgb)?;
    Ok(Near::new(header.width.into(), header.height.into(), cell.into(), 0.0, rgb))
}

/// Decodes a JPEG to RGB.
fn decode_rgb(content: &[u8], header: &Header) -> Result<Picture, DecodeError> {
    let output = match header.colours {
        Colours::Grey => Output::Grey,
        Colours::YCbCr | Colours::Rgb => Output::Rgb,
        Colours::Cmyk | Colours::Ycck => Output::Cmyk,
    };
    let mut rows = started(content, header, output, 1)?;
    let width = usize::from(header.width);
    let mut rgb = Pixels::zeroed(width * usize::from(header.height) * CHANNELS);
    match output {
        Output::Rgb => rows.read_into(&mut rgb)?,
        Output::Grey => {
            let mut row = vec![0; width];
            for rgb in rgb.chunks_exact_mut(width * CHANNELS) {
                rows.read_into(&mut row)?;
                for (rgb, &grey) in rgb.as_chunks_mut().0.iter_mut().zip(&row) {
                    *rgb = [grey; CHANNELS];
                }
            }
        }
        Output::Cmyk => {
            let mut row = vec![0; width * inks::INKS];
            for rgb in rgb.chunks_exact_mut(width * CHANNELS) {
                rows.read_into(&mut row)?;
                inks::to_rgb(&row, rgb);
            }
        }
    }
    Picture::from_pixels(header.width.into(), header.height.into(), rgb)
        .ok_or(DecodeError::Corrupt { reason: "the JPEG holds another number of pixels than it declares" })
}

/// Starts to decode rows, and checks that the picture is as large as its header declares.
fn started<'a>(
    content: &'a [u8],
    header: &Header,
    output: Output,
    cell: u8,
) -> Result<Rows<'a>, DecodeError> {
    let rows = libjpeg::start(content, output, cell)?;
    let size = [header.width, header.height].map(|side| usize::from(side).div_ceil(cell.into()));
    if rows.size() == size.into() {
        Ok(rows)
    } else {
        Err(DecodeError::Corrupt { reason: "the JPEG declares its size more than once" })
    }
}

/// Reads the header of a file and checks it against the limits.
fn checked_header(content: &[u8], limits: &Limits) -> Result<Header, DecodeError> {
    let header = header::read(content)?;
    limits.check_dimensions(header.width.into(), header.height.into())?;
    limits.check_alloc(alloc_bytes(&header))?;
    if header.buffered {
        header.check_scans(content)?;
    }
    Ok(header)
}

/// Returns the bytes that decoding allocates: the output, and all coefficients if they are buffered.
fn alloc_bytes(header: &Header) -> u64 {
    let pixels = u64::from(header.width) * u64::from(header.height);
    let factor_max = |factors: fn(&(u8, u8)) -> u8| header.sampling.iter().map(factors).max().unwrap_or(1);
    let (h_max, v_max) = (factor_max(|&(h, _)| h), factor_max(|&(_, v)| v));
    let mcus = u64::from(header.width).div_ceil(8 * u64::from(h_max))
        * u64::from(header.height).div_ceil(8 * u64::from(v_max));
    let blocks: u64 = header.sampling.iter().map(|&(h, v)| u64::from(h) * u64::from(v)).sum();
    let coefficients = if header.buffered { mcus * blocks * 64 * 2 } else { 0 };
    // A few rows of blocks of each component, before and after upsampling.
    let rows = u64::from(header.width) * 2 * 8 * 4 * 3 * 4;
    pixels * CHANNELS as u64 + coefficients + rows
}

#[cfg(test)]
mod tests;
