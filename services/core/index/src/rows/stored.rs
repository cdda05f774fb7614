//! Data in memory, and perhaps in a file, with checksums.

use std::ops::Range;

use crate::rows::segment_file::SegmentError;

/// Immutable data that can be compared with its checksums at any time.
pub trait Stored: Send + Sync {
    /// Returns the number of blocks, of at most 2 MiB each.
    fn block_count(&self) -> usize;

    /// Compares a block of the memory that is searched with its checksum, and the same block of the file, if
    /// there is one, with the memory. Returns how many bytes were read. The error names the file and the
    /// fault.
    fn verify(&self, block: usize) -> Result<usize, SegmentError>;

    /// Returns the memory ranges of the sections, for tests that damage them there.
    #[doc(hidden)]
    fn memory(&self) -> Vec<Range<usize>>;
}
