//! Converts rows of stored samples to RGB, as Pillow's modes and its `convert("RGB")` do.
//!
//! | samples | become |
//! |---|---|
//! | 1, 2, 4 bits | scaled to 0 to 255; of a palette the index |
//! | 12 and 16 bits | the upper eight bits; Pillow clips grey of 16 bits at 255, which gives white |
//! | whole numbers of 32 bits, signed ones of 16, floating point | clipped at 0 and 255, as Pillow does it |
//! | colours multiplied by alpha | divided by it; black where alpha is 0 |
//! | further samples | dropped |
//! | Lab | through D50 and sRGB ([`super::lab`]) |

use super::lab::Lab;
use super::page::{Colour, Compression, Depth, Number, Page};
use super::ycbcr::Converter;

/// Converts the rows of one page.
pub(super) struct Rows<'a> {
    page: &'a Page<'a>,
    meaning: Meaning,
    /// The number of samples of a pixel in `samples`.
    used: usize,
    /// A row of 8-bit samples, pixel after pixel.
    samples: Vec<u8>,
}

/// The meaning of 8-bit samples.
enum Meaning {
    Grey { inverted: bool },
    Rgb,
    Palette(Box<[[u8; 3]; 256]>),
    Cmyk,
    YCbCr(Box<Converter>),
    Lab(Box<Lab>),
}

impl<'a> Rows<'a> {
    /// Prepares for the rows of strips or tiles of this page.
    pub(super) fn new(page: &'a Page<'a>) -> Self {
        let meaning = match &page.colour {
            Colour::Grey { inverted } => Meaning::Grey { inverted: *inverted && inverts(page.depth) },
            Colour::Rgb => Meaning::Rgb,
            Colour::Palette(map) => {
                let colours = map.len() / 3;
                let mut palette = Box::new([[0; 3]; 256]);
                for (index, colour) in palette.iter_mut().enumerate().take(colours) {
                    for (channel, sample) in colour.iter_mut().enumerate() {
                        let wide = map.get(channel * colours + index).unwrap_or(0);
                        *sample = u8::try_from(wide >> 8).unwrap_or(0);
                    }
                }
                Meaning::Palette(palette)
            }
            Colour::Cmyk => Meaning::Cmyk,
            Colour::YCbCr(levels) => {
                let downwards = page.compression == Compression::None;
                Meaning::YCbCr(Box::new(levels.converter(downwards)))
            }
            Colour::Lab => Meaning::Lab(Box::new(Lab::new())),
        };
        let used = page.samples_used();
        Self { page, meaning, used, samples: vec![0; page.chunks.width * used] }
    }

    /// Converts the first `rgb.len() / 3` pixels of row `row` of a strip or tile, whose planes follow one
    /// another. Writes palette indices to `indices`.
    pub(super) fn convert(&mut self, planes: &[u8], row: usize, rgb: &mut [u8], indices: Option<&mut [u8]>) {
        let columns = rgb.len() / 3;
        let samples = &mut self.samples[..columns * self.used];
        if let Some(units) = self.page.units {
            gather_units(planes, units, self.page.row_bytes(), row, samples);
        } else {
            let stored = self.page.samples_together();
            let taken = self.used.min(stored);
            let plane_bytes = planes.len() / self.page.planes();
            for (number, plane) in planes.chunks_exact(plane_bytes).enumerate() {
                let row = &plane[row * self.page.row_bytes()..][..self.page.row_bytes()];
                let layout = Layout { stored, taken, used: self.used, first: number };
                gather(row, self.page, layout, samples);
            }
        }
        if self.page.premultiplied {
            divide_by_alpha(samples, self.used);
        }
        let pixels = rgb.as_chunks_mut::<3>().0.iter_mut();
        match &self.meaning {
            Meaning::Grey { inverted } => {
                let flip = if *inverted { 0xff } else { 0 };
                for (out, pixel) in pixels.zip(samples.chunks_exact(self.used)) {
                    *out = [pixel[0] ^ flip; 3];
                }
            }
            Meaning::Rgb if self.used == 3 => rgb.copy_from_slice(samples),
            Meaning::Rgb => {
                for (out, pixel) in pixels.zip(samples.chunks_exact(self.used)) {
                    out.copy_from_slice(&pixel[..3]);
                }
            }
            Meaning::Palette(palette) => {
                for (out, index) in pixels.zip(&*samples) {
                    *out = palette[usize::from(*index)];
                }
                if let Some(indices) = indices {
                    indices.copy_from_slice(samples);
                }
            }
            Meaning::Cmyk => {
                for (out, pixel) in pixels.zip(samples.as_chunks::<4>().0) {
                    *out = of_inks(*pixel);
                }
            }
            Meaning::YCbCr(converter) => {
                for (out, pixel) in pixels.zip(samples.as_chunks::<3>().0) {
                    *out = converter.rgb(*pixel);
                }
            }
            Meaning::Lab(lab) => {
                for (out, pixel) in pixels.zip(samples.as_chunks::<3>().0) {
                    *out = lab.rgb(*pixel);
                }
            }
        }
    }
}

/// Checks whether samples with white at 0 are inverted. As in Pillow, numbers that are clipped are not.
fn inverts(depth: Depth) -> bool {
    depth.kind == Number::Unsigned && depth.bits <= 16
}

/// The positions of a row's samples in input and output.
#[derive(Clone, Copy)]
struct Layout {
    /// The number of samples of a pixel in the row.
    stored: usize,
    /// The number of samples of a pixel that are read.
    taken: usize,
    /// The number of samples of a pixel in the output, and the first of them that is written.
    used: usize,
    first: usize,
}

