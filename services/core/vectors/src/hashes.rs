//! An approximate index of hashes by Hamming distance.

use std::fmt;
use std::sync::Arc;

use vigie_index::{AuditError, BankFilter, Cancellation, Cancelled, Edit, Entry, Hit, Pace, Within};
use vigie_model::{BankId, Distance, ItemId, Recall};

use crate::config::HnswConfig;
use crate::graph::answer::{Found, Wanted};
use crate::graph::engine::Engine;
use crate::graph::metric::Bits;
use crate::graph::view::{Manner, View};

/// Hashes of `BYTES` bytes (1 to 64) and their items, found by Hamming distance, approximately.
///
/// The index has the methods of [`vigie_index::RadiusIndex`] and gives the same guarantees, except that it
/// may miss hashes.
///
/// An edit waits while the list is full (see [`HnswConfig::list_rows_max`]), which may take as long as a
/// build.
pub struct HnswIndex<const BYTES: usize> {
    pub(crate) engine: Engine<Bits>,
}

impl<const BYTES: usize> HnswIndex<BYTES> {
    /// Creates an empty index, and starts the thread that builds its graphs.
    ///
    /// # Panics
    ///
    /// Panics if `config` has faults, or if the system refuses a thread.
    #[must_use]
    pub fn new(config: HnswConfig) -> Self {
        const { assert!(BYTES >= 1 && BYTES <= 64, "a hash has 1 to 64 bytes") };
        Self { engine: Engine::new(Bits { count: 8 * BYTES }, BYTES.div_ceil(8), config) }
    }

    /// Adds a hash of an item, as [`vigie_index::RadiusIndex::insert`] does.
    pub fn insert(&self, hash: &[u8; BYTES], entry: Entry) -> bool {
        self.engine.write(|writer| writer.insert(&words_of(hash), entry))
    }

    /// Removes a hash of an item, as [`vigie_index::RadiusIndex::remove`] does.
    pub fn remove(&self, hash: &[u8; BYTES], item: ItemId) -> bool {
        self.engine.write(|writer| writer.remove(&words_of(hash), item))
    }

    /// Removes the hashes of a bank, as [`vigie_index::RadiusIndex::remove_bank`] does.
    pub fn remove_bank(&self, bank: BankId) -> usize {
        self.engine.write(|writer| writer.remove_bank(bank))
    }

    /// Applies edits, as [`vigie_index::RadiusIndex::apply`] does.
    pub fn apply(&self, edits: &[Edit<BYTES>]) -> usize {
        self.engine.write(|writer| {
            let mut apply = |edit: &&Edit<BYTES>| match edit {
                Edit::Insert(hash, entry) => writer.insert(&words_of(hash), *entry),
                Edit::Remove(hash, item) => writer.remove(&words_of(hash), *item),
            };
            edits.iter().filter(&mut apply).count()
        })
    }

    /// Returns the number of live hashes, counted once for each item.
    #[must_use]
    pub fn len(&self) -> usize {
        self.engine.view().live
    }

    /// Checks whether there is no live hash.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns false: answers may differ from those of a linear scan.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        false
    }

    /// Returns the recall after the last build; `None` before the first build, when everything is in the list
    /// and therefore found.
    #[must_use]
    pub fn recall(&self) -> Option<Recall> {
        self.engine.recall()
    }

    /// Returns the index as it is now, unaffected by later edits.
    #[must_use]
    pub fn snapshot(&self) -> HnswSnapshot<BYTES> {
        HnswSnapshot { view: self.engine.view() }
    }

    /// Searches the current state of the index: see [`HnswSnapshot::search`].
    pub fn search(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        self.snapshot().search(queries, radius, filter, cancel)
    }

    /// Searches the current state of the index: see [`HnswSnapshot::nearest`].
    pub fn nearest(
        &self,
        queries: &[[u8; BYTES]],
        k: usize,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        self.snapshot().nearest(queries, k, filter, cancel)
    }
}

