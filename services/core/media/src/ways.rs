//! The ways in which one frame is hashed.
//!
//! The plain hash is PDQ's own. Two kinds of copies have plain hashes far from that of their original, and a
//! second hash of each corrects this:
//!
//! - **Small copies.** The length of PDQ's blur window changes in steps with the size of the picture, and a
//!   window of even length moves the picture by half a pixel. A copy of 129 x 129 pixels is therefore blurred
//!   and placed differently from its large original. Each side below [`SCALED_SIDE_PX`] is scaled up to that
//!   length first ([`crate::pdq::band::scaled_tent`]); this is one more band matrix, and no larger picture is
//!   made.
//! - **Borders.** Bars around a picture move everything in it. They are removed (`borders.rs`).
//!
//! A tool that opens a file with Pillow without converting it to RGB hashes the palette indices of a palette
//! picture, and some banks have such hashes. If the decoder provides indices, they are hashed too.

use vigie_model::{FrameFingerprint, PictureHashes, Way};

use crate::frames::{Frame, Samples};
use crate::luma::LumaSource;
use crate::orientation::Orientation;
use crate::pdq::band::SCALED_SIDE_PX;
use crate::pdq::filter::{Scale, Window};
use crate::pdq::pdq_of_window;
use crate::picture::Picture;

mod borders;

/// The ways in which pictures are hashed besides the plain one. Hashing as stored needs no switch: it is done
/// if a file asks for a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// Whether to hash in the way [`Way::Scaled`].
    pub scaled: bool,
    /// Whether to hash in the way [`Way::Unbordered`].
    pub unbordered: bool,
    /// Whether to hash in the way [`Way::PaletteIndices`].
    pub palette_indices: bool,
}

impl Ways {
    /// Only the plain way.
    pub const NONE: Self = Self { scaled: false, unbordered: false, palette_indices: false };
}

impl Default for Ways {
    fn default() -> Self {
        Self { scaled: true, unbordered: true, palette_indices: true }
    }
}

/// Hashes a frame, and returns its width and height when upright. `None` if its samples do not decide the
/// hash. If they are exact, `show` receives the picture.
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
    // A hash that equals the plain one finds nothing more.
    further.retain(|(_, hashes)| hashes.pdq != plain.pdq);
    further.sort_unstable_by_key(|(way, _)| *way);
    Some((size, FrameFingerprint { number, time, plain, further }))
}

/// Computes the plain hashes of the samples; those of further ways are added to `further`.
fn hash_source(
    source: &impl LumaSource,
    ways: Ways,
    further: &mut Vec<(Way, PictureHashes)>,
) -> PictureHashes {
    further_ways(source, ways, further);
    pdq_of_window(source, &Window::whole(source), Scale::AsIs)
}

/// Computes the hashes of the samples in further ways.
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
