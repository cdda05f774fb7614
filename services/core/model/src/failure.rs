//! The reasons why an image file or a video has no picture hashes.

use std::fmt;

/// The kind of a [`DecodeFailure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecodeFailureKind {
    /// There are no bytes.
    Empty,
    /// The file is larger than accepted.
    TooLargeInput,
    /// The first bytes are not those of an accepted format.
    UnknownFormat,
    /// The format is accepted, but the file uses a feature that is not supported.
    Unsupported,
    /// The format needs a program that is not installed.
    DecoderMissing,
    /// The picture has more pixels than accepted.
    TooManyPixels,
    /// A side of the picture is longer than accepted.
    SideTooLong,
    /// Decoding needs more memory than allowed.
    OutOfMemory,
    /// The file ends before the picture does.
    Truncated,
    /// The file breaks its format's rules.
    Corrupt,
    /// The decoder panicked, and the panic was caught.
    Panicked,
    /// The decoder's process died.
    Crashed,
    /// The decoder's process made a system call that it has no right to, and was killed.
    RefusedCall,
    /// Decoding took more processor time than allowed for one image.
    TimedOut,
    /// The file has sound or text, but no moving picture.
    NoVideo,
    /// No decoder was free in time. The file may be valid and can be sent again.
    Unavailable,
}

impl DecodeFailureKind {
    /// All kinds.
    pub const ALL: [Self; 16] = [
        Self::Empty,
        Self::TooLargeInput,
        Self::UnknownFormat,
        Self::Unsupported,
        Self::DecoderMissing,
        Self::TooManyPixels,
        Self::SideTooLong,
        Self::OutOfMemory,
        Self::Truncated,
        Self::Corrupt,
        Self::Panicked,
        Self::Crashed,
        Self::RefusedCall,
        Self::TimedOut,
        Self::NoVideo,
        Self::Unavailable,
    ];

    /// Returns a short label for metrics, messages and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLargeInput => "too_large_input",
            Self::UnknownFormat => "unknown_format",
            Self::Unsupported => "unsupported",
            Self::DecoderMissing => "decoder_missing",
            Self::TooManyPixels => "too_many_pixels",
            Self::SideTooLong => "side_too_long",
            Self::OutOfMemory => "alloc",
            Self::Truncated => "truncated",
            Self::Corrupt => "corrupt",
            Self::Panicked => "panicked",
            Self::Crashed => "crashed",
            Self::RefusedCall => "refused_call",
            Self::TimedOut => "timed_out",
            Self::NoVideo => "no_video",
            Self::Unavailable => "unavailable",
        }
    }

    /// Returns the kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for DecodeFailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The reason why an image file has no picture hashes. Its digests are searched nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeFailure {
    /// The kind.
    pub kind: DecodeFailureKind,
    /// The fault, for a person to read. It repeats none of the file's bytes.
    pub message: String,
}

impl DecodeFailure {
    /// The largest length of a message, in bytes.
    pub const MESSAGE_BYTES_MAX: usize = 512;
}

impl fmt::Display for DecodeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
