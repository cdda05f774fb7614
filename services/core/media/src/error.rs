//! The reasons why bytes were not hashed. Each message names the fault and what is accepted, and repeats none
//! of the bytes.

use thiserror::Error;
use vigie_model::{DecodeFailure, DecodeFailureKind};

/// The reason why a file is not a picture that this crate accepts.
///
/// The texts are fixed, or contain only declared sizes and limits. Decoders' own messages may quote bytes of
/// the content, so they are not passed on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the content is empty: send the bytes of a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file")]
    Empty,
    /// The file is larger than [`Limits::input_bytes_max`](crate::Limits::input_bytes_max).
    #[error("the content has {bytes} bytes: at most {bytes_max} bytes are accepted")]
    InputTooLarge {
        /// The size of the file.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The first bytes are not those of an accepted format.
    #[error("the content is in no known image format: JPEG, PNG, WebP, AVIF, GIF, BMP and TIFF are accepted")]
    UnknownFormat,
    /// The format is accepted, but the file uses a feature that is not supported.
    #[error("unsupported {format}: {reason}")]
    Unsupported {
        /// The format's usual name.
        format: &'static str,
        /// The unsupported feature, and the alternative.
        reason: &'static str,
    },
    /// The format is known, and this build has no decoder for it.
    #[error("this build has no decoder for {format}: convert the picture to JPEG or PNG")]
    DecoderMissing {
        /// The format's usual name.
        format: &'static str,
    },
    /// The picture is larger than [`Limits::pixels_max`](crate::Limits::pixels_max).
    #[error(
        "the header declares {width} x {height} = {pixels} pixels: at most {pixels_max} pixels are accepted"
    )]
    TooManyPixels {
        /// The declared width, in pixels.
        width: u32,
        /// The declared height, in pixels.
        height: u32,
        /// The declared number of pixels, width times height.
        pixels: u64,
        /// The limit.
        pixels_max: u64,
    },
    /// A side is longer than [`Limits::side_px_max`](crate::Limits::side_px_max).
    #[error(
        "the header declares {width} x {height} pixels: at most {side_px_max} pixels a side are accepted"
    )]
    SideTooLong {
        /// The declared width, in pixels.
        width: u32,
        /// The declared height, in pixels.
        height: u32,
        /// The limit.
        side_px_max: u32,
    },
    /// Decoding would need more than [`Limits::alloc_bytes_max`](crate::Limits::alloc_bytes_max).
    #[error(
        "decoding this image needs more than the {bytes_max} bytes of memory that are allowed for one image"
    )]
    AllocTooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The file ends before the picture does.
    #[error("the {format} file is truncated: send the whole file")]
    Truncated {
        /// The format's usual name.
        format: &'static str,
    },
    /// The file breaks its format's rules.
    #[error("the image is corrupt: {reason}; send a file that image viewers open without error")]
    Corrupt {
        /// The fault that was found.
        reason: &'static str,
    },
    /// The decoder panicked. The panic was caught; the service counts it.
    #[error("the {format} decoder failed on this image: send a file that image viewers open without error")]
    DecoderPanicked {
        /// The format's usual name.
        format: &'static str,
    },
}

impl DecodeError {
    /// Returns the kind of this failure.
    #[must_use]
    pub const fn kind(&self) -> DecodeFailureKind {
        match self {
            Self::Empty => DecodeFailureKind::Empty,
            Self::InputTooLarge { .. } => DecodeFailureKind::TooLargeInput,
            Self::UnknownFormat => DecodeFailureKind::UnknownFormat,
            Self::Unsupported { .. } => DecodeFailureKind::Unsupported,
            Self::DecoderMissing { .. } => DecodeFailureKind::DecoderMissing,
            Self::TooManyPixels { .. } => DecodeFailureKind::TooManyPixels,
            Self::SideTooLong { .. } => DecodeFailureKind::SideTooLong,
            Self::AllocTooLarge { .. } => DecodeFailureKind::OutOfMemory,
            Self::Truncated { .. } => DecodeFailureKind::Truncated,
            Self::Corrupt { .. } => DecodeFailureKind::Corrupt,
            Self::DecoderPanicked { .. } => DecodeFailureKind::Panicked,
        }
    }
}

impl From<DecodeError> for DecodeFailure {
    fn from(error: DecodeError) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }
}
