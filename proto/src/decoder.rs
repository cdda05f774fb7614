//! Package `vigie.decoder.v1`: what passes between a hashing thread and its decoder process.
//!
//! The process may have been taken over by what it decoded: its answers are checked like those of a stranger.

mod outside;
mod program;

use std::time::Duration;

use vigie_media::outside::{Coding, Meaning, Mosaic, Part};
use vigie_media::{Limits, Outside, Ways};
use vigie_model::{DecodeFailure, DecodeFailureKind, PictureFingerprint};
use vigie_sandbox::Posture;

pub use program::{PROGRAM_COMMAND, ProgramOrder};

use crate::invalid::Invalid;
use crate::pb::decoder::v1 as pb;

/// The hidden command of `vigie` that is a decoder process. Its one argument is a number of bytes: its memory.
pub const COMMAND: &str = "decode-worker";
/// The first bytes of a process, before its first message.
pub const GREETING: [u8; 8] = *b"vigie\0d1";
/// The longest [`pb::WorkerHello`], in bytes.
pub const HELLO_BYTES_MAX: usize = 64;
/// The longest [`pb::DecodeRequest`], in bytes, without the file.
pub const REQUEST_BYTES_MAX: usize = 1 << 10;
/// The longest [`pb::DecodeResponse`], in bytes: 256 frames with all ways have a third of it.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The first message of a process with this protection.
#[must_use]
pub fn hello(posture: Posture) -> pb::WorkerHello {
    let posture = match posture {
        Posture::None => pb::Posture::None,
        Posture::SeccompOnly => pb::Posture::SeccompOnly,
        Posture::Full => pb::Posture::Full,
    };
    pb::WorkerHello { posture: posture.into() }
}

/// The protection that a process says it has.
///
/// # Errors
/// [`Invalid`], when the message says none that is known.
pub fn posture(hello: &pb::WorkerHello) -> Result<Posture, Invalid> {
    match pb::Posture::try_from(hello.posture) {
        Ok(pb::Posture::None) => Ok(Posture::None),
        Ok(pb::Posture::SeccompOnly) => Ok(Posture::SeccompOnly),
        Ok(pb::Posture::Full) => Ok(Posture::Full),
        Ok(pb::Posture::Unspecified) | Err(_) => Err(Invalid::missing("posture")),
    }
}

/// The bounds and the further query hashes of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// The bytes of the file, which follow.
    pub content_bytes: usize,
    /// Bounds.
    pub limits: Limits,
    /// Further query hashes.
    pub ways: Ways,
    /// If it is there, what follows is no file but pixels.
    pub pixels: Option<Mosaic>,
}

/// The outcome of a file that a decoder process read without a fault.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nearly all are pictures")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// Its hashes.
    Picture(PictureFingerprint),
    /// The parts that a program outside has to decode.
    Outside(Outside),
}

/// The request for the pixels of a program outside.
#[must_use]
pub fn pixels_request(mosaic: &Mosaic, limits: &Limits, ways: Ways) -> pb::DecodeRequest {
    let file = request(0, limits, ways);
    pb::DecodeRequest { content_bytes: mosaic.pixel_bytes(), pixels: Some((*mosaic).into()), ..file }
}

/// A field of [`pb::DecodeLimits`] and one of [`Limits`] have the same name, and times are in milliseconds; every field is named on both sides, so that a
/// new one cannot be forgotten.
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

