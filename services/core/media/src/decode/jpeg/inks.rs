//! Converts four inks to RGB in the arithmetic of Pillow: `CMYK;I`, then `convert("RGB")`.
//!
//! Each sample is stored inverted, the convention of Adobe, which Pillow assumes: 0 is full ink, 255 is
//! paper.

/// The samples of one pixel: cyan, magenta, yellow, black.
pub(super) const INKS: usize = 4;

/// Converts pixels of four inks to as many of RGB.
pub(super) fn to_rgb(inks: &[u8], rgb: &mut [u8]) {
    for (&[cyan, magenta, yellow, paper], rgb) in inks.as_chunks::<INKS>().0.iter().zip(rgb.as_chunks_mut().0)
    {
        *rgb = [cyan, magenta, yellow].map(|stored| paper - share(255 - stored, paper));
    }
}

/// Returns `a * b / 255`, rounded to a whole number. At most `b`.
fn share(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    #[expect(clippy::cast_possible_truncation, reason = "a product of bytes over 255 is a byte")]
    let share = (((product >> 8) + product) >> 8) as u8;
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ink_is_paper_and_black_covers_all() {
        let mut rgb = [0; 12];
        to_rgb(&[255, 255, 255, 255, 255, 0, 255, 255, 9, 90, 200, 0, 255, 128, 0, 128], &mut rgb);
        assert_eq!(rgb, [255, 255, 255, 255, 0, 255, 0, 0, 0, 128, 64, 0]);
    }

    #[test]
    fn shares_are_rounded_quotients() {
        for (a, b) in (0..=255_u8).flat_map(|a| (0..=255_u8).map(move |b| (a, b))) {
            let exact = f64::from(a) * f64::from(b) / 255.0;
            assert!((f64::from(share(a, b)) - exact).abs() <= 0.5, "{a} of {b}");
            assert!(share(a, b) <= b);
        }
    }
}
