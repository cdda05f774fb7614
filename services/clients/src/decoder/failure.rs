//! The errors of decoding in a separate process.

use std::path::PathBuf;

use thiserror::Error;
use vigie_model::{DecodeFailure, DecodeFailureKind};
use vigie_sandbox::Posture;

/// The reason why a file has no hashes.
#[derive(Debug, Error)]
pub enum DecoderError {
    /// The file is not an accepted picture, or its process died.
    #[error("{0}")]
    Decode(DecodeFailure),
    /// The deadline passed first.
    #[error("the time ran out before the content was hashed")]
    OutOfTime,
    /// No process could be started for the file.
    #[error("cannot start a decoder process")]
    Start(#[source] StartError),
}

/// The reason why a decoder process could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The system cannot run the program.
    #[error("cannot run {}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The program does not answer like `vigie decode-worker` of this version.
    #[error(
        "{} is not `vigie` of this version: decoder_program must be its path, or sandbox must be \"off\"",
        program.display()
    )]
    Foreign {
        /// The program.
        program: PathBuf,
    },
    /// This process was itself started by a decoder that used its program as `vigie`, and must not start
    /// another one.
    #[error("this process was itself started as a decoder: decoder_program must be the path of `vigie`")]
    Nested,
    /// The process has less protection than is required.
    #[error(
        "a decoder process has the protection \"{posture}\", and sandbox = \"required\" asks for \"full\": seccomp and, in the \
         kernel, Landlock"
    )]
    Unprotected {
        /// The protection of the process.
        posture: Posture,
    },
}

/// The way in which the process of an image ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkerDeath {
    /// Ended by a signal, an exit, or after an invalid answer.
    Crashed,
    /// Ended by a lack of memory, within its limit or on the machine.
    OutOfMemory,
    /// Ended by a forbidden system call.
    RefusedCall,
    /// Killed at the bound of processor time for one image.
    ProcessorTime,
    /// Killed at the deadline of the image.
    Deadline,
}

impl WorkerDeath {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Crashed, Self::OutOfMemory, Self::RefusedCall, Self::ProcessorTime, Self::Deadline];

    /// Returns the name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crashed => "crashed",
            Self::OutOfMemory => "out_of_memory",
            Self::RefusedCall => "refused_call",
            Self::ProcessorTime => "timed_out",
            Self::Deadline => "deadline",
        }
    }

    /// Returns whether an earlier image may have caused the death.
    pub(super) const fn may_be_of_others(self) -> bool {
        match self {
            Self::Crashed | Self::OutOfMemory | Self::RefusedCall => true,
            Self::ProcessorTime | Self::Deadline => false,
        }
    }

    /// Returns the kind of failure of the image; `None` if the image's time ran out, which is not the image's
    /// fault.
    pub(super) const fn failure_kind(self) -> Option<DecodeFailureKind> {
        match self {
            Self::Crashed => Some(DecodeFailureKind::Crashed),
            Self::OutOfMemory => Some(DecodeFailureKind::OutOfMemory),
            Self::RefusedCall => Some(DecodeFailureKind::RefusedCall),
            Self::ProcessorTime => Some(DecodeFailureKind::TimedOut),
            Self::Deadline => None,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Crashed => {
                "the decoder crashed on this image: it was stopped, and the image was not hashed"
            }
            Self::OutOfMemory => "decoding this image needs more memory than a decoder process may have",
            Self::RefusedCall => {
                "the decoder made a forbidden system call on this image: it was stopped, and the image was not hashed"
            }
            Self::ProcessorTime => "decoding this image took more processor time than one image may have",
            Self::Deadline => "the deadline of this image passed while it was decoded",
        }
    }
}

impl From<WorkerDeath> for DecoderError {
    fn from(death: WorkerDeath) -> Self {
        let message = death.message().to_owned();
        death.failure_kind().map_or(Self::OutOfTime, |kind| Self::Decode(DecodeFailure { kind, message }))
    }
}
