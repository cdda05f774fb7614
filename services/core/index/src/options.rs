//! What an index is told when it begins, and what it says of its size.

use vigie_model::Distance;

/// How an index is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexOptions {
    /// The distance that most searches ask for, in bits: the tables of new segments are made for it. Other
    /// distances are answered as exactly, if less quickly.
    pub distance: Distance,
    /// The most rows of a segment, 2^27 at most. Merging two segments of this size takes as long as building
    /// one, some seconds; more rows than this lie in several segments, each searched by itself.
    pub segment_rows_max: usize,
    /// Threads that build the tables of a segment in the background.
    pub merge_threads: usize,
    /// New segments of up to 2^24 rows take less memory, some 15 to 17 bytes a row of 256 bits, and searches up to twice as long. Versions
    /// that do not know it refuse their files.
    pub compact: bool,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self { distance: Distance(31), segment_rows_max: 1 << 25, merge_threads: 1, compact: false }
    }
}

/// What an index takes, everything counted but buffers that live for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// The segments in use.
    pub segments: Vec<SegmentFootprint>,
    /// The tail that is being filled, and full ones that are not segments yet.
    pub tails: usize,
    /// Their rows.
    pub tail_rows: usize,
    /// Their memory, in bytes.
    pub tail_bytes: usize,
    /// What last went wrong with the disk. Nothing is lost by it: what could not be merged stays in use.
    pub fault: Option<String>,
}

/// One segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFootprint {
    /// Rows, the dead ones too.
    pub rows: usize,
    /// Rows that were removed.
    pub dead: usize,
    /// Bytes that it takes, mapped from a file or in memory.
    pub bytes: usize,
}

impl Footprint {
    /// Bytes of everything, mapped files included.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.tail_bytes + self.segments.iter().map(|segment| segment.bytes).sum::<usize>()
    }
}
