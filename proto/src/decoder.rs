//! Package `vigie.decoder.v1`: the messages between a hashing thread and its decoder process.
//!
//! The content may have taken over the process that decodes it, so the answers are checked like those of a
//! stranger.

mod form;
mod outside;
mod program;

use std::time::Duration;

use vigie_classifiers::PictureForm;
use vigie_media::outside::{Coding, Meaning, Mosaic, Part};
use vigie_media::{HashedPicture, Limits, Outside, Ways};
use vigie_model::{DecodeFailure, DecodeFailureKind, PictureFingerprint};
use vigie_sandbox::Posture;

pub use program::{PROGRAM_COMMAND, ProgramOrder};

use crate::invalid::Invalid;
use crate::pb::decoder::v1 as pb;

/// The hidden command of `vigie` that runs a decoder process. Its single argument is the memory limit in
/// bytes.
pub const COMMAND: &str = "decode-worker";
/// The first bytes that a decoder process sends, before its first message.
pub const GREETING: [u8; 8] = *b"vigie\0d1";
/// The longest [`pb::WorkerHello`], in bytes.
pub const HELLO_BYTES_MAX: usize = 64;
/// The longest [`pb::DecodeRequest`], in bytes, without the file.
pub const REQUEST_BYTES_MAX: usize = 1 << 10;
/// The longest [`pb::DecodeResponse`] without pixels, in bytes: about three times what 256 frames with all
/// ways need.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The overhead in bytes of the pixels of a form: the number of the field and the length.
const PIXELS_HEAD_BYTES: usize = 8;

/// Returns the longest [`pb::DecodeResponse`] to a request with these forms, in bytes.
#[must_use]
pub fn answer_bytes_max(forms: &[PictureForm]) -> usize {
    forms
        .iter()
        .map(|form| form.bytes().saturating_add(PIXELS_HEAD_BYTES))
        .fold(ANSWER_BYTES_MAX, usize::saturating_add)
}

/// Returns the first message of a process with this protection.
#[must_use]
pub fn hello(posture: Posture) -> pb::WorkerHello {
    let posture = match posture {
        Posture::None => pb::Posture::None,
        Posture::SeccompOnly => pb::Posture::SeccompOnly,
        Posture::Full => pb::Posture::Full,
    };
    pb::WorkerHello { posture: posture.into() }
}

/// Reads the protection that a process reports.
///
/// # Errors
///
/// [`Invalid`] if the protection is missing or unknown.
pub fn posture(hello: &pb::WorkerHello) -> Result<Posture, Invalid> {
    match pb::Posture::try_from(hello.posture) {
        Ok(pb::Posture::None) => Ok(Posture::None),
        Ok(pb::Posture::SeccompOnly) => Ok(Posture::SeccompOnly),
        Ok(pb::Posture::Full) => Ok(Posture::Full),
        Ok(pb::Posture::Unspecified) | Err(_) => Err(Invalid::missing("posture")),
    }
}

/// The request for one file: its limits, the further query hashes, and the wanted pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Number of bytes of the file, which follow the message.
    pub content_bytes: usize,
    /// The limits of decoding.
    pub limits: Limits,
    /// The further query hashes to compute.
    pub ways: Ways,
    /// The layout of the pixels, if pixels follow instead of a file.
    pub pixels: Option<Mosaic>,
    /// The forms in which the pixels of the first frame are wanted, at most [`PictureForm::COUNT_MAX`].
    pub forms: Vec<PictureForm>,
}

/// The result of a file that the decoder process read without an error.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nearly all are pictures")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// The hashes of the picture, and the pixels of its first frame.
    Picture(HashedPicture),
    /// The parts that an external program must decode.
    Outside(Outside),
}

/// Returns the request to hash pixels that an external program has decoded.
#[must_use]
pub fn pixels_request(
    mosaic: &Mosaic,
    limits: &Limits,
    ways: Ways,
    forms: &[PictureForm],
) -> pb::DecodeRequest {
    let file = request(0, limits, ways, forms);
    pb::DecodeRequest { content_bytes: mosaic.pixel_bytes(), pixels: Some((*mosaic).into()), ..file }
}

