//! The declaration of how a picture becomes a tensor.

use serde::{Deserialize, Serialize};

use super::form::{Filter, PictureForm, Resize};
use crate::fault::{Faults, Findings};

/// The conversion of a picture to the tensor of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageInput {
    /// The width of the tensor, in pixels.
    pub width: u32,
    /// The height of the tensor, in pixels.
    pub height: u32,
    /// The way of resizing a picture of another shape.
    pub resize: Resize,
    /// The resampling filter.
    pub filter: Filter,
    /// The order of the colours.
    pub order: Order,
    /// Subtracted from a pixel's bytes of 0 to 255, in the order of the tensor's channels.
    pub mean: [f32; 3],
    /// Multiplies the difference, in the order of the tensor's channels: `value = (byte - mean) * scale`.
    pub scale: [f32; 3],
    /// The order of the dimensions.
    pub layout: Layout,
    /// The type of the elements.
    pub element: Element,
}

/// The order of the colours in a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// The order of a picture tensor's dimensions. The first one is 1: one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `[1, 3, height, width]`: a plane for each colour.
    Nchw,
    /// `[1, height, width, 3]`: pixel by pixel.
    Nhwc,
}

/// The type of a picture tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Element {
    /// 32-bit floating-point numbers, after mean and scale.
    F32,
    /// The bytes themselves; mean must be 0 and scale 1.
    U8,
}

impl ImageInput {
    /// The shortest side of a model's input, in pixels.
    pub const SIDE_MIN: u32 = PictureForm::SIDE_MIN;
    /// The longest side of a model's input, in pixels.
    pub const SIDE_MAX: u32 = PictureForm::SIDE_MAX;
    /// The largest `resize_to`: the length of the shorter side before a crop, in pixels.
    pub const RESIZE_TO_MAX: u32 = PictureForm::RESIZE_TO_MAX;
    /// The largest mean and scale, in magnitude.
    pub const NUMBER_MAX: f32 = 1e6;

    /// Converts mean and deviation of torchvision's `Normalize` to mean and scale. `Normalize` subtracts the
    /// mean from bytes divided by 255 and then divides by the deviation: `mean * 255` and
    /// `1 / (255 * deviation)`.
    #[must_use]
    pub fn normalised(mean: [f32; 3], deviation: [f32; 3]) -> ([f32; 3], [f32; 3]) {
        (mean.map(|mean| mean * 255.0), deviation.map(|deviation| 1.0 / (255.0 * deviation)))
    }

    /// Returns mean and scale that map bytes to the range 0 to 1.
    #[must_use]
    pub const fn unit() -> ([f32; 3], [f32; 3]) {
        ([0.0; 3], [1.0 / 255.0; 3])
    }

    /// Returns the size and the way of resizing to it.
    #[must_use]
    pub const fn form(&self) -> PictureForm {
        PictureForm { width: self.width, height: self.height, resize: self.resize, filter: self.filter }
    }

    /// Checks the bounds.
    pub fn check(&self) -> Result<(), Faults> {
        let mut findings = Findings::default();
        self.find(&mut findings);
        findings.finish()
    }

    pub(crate) fn find(&self, findings: &mut Findings) {
        self.form().find(findings);
        // NaN is in no range.
        let is_number = |number: &f32| (-Self::NUMBER_MAX..=Self::NUMBER_MAX).contains(number);
        findings.expect(self.mean.iter().all(is_number), "mean", || {
            format!("a mean is a number from -{0} to {0}", Self::NUMBER_MAX)
        });
        findings.expect(self.scale.iter().all(|scale| is_number(scale) && *scale != 0.0), "scale", || {
            format!("a scale is a number from -{0} to {0} and not 0", Self::NUMBER_MAX)
        });
        let is_plain = self.mean == [0.0; 3] && self.scale == [1.0; 3];
        findings.expect(self.element == Element::F32 || is_plain, "element", || {
            "u8 keeps the bytes, so mean is 0 and scale is 1".into()
        });
    }
}
