//! The geometry of a model's input: the size of its pictures, and how a picture is brought to that.

use super::image::{Filter, ImageInput, Resize};
use crate::fault::{Faults, Findings};

/// A size in which a picture is wanted, and how it is brought to that: what of an [`ImageInput`] is done where the picture is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureForm {
    /// Pixels of a row, from [`ImageInput::SIDE_MIN`] to [`ImageInput::SIDE_MAX`].
    pub width: u32,
    /// Rows, within the same bounds.
    pub height: u32,
    /// How a picture of another shape is brought to this one.
    pub resize: Resize,
    /// How pixels are resampled.
    pub filter: Filter,
}

impl PictureForm {
    /// The most forms of one picture in one request to a decoder.
    pub const COUNT_MAX: usize = 8;

    /// Checks the bounds.
    pub fn check(&self) -> Result<(), Faults> {
        let mut findings = Findings::default();
        self.find(&mut findings);
        findings.finish()
    }

    pub(crate) fn find(&self, findings: &mut Findings) {
        let sides = ImageInput::SIDE_MIN..=ImageInput::SIDE_MAX;
        for (field, side) in [("width", self.width), ("height", self.height)] {
            findings.expect(sides.contains(&side), field, || {
                format!("{side} is not from {} to {}", sides.start(), sides.end())
            });
        }
        if let Resize::CoverThenCrop { resize_to } = self.resize {
            let least = self.width.max(self.height);
            let most = ImageInput::RESIZE_TO_MAX;
            findings.expect((least..=most).contains(&resize_to), "resize.resize_to", || {
                format!("{resize_to} is not from {least}, the longer side, to {most}")
            });
        }
    }

    /// The bytes of a picture in this form.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let bytes = u64::from(self.width) * u64::from(self.height) * 3;
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
