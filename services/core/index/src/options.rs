//! The options of a new index, and the report of its size.

use vigie_model::Distance;

/// The options of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexOptions {
    /// The distance of most searches, in bits. The tables of new segments are built for it. Searches within
    /// other distances are as exact, but slower.
    pub distance: Distance,
    /// The largest number of rows in a segment, at most 2^27. Merging segments into one of this size takes as
    /// long as building it, some seconds. More rows are distributed over several segments, each of which is
    /// searched by itself.
    pub segment_rows_max: usize,
    /// The number of threads that build the tables of a segment in the background.
    pub merge_threads: usize,
    /// Whether new segments of up to 2^24 rows take less memory (15 to 17 bytes less for a row of 256 bits),
    /// which makes searches take up to twice as long. Versions without this option refuse the files of such
    /// segments.
    pub compact: bool,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self { distance: Distance(31), segment_rows_max: 1 << 25, merge_threads: 1, compact: false }
    }
}

/// The memory that an index takes. Includes everything except buffers that live only during a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// The segments in use.
    pub segments: Vec<SegmentFootprint>,
    /// The number of tails: the one that is being filled, and full ones that are not segments yet.
    pub tails: usize,
    /// The number of rows in all tails.
    pub tail_rows: usize,
    /// The memory of all tails, in bytes.
    pub tail_bytes: usize,
    /// The last fault of the disk. A fault loses no data: segments that could not be merged stay in use.
    pub fault: Option<String>,
}

/// The size of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFootprint {
    /// The number of rows, including dead ones.
    pub rows: usize,
    /// The number of removed (dead) rows.
    pub dead: usize,
    /// The size of the segment in bytes, mapped from a file or in memory.
    pub bytes: usize,
}

impl Footprint {
    /// Returns the bytes of all segments and tails, including mapped files.
    #[must_use]
    pub fn total_bytes(&self) -> usize {
        self.tail_bytes + self.segments.iter().map(|segment| segment.bytes).sum::<usize>()
    }
}
