//! Conversions of the forms in which the pixels of a picture are wanted, and of these pixels.

use vigie_classifiers::preprocessing::{Filter, Resize};
use vigie_classifiers::{PictureForm, RgbPicture};

use crate::invalid::Invalid;
use crate::pb::decoder::v1::{self as pb, picture_form};

/// The largest colour: three bytes.
const COLOUR_MAX: u32 = 0x00ff_ffff;

impl From<&PictureForm> for pb::PictureForm {
    fn from(form: &PictureForm) -> Self {
        let &PictureForm { width, height, resize, filter } = form;
        let filter = match filter {
            Filter::Bilinear => pb::ResampleFilter::Bilinear,
            Filter::Bicubic => pb::ResampleFilter::Bicubic,
            Filter::Area => pb::ResampleFilter::Area,
            Filter::Nearest => pb::ResampleFilter::Nearest,
        };
        let resize = match resize {
            Resize::Stretch => picture_form::Resize::Stretch(true),
            Resize::CoverThenCrop { resize_to } => picture_form::Resize::CoverThenCrop(resize_to),
            Resize::Fit { pad: [red, green, blue] } => {
                picture_form::Resize::FitWithPad(u32::from_be_bytes([0, red, green, blue]))
            }
        };
        Self { width, height, filter: filter.into(), resize: Some(resize) }
    }
}

impl TryFrom<pb::PictureForm> for PictureForm {
    type Error = Invalid;

    fn try_from(message: pb::PictureForm) -> Result<Self, Invalid> {
        let filter = match pb::ResampleFilter::try_from(message.filter) {
            Ok(pb::ResampleFilter::Bilinear) => Filter::Bilinear,
            Ok(pb::ResampleFilter::Bicubic) => Filter::Bicubic,
            Ok(pb::ResampleFilter::Area) => Filter::Area,
            Ok(pb::ResampleFilter::Nearest) => Filter::Nearest,
            Ok(pb::ResampleFilter::Unspecified) | Err(_) => return Err(Invalid::missing("filter")),
        };
        let resize = match message.resize {
            Some(picture_form::Resize::Stretch(true)) => Resize::Stretch,
            Some(picture_form::Resize::CoverThenCrop(resize_to)) => Resize::CoverThenCrop { resize_to },
            Some(picture_form::Resize::FitWithPad(colour @ ..=COLOUR_MAX)) => {
                let [_, pad @ ..] = colour.to_be_bytes();
                Resize::Fit { pad }
            }
            Some(picture_form::Resize::FitWithPad(_)) => {
                return Err(Invalid::new("fit_with_pad", "is no colour of three bytes"));
            }
            Some(picture_form::Resize::Stretch(false)) | None => return Err(Invalid::missing("resize")),
        };
        let form = Self { width: message.width, height: message.height, resize, filter };
        form.check().map_err(|_| Invalid::new("width", "and height or resize are out of their bounds"))?;
        Ok(form)
    }
}

/// Reads the forms of a request, at most [`PictureForm::COUNT_MAX`].
pub(super) fn all(forms: Vec<pb::PictureForm>) -> Result<Vec<PictureForm>, Invalid> {
    if forms.len() > PictureForm::COUNT_MAX {
        return Err(Invalid::new("forms", "are more than 8"));
    }
    forms
        .into_iter()
        .map(|form| form.try_into().map_err(|invalid: Invalid| invalid.within("forms")))
        .collect()
}

/// Returns the bytes of pictures; an empty list for a picture that is missing.
pub(super) fn sent(pixels: Vec<Option<RgbPicture>>) -> Vec<Vec<u8>> {
    pixels.into_iter().map(|picture| picture.map(RgbPicture::into_pixels).unwrap_or_default()).collect()
}

/// Reads the pixels of a response: for each form a picture of its size, or empty bytes if there is none.
pub(super) fn received(
    pixels: Vec<Vec<u8>>,
    forms: &[PictureForm],
) -> Result<Vec<Option<RgbPicture>>, Invalid> {
    if pixels.len() != forms.len() {
        return Err(Invalid::new("pixels", "are not as many as forms were asked for"));
    }
    let picture = |(pixels, form): (Vec<u8>, &PictureForm)| {
        if pixels.is_empty() {
            return Ok(None);
        }
        let picture = RgbPicture::new(form.width, form.height, pixels);
        picture.map(Some).map_err(|_| Invalid::new("pixels", "are not as many bytes as the form has"))
    };
    pixels.into_iter().zip(forms).map(picture).collect()
}
