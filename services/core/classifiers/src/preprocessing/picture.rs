//! Decoded pictures.

use std::fmt;

use thiserror::Error;

/// A picture as red, green and blue bytes, row by row from the top. The debug output shows no pixels.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbPicture {
    width: u32,
    height: u32,
    pixels: Box<[u8]>,
}

/// The parts are not a valid picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PictureError {
    /// A side is 0 or too long.
    #[error("a side of a picture has 1 to {max} pixels, not {0}", max = RgbPicture::SIDE_MAX)]
    Side(u32),
    /// The number of bytes is not three per pixel.
    #[error("a picture of {width} x {height} pixels has {expected} bytes, not {bytes}")]
    Bytes {
        /// The width.
        width: u32,
        /// The height.
        height: u32,
        /// The expected number of bytes: three per pixel.
        expected: u64,
        /// The given number of bytes.
        bytes: usize,
    },
    /// Too many pixels.
    #[error("a picture has at most {max} bytes, not {0}", max = RgbPicture::BYTES_MAX)]
    TooLarge(u64),
}

/// A borrowed picture with the same layout as [`RgbPicture`]. The debug output shows no pixels.
#[derive(Clone, Copy)]
pub struct RgbView<'a> {
    width: u32,
    height: u32,
    pixels: &'a [u8],
}

impl<'a> RgbView<'a> {
    /// Checks the sides and that there are three bytes per pixel. The size is not bounded, because the bytes
    /// already exist.
    pub fn new(width: u32, height: u32, pixels: &'a [u8]) -> Result<Self, PictureError> {
        match expected(width, height)? {
            expected if u64::try_from(pixels.len()) == Ok(expected) => Ok(Self { width, height, pixels }),
            expected => Err(PictureError::Bytes { width, height, expected, bytes: pixels.len() }),
        }
    }

    /// Returns width and height in pixels.
    #[must_use]
    pub const fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Returns the pixels as three bytes each: red, green, blue; row by row from the top.
    #[must_use]
    pub const fn pixels(&self) -> &'a [u8] {
        self.pixels
    }
}

/// Shows only the size.
impl fmt::Debug for RgbView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RgbView({} x {})", self.width, self.height)
    }
}

/// Returns the expected number of bytes, three per pixel, after checking the sides.
fn expected(width: u32, height: u32) -> Result<u64, PictureError> {
    let sides = 1..=RgbPicture::SIDE_MAX;
    match [width, height].into_iter().find(|side| !sides.contains(side)) {
        Some(side) => Err(PictureError::Side(side)),
        None => Ok(u64::from(width) * u64::from(height) * 3),
    }
}

impl RgbPicture {
    /// The longest side in pixels, as in JPEG.
    pub const SIDE_MAX: u32 = 65_535;
    /// The largest size in bytes: 256 MiB, which is 89 megapixels.
    pub const BYTES_MAX: usize = 256 << 20;

    /// Checks the sides, the size, and that there are three bytes per pixel.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, PictureError> {
        let expected = expected(width, height)?;
        match usize::try_from(expected) {
            Ok(len) if len > Self::BYTES_MAX => Err(PictureError::TooLarge(expected)),
            Ok(len) if len == pixels.len() => Ok(Self { width, height, pixels: pixels.into() }),
            _ => Err(PictureError::Bytes { width, height, expected, bytes: pixels.len() }),
        }
    }

    /// Returns the width in pixels.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Returns the height in pixels.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Returns the pixels as three bytes each: red, green, blue; row by row from the top.
    #[must_use]
    pub const fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Returns a borrowed view of the picture.
    #[must_use]
    pub const fn view(&self) -> RgbView<'_> {
        RgbView { width: self.width, height: self.height, pixels: &self.pixels }
    }

    /// Returns the bytes, row by row from the top.
    #[must_use]
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels.into_vec()
    }

    /// Returns the part with this width and height whose corner is at `left` and `top`. The caller must
    /// ensure that the part is within the picture.
    pub(super) fn part(&self, left: usize, top: usize, width: u32, height: u32) -> Self {
        let (row, columns, rows) = (pixels_of(self.width) * 3, pixels_of(width), pixels_of(height));
        let lines = self.pixels.chunks_exact(row).skip(top).take(rows);
        let pixels = lines.flat_map(|line| line.iter().skip(left * 3).take(columns * 3)).copied().collect();
        Self { width, height, pixels }
    }

    /// Returns a picture of one colour with this picture placed on it at `left` and `top`. The caller must
    /// ensure that it fits.
    pub(super) fn around(&self, colour: [u8; 3], left: usize, top: usize, width: u32, height: u32) -> Self {
        let (columns, rows) = (pixels_of(width), pixels_of(height));
        let mut pixels: Vec<u8> = colour.iter().copied().cycle().take(columns * rows * 3).collect();
        let lines = pixels.chunks_exact_mut(columns * 3).skip(top);
        for (line, laid) in lines.zip(self.pixels.chunks_exact(pixels_of(self.width) * 3)) {
            line[left * 3..][..laid.len()].copy_from_slice(laid);
        }
        Self { width, height, pixels: pixels.into() }
    }
}

/// Converts a side to a number of elements.
pub(super) fn pixels_of(side: u32) -> usize {
    usize::try_from(side).expect("a side is at most 65,535")
}

/// Shows only the size.
impl fmt::Debug for RgbPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RgbPicture({} x {})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_three_bytes_a_pixel() {
        let picture = RgbPicture::new(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!((picture.width(), picture.height(), picture.pixels()), (2, 1, &[1, 2, 3, 4, 5, 6][..]));
        assert_eq!(format!("{picture:?}"), "RgbPicture(2 x 1)");
        assert_eq!(
            RgbPicture::new(2, 1, vec![0; 5]),
            Err(PictureError::Bytes { width: 2, height: 1, expected: 6, bytes: 5 })
        );
        assert_eq!(RgbPicture::new(0, 1, vec![]), Err(PictureError::Side(0)));
        assert_eq!(RgbPicture::new(1, 65_536, vec![]), Err(PictureError::Side(65_536)));
        assert_eq!(RgbPicture::new(65_535, 65_535, vec![]), Err(PictureError::TooLarge(12_884_508_675)));
    }

    #[test]
    fn parts_and_borders_are_at_their_offsets() {
        let picture = RgbPicture::new(2, 2, (1..=12).collect()).unwrap();
        assert_eq!(picture.part(1, 0, 1, 2).pixels(), [4, 5, 6, 10, 11, 12]);
        assert_eq!(picture.part(0, 1, 2, 1).pixels(), [7, 8, 9, 10, 11, 12]);
        let pixel = RgbPicture::new(1, 1, vec![1, 2, 3]).unwrap();
        let bordered = pixel.around([7, 8, 9], 1, 0, 2, 2);
        assert_eq!(bordered.pixels(), [7, 8, 9, 1, 2, 3, 7, 8, 9, 7, 8, 9]);
    }
}
