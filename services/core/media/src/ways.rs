//! The ways in which one frame is hashed.
//!
//! The plain hash is PDQ's own. Two kinds of copies are far from their original by PDQ's rules, and a second hash repairs that:
//!
//! - **Small copies.** PDQ's blur window steps with the size of the picture, and an even window moves the picture by half a pixel,
//!   so a copy of 129 x 129 pixels is blurred and placed otherwise than its large original. Each side below [`SCALED_SIDE_PX`] is
//!   scaled up to that length first ([`crate::pdq::band::scaled_tent`]); that is one more band matrix, and no larger picture is made.
//! - **Borders.** Bars around a picture move everything in it. They are left out (`borders.rs`).
//!
//! A tool that opens a file with Pillow and does not convert it to RGB hashes the palette indices of a palette picture, and
//! some banks hold such hashes: where the decoder has indices, they are hashed too.

use vigie_model::{FrameFingerprint, PictureHashes, Way};

use crate::frames::{Frame, Samples};
use crate::luma::LumaSource;
use crate::orientation::Orientation;
use crate::pdq::band::SCALED_SIDE_PX;
use crate::pdq::filter::{Scale, Window};
use crate::pdq::pdq_of_window;
use crate::picture::Picture;

mod borders;

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

/// Hashes a frame; also its width and height, upright. `None` where its samples do not decide the hash. Where they are exact, `show` gets
/// the picture.
pub(crate) fn hash(
    number: u32,
    frame: Frame,
    ways: Ways,
    show: &mut dyn FnMut(&Picture),
) -> Option<((u32, u32), FrameFingerprint)> {
    let Frame { time, samples, orientation, indices } = frame;
    let mut further = Vec::new();
    let upright = match samples {
        Samples::Near(near) => Samples::Near(near),
        Samples::Rgb(stored) if orientation != Orientation::UPRIGHT => {
            let turned = orientation.turn(&stored)?;
            further.push((Way::AsStored, crate::pdq(&stored)));
            Samples::Rgb(turned)
        }
        Samples::Rgb(upright) => Samples::Rgb(upright),
    };
    let (size, plain) = match &upright {
        Samples::Near(near) => {
            if near.is_scaled() && ways.unbordered && borders::without_borders(near).is_some() {
                // A border may end within a cell.
                return None;
            }
            let plain = near.hashes()?;
            if !near.is_scaled() {
                further_ways(near, ways, &mut further);
            }
            (near.declared_size(), plain)
        }
        Samples::Rgb(picture) => {
            let plain = hash_source(picture, ways, &mut further);
            show(picture);
            ((picture.width(), picture.height()), plain)
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
    further_ways(source, ways, further);
    pdq_of_window(source, &Window::whole(source), Scale::AsIs)
}

/// The hashes of the samples in further ways.
fn further_ways(source: &impl LumaSource, ways: Ways, further: &mut Vec<(Way, PictureHashes)>) {
    let (width, height) = source.size();
    if ways.scaled && width.min(height) < SCALED_SIDE_PX {
        further.push((Way::Scaled, pdq_of_window(source, &Window::whole(source), Scale::Up)));
    }
    if ways.unbordered
        && let Some(inner) = borders::without_borders(source)
    {
        further.push((Way::Unbordered, pdq_of_window(source, &inner, Scale::Up)));
    }
}

#[cfg(test)]
mod tests;
