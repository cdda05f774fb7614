//! How decoding in a process of its own can fail.

use std::path::PathBuf;

use thiserror::Error;
use vigie_model::{DecodeFailure, DecodeFailureKind};
use vigie_sandbox::Posture;

/// Why a file has no hashes.
#[derive(Debug, Error)]
pub enum DecoderError {
    /// The file is no picture that is accepted, or its process died of it.
    #[error("{0}")]
    Decode(DecodeFailure),
    /// The deadline came first.
    #[error("the time ran out before the content was hashed")]
    OutOfTime,
    /// No process could be started to decode it.
    #[error("cannot start a decoder process")]
    Start(#[source] StartError),
}

/// Why a decoder process could not be started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The system does not run the program.
    #[error("cannot run {}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The program answered otherwise than `vigie decode-worker` of this version does.
    #[error(
        "{} is not `vigie` of this version: decoder_program must be its path, or sandbox must be \"off\"",
        program.display()
    )]
    Foreign {
        /// The program.
        program: PathBuf,
    },
    /// This process was itself started by a decoder that took its program for `vigie`, and must not start
    /// another in turn.
    #[error("this process was itself started as a decoder: decoder_program must be the path of `vigie`")]
    Nested,
    /// The process has less protection than is required.
    #[error(
        "a decoder process has the protection \"{posture}\", and sandbox = \"required\" asks for \"full\": seccomp and, in the \
         kernel, Landlock"
    )]
    Unprotected {
        /// Its protection.
        posture: Posture,
    },
}

/// How a process ended that was decoding an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkerDeath {
    /// A signal, an exit, or an answer that is none.
    Crashed,
    /// No memory within its limit, or none on the machine.
    OutOfMemory,
    /// A system call that it has no right to.
    RefusedCall,
    /// The bound of processor time for one image. The process was killed.
    ProcessorTime,
    /// The deadline of the image. The process was killed.
    Deadline,
}

impl WorkerDeath {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Crashed, Self::OutOfMemory, Self::RefusedCall, Self::ProcessorTime, Self::Deadline];

    /// The name in metrics.
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

    /// Whether an image that was decoded before may have caused it.
    pub(super) const fn may_be_of_others(self) -> bool {
        match self {
            Self::Crashed | Self::OutOfMemory | Self::RefusedCall => true,
            Self::ProcessorTime | Self::Deadline => false,
        }
    }

    /// The kind of failure that its image has; `None` where the image's time ran out, which is not the
    /// image's fault.
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
                "the decoder tried on this image what it has no right to do: it was stopped, and the image was not hashed"
            }
            Self::ProcessorTime => "decoding this image took more processor time than one image may have",
            Self::Deadline => "decoding this image took more time than it had",
        }
    }
}

impl From<WorkerDeath> for DecoderError {
    fn from(death: WorkerDeath) -> Self {
        let message = death.message().to_owned();
        death.failure_kind().map_or(Self::OutOfTime, |kind| Self::Decode(DecodeFailure { kind, message }))
    }
}
