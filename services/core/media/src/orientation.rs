//! The rotations and mirrorings that make a stored picture upright.

use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

/// The transformation that a file asks for: the tag `Orientation` of TIFF 6.0, values 1 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Orientation {
    /// Whether rows and columns are exchanged, before the other steps.
    transposed: bool,
    /// Whether the columns of the upright picture are stored from right to left.
    mirrored: bool,
    /// Whether the rows of the upright picture are stored from bottom to top.
    flipped: bool,
}

impl Orientation {
    /// The orientation of a picture that is stored upright.
    pub(crate) const UPRIGHT: Self = Self { transposed: false, mirrored: false, flipped: false };

    /// Returns the orientation for a tag's value; values that the standard does not define mean upright.
    pub(crate) const fn from_tag(value: u16) -> Self {
        let (transposed, mirrored, flipped) = match value {
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => (false, false, false),
        };
        Self { transposed, mirrored, flipped }
    }

    /// Returns the combination of this transformation and `next` after it.
    pub(crate) const fn then(self, next: Self) -> Self {
        let (mirrored, flipped) =
            if next.transposed { (self.flipped, self.mirrored) } else { (self.mirrored, self.flipped) };
        Self {
            transposed: self.transposed != next.transposed,
            mirrored: mirrored != next.mirrored,
            flipped: flipped != next.flipped,
        }
    }

    /// Returns the tag's value.
    pub(crate) const fn tag(self) -> u16 {
        match (self.transposed, self.mirrored, self.flipped) {
            (false, false, false) => 1,
            (false, true, false) => 2,
            (false, true, true) => 3,
            (false, false, true) => 4,
            (true, false, false) => 5,
            (true, true, false) => 6,
            (true, true, true) => 7,
            (true, false, true) => 8,
        }
    }

    /// Returns the upright picture.
    pub(crate) fn turn(self, stored: &Picture) -> Option<Picture> {
        let (stored_width, stored_height) = (stored.width() as usize, stored.height() as usize);
        let (width, height) =
            if self.transposed { (stored_height, stored_width) } else { (stored_width, stored_height) };
        let mut rgb = Pixels::zeroed(width * height * CHANNELS);
        let from = stored.rgb().as_chunks::<CHANNELS>().0;
        for (y, row) in rgb.as_chunks_mut::<CHANNELS>().0.chunks_exact_mut(width).enumerate() {
            let y = if self.flipped { height - 1 - y } else { y };
            for (x, pixel) in row.iter_mut().enumerate() {
                let x = if self.mirrored { width - 1 - x } else { x };
                *pixel = from[if self.transposed { x * stored_width + y } else { y * stored_width + x }];
            }
        }
        Picture::from_pixels(u32::try_from(width).ok()?, u32::try_from(height).ok()?, rgb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of grey pixels.
    fn picture(rows: &[&[u8]]) -> Picture {
        let rgb = rows.iter().flat_map(|row| row.iter().flat_map(|&grey| [grey; CHANNELS])).collect();
        let side = |length: usize| u32::try_from(length).unwrap();
        Picture::from_rgb(side(rows[0].len()), side(rows.len()), rgb).unwrap()
    }

    #[test]
    fn each_tag_turns_as_the_standard_says() {
        // The stored picture has the rows 1 2 3 and 4 5 6.
        let stored = picture(&[&[1, 2, 3], &[4, 5, 6]]);
        let upright: [&[&[u8]]; 8] = [
            &[&[1, 2, 3], &[4, 5, 6]],
            &[&[3, 2, 1], &[6, 5, 4]],
            &[&[6, 5, 4], &[3, 2, 1]],
            &[&[4, 5, 6], &[1, 2, 3]],
            &[&[1, 4], &[2, 5], &[3, 6]],
            &[&[4, 1], &[5, 2], &[6, 3]],
            &[&[6, 3], &[5, 2], &[4, 1]],
            &[&[3, 6], &[2, 5], &[1, 4]],
        ];
        for (tag, rows) in (1..).zip(upright) {
            let turned = Orientation::from_tag(tag).turn(&stored).unwrap();
            assert_eq!(turned.rgb(), picture(rows).rgb(), "tag {tag}");
        }
        assert_eq!(Orientation::from_tag(0), Orientation::UPRIGHT);
        assert_eq!(Orientation::from_tag(9), Orientation::UPRIGHT);
    }

    #[test]
    fn one_turn_after_another_is_one_turn() {
        let stored = picture(&[&[1, 2, 3], &[4, 5, 6]]);
        for (first, second) in (1..=8).flat_map(|first| (1..=8).map(move |second| (first, second))) {
            let (first, second) = (Orientation::from_tag(first), Orientation::from_tag(second));
            let both = second.turn(&first.turn(&stored).unwrap()).unwrap();
            let one = first.then(second);
            assert_eq!(one.turn(&stored).unwrap().rgb(), both.rgb(), "{first:?}, {second:?}");
            assert_eq!(Orientation::from_tag(one.tag()), one);
        }
    }
}
