//! The merge policy: which sources are merged when, and how a merge reads them.
//!
//! **Policy.** A full tail becomes a segment by itself, at once, so that writers do not have to wait.
//! Segments are then merged by the following rule until it is satisfied (leveling, as in log-structured merge
//! trees: O'Neil et al., Acta Informatica 1996). Order the segments by their live rows: a segment is merged
//! with all smaller ones as soon as those together hold at least half as many rows. The consequences:
//!
//! - *Few segments.* Each segment is more than twice as large as all smaller ones together, so n hashes lie
//!   in at most 1 + log3(n / 131,072) segments: five at 10 million.
//! - *Bounded rewriting.* A row is rewritten only into a segment of at least 1.5 times the size of its old
//!   one: at most log1.5(n / 131,072) + 2 times, 12 at 10 million, about half of that on average.
//! - *Bounded size.* No merge makes a segment of more than [`crate::IndexOptions::segment_rows_max`] rows.
//!   Segments above half of that size are not merged with others.
//! - *Bounded dead rows.* A segment is rewritten when a quarter of it is dead, so dead rows take at most a
//!   third of the memory of live ones.
//! - *Bounded memory.* A merge reads its sources in order and writes a file. Apart from buffers it holds the
//!   tables of two chunks at a time, 12 bytes a row. The sources stay in use until the new segment replaces
//!   them; until then the disk holds both.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use vigie_model::{BankId, ItemId};

use crate::question::entry::Entry;
use crate::rows::segment::{Segment, Shape};
use crate::rows::tail::Tail;
use crate::rows::tombstones::SourceId;
use crate::search::chunking::Chunking;
use crate::search::id_form::IdForm;

/// A segment is merged with the smaller ones if it holds at most this many times their rows.
const GROWTH_MAX: usize = 2;

/// A segment is rewritten when one row in this many is dead.
const DEAD_SHARE: usize = 4;

/// The size of a segment, as far as the policy needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) live: usize,
    pub(crate) dead: usize,
}

impl Extent {
    pub(crate) fn of<const BYTES: usize>(segment: &Segment<BYTES>) -> Self {
        Self { live: segment.live(), dead: segment.dead.count() }
    }

    /// Checks whether the share of dead rows is so large that the segment should be rewritten.
    pub(crate) fn is_sparse(&self) -> bool {
        self.dead > 0 && self.dead * DEAD_SHARE >= self.live + self.dead
    }
}

/// Returns the positions in `extents` of the segments to be merged into one; empty if the policy is
/// satisfied.
pub(crate) fn next_merge(extents: &[Extent], rows_max: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..extents.len()).collect();
    order.sort_by_key(|&at| extents[at].live);
    let mut total = 0;
    let mut merged = 0;
    for (smaller, &at) in order.iter().enumerate() {
        let live = extents[at].live;
        if total + live > rows_max {
            break;
        }
        if smaller > 0 && live <= GROWTH_MAX * total {
            merged = smaller + 1;
        }
        total += live;
    }
    if merged > 0 {
        order.truncate(merged);
        return order;
    }
    extents.iter().position(Extent::is_sparse).into_iter().collect()
}

/// A source that a merge reads, with the rows that were dead when the merge began.
pub(crate) enum Source<const BYTES: usize> {
    Tail { tail: Arc<Tail<BYTES>>, rows: usize, dead: Vec<u64> },
    Segment { segment: Arc<Segment<BYTES>>, dead: Vec<u64> },
}

impl<const BYTES: usize> Source<BYTES> {
    pub(crate) fn id(&self) -> SourceId {
        match self {
            Self::Tail { tail, .. } => tail.id,
            Self::Segment { segment, .. } => segment.id,
        }
    }

    /// Returns the hash and the item of a row.
    pub(crate) fn pair(&self, row: usize) -> ([u8; BYTES], ItemId) {
        match self {
            Self::Tail { tail, .. } => (tail.hash(row), tail.item(row)),
            Self::Segment { segment, .. } => (segment.hashes()[row], segment.item(row)),
        }
    }

