//! Decodes an image within fixed limits and computes its fingerprints: PDQ of each frame with its eight
//! variants, and digests.
//!
//! The crate is synchronous, uses no network, and keeps no state: pixels live only during one call, and
//! neither pixels, bytes nor hashes reach an error text. The entry points of the services are
//! [`fn@picture`], [`picture_in_forms`] and [`digest::digests`].
//!
//! ```text
//! bytes --limits--> decode/{jpeg,png,webp,gif,bmp,tiff,avif} --> frames of Picture (RGB, 8 bits)
//!   |               or, of a large JPEG, first a Near (RGB that is not exact)
//!   |                                                  | ways:   as it is, scaled up, without borders ...
//!   |                                                  | filter: two band matrices, 64 x 64 luma
//!   +--> digest: MD5, SHA-1, SHA-256, SHA-512          | dct:    16 x 16 coefficients
//!                                                      +-> pdq:  quality and eight hashes
//!                                                      +-> forms: the first frame as pixels
//! ```
//!
//! Always true:
//! - The hash is that of the whole picture: a file that ends early is refused, and never hashed with missing
//!   parts.
//! - Limits are checked on the size that the header declares, before pixels are allocated.
//! - A decoder that panics costs its caller one error, [`DecodeError::DecoderPanicked`], or, after the first
//!   frame, the frames from there on.
//!
//! Reading order: [`limits`], [`error`], `pixels`, [`mod@picture`], `luma`, [`mod@pdq`] (`band`, `filter`,
//! `dct`, `near`), `frames`, [`mod@decode`], `ways`, `forms`, [`digest`], [`video`] (whose frames an external
//! program decodes).

pub mod limits;
pub mod error;
mod pixels;
pub mod picture;
mod luma;
mod orientation;
pub mod pdq;
mod frames;
pub mod decode;
mod ways;
mod forms;
pub mod digest;
pub mod video;

pub use decode::decode;
pub use decode::outside::{self, Outside};
pub use decode::{begins_as_picture, may_have_several_frames};
pub use error::DecodeError;
pub use forms::HashedPicture;
pub use limits::Limits;
pub use pdq::pdq;
pub use picture::Picture;
pub use ways::Ways;

use vigie_classifiers::PictureForm;
use vigie_model::{FrameFingerprint, ImageFingerprint, PictureFingerprint};

use forms::Forms;
use frames::{Frame, Frames, Taken};

/// Decodes `content` within `limits` and computes the PDQ hashes of its frames, in the ways that `ways`
/// names.
///
/// A large JPEG is decoded fast and inexactly if that decides the hash. Its hash may then differ by 2 bits
/// from that of [`fn@decode`] and [`fn@pdq`]; it is nearly always the same.
///
/// # Errors
/// [`DecodeError`], if the bytes are not a picture that this crate accepts.
pub fn picture(content: &[u8], limits: &Limits, ways: Ways) -> Result<PictureFingerprint, DecodeError> {
    Ok(picture_in_forms(content, limits, ways, &[])?.fingerprint)
}

/// Hashes an image as [`fn@picture`] does, and returns the first frame as pixels in each of these forms: the
/// pixels of [`fn@decode`], resized. The hashes do not depend on the forms.
///
/// With forms, a large JPEG is decoded a second time, exactly.
///
/// # Errors
///
/// Those of [`fn@picture`]. A form that cannot be made is no error.
pub fn picture_in_forms(
    content: &[u8],
    limits: &Limits,
    ways: Ways,
    forms: &[PictureForm],
) -> Result<HashedPicture, DecodeError> {
    let mut size = (0, 0);
    let mut hashed: Vec<FrameFingerprint> = Vec::new();
    let mut forms = Forms::new(forms);
    let mut visit = |number, frame: Frame| {
        if !hashed.is_empty() && number == 0 {
            // The first frame again, since its samples were not exact.
            if let Some(picture) = frame.upright() {
                forms.show(&picture);
            }
            return Taken::Hashed;
        }
        let is_first = hashed.is_empty();
        let mut show = |picture: &Picture| {
            if is_first {
                forms.show(picture);
            }
        };
        let Some((frame_size, fingerprint)) = ways::hash(number, frame, ways, &mut show) else {
            return Taken::NeedsRgb;
        };
        if is_first {
            size = frame_size;
        }
        hashed.push(fingerprint);
        if is_first && forms.are_wanted() { Taken::HashedAndWanted } else { Taken::Hashed }
    };
    let mut frames = Frames::new(limits, &mut visit);
    decode::decode_frames(content, limits, &mut frames)?;
    let (frames_left_out, later_fault) = (frames.left_out(), frames.fault());
    let mut hashed = hashed.into_iter();
    let first = hashed.next().ok_or(DecodeError::Corrupt { reason: "the file holds no picture" })?;
    let (width, height) = size;
    let later = hashed.collect();
    let fingerprint = PictureFingerprint { width, height, first, later, frames_left_out, later_fault };
    Ok(HashedPicture { fingerprint, pixels: forms.finish() })
}

/// Decodes `content` within `limits` and computes all hashes and digests of an image, in every way.
///
/// # Errors
/// [`DecodeError`], if the bytes are not a picture that this crate accepts.
pub fn fingerprint(content: &[u8], limits: &Limits) -> Result<ImageFingerprint, DecodeError> {
    let picture = picture(content, limits, Ways::default())?;
    Ok(ImageFingerprint { picture, digests: digest::digests(content) })
}
