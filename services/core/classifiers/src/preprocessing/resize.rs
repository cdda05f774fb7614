//! Resizes pictures to the size that a model reads.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::InputError;
use super::form::{Filter, PictureForm, Resize};
use super::image::ImageInput;
use super::picture::{RgbPicture, RgbView, pixels_of};

/// The largest size of a picture before it is cropped, in bytes: 64 MiB. A shorter side of 512 allows a
/// longer one of 43,000.
const BYTES_MAX: u64 = 64 << 20;

/// The largest size of a picture between the two passes, in bytes, if columns come first: 64 MiB.
const COLUMNS_FIRST_BYTES_MAX: u64 = 64 << 20;

/// The largest size of a picture between the two passes, in bytes, in either order: 128 MiB. Only pictures of
/// more than 80 megapixels that are resized to nearly the largest `resize_to` exceed it.
const BETWEEN_BYTES_MAX: u64 = 128 << 20;

impl ImageInput {
    /// Resizes a picture to the width and height that the model reads.
    pub fn resize(&self, picture: &RgbPicture) -> Result<RgbPicture, InputError> {
        self.check().map_err(InputError::Declared)?;
        self.form().resize(picture.view())
    }
}

/// The sizes in a resize, computed before a pixel is read.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// The size of the whole resampled picture.
    whole: (u32, u32),
    /// The size between the two passes.
    between: (u32, u32),
}

impl PictureForm {
    /// Resizes a picture to this form.
    ///
    /// # Errors
    /// [`InputError::Declared`], and [`InputError::Narrow`] if the picture would be too large between the
    /// steps.
    pub fn resize(&self, picture: RgbView<'_>) -> Result<RgbPicture, InputError> {
        let plan = self.plan(picture.size())?;
        let whole = self.resampled(picture, plan);
        let (columns, rows) = plan.whole;
        match self.resize {
            Resize::Stretch => Ok(whole),
            Resize::CoverThenCrop { .. } => {
                let (left, top) = ((columns - self.width) / 2, (rows - self.height) / 2);
                Ok(whole.part(pixels_of(left), pixels_of(top), self.width, self.height))
            }
            Resize::Fit { pad } => {
                let (left, top) = ((self.width - columns) / 2, (self.height - rows) / 2);
                Ok(whole.around(pad, pixels_of(left), pixels_of(top), self.width, self.height))
            }
        }
    }

    /// Returns the memory in bytes that a resize of a picture of this size needs in addition to the picture,
    /// including the result.
    ///
    /// # Errors
    /// The same as for [`Self::resize`].
    pub fn working_bytes(&self, width: u32, height: u32) -> Result<usize, InputError> {
        let plan = self.plan((width, height))?;
        let bytes = bytes_of(plan.whole) + bytes_of(plan.between);
        // The plan bounds both.
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX).saturating_add(self.bytes()))
    }

    fn plan(&self, (width, height): (u32, u32)) -> Result<Plan, InputError> {
        self.check().map_err(InputError::Declared)?;
        let narrow = InputError::Narrow(width, height);
        let whole = match self.resize {
            Resize::Stretch => (self.width, self.height),
            Resize::CoverThenCrop { resize_to } => covering(width, height, resize_to),
            Resize::Fit { .. } => fitting(width, height, self.width, self.height),
        };
        if whole.0.max(whole.1) > RgbPicture::SIDE_MAX || bytes_of(whole) > BYTES_MAX {
            return Err(narrow);
        }
        // Columns come before rows, as in Pillow; the library by itself would begin with the rows. The order
        // affects the result where a byte is clipped at 0 or 255 between the passes. A tall and narrow
        // picture begins with the rows, since otherwise it would grow a thousandfold between the passes.
        let columns_first = (whole.0, height);
        let between =
            if bytes_of(columns_first) > COLUMNS_FIRST_BYTES_MAX { (width, whole.1) } else { columns_first };
        if bytes_of(between) > BETWEEN_BYTES_MAX { Err(narrow) } else { Ok(Plan { whole, between }) }
    }

    /// Resamples the whole picture.
    fn resampled(&self, picture: RgbView<'_>, Plan { whole, between }: Plan) -> RgbPicture {
        let source = picture.size();
        let pixels = if whole == source {
            picture.pixels().to_vec()
        } else {
            let alg = match self.filter {
                Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
                Filter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
                Filter::Area => ResizeAlg::Convolution(FilterType::Box),
                Filter::Nearest => ResizeAlg::Nearest,
            };
            let options = ResizeOptions::new().resize_alg(alg).use_alpha(false);
            let half = one_pass(picture.pixels(), source, between, &options);
            one_pass(&half, between, whole, &options)
        };
        RgbPicture::new(whole.0, whole.1, pixels).expect("the plan bounds both sides")
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

/// Returns the size in bytes: three per pixel.
fn bytes_of((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height) * 3
}

/// Returns the size in proportion whose shorter side is `shorter`; the longer one is rounded down.
fn covering(width: u32, height: u32, shorter: u32) -> (u32, u32) {
    let longer = |long: u32, short: u32| bounded(u64::from(long) * u64::from(shorter) / u64::from(short));
    if width <= height { (shorter, longer(height, width)) } else { (longer(width, height), shorter) }
}

/// Returns the largest size in proportion within a width and height, rounded to the nearest and at least 1.
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
