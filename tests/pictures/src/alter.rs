//! Alterations of a picture as they happen when it is shared: recompressed, resized, marked, turned.
//!
//! The strengths in [`Alteration::DEMO`] are those that a perceptual hash should survive. They were chosen by
//! measurement: each keeps the reference PDQ within 31 bits of the original, for the first 200 seeds at
//! 640x480, once the eight rotations and reflections are searched. At 512x384 a turned copy may be a few bits
//! further away: PDQ's own sampling is off centre by up to a pixel or two, which matters more the smaller a
//! picture is.

use std::fmt;

use image::RgbImage;
use image::imageops::{self, FilterType};

use crate::canvas::Canvas;
use crate::colour::Colour;
use crate::encode::{Format, encode_jpeg};
use crate::numbers;
use crate::shapes;

/// The JPEG quality of a copy with another alteration: good, as platforms save.
const COPY_QUALITY: u8 = 85;

/// A change made to a copy of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alteration {
    /// Saved as a JPEG of the given quality, 1 to 100.
    Recompressed {
        /// JPEG quality, 1 to 100.
        quality: u8,
    },
    /// Scaled.
    Resized {
        /// The new width and height, in percent of the old.
        percent: u16,
    },
    /// Blurred as by a lens out of focus.
    Blurred {
        /// The blur's standard deviation, in thousandths of the longer side.
        per_mille: u8,
    },
    /// Marked with a translucent word in a corner.
    Watermarked,
    /// Turned clockwise by a quarter.
    Rotated90,
    /// Turned upside down.
    Rotated180,
    /// Turned clockwise by three quarters.
    Rotated270,
    /// Mirrored left to right.
    MirroredHorizontally,
    /// Mirrored top to bottom.
    MirroredVertically,
    /// Mirrored at the diagonal from the top left: rows become columns.
    MirroredDiagonally,
    /// Mirrored at the diagonal from the top right.
    MirroredAntidiagonally,
    /// Cut on each of the four sides.
    Cropped {
        /// The part cut from each side, in thousandths of the width or height.
        per_mille: u8,
    },
    /// Scaled to a square, as for a list of search results.
    Thumbnail {
        /// The side in pixels.
        side: u32,
    },
    /// Given a uniform border on all four sides.
    Bordered {
        /// The width of each border, in thousandths of the side that it lies along.
        per_mille: u16,
        /// The grey level, 0 to 255.
        grey: u8,
    },
    /// Given black bars above and below, as for another aspect.
    Letterboxed {
        /// The height of each bar, in thousandths of the picture's height.
        per_mille: u16,
    },
    /// Turned clockwise by less than a quarter, on a black ground of the same size.
    RotatedBy {
        /// The angle, in tenths of a degree.
        tenths: u16,
    },
    /// Written over with one line of large letters across the middle.
    Captioned {
        /// The height of the letters, in percent of the picture's height.
        percent: u8,
    },
    /// Brightened, or darkened where negative.
    Brightened {
        /// The number added to each level, which is 0 to 255.
        levels: i8,
    },
    /// Given more contrast, or less where negative.
    Contrasted {
        /// The change in percent.
        percent: i8,
    },
    /// Stripped of its colours.
    Greyed,
    /// Saved in another format.
    Converted(Format),
}

impl Alteration {
    /// The alterations of the demonstration.
    pub const DEMO: &[Self] = &[
        Self::Recompressed { quality: 30 },
        Self::Resized { percent: 50 },
        Self::Blurred { per_mille: 4 },
        Self::Watermarked,
        Self::Cropped { per_mille: 5 },
        Self::Brightened { levels: 25 },
        Self::Contrasted { percent: 20 },
        Self::Greyed,
        Self::Converted(Format::WebP),
        Self::Converted(Format::Gif),
        Self::Rotated90,
        Self::Rotated180,
        Self::Rotated270,
        Self::MirroredHorizontally,
        Self::MirroredVertically,
        Self::MirroredDiagonally,
        Self::MirroredAntidiagonally,
    ];

