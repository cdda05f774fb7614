//! An approximate index of hashes by Hamming distance.

use std::fmt;
use std::sync::Arc;

use vigie_index::{AuditError, BankFilter, Cancellation, Cancelled, Edit, Entry, Hit, Pace};
use vigie_model::{BankId, Distance, ItemId, Recall};

use crate::config::HnswConfig;
use crate::graph::answer::{Found, Wanted};
use crate::graph::engine::Engine;
use crate::graph::metric::Bits;
use crate::graph::view::View;

/// Hashes of `BYTES` bytes (1 to 64) and the items that bear them, found by Hamming distance, approximately.
///
/// It has the methods of [`vigie_index::RadiusIndex`] and keeps their promises, but that of finding everything.
///
/// An edit waits while the list is full (see [`HnswConfig::list_rows_max`]), which may take as long as a build.
pub struct HnswIndex<const BYTES: usize> {
    pub(crate) engine: Engine<Bits>,
}

impl<const BYTES: usize> HnswIndex<BYTES> {
    /// An empty index, and the thread that builds its graphs.
    ///
    /// # Panics
    ///
    /// If `config` has faults, or if the system refuses a thread.
    #[must_use]
    pub fn new(config: HnswConfig) -> Self {
        const { assert!(BYTES >= 1 && BYTES <= 64, "a hash has 1 to 64 bytes") };
        Self { engine: Engine::new(Bits { count: 8 * BYTES }, BYTES.div_ceil(8), config) }
    }

    /// As [`vigie_index::RadiusIndex::insert`].
    pub fn insert(&self, hash: &[u8; BYTES], entry: Entry) -> bool {
        self.engine.write(|writer| writer.insert(&words_of(hash), entry))
    }

    /// As [`vigie_index::RadiusIndex::remove`].
    pub fn remove(&self, hash: &[u8; BYTES], item: ItemId) -> bool {
        self.engine.write(|writer| writer.remove(&words_of(hash), item))
    }

    /// As [`vigie_index::RadiusIndex::remove_bank`].
    pub fn remove_bank(&self, bank: BankId) -> usize {
        self.engine.write(|writer| writer.remove_bank(bank))
    }

    /// As [`vigie_index::RadiusIndex::apply`].
    pub fn apply(&self, edits: &[Edit<BYTES>]) -> usize {
        self.engine.write(|writer| {
            let mut apply = |edit: &&Edit<BYTES>| match edit {
                Edit::Insert(hash, entry) => writer.insert(&words_of(hash), *entry),
                Edit::Remove(hash, item) => writer.remove(&words_of(hash), *item),
            };
            edits.iter().filter(&mut apply).count()
        })
    }

    /// The living hashes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.engine.view().live
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether answers are always those of a linear scan: never.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        false
    }

    /// The recall as of the last build; `None` before the first one, when everything is in the list and so found.
    #[must_use]
    pub fn recall(&self) -> Option<Recall> {
        self.engine.recall()
    }

    /// The index as it is now, and stays in this view however it changes meanwhile.
    #[must_use]
    pub fn snapshot(&self) -> HnswSnapshot<BYTES> {
        HnswSnapshot { view: self.engine.view() }
    }

    /// [`HnswSnapshot::search`] of the index as it is now.
    pub fn search(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        self.snapshot().search(queries, radius, filter, cancel)
    }

    /// [`HnswSnapshot::nearest`] of the index as it is now.
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

/// An [`HnswIndex`] as it was at one moment: later edits do not show.
///
/// Cheap to take; it holds what the index held then, graphs that were replaced included, until it is dropped.
pub struct HnswSnapshot<const BYTES: usize> {
    view: Arc<View<Bits>>,
}

impl<const BYTES: usize> HnswSnapshot<BYTES> {
    /// Hashes within `radius` of each query, in the order of [`Hit`]; some may be missed. One answer for each
    /// query, all as of the same moment.
    ///
    /// Cancellation is looked at between the rounds in a graph, each of which takes up to some ten milliseconds.
    pub fn search(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        self.ask(queries, Wanted::Within(in_bits(radius)), filter, cancel)
    }

    /// The `k` hashes nearest to each query, in the order of [`Hit`]; some may be missed for farther ones. Fewer
    /// only if the index holds fewer.
    pub fn nearest(
        &self,
        queries: &[[u8; BYTES]],
        k: usize,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        self.ask(queries, Wanted::Nearest(k), filter, cancel)
    }

    /// Hands over every living hash of this moment, as [`View::audit`] does.
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

/// A distance as the graphs have it: no hash has more bits than this.
fn in_bits(distance: Distance) -> f32 {
    f32::from(u16::try_from(distance.0).unwrap_or(u16::MAX))
}

/// The hash of these words.
fn bytes_of<const BYTES: usize>(words: &[u64]) -> [u8; BYTES] {
    let mut hash = [0; BYTES];
    for (bytes, word) in hash.chunks_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
    }
    hash
}

/// A hash as the words that are compared. The last one is filled up with zeros.
fn words_of<const BYTES: usize>(hash: &[u8; BYTES]) -> Vec<u64> {
    let word = |bytes: &[u8]| {
        let mut filled = [0; 8];
        filled[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(filled)
    };
    hash.chunks(8).map(word).collect()
}

/// Shows how much it holds, never a hash.
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
