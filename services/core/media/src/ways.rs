//! The ways in which one frame is hashed.
//!
//! The plain hash is PDQ's own. Two kinds of copies are far from their original by PDQ's rules, and a second hash repairs that:
//!
//! - **Small copies.** PDQ's blur window steps with the size of the picture, and an even window moves the picture by half a pixel,
//!   so a copy of 129 x 129 pixels is blurred and placed otherwise than its large original. Each side below [`SIDE_PX_MIN`] is
//!   scaled up to that length first ([`crate::band::scaled_tent`]); that is one more band matrix, and no larger picture is made.
//! - **Borders.** Bars around a picture move everything in it. Rows and columns at the edges that have one brightness are left
//!   out.
//!
//! A tool that opens a file with Pillow and does not convert it to RGB hashes the palette indices of a palette picture, and
//! some banks hold such hashes: where the decoder has indices, they are hashed too.

use std::ops::Range;

use vigie_model::{FrameFingerprint, PictureHashes, Way};

use crate::band::SCALED_SIDE_PX;
use crate::filter::{Scale, Window};
use crate::frames::{Frame, Samples};
use crate::luma::LumaSource;
use crate::orientation::Orientation;
use crate::pdq::pdq_of_window;

/// Below this quality rounding may decide a bit, and luma is computed from RGB as the reference does it.
const QUALITY_OF_LUMA_MIN: u8 = 80;

/// Brightness may vary by so much within a border, of 255: JPEG's noise.
const BORDER_RANGE_MAX: f32 = 12.0;

/// A picture has no border that leaves less than this share of a side.
const BORDERED_SIDE_SHARE_MIN: f32 = 0.25;

/// Which ways are taken beside the plain one. Hashing as stored needs no switch: it is done where a file asks for a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// [`Way::Scaled`].
    pub scaled: bool,
    /// [`Way::Unbordered`].
    pub unbordered: bool,
    /// [`Way::PaletteIndices`].
    pub palette_indices: bool,
}

impl Ways {
    /// The plain way alone.
    pub const NONE: Self = Self { scaled: false, unbordered: false, palette_indices: false };
}

impl Default for Ways {
    fn default() -> Self {
        Self { scaled: true, unbordered: true, palette_indices: true }
    }
}

/// Hashes a frame; also its width and height, upright. `None` where luma alone does not decide the hash.
pub(crate) fn hash(number: u32, frame: Frame, ways: Ways) -> Option<((u32, u32), FrameFingerprint)> {
    let Frame { time, samples, orientation, indices } = frame;
    let mut further = Vec::new();
    let upright = match samples {
        Samples::Luma(luma) => Samples::Luma(luma),
        Samples::Rgb(stored) if orientation != Orientation::UPRIGHT => {
            let turned = orientation.turn(&stored)?;
            further.push((Way::AsStored, crate::pdq(&stored)));
            Samples::Rgb(turned)
        }
        Samples::Rgb(upright) => Samples::Rgb(upright),
    };
    let (size, plain) = match &upright {
        Samples::Luma(luma) => {
            let plain = hash_source(luma, ways, &mut further);
            if plain.quality.get() < QUALITY_OF_LUMA_MIN {
                return None;
            }
            ((luma.width(), luma.height()), plain)
        }
        Samples::Rgb(picture) => {
            ((picture.width(), picture.height()), hash_source(picture, ways, &mut further))
        }
    };
    if let (Some(indices), true) = (&indices, ways.palette_indices) {
        let window = Window::whole(indices);
        further.push((Way::PaletteIndices, pdq_of_window(indices, &window, Scale::AsIs)));
    }
    // A hash that is no other than the plain one finds nothing more.
    further.retain(|(_, hashes)| hashes.pdq != plain.pdq);
    further.sort_unstable_by_key(|(way, _)| *way);
    Some((size, FrameFingerprint { number, time, plain, further }))
}

/// The plain hashes of the samples; those of further ways go to `further`.
fn hash_source(
    source: &impl LumaSource,
    ways: Ways,
    further: &mut Vec<(Way, PictureHashes)>,
) -> PictureHashes {
    let whole = Window::whole(source);
    let plain = pdq_of_window(source, &whole, Scale::AsIs);
    let (width, height) = source.size();
    if ways.scaled && width.min(height) < SCALED_SIDE_PX {
        further.push((Way::Scaled, pdq_of_window(source, &whole, Scale::Up)));
    }
    if ways.unbordered
        && let Some(inner) = without_borders(source)
    {
        further.push((Way::Unbordered, pdq_of_window(source, &inner, Scale::Up)));
    }
    plain
}

/// The picture within its uniform borders; `None` where it has none, or is nothing else.
fn without_borders(source: &impl LumaSource) -> Option<Window> {
    let (width, height) = source.size();
    // Rows first, since a row of a bar at the top is uniform over the whole width; then columns of what is left.
    let rows = inner(height, |y| is_uniform(source, 0..width, y..y + 1))?;
    let columns = inner(width, |x| is_uniform(source, x..x + 1, rows.clone()))?;
    // Bars on all four sides: rows that were not uniform over the whole width may be so over what is left of it.
    let rows = inner(height, |y| is_uniform(source, columns.clone(), y..y + 1))?;
    let window = Window { columns, rows };
    (window != Window::whole(source)).then_some(window)
}

/// What is left of a side between its uniform lines; `None` where that is too little.
#[expect(clippy::cast_precision_loss, reason = "a side has at most 65,535 pixels")]
fn inner(length: usize, is_uniform: impl Fn(usize) -> bool) -> Option<Range<usize>> {
    let start = (0..length).find(|&line| !is_uniform(line))?;
    let end = (start..length).rev().find(|&line| !is_uniform(line))? + 1;
    ((end - start) as f32 >= length as f32 * BORDERED_SIDE_SHARE_MIN).then_some(start..end)
}

/// Whether all pixels of these columns and rows are about equally bright.
fn is_uniform<S: LumaSource>(source: &S, columns: Range<usize>, rows: Range<usize>) -> bool {
    let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
    for y in rows {
        let row = &source.samples()[y * source.stride()..];
        let row = &row[columns.start * S::PER_PIXEL..columns.end * S::PER_PIXEL];
        for pixel in row.chunks_exact(S::PER_PIXEL) {
            let mut samples = [0.0; 3];
            for (sample, &byte) in samples.iter_mut().zip(pixel) {
                *sample = f32::from(byte);
            }
            let luma = S::luma(&samples);
            least = least.min(luma);
            most = most.max(luma);
            if most - least > BORDER_RANGE_MAX {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests;
