//! A picture that is decoded fast but not exactly, and the check whether it has the hash of the exact
//! picture.
//!
//! Two decoders of a JPEG may round differently, and a JPEG can be decoded to means of cells of pixels in a
//! fraction of the time. Either changes the 256 coefficients of PDQ a little, and a bit of the hash changes
//! only if a coefficient is that close to the median. The hash is therefore taken from such a picture only if
//! at most one pair of bits is that close; otherwise the exact picture is requested.
//!
//! The effect of cells on the coefficients is estimated from the picture itself: the hash's filter is applied
//! again to cells of twice the side. The change between the two exceeds the error of the cells themselves by
//! a factor of 2 to 4 on photographs and generated pictures; where colours are clamped at the edges of drawn
//! shapes, by a factor of 1.

use vigie_model::PictureHashes;

use crate::luma::LumaSource;
use crate::pdq::band::{Tent, tent};
use crate::pdq::dct::dct;
use crate::pdq::filter::{SIDE, apply};
use crate::pdq::{hashes, is_certain};
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

/// The smallest error that is assumed for cells, in the unit of the coefficients.
const CELLS_ERROR_MIN: f32 = 0.25;

/// RGB that is not exact: the mean of the pixels of each cell of a picture.
pub(crate) struct Near {
    width: u32,
    height: u32,
    /// The side of a cell, in pixels. The last cells of a row or column may be cut.
    cell: usize,
    /// The effect of the decoder's rounding on a coefficient, in the unit of the coefficients.
    error: f32,
    rgb: Pixels,
}

impl Near {
    /// Creates a picture from rows of cells; `None` if the number of cells does not fit the size.
    pub(crate) fn new(width: u32, height: u32, cell: usize, error: f32, rgb: Pixels) -> Option<Self> {
        let cells = (width as usize).div_ceil(cell) * (height as usize).div_ceil(cell);
        (cells > 0 && rgb.len() == cells * CHANNELS).then_some(Self { width, height, cell, error, rgb })
    }

    /// Returns width and height of the picture in pixels.
    pub(crate) const fn declared_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Checks whether a cell is more than a pixel.
    pub(crate) const fn is_scaled(&self) -> bool {
        self.cell > 1
    }

    /// Returns the hashes of the picture; `None` if the upright one may differ by more than two bits from
    /// that of the exact picture.
    pub(crate) fn hashes(&self) -> Option<PictureHashes> {
        let (width, height) = (self.width as usize, self.height as usize);
        let (columns, rows) = (folded(width, self.cell), folded(height, self.cell));
        let buffer = apply(self, &columns, &rows);
        let coefficients = dct(&buffer);
        let mut error = self.error;
        if self.is_scaled() {
            let halved = |length: usize, cells: usize| -> Vec<Tent> {
                folded(length, 2 * self.cell).iter().map(|tent| tent.halved(cells)).collect()
            };
            let (across, down) = self.size();
            let coarse = dct(&apply(self, &halved(width, across), &halved(height, down)));
            let pairs = coefficients.as_flattened().iter().zip(coarse.as_flattened());
            // The first coefficient is the largest, and never near the median.
            let squares = pairs.skip(1).map(|(fine, coarse)| (fine - coarse) * (fine - coarse));
            let count = coefficients.as_flattened().len() - 1;
            error += (squares.sum::<f32>() / count as f32).sqrt().max(CELLS_ERROR_MIN);
        }
        is_certain(&coefficients, error).then(|| hashes(&buffer, &coefficients))
    }
}

/// Returns the rows of PDQ's band matrix for cells of this side.
fn folded(length: usize, cell: usize) -> Vec<Tent> {
    (0..SIDE)
        .map(|index| {
            let row = tent(length, index, SIDE);
            if cell > 1 { row.folded(cell, length) } else { row }
        })
        .collect()
}

/// The size of this source is counted in cells.
impl LumaSource for Near {
    const PER_PIXEL: usize = CHANNELS;

    fn size(&self) -> (usize, usize) {
        ((self.width as usize).div_ceil(self.cell), (self.height as usize).div_ceil(self.cell))
    }

    fn stride(&self) -> usize {
        self.size().0 * CHANNELS
    }

    fn samples(&self) -> &[u8] {
        &self.rgb
    }

    #[inline(always)]
    fn luma(pixel: &[f32]) -> f32 {
        Picture::luma(pixel)
    }
}

#[cfg(test)]
mod tests;
