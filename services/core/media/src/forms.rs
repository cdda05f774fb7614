//! The first frame as pixels, in the forms that classifiers read.
//!
//! A form is a wish and never a reason to refuse a picture: one that cannot be had, since the picture is too
//! narrow for it or there is no memory for it beside what decoding took, is left out.

use vigie_classifiers::{PictureForm, RgbPicture, RgbView};
use vigie_model::PictureFingerprint;

use crate::picture::Picture;

/// A picture's hashes, and its pixels where some were wanted. Its debug output shows no pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedPicture {
    /// The hashes.
    pub fingerprint: PictureFingerprint,
    /// The first frame in each form that was asked for, in that order; `None` where it cannot be had in it.
    pub pixels: Vec<Option<RgbPicture>>,
}

impl HashedPicture {
    /// A picture without pixels, for which no form was asked.
    #[must_use]
    pub const fn without_pixels(fingerprint: PictureFingerprint) -> Self {
        Self { fingerprint, pixels: Vec::new() }
    }
}

/// Brings the first frame to forms.
#[derive(Debug)]
pub(crate) struct Forms<'a> {
    forms: &'a [PictureForm],
    /// The resized frame for each form, `None` where that failed; empty before the frame was shown.
    pixels: Vec<Option<RgbPicture>>,
}

impl<'a> Forms<'a> {
    pub(crate) const fn new(forms: &'a [PictureForm]) -> Self {
        Self { forms, pixels: Vec::new() }
    }

    /// Returns whether a frame still has to be shown.
    pub(crate) const fn are_wanted(&self) -> bool {
        self.pixels.len() < self.forms.len()
    }

    /// Takes the first frame, upright.
    pub(crate) fn show(&mut self, picture: &Picture) {
        let view = RgbView::new(picture.width(), picture.height(), picture.rgb()).ok();
        let resized = |form: &PictureForm| {
            let view = view?;
            has_memory(form.working_bytes(picture.width(), picture.height()).ok()?).then_some(())?;
            form.resize(view).ok()
        };
        self.pixels = self.forms.iter().map(resized).collect();
    }

    /// Returns the resized frame for each form, or `None` where there is none.
    pub(crate) fn finish(mut self) -> Vec<Option<RgbPicture>> {
        self.pixels.resize(self.forms.len(), None);
        self.pixels
    }
}

/// Returns whether this much memory is available. In a process with a memory limit, a form must not end the
/// process.
fn has_memory(bytes: usize) -> bool {
    let mut probe = Vec::<u8>::new();
    let is_there = probe.try_reserve_exact(bytes).is_ok();
    // An allocation that nobody looks at may be left out.
    std::hint::black_box(&probe);
    is_there
}
