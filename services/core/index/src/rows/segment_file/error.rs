//! The errors of writing and opening a segment.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The name that errors use for a segment without a file.
pub(crate) const IN_MEMORY: &str = "(in memory)";

/// Writing, opening or removing a segment failed.
#[derive(Debug, Error)]
pub enum SegmentError {
    /// The operating system reported an error.
    #[error("cannot {action} segment file {}", path.display())]
    Io {
        /// The attempted action.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file exists, but it is not a whole segment of a known version.
    #[error("segment file {} is refused: {fault}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The reason of the refusal.
        fault: Fault,
    },
}

impl SegmentError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// The fault of a segment file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The file does not begin with the bytes of a segment.
    #[error("it is not a segment file")]
    NotASegment,
    /// A newer program wrote the file, or an older one whose files are no longer read.
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
        /// The length that the file records, or the smallest length of a segment.
        expected: u64,
        /// The length of the file.
        found: u64,
    },
    /// Bytes follow after the end.
    #[error("it has {found} bytes where {expected} were written")]
    TooLong {
        /// The length that the file records.
        expected: u64,
        /// The length of the file.
        found: u64,
    },
    /// The header differs from what was written.
    #[error("the checksum of its header is wrong")]
    Header,
    /// The checksums are right, but the content is not valid.
    #[error("it contradicts itself: {0}")]
    Contradiction(&'static str),
    /// The file's content has changed since it was written; the memory has not.
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
    /// The memory's content has changed since it was filled.
    #[error("the checksum of bytes {from} to {to} in memory is wrong; sections there: {sections:?}")]
    Memory {
        /// First byte of the damaged block.
        from: usize,
        /// Byte after the block.
        to: usize,
        /// Ids of the sections that reach into the block.
        sections: Vec<u32>,
    },
    /// The file's content differs from what was written.
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
