//! The numeric conversions and curves that drawing needs, with defined rounding.
//!
//! A picture must be the same on every platform, so nothing here calls the platform's mathematical library:
//! only the operations that IEEE 754 defines to the last bit (add, subtract, multiply, divide, square root,
//! floor).

/// Returns a brightness as a byte: rounded to the nearest, and clamped to 0 to 255.
#[expect(clippy::cast_possible_truncation, reason = "the conversion saturates, which is what is wanted")]
pub(crate) fn byte(level: f32) -> u8 {
    (level + 0.5) as u8
}

/// Returns the whole part of a length as an index; 0 for negative lengths and NaN.
#[expect(clippy::cast_possible_truncation, reason = "the conversion saturates, which is what is wanted")]
pub(crate) fn index(length: f32) -> usize {
    length as usize
}

/// Returns the whole part of a length as a count of pixels; 0 for negative lengths and NaN.
#[expect(clippy::cast_possible_truncation, reason = "the conversion saturates, which is what is wanted")]
pub(crate) fn pixels(length: f32) -> u32 {
    length as u32
}

/// Returns the whole number at or below a coordinate, and its bits for masking (neighbours differ by one,
/// also below 0).
///
/// The result is exact up to a thousand million, which no coordinate exceeds. The library's `floor` is a
/// function call on baseline processors, and most of the time of noise would be spent in it.
#[expect(clippy::cast_possible_truncation, reason = "coordinates are small")]
pub(crate) fn cell(coordinate: f32) -> (f32, usize) {
    let towards_zero = coordinate as i32;
    let whole = if towards_zero as f32 > coordinate { towards_zero - 1 } else { towards_zero };
    (whole as f32, whole.cast_unsigned() as usize)
}

/// Returns the low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
pub(crate) fn low(bits: u64) -> u32 {
    bits as u32
}

/// Returns a value between `from` (at 0) and `to` (at 1).
pub(crate) fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

/// Returns 0 up to `from`, 1 from `to` on, and a smooth S curve between them.
pub(crate) fn step(from: f32, to: f32, value: f32) -> f32 {
    let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// Returns the sine of an angle in turns, accurate to one part in a thousand: a parabola, corrected once.
pub(crate) fn sine(turns: f32) -> f32 {
    let angle = turns - cell(turns + 0.5).0;
    let parabola = 8.0 * angle - 16.0 * angle * angle.abs();
    0.775 * parabola + 0.225 * parabola * parabola.abs()
}

/// Returns the cosine of an angle in turns, as accurate as [`sine`].
pub(crate) fn cosine(turns: f32) -> f32 {
    sine(turns + 0.25)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sine_is_close_to_the_true_one() {
        for step in -4000_i16..4000 {
            let turns = f32::from(step) / 1000.0;
            let truth = (turns * std::f32::consts::TAU).sin();
            assert!((sine(turns) - truth).abs() < 2e-3, "{turns}: {} against {truth}", sine(turns));
        }
    }

    #[test]
    fn conversions_saturate() {
        assert_eq!((byte(-3.0), byte(99.6), byte(400.0)), (0, 100, 255));
        assert_eq!((index(-1.0), index(7.9), index(f32::NAN)), (0, 7, 0));
        assert_eq!((cell(-1.0).1 & 63, cell(-0.5).0, cell(7.9).0), (63, -1.0, 7.0));
    }
}