/// The request for a file of so many bytes.
#[must_use]
pub fn request(content_bytes: usize, limits: &Limits, ways: Ways) -> pb::DecodeRequest {
    let Ways { scaled, unbordered, palette_indices } = ways;
    pb::DecodeRequest {
        content_bytes: bytes(content_bytes),
        limits: Some(limits.into()),
        ways: Some(pb::DecodeWays { scaled, unbordered, palette_indices }),
        pixels: None,
        forms: Vec::new(),
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
        };
        match &order.pixels {
            // Their number is that of a picture within the limits.
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

/// The answer to a file with this outcome.
#[must_use]
pub fn response(outcome: Result<&Decoded, DecodeFailure>) -> pb::DecodeResponse {
    let outcome = match outcome {
        Ok(Decoded::Picture(picture)) => pb::decode_response::Outcome::Picture(picture.into()),
        Ok(Decoded::Outside(outside)) => pb::decode_response::Outcome::Outside(outside.into()),
        Err(mut failure) => {
            failure.message.truncate(failure.message.floor_char_boundary(DecodeFailure::MESSAGE_BYTES_MAX));
            pb::decode_response::Outcome::Failure(failure.into())
        }
    };
    pb::DecodeResponse { outcome: Some(outcome), pixels: Vec::new() }
}

/// The outcome that an answer holds.
///
/// # Errors
/// [`Invalid`], when it holds none, or one that no decoder gives.
pub fn outcome(answer: pb::DecodeResponse) -> Result<Result<Decoded, DecodeFailure>, Invalid> {
    match answer.outcome {
        Some(pb::decode_response::Outcome::Picture(picture)) => {
            let picture = PictureFingerprint::try_from(picture)?;
            // Every other fault ends the process, which then answers nothing.
            if !matches!(picture.later_fault, None | Some(DecodeFailureKind::Panicked)) {
                return Err(Invalid::new("later_fault", "is none that a decoder process can answer"));
            }
            Ok(Ok(Decoded::Picture(picture)))
        }
        Some(pb::decode_response::Outcome::Outside(outside)) => Ok(Ok(Decoded::Outside(outside.try_into()?))),
        Some(pb::decode_response::Outcome::Failure(failure)) => {
            let kind = DecodeFailureKind::from_name(&failure.kind);
            if kind.is_none() {
                return Err(Invalid::new("kind", "is none of this version, and both ends are of one"));
            }
            let failure = DecodeFailure::try_from(failure)?;
            // It may come into the caller's log.
            if failure.message.is_empty() || failure.message.contains(char::is_control) {
                return Err(Invalid::new("message", "is not one line of text"));
            }
            Ok(Err(failure))
        }
        None => Err(Invalid::missing("outcome")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::model::v1 as pb_model;
    use prost::Message as _;
    use vigie_model::{FrameFingerprint, PictureHashes, Quality};

    fn picture() -> PictureFingerprint {
        let plain = PictureHashes { pdq: [[7; 32]; 8], quality: Quality::new(80).unwrap() };
        let first = FrameFingerprint { number: 0, time: None, plain, further: Vec::new() };
        PictureFingerprint {
            width: 640,
            height: 1,
            first,
            later: Vec::new(),
            frames_left_out: 7,
            later_fault: Some(DecodeFailureKind::Panicked),
        }
    }

    fn failure(message: &str) -> DecodeFailure {
        DecodeFailure { kind: DecodeFailureKind::Truncated, message: message.to_owned() }
    }

    #[test]
    fn requests_and_answers_survive_the_wire() {
        let ways = Ways { scaled: false, ..Ways::default() };
        let order = Order { content_bytes: 12, limits: Limits::default(), ways, pixels: None };
        let sent = request(order.content_bytes, &order.limits, order.ways);
        assert!(sent.encoded_len() <= REQUEST_BYTES_MAX);
        assert_eq!(Order::try_from(sent).unwrap(), order);
        assert_eq!(
            outcome(response(Ok(&Decoded::Picture(picture())))).unwrap(),
            Ok(Decoded::Picture(picture()))
        );
        let failure = failure("the file ends early");
        assert_eq!(outcome(response(Err(failure.clone()))).unwrap(), Err(failure));
        for one in Posture::ALL {
            assert!(hello(one).encoded_len() <= HELLO_BYTES_MAX);
            assert_eq!(posture(&hello(one)).unwrap(), one);
        }
    }

    fn mosaic() -> Mosaic {
        Mosaic { columns: 2, orientation: 6, frames_left_out: 3, left: 1, top: 2, ..Mosaic::single(8, 6) }
    }

    #[test]
    fn pictures_of_a_program_outside_survive_the_wire() {
        let (limits, ways) = (Limits::default(), Ways::default());
        let mosaic = Mosaic { height: 4, ..mosaic() };
        let sent = pixels_request(&mosaic, &limits, ways);
        assert!(sent.encoded_len() <= REQUEST_BYTES_MAX);
        let order = Order { content_bytes: 2 * 8 * 6 * 3, limits, ways, pixels: Some(mosaic) };
        assert_eq!(Order::try_from(sent).unwrap(), order);
        for coding in Coding::ALL {
            let parts = vec![Part { offset: usize::MAX, bytes: usize::MAX, is_unit: true }; Part::COUNT_MAX];
            let meaning = Some(Meaning { matrix: 9, full_range: true });
            let outside = Decoded::Outside(Outside { coding, parts, meaning, mosaic });
            let sent = response(Ok(&outside));
            assert!(sent.encoded_len() <= ANSWER_BYTES_MAX);
            assert_eq!(outcome(sent).unwrap(), Ok(outside));
        }
    }

    #[test]
    fn pixels_are_as_many_as_their_picture_has_and_within_the_limits() {
        let limits = Limits::default();
        let sent = pixels_request(&Mosaic::single(8, 6), &limits, Ways::default());
        assert!(Order::try_from(pb::DecodeRequest { content_bytes: 143, ..sent }).is_err());
        for beyond in [Mosaic::single(20_000, 1), Mosaic::single(0, 1), mosaic()] {
            assert!(
                Order::try_from(pixels_request(&beyond, &limits, Ways::default())).is_err(),
                "{beyond:?}"
            );
        }
    }

    #[test]
    fn a_file_that_is_larger_than_its_limit_is_not_read() {
        let limits = Limits { input_bytes_max: 11, ..Limits::default() };
        assert!(Order::try_from(request(12, &limits, Ways::default())).is_err());
    }

    #[test]
    fn a_long_message_is_cut_and_not_refused() {
        let cut = outcome(response(Err(failure(&"é".repeat(400))))).unwrap().unwrap_err();
        assert_eq!(cut.message, "é".repeat(256));
    }

    #[test]
    fn answers_that_no_decoder_gives_are_refused() {
        assert!(outcome(pb::DecodeResponse::default()).is_err());
        for message in ["", "two\nlines"] {
            assert!(outcome(response(Err(failure(message)))).is_err());
        }
        let unknown = pb_model::DecodeFailure { kind: "no".to_owned(), message: "text".to_owned() };
        let outcome_of = |failure| Some(pb::decode_response::Outcome::Failure(failure));
        assert!(outcome(pb::DecodeResponse { outcome: outcome_of(unknown), pixels: Vec::new() }).is_err());
        for later_fault in [DecodeFailureKind::Crashed, DecodeFailureKind::Unsupported] {
            let picture = PictureFingerprint { later_fault: Some(later_fault), ..picture() };
            assert!(outcome(response(Ok(&Decoded::Picture(picture)))).is_err());
        }
    }
}
