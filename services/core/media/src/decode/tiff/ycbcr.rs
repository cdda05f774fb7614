//! Converts YCbCr to RGB, with the levels and weights that a file may declare.
//!
//! The formulas are those of TIFF 6.0, section 21. The defaults are full range and the weights of ITU-R
//! BT.601.

use super::directory::Directory;
use super::tag;

/// The sample values of black, white and neutral chroma, and the weights of red, green and blue in luma.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Levels {
    weights: [f32; 3],
    /// Black and white of Y, then zero and full scale of Cb and of Cr.
    references: [f32; 6],
}

impl Levels {
    /// The default levels.
    pub(super) const FULL: Self =
        Self { weights: [0.299, 0.587, 0.114], references: [0.0, 255.0, 128.0, 255.0, 128.0, 255.0] };

    /// Reads the levels that the directory declares.
    pub(super) fn of(directory: &Directory<'_>) -> Self {
        let mut levels = Self::FULL;
        if let Some(numbers) = numbers(directory, tag::COEFFICIENTS)
            && numbers[1] != 0.0
        {
            levels.weights = numbers;
        }
        if let Some(numbers) = numbers(directory, tag::REFERENCE_BLACK_WHITE) {
            levels.references = numbers;
        }
        levels
    }

    /// Returns the conversion as tables. Pillow's own conversion, of uncompressed files, rounds downwards.
    pub(super) fn converter(&self, downwards: bool) -> Converter {
        let [red, green, blue] = self.weights;
        let [black, white, no_blue, full_blue, no_red, full_red] = self.references;
        let span = |from: f32, to: f32| if to == from { 1.0 } else { to - from };
        let rounding = if downwards { 0 } else { 1 << (FRACTION_BITS - 1) };
        let mut converter = Converter { luma: [0; 256], from_blue: [[0; 2]; 256], from_red: [[0; 2]; 256] };
        for (code, number) in (0..=255_u8).map(f32::from).enumerate() {
            converter.luma[code] = fixed((number - black) * 255.0 / span(black, white)) + rounding;
            let cb = (number - no_blue) * 127.0 / span(no_blue, full_blue);
            let cr = (number - no_red) * 127.0 / span(no_red, full_red);
            let (to_blue, to_red) = (2.0 - 2.0 * blue, 2.0 - 2.0 * red);
            converter.from_blue[code] = [fixed(-blue * to_blue / green * cb), fixed(to_blue * cb)];
            converter.from_red[code] = [fixed(to_red * cr), fixed(-red * to_red / green * cr)];
        }
        converter
    }
}

/// Returns the first `N` numbers of a tag.
fn numbers<const N: usize>(directory: &Directory<'_>, tag: u16) -> Option<[f32; N]> {
    let values = directory.values(tag)?;
    let mut numbers = [0.0; N];
    for (index, number) in numbers.iter_mut().enumerate() {
        *number = values.number(index)?;
    }
    Some(numbers)
}

const FRACTION_BITS: u32 = 16;

/// Converts a number to units of 1/65536. Clamps it to 32 times the range of a sample, beyond which it has no
/// effect.
#[expect(clippy::cast_possible_truncation, reason = "clamped before")]
fn fixed(number: f32) -> i32 {
    (number.clamp(-8192.0, 8192.0) * f32::from(1_u16 << 15) * 2.0).round() as i32
}

/// A conversion of 8-bit samples.
pub(super) struct Converter {
    /// Luma, including the offset that rounds the sum.
    luma: [i32; 256],
    /// The part of Cb in green and in blue.
    from_blue: [[i32; 2]; 256],
    /// The part of Cr in red and in green.
    from_red: [[i32; 2]; 256],
}

impl Converter {
    /// Returns red, green and blue.
    pub(super) fn rgb(&self, [y, cb, cr]: [u8; 3]) -> [u8; 3] {
        let luma = self.luma[usize::from(y)];
        let [green_of_blue, blue] = self.from_blue[usize::from(cb)];
        let [red, green_of_red] = self.from_red[usize::from(cr)];
        [red, green_of_blue + green_of_red, blue].map(|add| byte(luma + add))
    }
}

fn byte(fixed: i32) -> u8 {
    (fixed >> FRACTION_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_range_has_the_primary_colours_of_jfif() {
        let converter = Levels::FULL.converter(false);
        for (ycbcr, rgb) in [
            ([0, 128, 128], [0, 0, 0]),
            ([255, 128, 128], [255, 255, 255]),
            ([76, 85, 255], [254, 0, 0]),
            ([150, 44, 21], [0, 255, 1]),
            ([29, 255, 107], [0, 0, 254]),
        ] {
            assert_eq!(converter.rgb(ycbcr), rgb);
        }
    }

    #[test]
    fn declared_levels_stretch_luma_and_chroma() {
        let levels = Levels { references: [16.0, 235.0, 128.0, 240.0, 128.0, 240.0], ..Levels::FULL };
        let converter = levels.converter(false);
        assert_eq!(converter.rgb([16, 128, 128]), [0; 3]);
        assert_eq!(converter.rgb([235, 128, 128]), [255; 3]);
        assert_eq!(converter.rgb([81, 90, 240]), [254, 0, 0]);
    }

    #[test]
    fn sums_are_rounded_or_cut_off() {
        // Red is 100 + 1.402, green 100 - 0.714.
        assert_eq!(Levels::FULL.converter(false).rgb([100, 128, 129]), [101, 99, 100]);
        assert_eq!(Levels::FULL.converter(true).rgb([100, 128, 130]), [102, 98, 100]);
        assert_eq!(Levels::FULL.converter(false).rgb([100, 128, 130]), [103, 99, 100]);
    }

    #[test]
    fn levels_without_a_span_do_not_divide_by_zero() {
        let levels = Levels { references: [7.0; 6], ..Levels::FULL };
        assert_eq!(levels.converter(false).rgb([7; 3]), [0; 3]);
    }
}