    /// Checks whether nothing else holds a reference to the source.
    pub(crate) fn is_alone(&self) -> bool {
        match self {
            Self::Tail { tail, .. } => Arc::strong_count(tail) == 1,
            Self::Segment { segment, .. } => Arc::strong_count(segment) == 1,
        }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Tail { rows, .. } => *rows,
            Self::Segment { segment, .. } => segment.rows(),
        }
    }

    fn is_live(&self, row: usize) -> bool {
        let (Self::Tail { dead, .. } | Self::Segment { dead, .. }) = self;
        dead[row / 64] >> (row % 64) & 1 == 0
    }

    fn live(&self) -> usize {
        let (Self::Tail { dead, .. } | Self::Segment { dead, .. }) = self;
        let dead: u32 = dead.iter().map(|word| word.count_ones()).sum();
        self.rows() - dead as usize
    }

    /// Returns the range of the source's items, and all banks that may occur.
    fn extent(&self) -> ((ItemId, ItemId), Vec<BankId>) {
        match self {
            Self::Segment { segment, .. } => (segment.shape().items, segment.shape().banks.clone()),
            Self::Tail { tail, rows, .. } => {
                let live = || (0..*rows).filter(|&row| self.is_live(row));
                let items = live().map(|row| tail.item(row));
                let range =
                    (items.clone().min().unwrap_or(ItemId(u64::MAX)), items.max().unwrap_or(ItemId(0)));
                (range, live().map(|row| tail.bank(row)).collect())
            }
        }
    }

    /// Returns a reader of the live rows, in the order of hash and item.
    fn reader(&self) -> Reader<'_, BYTES> {
        match self {
            Self::Tail { tail, rows, .. } => {
                let mut rows: Vec<(usize, [u8; BYTES], Entry)> = (0..*rows)
                    .filter(|&row| self.is_live(row))
                    .map(|row| (row, tail.hash(row), tail.entry(row)))
                    .collect();
                rows.sort_unstable_by(|one, other| (&one.1, one.2.item).cmp(&(&other.1, other.2.item)));
                Reader::Tail(rows.into_iter())
            }
            Self::Segment { segment, .. } => {
                Reader::Segment { segment, source: self, rows: 0..segment.rows() }
            }
        }
    }
}

enum Reader<'a, const BYTES: usize> {
    Tail(std::vec::IntoIter<(usize, [u8; BYTES], Entry)>),
    Segment { segment: &'a Segment<BYTES>, source: &'a Source<BYTES>, rows: Range<usize> },
}

impl<const BYTES: usize> Iterator for Reader<'_, BYTES> {
    type Item = ([u8; BYTES], Entry);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Tail(rows) => rows.next().map(|(_, hash, entry)| (hash, entry)),
            Self::Segment { segment, source, rows } => {
                let row = rows.find(|&row| source.is_live(row))?;
                Some((segment.hashes()[row], segment.entry(row)))
            }
        }
    }
}

/// Returns the shape of the segment that merging the sources would create. `distance` is the usual distance
/// of searches; with `compact`, tables take less memory.
pub(crate) fn shape_of<const BYTES: usize>(
    sources: &[Source<BYTES>],
    seed: u64,
    distance: Option<u32>,
    compact: bool,
) -> Shape {
    let rows = sources.iter().map(Source::live).sum();
    let (mut items, mut banks) = ((ItemId(u64::MAX), ItemId(0)), Vec::new());
    for ((least, greatest), these) in sources.iter().map(Source::extent) {
        items = (items.0.min(least), items.1.max(greatest));
        banks.extend(these);
    }
    banks.sort_unstable();
    banks.dedup();
    let id_form = IdForm::of(rows, compact);
    let chunking = distance.and_then(|distance| Chunking::choose(BYTES * 8, rows, distance, id_form));
    Shape { rows, items, banks, seed, chunking, id_form }
}