    /// Copies that are harder to recognise, and some that PDQ does not recognise: they demonstrate its
    /// limits.
    pub const RECALL: &[Self] = &[
        Self::Recompressed { quality: 50 },
        Self::Recompressed { quality: 20 },
        Self::Recompressed { quality: 5 },
        Self::Cropped { per_mille: 5 },
        Self::Cropped { per_mille: 10 },
        Self::Cropped { per_mille: 20 },
        Self::Cropped { per_mille: 50 },
        Self::Cropped { per_mille: 100 },
        Self::Letterboxed { per_mille: 20 },
        Self::Letterboxed { per_mille: 100 },
        Self::Letterboxed { per_mille: 250 },
        Self::Bordered { per_mille: 20, grey: 255 },
        Self::Bordered { per_mille: 100, grey: 0 },
        Self::RotatedBy { tenths: 5 },
        Self::RotatedBy { tenths: 10 },
        Self::RotatedBy { tenths: 20 },
        Self::RotatedBy { tenths: 50 },
        Self::RotatedBy { tenths: 150 },
        Self::Thumbnail { side: 256 },
        Self::Thumbnail { side: 200 },
        Self::Thumbnail { side: 160 },
        Self::Thumbnail { side: 129 },
        Self::Thumbnail { side: 64 },
        Self::Captioned { percent: 5 },
        Self::Captioned { percent: 10 },
        Self::Captioned { percent: 20 },
        Self::Captioned { percent: 40 },
    ];

    /// Returns the alteration in words, such as `blurred` or `recompressed at quality 30`.
    #[must_use]
    pub fn name(&self) -> String {
        match *self {
            Self::Recompressed { quality } => format!("recompressed at quality {quality}"),
            Self::Resized { percent } => format!("resized to {percent} %"),
            Self::Blurred { .. } => "blurred".to_owned(),
            Self::Watermarked => "watermarked".to_owned(),
            Self::Rotated90 => "rotated by 90\u{b0}".to_owned(),
            Self::Rotated180 => "rotated by 180\u{b0}".to_owned(),
            Self::Rotated270 => "rotated by 270\u{b0}".to_owned(),
            Self::MirroredHorizontally => "mirrored left to right".to_owned(),
            Self::MirroredVertically => "mirrored top to bottom".to_owned(),
            Self::MirroredDiagonally => "mirrored at the diagonal".to_owned(),
            Self::MirroredAntidiagonally => "mirrored at the other diagonal".to_owned(),
            Self::Cropped { per_mille } => format!("cropped by {} % a side", f32::from(per_mille) / 10.0),
            Self::Thumbnail { side } => format!("thumbnail of {side} x {side} pixels"),
            Self::Bordered { per_mille, grey } => {
                let colour = if grey < 128 { "dark" } else { "light" };
                format!("{colour} border of {} % a side", f32::from(per_mille) / 10.0)
            }
            Self::Letterboxed { per_mille } => {
                format!("bars of {} % above and below", f32::from(per_mille) / 10.0)
            }
            Self::RotatedBy { tenths } => format!("rotated by {}\u{b0}", f32::from(tenths) / 10.0),
            Self::Captioned { percent } => format!("text of {percent} % of the height across it"),
            Self::Brightened { levels: ..0 } => "darkened".to_owned(),
            Self::Brightened { .. } => "brightened".to_owned(),
            Self::Contrasted { percent: ..0 } => "less contrast".to_owned(),
            Self::Contrasted { .. } => "more contrast".to_owned(),
            Self::Greyed => "greyed".to_owned(),
            Self::Converted(format) => format!("converted to {}", format.name()),
        }
    }

    /// Returns the altered copy as a file: a JPEG, except where the alteration is a format.
    ///
    /// # Panics
    ///
    /// If the picture has no pixels, as [`Format::encode`] does.
    #[must_use]
    pub fn apply(&self, picture: &RgbImage) -> Vec<u8> {
        let altered = match *self {
            Self::Recompressed { quality } => return encode_jpeg(picture, quality),
            Self::Converted(format) => return format.encode(picture),
            Self::Resized { percent } => resized(picture, percent),
            Self::Blurred { per_mille } => blurred(picture, per_mille),
            Self::Watermarked => watermarked(picture),
            Self::Rotated90 => imageops::rotate90(picture),
            Self::Rotated180 => imageops::rotate180(picture),
            Self::Rotated270 => imageops::rotate270(picture),
            Self::MirroredHorizontally => imageops::flip_horizontal(picture),
            Self::MirroredVertically => imageops::flip_vertical(picture),
            Self::MirroredDiagonally => imageops::flip_horizontal(&imageops::rotate90(picture)),
            Self::MirroredAntidiagonally => imageops::flip_horizontal(&imageops::rotate270(picture)),
            Self::Cropped { per_mille } => cropped(picture, per_mille),
            Self::Thumbnail { side } => imageops::resize(picture, side, side, FilterType::CatmullRom),
            Self::Bordered { per_mille, grey } => bordered(picture, [per_mille; 2], grey),
            Self::Letterboxed { per_mille } => bordered(picture, [0, per_mille], 0),
            Self::RotatedBy { tenths } => rotated(picture, f32::from(tenths) / 10.0),
            Self::Captioned { percent } => captioned(picture, percent),
            Self::Brightened { levels } => imageops::brighten(picture, i32::from(levels)),
            Self::Contrasted { percent } => imageops::contrast(picture, f32::from(percent)),
            Self::Greyed => greyed(picture),
        };
        encode_jpeg(&altered, COPY_QUALITY)
    }
}

impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

fn resized(picture: &RgbImage, percent: u16) -> RgbImage {
    let scaled = |side: u32| numbers::pixels(side as f32 * f32::from(percent) / 100.0 + 0.5).max(1);
    imageops::resize(picture, scaled(picture.width()), scaled(picture.height()), FilterType::CatmullRom)
}

fn blurred(picture: &RgbImage, per_mille: u8) -> RgbImage {
    let longer = picture.width().max(picture.height()) as f32;
    imageops::blur(picture, (longer * f32::from(per_mille) / 1000.0).max(0.1))
}

fn cropped(picture: &RgbImage, per_mille: u8) -> RgbImage {
    let (width, height) = picture.dimensions();
    let cut = |side: u32| (side * u32::from(per_mille)).div_ceil(1000).min((side - 1) / 2);
    let (left, top) = (cut(width), cut(height));
    imageops::crop_imm(picture, left, top, width - 2 * left, height - 2 * top).to_image()
}

/// Returns the picture with borders of these shares of the width and of the height, in thousandths.
fn bordered(picture: &RgbImage, [across, down]: [u16; 2], grey: u8) -> RgbImage {
    let (width, height) = picture.dimensions();
    let border = |side: u32, per_mille: u16| (side * u32::from(per_mille)).div_ceil(1000);
    let (left, top) = (border(width, across), border(height, down));
    let mut out = RgbImage::from_pixel(width + 2 * left, height + 2 * top, image::Rgb([grey; 3]));
    imageops::replace(&mut out, picture, left.into(), top.into());
    out
}

/// Returns the picture turned about its centre; each pixel is interpolated from the four nearest ones.
fn rotated(picture: &RgbImage, degrees: f32) -> RgbImage {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (width, height) = picture.dimensions();
    let (middle_x, middle_y) = ((width as f32 - 1.0) / 2.0, (height as f32 - 1.0) / 2.0);
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 - middle_x, y as f32 - middle_y);
        let (from_x, from_y) = (x * cosine + y * sine + middle_x, y * cosine - x * sine + middle_y);
        imageops::interpolate_bilinear(picture, from_x, from_y).unwrap_or(image::Rgb([0; 3]))
    })
}

/// Writes VIGIE in solid white with a black shadow, centred. The height determines the width.
fn captioned(picture: &RgbImage, percent: u8) -> RgbImage {
    let mut canvas = Canvas::over(picture.clone());
    // The letters are four boxes high, the whole word 14 wide.
    let size = (f32::from(percent) / 400.0).min(canvas.aspect() / 15.0);
    let (left, top) = ((canvas.aspect() - size * 14.0) / 2.0, 0.5 - size * 2.0);
    write(&mut canvas, (left, top), size, 1.0);
    canvas.finish()
}

fn greyed(picture: &RgbImage) -> RgbImage {
    let mut grey = picture.clone();
    for pixel in grey.pixels_mut() {
        let [red, green, blue] = pixel.0.map(f32::from);
        pixel.0 = [numbers::byte(0.299 * red + 0.587 * green + 0.114 * blue); 3];
    }
    grey
}

/// The letters of the mark as strokes in a box of 2 across and 4 down.
const LETTERS: [&[&[(f32, f32)]]; 5] = [
    &[&[(0.0, 0.0), (1.0, 4.0), (2.0, 0.0)]],
    &[&[(1.0, 0.0), (1.0, 4.0)]],
    &[&[(2.0, 0.5), (1.0, 0.0), (0.0, 1.0), (0.0, 3.0), (1.0, 4.0), (2.0, 3.4), (2.0, 2.2), (1.2, 2.2)]],
    &[&[(1.0, 0.0), (1.0, 4.0)]],
    &[&[(2.0, 0.0), (0.2, 0.0), (0.2, 4.0), (2.0, 4.0)], &[(0.2, 2.0), (1.6, 2.0)]],
];

/// Writes VIGIE across the lower right corner, in white on a thin shadow.
fn watermarked(picture: &RgbImage) -> RgbImage {
    let mut canvas = Canvas::over(picture.clone());
    let size = 0.012_f32.min(canvas.aspect() * 0.02);
    let at = (canvas.aspect() - size * 16.5, 1.0 - size * 6.0);
    write(&mut canvas, at, size, 0.6);
    canvas.finish()
}