/// The fields of [`pb::DecodeLimits`] and [`Limits`] have the same names, and times are in milliseconds. Both
/// sides list every field, so that a new field cannot be forgotten.
impl From<&Limits> for pb::DecodeLimits {
    fn from(limits: &Limits) -> Self {
        let &Limits {
            pixels_max,
            side_px_max,
            input_bytes_max,
            alloc_bytes_max,
            frames_max,
            frames_pixels_max,
            further_frames_within,
        } = limits;
        Self {
            pixels_max,
            side_px_max,
            input_bytes_max: bytes(input_bytes_max),
            alloc_bytes_max,
            frames_max,
            frames_pixels_max,
            further_frames_within_ms: u64::try_from(further_frames_within.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl TryFrom<pb::DecodeLimits> for Limits {
    type Error = Invalid;

    fn try_from(message: pb::DecodeLimits) -> Result<Self, Invalid> {
        let pb::DecodeLimits {
            pixels_max,
            side_px_max,
            input_bytes_max,
            alloc_bytes_max,
            frames_max,
            frames_pixels_max,
            further_frames_within_ms,
        } = message;
        Ok(Self {
            pixels_max,
            side_px_max,
            input_bytes_max: size("input_bytes_max", input_bytes_max)?,
            alloc_bytes_max,
            frames_max,
            frames_pixels_max,
            further_frames_within: Duration::from_millis(further_frames_within_ms),
        })
    }
}

fn bytes(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn size(field: &str, bytes: u64) -> Result<usize, Invalid> {
    usize::try_from(bytes).map_err(|_| Invalid::new(field, "is more than this machine can address"))
}

/// Returns the request to hash a file of `content_bytes` bytes, with the pixels of its first frame in these
/// forms.
#[must_use]
pub fn request(
    content_bytes: usize,
    limits: &Limits,
    ways: Ways,
    forms: &[PictureForm],
) -> pb::DecodeRequest {
    let Ways { scaled, unbordered, palette_indices } = ways;
    pb::DecodeRequest {
        content_bytes: bytes(content_bytes),
        limits: Some(limits.into()),
        ways: Some(pb::DecodeWays { scaled, unbordered, palette_indices }),
        pixels: None,
        forms: forms.iter().map(Into::into).collect(),
    }
}

impl TryFrom<pb::DecodeRequest> for Order {
    type Error = Invalid;

    fn try_from(message: pb::DecodeRequest) -> Result<Self, Invalid> {
        let limits = message.limits.ok_or_else(|| Invalid::missing("limits"))?;
        let pb::DecodeWays { scaled, unbordered, palette_indices } =
            message.ways.ok_or_else(|| Invalid::missing("ways"))?;
        let order = Self {
            content_bytes: size("content_bytes", message.content_bytes)?,
            limits: limits.try_into().map_err(|invalid: Invalid| invalid.within("limits"))?,
            ways: Ways { scaled, unbordered, palette_indices },
            pixels: message.pixels.map(Mosaic::try_from).transpose()?,
            forms: form::all(message.forms)?,
        };
        match &order.pixels {
            // The number of pixels is that of a picture within the limits.
            Some(mosaic) => {
                mosaic.check(&order.limits).map_err(|_| Invalid::new("pixels", "is beyond the limits"))?;
                if message.content_bytes != mosaic.pixel_bytes() {
                    return Err(Invalid::new("content_bytes", "is not what the mosaic has"));
                }
            }
            None if order.content_bytes > order.limits.input_bytes_max => {
                return Err(Invalid::new("content_bytes", "is more than limits.input_bytes_max"));
            }
            None => {}
        }
        Ok(order)
    }
}

/// Returns the response for the result of a file.
#[must_use]
pub fn response(outcome: Result<Decoded, DecodeFailure>) -> pb::DecodeResponse {
    let mut sent = Vec::new();
    let outcome = match outcome {
        Ok(Decoded::Picture(HashedPicture { fingerprint, pixels })) => {
            sent = form::sent(pixels);
            pb::decode_response::Outcome::Picture((&fingerprint).into())
        }
        Ok(Decoded::Outside(outside)) => pb::decode_response::Outcome::Outside((&outside).into()),
        Err(mut failure) => {
            failure.message.truncate(failure.message.floor_char_boundary(DecodeFailure::MESSAGE_BYTES_MAX));
            pb::decode_response::Outcome::Failure(failure.into())
        }
    };
    pb::DecodeResponse { outcome: Some(outcome), pixels: sent }
}

/// Reads the result from the response to a request with these forms.
///
/// # Errors
///
/// [`Invalid`] if the response has no result, or one that no decoder process can send.
pub fn outcome(
    answer: pb::DecodeResponse,
    forms: &[PictureForm],
) -> Result<Result<Decoded, DecodeFailure>, Invalid> {
    let pixels = answer.pixels;
    if !pixels.is_empty() && !matches!(answer.outcome, Some(pb::decode_response::Outcome::Picture(_))) {
        return Err(Invalid::new("pixels", "come with a picture only"));
    }
    match answer.outcome {
        Some(pb::decode_response::Outcome::Picture(picture)) => {
            let picture = PictureFingerprint::try_from(picture)?;
            // Any other fault ends the process before it can answer.
            if !matches!(picture.later_fault, None | Some(DecodeFailureKind::Panicked)) {
                return Err(Invalid::new("later_fault", "is none that a decoder process can answer"));
            }
            let pixels = form::received(pixels, forms)?;
            Ok(Ok(Decoded::Picture(HashedPicture { fingerprint: picture, pixels })))
        }
        Some(pb::decode_response::Outcome::Outside(outside)) => Ok(Ok(Decoded::Outside(outside.try_into()?))),
        Some(pb::decode_response::Outcome::Failure(failure)) => {
            let kind = DecodeFailureKind::from_name(&failure.kind);
            if kind.is_none() {
                return Err(Invalid::new("kind", "is none of this version, and both ends are of one"));
            }
            let failure = DecodeFailure::try_from(failure)?;
            // The caller may log this message.
            if failure.message.is_empty() || failure.message.contains(char::is_control) {
                return Err(Invalid::new("message", "is not one line of text"));
            }
            Ok(Err(failure))
        }
        None => Err(Invalid::missing("outcome")),
    }
}

#[cfg(test)]
mod tests;
