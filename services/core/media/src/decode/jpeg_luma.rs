//! A large baseline JPEG as luma alone: what PDQ reads, without the RGB picture that it is the luma of.
//!
//! A JPEG stores luma (Y) and two colours, and the RGB luma that PDQ is defined on equals Y up to rounding, except where a colour
//! is so strong that red, green or blue were clamped to a byte. So the planes are decoded as they are stored, no colour is spread
//! over four pixels or converted, and only tiles in which something may have been clamped go through RGB (see `clamping.rs`).
//! That takes about a quarter off the time from bytes to hashes. No decoder at hand gives the stored colours, hence the three small steps here:
//! `entropy` (bits to coefficients), `transform` (coefficients to samples), `clamping`.
//!
//! What this path does not take, it does not refuse: it answers `None`, and the general decoder decides. That goes for other
//! kinds of JPEG as for every irregularity in the data: a wrong code, bits missing or left over, a marker out of place. So what is
//! accepted, and the words of every refusal, are the general decoder's.

use crate::limits::Limits;
use crate::luma::Luma;
use crate::pixels::Pixels;

use super::jpeg_header::{Colours, Header};

mod tables;
mod entropy;
mod transform;
mod clamping;

use entropy::{Entropy, Intervals};
use tables::{Huffman, Tables};

/// A block covers this many samples each way.
const BLOCK: usize = 8;

/// Smaller pictures go by RGB: the rounding of each pixel's colours averages out over many pixels only, and there is
/// little time to win.
const PIXELS_MIN: u64 = 512 * 512;

/// No side may be shorter, for the same reason.
const SIDE_PX_MIN: u16 = 256;

/// One component: its samples in whole units, and the range of each block of them.
struct Plane {
    samples: Pixels,
    /// Samples in a row; a multiple of [`BLOCK`].
    stride: usize,
    /// Smallest and largest sample of each block, row after row.
    ranges: Vec<(u8, u8)>,
}

impl Plane {
    fn new(width: usize, height: usize) -> Self {
        Self {
            samples: Pixels::zeroed(width * height),
            stride: width,
            ranges: vec![(0, 0); width / BLOCK * (height / BLOCK)],
        }
    }

    /// Transforms the coefficients, each times its step, into the block at this place, in blocks.
    #[inline(always)]
    fn put(
        &mut self,
        coefficients: &[i32; BLOCK * BLOCK],
        steps: &[f32; BLOCK * BLOCK],
        only_first: bool,
        (column, row): (usize, usize),
    ) {
        let at = row * BLOCK * self.stride + column * BLOCK;
        let out = &mut self.samples[at..];
        self.ranges[row * (self.stride / BLOCK) + column] = if only_first {
            transform::flat(coefficients[0] as f32 * steps[0], out, self.stride)
        } else {
            transform::inverse(coefficients, steps, out, self.stride)
        };
    }
}

/// One component while it is decoded.
struct Component<'a> {
    dc: &'a Huffman,
    ac: &'a Huffman,
    /// Quantisation steps with the transform's scale.
    steps: &'a [f32; BLOCK * BLOCK],
    /// Blocks across and down in one unit.
    blocks: (usize, usize),
    /// The last block's constant coefficient, from which the next one's is told.
    predicted: i32,
    plane: Plane,
}

/// Decodes a JPEG to its luma; `None` where the general decoder has to.
pub(super) fn decode(content: &[u8], header: &Header, limits: &Limits) -> Option<Luma> {
    let large = u64::from(header.width) * u64::from(header.height) > PIXELS_MIN
        && header.width.min(header.height) >= SIDE_PX_MIN;
    if large { decode_any_size(content, header, limits) } else { None }
}

