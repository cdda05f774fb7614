//! What lies in memory, and perhaps in a file, with checksums.

use std::ops::Range;

use crate::rows::segment_file::SegmentError;

/// Immutable data that can be compared with its checksums at any time.
pub trait Stored: Send + Sync {
    /// The number of its blocks, of at most 2 MiB each.
    fn block_count(&self) -> usize;

    /// Compares a block of the memory that is searched with its checksum, and the same block of the file, where there is
    /// one, with the memory. Returns how many bytes were read. The error names the file and what is wrong.
    fn verify(&self, block: usize) -> Result<usize, SegmentError>;

    /// Where its sections lie in memory. For tests that damage it there.
    #[doc(hidden)]
    fn memory(&self) -> Vec<Range<usize>>;
}