/// Returns all live rows of the sources, in the order of hash and item.
pub(crate) fn merged<const BYTES: usize>(
    sources: &[Source<BYTES>],
) -> impl Iterator<Item = ([u8; BYTES], Entry)> {
    let mut readers: Vec<_> = sources.iter().map(|source| source.reader().peekable()).collect();
    std::iter::from_fn(move || {
        // There are few sources, so looking at the head of each is faster than a heap.
        let mut least: Option<(usize, [u8; BYTES], ItemId)> = None;
        for (at, reader) in readers.iter_mut().enumerate() {
            if let Some((hash, entry)) = reader.peek() {
                let before = |known: &(usize, [u8; BYTES], ItemId)| {
                    hash.cmp(&known.1).then(entry.item.cmp(&known.2)) == Ordering::Less
                };
                if least.as_ref().is_none_or(before) {
                    least = Some((at, *hash, entry.item));
                }
            }
        }
        readers[least?.0].next()
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const ROWS_MAX: usize = 16_000_000;

    fn whole(live: usize) -> Extent {
        Extent { live, dead: 0 }
    }

    /// Applies the policy until it is satisfied, and returns how many rows were written.
    fn settle(extents: &mut Vec<Extent>) -> usize {
        let mut written = 0;
        loop {
            let merge = next_merge(extents, ROWS_MAX);
            if merge.is_empty() {
                return written;
            }
            let live: usize = merge.iter().map(|&at| extents[at].live).sum();
            let mut at = 0;
            extents.retain(|_| {
                at += 1;
                !merge.contains(&(at - 1))
            });
            if live > 0 {
                extents.push(whole(live));
            }
            written += live;
        }
    }

    #[test]
    fn ten_million_rows_lie_in_five_segments_and_are_rewritten_twelve_times_at_most() {
        let flush = 131_072;
        let (mut extents, mut written) = (Vec::new(), 0);
        for flushes in 1..=77 {
            extents.push(whole(flush));
            written += flush + settle(&mut extents);
            let rows = flushes * flush;
            assert!(extents.len() <= 5, "{extents:?}");
            assert!(written <= 12 * rows, "{written} for {rows}");
            assert_eq!(extents.iter().map(|extent| extent.live).sum::<usize>(), rows);
        }
    }

    #[test]
    fn segments_stay_below_the_greatest_size() {
        let mut extents = Vec::new();
        for _ in 0..1_000 {
            extents.push(whole(131_072));
            settle(&mut extents);
            assert!(extents.iter().all(|extent| extent.live <= ROWS_MAX));
        }
        assert!(extents.len() <= 8 + 1_000 * 131_072 / (ROWS_MAX / 3), "{}", extents.len());
    }

    #[test]
    fn a_segment_of_which_a_quarter_is_dead_is_rewritten() {
        assert_eq!(next_merge(&[Extent { live: 751, dead: 249 }], ROWS_MAX), [0_usize; 0]);
        assert_eq!(next_merge(&[Extent { live: 750, dead: 250 }], ROWS_MAX), [0]);
        assert_eq!(next_merge(&[Extent { live: 0, dead: 1 }], ROWS_MAX), [0]);
    }

    proptest! {
        #[test]
        fn the_policy_always_comes_to_rest(
            sizes in vec((0_usize..20_000_000, 0_usize..20_000_000), 0..12),
        ) {
            let mut extents: Vec<Extent> = sizes.into_iter().map(|(live, dead)| Extent { live, dead }).collect();
            settle(&mut extents);
            let mut sizes: Vec<usize> = extents.iter().map(|extent| extent.live).collect();
            sizes.sort_unstable();
            let mut total = 0;
            for (at, size) in sizes.into_iter().enumerate() {
                prop_assert!(at == 0 || size > GROWTH_MAX * total || total + size > ROWS_MAX);
                total += size;
            }
        }
    }
}
