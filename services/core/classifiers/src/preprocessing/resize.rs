//! Brings pictures to the size that a model reads.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::InputError;
use super::image::{Filter, ImageInput, Resize};
use super::picture::{RgbPicture, pixels_of};

/// Bytes of a picture before it is cropped, and between its two passes: 64 MiB. A shorter side of 512 allows a longer one of 43,000.
const BYTES_MAX: u64 = 64 << 20;

impl ImageInput {
    /// Brings a picture to the width and height that the model reads.
    pub fn resize(&self, picture: &RgbPicture) -> Result<RgbPicture, InputError> {
        self.check().map_err(InputError::Declared)?;
        let (width, height) = (picture.width(), picture.height());
        match self.resize {
            Resize::Stretch => Ok(self.resampled(picture, self.width, self.height)),
            Resize::CoverThenCrop { resize_to } => {
                let (columns, rows) = covering(width, height, resize_to);
                let is_long = columns.max(rows) > RgbPicture::SIDE_MAX;
                if is_long || u64::from(columns) * u64::from(rows) * 3 > BYTES_MAX {
                    return Err(InputError::Narrow(width, height));
                }
                let whole = self.resampled(picture, columns, rows);
                let left = pixels_of((columns - self.width) / 2);
                let top = pixels_of((rows - self.height) / 2);
                Ok(whole.part(left, top, self.width, self.height))
            }
            Resize::Fit { pad } => {
                let (columns, rows) = fitting(width, height, self.width, self.height);
                let whole = self.resampled(picture, columns, rows);
                let left = pixels_of((self.width - columns) / 2);
                let top = pixels_of((self.height - rows) / 2);
                Ok(whole.around(pad, left, top, self.width, self.height))
            }
        }
    }

    /// Resamples the whole picture.
    fn resampled(&self, picture: &RgbPicture, width: u32, height: u32) -> RgbPicture {
        if (width, height) == (picture.width(), picture.height()) {
            return picture.clone();
        }
        let alg = match self.filter {
            Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Filter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Filter::Area => ResizeAlg::Convolution(FilterType::Box),
            Filter::Nearest => ResizeAlg::Nearest,
        };
        let options = ResizeOptions::new().resize_alg(alg).use_alpha(false);
        let source = (picture.width(), picture.height());
        // Columns before rows, as in Pillow: the library would begin with the rows. Where a byte is cut off at 0 or 255 on the way, the order
        // shows in the result. A tall and narrow picture begins with the rows: else it would grow a thousandfold on the way.
        let across = (width, picture.height());
        let is_tall = u64::from(across.0) * u64::from(across.1) * 3 > BYTES_MAX;
        let between = if is_tall { (picture.width(), height) } else { across };
        let half = one_pass(picture.pixels(), source, between, &options);
        let pixels = one_pass(&half, between, (width, height), &options);
        RgbPicture::new(width, height, pixels).expect("callers bound both sides")
    }
}

/// Resamples columns or rows, whichever differ.
fn one_pass(pixels: &[u8], from: (u32, u32), to: (u32, u32), options: &ResizeOptions) -> Vec<u8> {
    let source =
        ImageRef::new(from.0, from.1, pixels, PixelType::U8x3).expect("a picture has three bytes a pixel");
    let mut target = Image::new(to.0, to.1, PixelType::U8x3);
    Resizer::new()
        .resize(&source, &mut target, options)
        .expect("both have the same type of pixels, and no crop is asked");
    target.into_vec()
}

/// The size in proportion whose shorter side is `shorter`; the longer one is rounded down.
fn covering(width: u32, height: u32, shorter: u32) -> (u32, u32) {
    let longer = |long: u32, short: u32| bounded(u64::from(long) * u64::from(shorter) / u64::from(short));
    if width <= height { (shorter, longer(height, width)) } else { (longer(width, height), shorter) }
}

/// The largest size in proportion within a width and height, rounded to the nearest and at least 1.
fn fitting(width: u32, height: u32, within_width: u32, within_height: u32) -> (u32, u32) {
    let [w, h, to_w, to_h] = [width, height, within_width, within_height].map(u64::from);
    let nearest = |product: u64, by: u64| bounded((product * 2 + by) / (by * 2)).max(1);
    // The width is the limit where to_w / w <= to_h / h.
    if to_w * h <= to_h * w {
        (within_width, nearest(h * to_w, w))
    } else {
        (nearest(w * to_h, h), within_height)
    }
}

fn bounded(side: u64) -> u32 {
    u32::try_from(side).unwrap_or(u32::MAX)
}
