//! Assembles a picture from pictures of equal size, and hashes it.

use vigie_classifiers::PictureForm;
use vigie_model::PictureFingerprint;

use crate::error::DecodeError;
use crate::forms::{Forms, HashedPicture};
use crate::frames::Frame;
use crate::limits::Limits;
use crate::orientation::Orientation;
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;
use crate::ways::{self, Ways};

/// The arrangement of pictures of equal size, row by row, in one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mosaic {
    /// The number of pictures in a row.
    pub columns: u32,
    /// The number of rows of pictures.
    pub rows: u32,
    /// The width of each picture, in pixels.
    pub tile_width: u32,
    /// The height of each picture, in pixels.
    pub tile_height: u32,
    /// The columns of pixels at the left that are not shown.
    pub left: u32,
    /// The rows of pixels at the top that are not shown.
    pub top: u32,
    /// The width of the shown area before rotation, in pixels.
    pub width: u32,
    /// The height of the shown area before rotation, in pixels.
    pub height: u32,
    /// The orientation that makes the picture upright: a value of TIFF's tag, 1 to 8.
    pub orientation: u16,
    /// The number of further pictures of the file, which are not decoded. A lower bound.
    pub frames_left_out: u32,
}

impl Mosaic {
    /// The largest number of pictures: a grid of 16 x 16 is more than any encoder writes.
    pub const TILES_MAX: u32 = 256;

    /// Describes one upright picture that is alone in its file.
    #[must_use]
    pub const fn single(width: u32, height: u32) -> Self {
        Self {
            columns: 1,
            rows: 1,
            tile_width: width,
            tile_height: height,
            left: 0,
            top: 0,
            width,
            height,
            orientation: 1,
            frames_left_out: 0,
        }
    }

    /// Returns the number of pictures.
    #[must_use]
    pub const fn tiles(&self) -> u32 {
        self.columns.saturating_mul(self.rows)
    }

    /// Returns the bytes of RGB of all pictures together.
    #[must_use]
    pub fn pixel_bytes(&self) -> u64 {
        let tile = u64::from(self.tile_width).saturating_mul(self.tile_height.into());
        tile.saturating_mul(self.tiles().into()).saturating_mul(CHANNELS as u64)
    }

    /// Checks that the picture can be made within `limits`.
    ///
    /// # Errors
    /// [`DecodeError`]: the picture exceeds `limits`, or the shown area is not within its pictures.
    pub fn check(&self, limits: &Limits) -> Result<(), DecodeError> {
        limits.check_dimensions(self.width, self.height)?;
        limits.check_dimensions(self.tile_width, self.tile_height)?;
        let covers = |count: u32, tile: u32, from: u32, length: u32| {
            u64::from(from) + u64::from(length) <= u64::from(count) * u64::from(tile)
        };
        let is_whole = covers(self.columns, self.tile_width, self.left, self.width)
            && covers(self.rows, self.tile_height, self.top, self.height);
        if !is_whole || !(1..=Self::TILES_MAX).contains(&self.tiles()) || !(1..=8).contains(&self.orientation)
        {
            return Err(DecodeError::Corrupt { reason: "the tiles do not cover the picture" });
        }
        let copies = 1 + u64::from(!self.is_plain()) + u64::from(self.orientation != 1);
        limits.check_alloc(self.pixel_bytes().saturating_mul(copies))
    }

    /// Checks whether there is only one picture, which is shown unchanged.
    fn is_plain(&self) -> bool {
        self.tiles() == 1 && (self.width, self.height) == (self.tile_width, self.tile_height)
    }

    /// Assembles the picture from the RGB of its pictures, which follow one another.
    fn assemble(&self, rgb: Vec<u8>) -> Option<Picture> {
        if self.is_plain() {
            return Picture::from_rgb(self.width, self.height, rgb);
        }
        if rgb.len() as u64 != self.pixel_bytes() {
            return None;
        }
        let tile_row_bytes = self.tile_width as usize * CHANNELS;
        let (width, height) = (self.width as usize, self.height as usize);
        let mut shown = Pixels::zeroed(width * height * CHANNELS);
        // Each row of the shown picture is copied tile by tile.
        for (y, row) in shown.chunks_exact_mut(width * CHANNELS).enumerate() {
            let y = y + self.top as usize;
            let (tile_y, within_y) = (y / self.tile_height as usize, y % self.tile_height as usize);
            let mut left = self.left as usize;
            let mut row = row;
            while !row.is_empty() {
                let (tile_x, within_x) = (left / self.tile_width as usize, left % self.tile_width as usize);
                let tile = tile_y * self.columns as usize + tile_x;
                let from =
                    (tile * self.tile_height as usize + within_y) * tile_row_bytes + within_x * CHANNELS;
                let bytes = (tile_row_bytes - within_x * CHANNELS).min(row.len());
                let (here, rest) = row.split_at_mut(bytes);
                here.copy_from_slice(rgb.get(from..from + bytes)?);
                row = rest;
                left += bytes / CHANNELS;
            }
        }
        Picture::from_pixels(self.width, self.height, shown)
    }
}

/// Hashes a picture that an external program has decoded to `rgb`, in the ways that `ways` names, and returns
/// its pixels in these forms. The pixels may have any values.
///
/// # Errors
/// [`DecodeError`], if `rgb` does not have the length of the picture, or the picture exceeds `limits`.
pub fn picture_of_pixels(
    rgb: Vec<u8>,
    mosaic: &Mosaic,
    limits: &Limits,
    ways: Ways,
    forms: &[PictureForm],
) -> Result<HashedPicture, DecodeError> {
    mosaic.check(limits)?;
    let wrong = DecodeError::Corrupt { reason: "the decoder gave another number of pixels than declared" };
    let stored = mosaic.assemble(rgb).ok_or(wrong.clone())?;
    let frame = Frame { orientation: Orientation::from_tag(mosaic.orientation), ..Frame::still(stored) };
    let mut forms = Forms::new(forms);
    let mut show = |picture: &Picture| forms.show(picture);
    let ((width, height), first) = ways::hash(0, frame, ways, &mut show).ok_or(wrong)?;
    let fingerprint = PictureFingerprint {
        width,
        height,
        first,
        later: Vec::new(),
        frames_left_out: mosaic.frames_left_out,
        later_fault: None,
    };
    Ok(HashedPicture { fingerprint, pixels: forms.finish() })
}
