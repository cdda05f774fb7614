//! Small 4:2:0 JPEGs with their colours interpolated exactly as libjpeg does it.
//!
//! 4:2:0 stores one colour sample for four pixels, and a decoder interpolates. libjpeg (`h2v2_fancy_upsample`) and `zune-jpeg` round
//! that differently, by one level in a quarter of the samples. It averages out in a large picture, but moves up to 6 bits of
//! the hash of a small one without much detail, and most banks' hashes were made with libjpeg.
//!
//! `zune-jpeg` does not give the stored samples, but it can be made to: a unit of 4:2:0 is four blocks of luma, then one of each
//! colour, and so is a unit of luma four times as wide as the colours. Declared so, the same data decode to the same blocks, with
//! luma's four beside each other and each colour sample repeated four times, for want of a rule to interpolate. This module puts
//! them where they belong. It costs as much as decoding, so it is for small pictures.

use super::jpeg_header::{Colours, Header};

/// The largest picture that is decoded this way: 512 x 512, or as many pixels.
const PIXELS_MAX: u32 = 512 * 512;

/// The sampling factors of 4:2:0: luma, then both colours.
const SAMPLING: [(u8, u8); 3] = [(2, 2), (1, 1), (1, 1)];

/// A unit of 4:2:0 covers this many pixels each way.
const UNIT: usize = 16;

/// A block covers this many samples each way.
const BLOCK: usize = 8;

/// A picture as it is declared to the decoder: its samples are those of a 4:2:0 picture, in another order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rearranged {
    width: usize,
    height: usize,
    units_across: usize,
    units_down: usize,
}

impl Rearranged {
    /// The rearrangement of this picture; `None` where it is not a small sequential 4:2:0 picture.
    pub(super) fn of(header: &Header) -> Option<Self> {
        let small = u32::from(header.width) * u32::from(header.height) <= PIXELS_MAX;
        // libjpeg does not interpolate two columns of colours or fewer.
        let interpolated = header.width > 4;
        let fits = small && interpolated && !header.buffered && header.colours == Colours::YCbCr;
        let (width, height) = (usize::from(header.width), usize::from(header.height));
        (fits && header.sampling == SAMPLING).then_some(Self {
            width,
            height,
            units_across: width.div_ceil(UNIT),
            units_down: height.div_ceil(UNIT),
        })
    }

    /// Width and height as declared: four blocks across and one down for each unit.
    pub(super) const fn declared_size(&self) -> (usize, usize) {
        (self.units_across * 4 * BLOCK, self.units_down * BLOCK)
    }

    /// The file with that size and those sampling factors in its frame header.
    pub(super) fn declare(&self, header: &Header, content: &[u8]) -> Vec<u8> {
        let mut copy = content.to_vec();
        let (width, height) = self.declared_size();
        let [.., h1, h0] = height.to_be_bytes();
        let [.., w1, w0] = width.to_be_bytes();
        // Precision, height, width, number of components, then identifier and factors of the first.
        copy[header.frame + 1..header.frame + 5].copy_from_slice(&[h1, h0, w1, w0]);
        copy[header.frame + 7] = 0x41;
        copy
    }

    /// The RGB picture from the decoder's samples: luma and both colours of each pixel as declared.
    pub(super) fn to_rgb(self, samples: &[u8]) -> Vec<u8> {
        let samples = samples.as_chunks::<3>().0;
        let stride = self.declared_size().0;
        let (colours_across, colours_down) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut rgb = Vec::with_capacity(self.width * self.height * 3);
        for y in 0..self.height {
            let near = y / 2;
            let far = if y % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(colours_down - 1) };
            // Down first, without rounding: three parts of the nearer row, one of the farther.
            let colour = |column: usize, which: usize| {
                let at = |row: usize| i32::from(samples[row * stride + column * 4][which]);
                3 * at(near) + at(far)
            };
            let row = y / UNIT * BLOCK + y % BLOCK;
            for x in 0..self.width {
                let block = y % UNIT / BLOCK * 2 + x % UNIT / BLOCK;
                let luma = samples[row * stride + x / UNIT * 4 * BLOCK + block * BLOCK + x % BLOCK][0];
                let near = x / 2;
                // Then across; libjpeg rounds to the left and to the right differently, so that it evens out.
                let (far, rounding) = if x % 2 == 0 {
                    (near.saturating_sub(1), 8)
                } else {
                    ((near + 1).min(colours_across - 1), 7)
                };
                let across = |which: usize| (3 * colour(near, which) + colour(far, which) + rounding) >> 4;
                rgb.extend(ycc_to_rgb(i32::from(luma), across(1) - 128, across(2) - 128));
            }
        }
        rgb
    }
}

/// ITU-R BT.601 at full range, in libjpeg's fixed point of 16 bits.
fn ycc_to_rgb(luma: i32, blue: i32, red: i32) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    [
        luma + ((91_881 * red + HALF) >> 16),
        luma + ((-22_554 * blue - 46_802 * red + HALF) >> 16),
        luma + ((116_130 * blue + HALF) >> 16),
    ]
    .map(|sample| sample.clamp(0, 255).to_le_bytes()[0])
}