/// As [`decode`], whatever the size.
fn decode_any_size(content: &[u8], header: &Header, limits: &Limits) -> Option<Luma> {
    if header.buffered {
        return None;
    }
    let (width, height) = (usize::from(header.width), usize::from(header.height));
    // Of a single component, one block is a unit whatever its factors are.
    let (h, v) = match (header.colours, header.sampling.as_slice()) {
        (Colours::Grey, [_]) => (1, 1),
        (Colours::YCbCr, &[luma @ ((1 | 2, 1) | (2, 2)), (1, 1), (1, 1)]) => (luma.0.into(), luma.1.into()),
        _ => return None,
    };
    let units = (width.div_ceil(BLOCK * h), height.div_ceil(BLOCK * v));
    let samples = units.0 * units.1 * BLOCK * BLOCK * (h * v + header.sampling.len() - 1);
    limits.check_alloc((samples + samples / 32 + content.len()) as u64).ok()?;

    let tables = Tables::read(content, header)?;
    let mut components = Vec::with_capacity(header.sampling.len());
    for (index, choice) in tables.components.iter().enumerate() {
        let blocks = if index == 0 { (h, v) } else { (1, 1) };
        components.push(Component {
            dc: tables.dc[choice.dc].as_ref()?,
            ac: tables.ac[choice.ac].as_ref()?,
            steps: tables.steps[choice.steps].as_ref()?,
            blocks,
            predicted: 0,
            plane: Plane::new(units.0 * blocks.0 * BLOCK, units.1 * blocks.1 * BLOCK),
        });
    }
    decode_units(content, &tables, units, &mut components)?;

    let mut planes = components.into_iter().map(|component| component.plane);
    let mut luma = planes.next()?;
    if let (Some(blue), Some(red)) = (planes.next(), planes.next()) {
        clamping::apply(&mut luma, [&blue, &red], (h, v), (width, height));
    }
    Luma::new(header.width.into(), header.height.into(), luma.stride, luma.samples)
}

/// Decodes all units, with the widest vectors and the bit instructions that this processor has.
fn decode_units(
    content: &[u8],
    tables: &Tables,
    units: (usize, usize),
    components: &mut [Component<'_>],
) -> Option<()> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
    {
        // SAFETY: the processor has what the function is compiled for.
        #[expect(unsafe_code, reason = "calls safe code that is compiled for more instructions")]
        return unsafe { decode_units_avx2(content, tables, units, components) };
    }
    decode_units_portable(content, tables, units, components)
}

/// The same code, and the same samples: no operation is contracted or put in another order.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2")]
fn decode_units_avx2(
    content: &[u8],
    tables: &Tables,
    units: (usize, usize),
    components: &mut [Component<'_>],
) -> Option<()> {
    decode_units_portable(content, tables, units, components)
}

/// Decodes all units, interval by interval.
#[inline(always)]
fn decode_units_portable(
    content: &[u8],
    tables: &Tables,
    units: (usize, usize),
    components: &mut [Component<'_>],
) -> Option<()> {
    let count = units.0 * units.1;
    let interval = if tables.restart_interval == 0 { count } else { tables.restart_interval };
    let mut intervals = Intervals::new(content, tables.data);
    let mut coefficients = [0; BLOCK * BLOCK];
    for first in (0..count).step_by(interval) {
        let last = (first + interval).min(count);
        let mut entropy = Entropy::new(intervals.next(last == count)?);
        for component in &mut *components {
            component.predicted = 0;
        }
        for unit in first..last {
            let (column, row) = (unit % units.0, unit / units.0);
            for Component { dc, ac, steps, blocks: (across, down), predicted, plane } in &mut *components {
                for y in 0..*down {
                    for x in 0..*across {
                        coefficients.fill(0);
                        let only_first = entropy.block(dc, ac, predicted, &mut coefficients)?;
                        let place = (column * *across + x, row * *down + y);
                        plane.put(&coefficients, steps, only_first, place);
                    }
                }
            }
        }
        entropy.finish()?;
    }
    Some(())
}

#[cfg(test)]
mod tests;
