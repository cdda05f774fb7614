//! Why a segment cannot be written or opened.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What errors name where there is no file.
pub(crate) const IN_MEMORY: &str = "(in memory)";

/// Writing, opening or removing a segment failed.
#[derive(Debug, Error)]
pub enum SegmentError {
    /// The system refused.
    #[error("cannot {action} segment file {}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there, but it is not a whole segment of a known version.
    #[error("segment file {} is refused: {fault}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
}

impl SegmentError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// What is wrong with a segment file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// It begins with other bytes than a segment.
    #[error("it is not a segment file")]
    NotASegment,
    /// A newer program wrote it (or an older one, whose files are not read any more).
    #[error("it has format version {found}, and version {known} is known here")]
    Version {
        /// The file's version.
        found: u32,
        /// The version that can be read.
        known: u32,
    },
    /// Bytes are missing at the end.
    #[error("it is truncated: {found} bytes of {expected}")]
    Truncated {
        /// Length as recorded, or the least that a segment has.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// Bytes follow after the end.
    #[error("it has {found} bytes where {expected} were written")]
    TooLong {
        /// Length as recorded.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// The header is not as it was written.
    #[error("the checksum of its header is wrong")]
    Header,
    /// Everything is as it was written and cannot be right.
    #[error("it contradicts itself: {0}")]
    Contradiction(&'static str),
    /// Content is in memory as it was written, and not in the file.
    #[error(
        "bytes {from} to {to} of the file are no longer those that were written; sections there: {sections:?}"
    )]
    File {
        /// First byte of the damaged block.
        from: usize,
        /// Byte after the block.
        to: usize,
        /// Ids of the sections that reach into the block.
        sections: Vec<u32>,
    },
    /// Content is no longer in memory as it was written.
    #[error("the checksum of bytes {from} to {to} in memory is wrong; sections there: {sections:?}")]
    Memory {
        /// First byte of the damaged block.
        from: usize,
        /// Byte after the block.
        to: usize,
        /// Ids of the sections that reach into the block.
        sections: Vec<u32>,
    },
    /// Content is not as it was written.
    #[error("the checksum of bytes {from} to {to} is wrong; sections there: {sections:?}")]
    Content {
        /// First byte of the damaged block.
        from: usize,
        /// Byte after the block.
        to: usize,
        /// Ids of the sections that reach into the block.
        sections: Vec<u32>,
    },
}
