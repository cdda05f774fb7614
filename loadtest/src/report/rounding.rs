//! Conversion of fractions to counts.

/// Returns the whole part; 0 for a negative number or NaN.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "this is the one place where it is meant: such a cast saturates, and makes 0 of what is no number"
)]
pub(crate) const fn whole(value: f64) -> usize {
    value as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_cut_off_and_nonsense_is_nothing() {
        assert_eq!([0.0, 0.99, 1.0, 7.5].map(whole), [0, 0, 1, 7]);
        assert_eq!([-1.0, f64::NAN].map(whole), [0, 0]);
    }
}