/// Reads samples of a row as 8 bits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
fn gather(row: &[u8], page: &Page<'_>, layout: Layout, out: &mut [u8]) {
    let big_endian = page.directory.big_endian();
    let wide = |at: usize| {
        let sample = [row[2 * at], row[2 * at + 1]];
        if big_endian { u16::from_be_bytes(sample) } else { u16::from_le_bytes(sample) }
    };
    let widest = |at: usize| {
        let sample = [row[4 * at], row[4 * at + 1], row[4 * at + 2], row[4 * at + 3]];
        if big_endian { u32::from_be_bytes(sample) } else { u32::from_le_bytes(sample) }
    };
    let clipped = |number: i32| number.clamp(0, 255) as u8;
    let scale = match (page.colour, page.depth.bits) {
        (Colour::Palette(_), _) => 1,
        (_, 1) => 255,
        (_, 2) => 85,
        _ => 17,
    };
    let bits = page.depth.bits;
    match (page.depth.kind, bits) {
        (_, 8) if layout.stored == layout.used && layout.taken == layout.used => {
            out.copy_from_slice(&row[..out.len()]);
        }
        (_, 8) => each(layout, out, |at| row[at]),
        (_, 1 | 2 | 4) => {
            let per_byte = 8 / bits;
            let mask = (1_u8 << bits) - 1;
            each(layout, out, |at| (row[at / per_byte] >> (8 - bits - at % per_byte * bits) & mask) * scale);
        }
        (_, 12) => each(layout, out, |at| {
            let byte = at / 2 * 3 + at % 2;
            if at % 2 == 0 { row[byte] } else { row[byte] << 4 | row[byte + 1] >> 4 }
        }),
        (Number::Unsigned, 16) => each(layout, out, |at| wide(at).to_be_bytes()[0]),
        (_, 16) => each(layout, out, |at| clipped(wide(at).cast_signed().into())),
        (Number::Float, _) => each(layout, out, |at| f32::from_bits(widest(at)) as u8),
        (Number::Unsigned | Number::Signed, _) => {
            each(layout, out, |at| clipped(widest(at).cast_signed()));
        }
    }
}

/// Writes the sample that `sample` returns for each index of a row.
fn each(layout: Layout, out: &mut [u8], sample: impl Fn(usize) -> u8) {
    let Layout { stored, taken, used, first } = layout;
    for (x, pixel) in out.chunks_exact_mut(used).enumerate() {
        for (number, out) in pixel[first..].iter_mut().enumerate().take(taken) {
            *out = sample(x * stored + number);
        }
    }
}

/// Reads a row of Y, Cb and Cr from units that share their chroma.
fn gather_units(rows: &[u8], (across, down): (usize, usize), row_bytes: usize, row: usize, out: &mut [u8]) {
    let units = &rows[row / down * row_bytes..][..row_bytes];
    let size = across * down + 2;
    for (pixels, unit) in out.chunks_mut(3 * across).zip(units.chunks_exact(size)) {
        let luma = &unit[row % down * across..];
        for (pixel, &y) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(luma) {
            *pixel = [y, unit[size - 2], unit[size - 1]];
        }
    }
}

/// Divides colours by alpha, the last sample.
fn divide_by_alpha(samples: &mut [u8], used: usize) {
    for pixel in samples.chunks_exact_mut(used) {
        if let Some((&mut alpha, colours)) = pixel.split_last_mut() {
            for colour in colours {
                let whole = (u16::from(*colour) * 255).checked_div(alpha.into()).unwrap_or(0);
                *colour = u8::try_from(whole).unwrap_or(255);
            }
        }
    }
}

/// Converts cyan, magenta, yellow and black to RGB, with the rounding of Pillow's `cmyk2rgb`.
fn of_inks([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = u32::from(255 - black);
    [cyan, magenta, yellow].map(|ink| {
        let product = u32::from(ink) * light + 128;
        let covered = ((product >> 8) + product) >> 8;
        u8::try_from(light - covered.min(light)).unwrap_or(255)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_divides_what_it_had_multiplied() {
        let mut samples = [100, 50, 0, 100, 200, 10, 20, 255, 1, 2, 3, 0];
        divide_by_alpha(&mut samples, 4);
        assert_eq!(samples, [255, 127, 0, 100, 200, 10, 20, 255, 0, 0, 0, 0]);
        let mut brighter_than_alpha = [200, 100];
        divide_by_alpha(&mut brighter_than_alpha, 2);
        assert_eq!(brighter_than_alpha, [255, 100]);
    }

    #[test]
    fn inks_darken() {
        assert_eq!(of_inks([0, 0, 0, 0]), [255; 3]);
        assert_eq!(of_inks([255, 0, 0, 0]), [0, 255, 255]);
        assert_eq!(of_inks([0, 0, 0, 255]), [0; 3]);
        assert_eq!(of_inks([10, 20, 30, 100]), [149, 143, 137]);
    }

    #[test]
    fn pixels_of_a_unit_share_their_chroma() {
        // Two units of 2 x 2 pixels; the picture is 3 pixels wide.
        let rows = [1, 2, 3, 4, 50, 60, 5, 6, 7, 8, 70, 80];
        let mut out = [0; 9];
        gather_units(&rows, (2, 2), 12, 1, &mut out);
        assert_eq!(out, [3, 50, 60, 4, 50, 60, 7, 70, 80]);
    }
}
