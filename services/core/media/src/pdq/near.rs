//! A picture that is decoded quickly and not exactly, and whether its hash is that of the exact picture all the same.
//!
//! Two decoders of a JPEG may round differently, and a JPEG can be decoded to means of cells of pixels at a fraction of the
//! time. Either moves the 256 coefficients of PDQ a little, and a bit of the hash changes only where a coefficient is so close to the median.
//! So the hash is taken from such a picture only where at most one pair of bits is that close; else the exact picture is
//! asked for.
//!
//! How far cells move the coefficients is estimated from the picture itself: the hash's filter is applied again to cells of
//! twice the side. What that moves is more than what the cells themselves have moved, by a factor of 2 to 4 on
//! photographs and drawn pictures; where colours are clamped at the edges of drawn shapes, by 1.

use vigie_model::PictureHashes;

use crate::luma::LumaSource;
use crate::pdq::band::{Tent, tent};
use crate::pdq::dct::dct;
use crate::pdq::filter::{SIDE, apply};
use crate::pdq::{hashes, is_certain};
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

/// The least error that cells are taken to cause, in the unit of the coefficients.
const CELLS_ERROR_MIN: f32 = 0.25;

/// RGB that is not exact: of each cell of a picture the mean of its pixels.
pub(crate) struct Near {
    width: u32,
    height: u32,
    /// Pixels each way. The last cells of a side may be cut.
    cell: usize,
    /// How far the decoder's rounding moves a coefficient, in the unit of the coefficients.
    error: f32,
    rgb: Pixels,
}

impl Near {
    /// Takes rows of cells; `None` where their number is another than the size makes.
    pub(crate) fn new(width: u32, height: u32, cell: usize, error: f32, rgb: Pixels) -> Option<Self> {
        let cells = (width as usize).div_ceil(cell) * (height as usize).div_ceil(cell);
        (cells > 0 && rgb.len() == cells * CHANNELS).then_some(Self { width, height, cell, error, rgb })
    }

    /// Width and height of the picture in pixels.
    pub(crate) const fn declared_size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Whether a cell is more than a pixel.
    pub(crate) const fn is_scaled(&self) -> bool {
        self.cell > 1
    }

    /// The hashes of the picture; `None` where the upright one may be more than two bits from that of the exact picture.
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
            // The first is the largest and nowhere near the median.
            let squares = pairs.skip(1).map(|(fine, coarse)| (fine - coarse) * (fine - coarse));
            let count = coefficients.as_flattened().len() - 1;
            error += (squares.sum::<f32>() / count as f32).sqrt().max(CELLS_ERROR_MIN);
        }
        is_certain(&coefficients, error).then(|| hashes(&buffer, &coefficients))
    }
}

/// The rows of PDQ's band matrix for cells of this side.
fn folded(length: usize, cell: usize) -> Vec<Tent> {
    (0..SIDE)
        .map(|index| {
            let row = tent(length, index, SIDE);
            if cell > 1 { row.folded(cell, length) } else { row }
        })
        .collect()
}

/// Its size is that in cells.
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