/// Writes VIGIE with its upper left corner there, in white on a thin shadow.
fn write(canvas: &mut Canvas, (left, top): (f32, f32), size: f32, opacity: f32) {
    for (shift, colour) in [(0.25, Colour::hex(0x00_0000)), (0.0, Colour::hex(0xff_ffff))] {
        for (place, letter) in LETTERS.iter().enumerate() {
            let x = left + size * (place as f32 * 3.0 + shift);
            let y = top + size * shift;
            for stroke in *letter {
                let points: Vec<shapes::Point> = stroke
                    .iter()
                    .map(|(right, down)| shapes::Point { x: x + right * size, y: y + down * size })
                    .collect();
                canvas.stroke(&points, size * 0.55, colour.sheer(opacity));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw;

    fn check(alteration: Alteration, size: (u32, u32)) {
        let file = alteration.apply(&draw(2, 200, 120));
        let decoded = image::load_from_memory(&file).unwrap();
        assert_eq!((decoded.width(), decoded.height()), size, "{alteration}");
    }

    #[test]
    fn every_alteration_of_the_demonstration_gives_a_file_of_the_expected_size() {
        for alteration in Alteration::DEMO {
            let size = match alteration {
                Alteration::Rotated90
                | Alteration::Rotated270
                | Alteration::MirroredDiagonally
                | Alteration::MirroredAntidiagonally => (120, 200),
                Alteration::Resized { .. } => (100, 60),
                Alteration::Cropped { .. } => (198, 118),
                Alteration::Recompressed { .. }
                | Alteration::Blurred { .. }
                | Alteration::Watermarked
                | Alteration::Rotated180
                | Alteration::MirroredHorizontally
                | Alteration::MirroredVertically
                | Alteration::Brightened { .. }
                | Alteration::Contrasted { .. }
                | Alteration::Greyed
                | Alteration::Thumbnail { .. }
                | Alteration::Bordered { .. }
                | Alteration::Letterboxed { .. }
                | Alteration::RotatedBy { .. }
                | Alteration::Captioned { .. }
                | Alteration::Converted(_) => (200, 120),
            };
            check(*alteration, size);
        }
    }

    #[test]
    fn strong_alterations_leave_a_picture() {
        check(Alteration::Resized { percent: 0 }, (1, 1));
        check(Alteration::Resized { percent: 300 }, (600, 360));
        check(Alteration::Cropped { per_mille: 255 }, (98, 58));
        check(Alteration::Brightened { levels: -128 }, (200, 120));
        check(Alteration::Contrasted { percent: -100 }, (200, 120));
    }

    #[test]
    fn thumbnails_borders_and_turns_have_the_size_that_they_say() {
        check(Alteration::Thumbnail { side: 64 }, (64, 64));
        check(Alteration::Bordered { per_mille: 100, grey: 9 }, (240, 144));
        check(Alteration::Letterboxed { per_mille: 250 }, (200, 180));
        check(Alteration::RotatedBy { tenths: 50 }, (200, 120));
        check(Alteration::Captioned { percent: 40 }, (200, 120));
    }

    #[test]
    fn a_turn_by_nothing_changes_nothing_and_a_turn_by_a_half_is_upside_down() {
        let picture = draw(4, 61, 41);
        assert_eq!(rotated(&picture, 0.0), picture);
        let (turned, expected) = (rotated(&picture, 180.0), imageops::rotate180(&picture));
        let inner = |picture: &RgbImage| imageops::crop_imm(picture, 2, 2, 57, 37).to_image();
        for (one, other) in inner(&turned).as_raw().iter().zip(inner(&expected).as_raw()) {
            assert!(one.abs_diff(*other) <= 2, "{one} and {other}");
        }
    }

    #[test]
    fn a_diagonal_mirror_turns_rows_into_columns() {
        let picture = draw(3, 24, 16);
        let mirrored = imageops::flip_horizontal(&imageops::rotate90(&picture));
        assert_eq!(mirrored.get_pixel(5, 20), picture.get_pixel(20, 5));
    }

    #[test]
    fn a_watermark_changes_one_corner_only() {
        let picture = draw(5, 400, 300);
        let marked = watermarked(&picture);
        let changed = |x: u32, y: u32| picture.get_pixel(x, y) != marked.get_pixel(x, y);
        assert!((300..400).any(|x| (260..300).any(|y| changed(x, y))));
        assert!(!(0..300).any(|x| (0..300).any(|y| changed(x, y))));
    }

    #[test]
    fn no_two_alterations_have_the_same_name() {
        for alterations in [Alteration::DEMO, Alteration::RECALL] {
            let mut names: Vec<String> = alterations.iter().map(Alteration::name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), alterations.len());
        }
    }
}