/// An [`HnswIndex`] as it was at one moment: later edits are not visible.
///
/// A snapshot is cheap to take. It keeps the data of that moment in memory until it is dropped, including
/// replaced graphs.
pub struct HnswSnapshot<const BYTES: usize> {
    view: Arc<View<Bits>>,
}

impl<const BYTES: usize> HnswSnapshot<BYTES> {
    /// Returns hashes within `radius` of each query, in the order of [`Hit`]; some may be missed. One answer
    /// for each query, all as of the same moment.
    ///
    /// Cancellation is checked between the rounds in a graph, each of which takes up to about ten
    /// milliseconds.
    pub fn search(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        self.ask(queries, Wanted::Within(in_bits(radius)), filter, cancel)
    }

    /// Returns hashes within a radius, in the order of [`Hit`]: every one if the search is exact, which
    /// compares the query with each hash.
    pub(crate) fn search_within(
        &self,
        query: &[u8; BYTES],
        within: Within,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Hit>, Cancelled> {
        let manner = if within.exact { Manner::Scan } else { Manner::Graphs };
        let wanted = Wanted::Within(in_bits(within.radius));
        let found = self.view.search_one(&words_of(query), wanted, manner, filter, cancel)?;
        Ok(found.into_iter().map(Hit::from).collect())
    }

    /// Returns the `k` hashes nearest to each query, in the order of [`Hit`]; some may be missed for farther
    /// ones. Fewer only if the index holds fewer.
    pub fn nearest(
        &self,
        queries: &[[u8; BYTES]],
        k: usize,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        self.ask(queries, Wanted::Nearest(k), filter, cancel)
    }

    /// Passes on every live hash of this moment, as [`View::audit`] does.
    pub(crate) fn audit(
        &self,
        pace: &mut Pace<'_>,
        take: &mut dyn FnMut(&[u8], Entry),
    ) -> Result<(), AuditError> {
        self.view.audit(BYTES, pace, &mut |words, entries| {
            let hash = bytes_of::<BYTES>(words);
            entries.for_each(|entry| take(&hash, entry));
        })
    }

    fn ask(
        &self,
        queries: &[[u8; BYTES]],
        wanted: Wanted,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        let queries: Vec<Vec<u64>> = queries.iter().map(words_of).collect();
        let answers = self.view.search(queries.iter().map(|query| &**query), wanted, filter, cancel)?;
        Ok(answers.into_iter().map(|found| found.into_iter().map(Hit::from).collect()).collect())
    }
}

impl From<Found> for Hit {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a count of at most 512"
    )]
    fn from(Found { distance, entry, .. }: Found) -> Self {
        Self { entry, distance: Distance(distance as u32) }
    }
}

/// Converts a distance to the form of the graphs. No hash has more bits than fit.
fn in_bits(distance: Distance) -> f32 {
    f32::from(u16::try_from(distance.0).unwrap_or(u16::MAX))
}

/// Returns the hash of these words.
fn bytes_of<const BYTES: usize>(words: &[u64]) -> [u8; BYTES] {
    let mut hash = [0; BYTES];
    for (bytes, word) in hash.chunks_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
    }
    hash
}

/// Returns a hash as the words that are compared, the last one padded with zeros.
fn words_of<const BYTES: usize>(hash: &[u8; BYTES]) -> Vec<u64> {
    let word = |bytes: &[u8]| {
        let mut filled = [0; 8];
        filled[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(filled)
    };
    hash.chunks(8).map(word).collect()
}

/// Shows counts, never a hash.
impl<const BYTES: usize> fmt::Debug for HnswIndex<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HnswIndex").field("bytes", &BYTES).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<const BYTES: usize> fmt::Debug for HnswSnapshot<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HnswSnapshot").field("bytes", &BYTES).finish_non_exhaustive()
    }
}
