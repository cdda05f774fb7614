//! An approximate index of vectors of numbers, as a [`HashIndex`].
//!
//! The index stores the bytes of vectors as they are banked, which are canonical
//! ([`vigie_model::VectorClass`]), so an audit returns the inserted bytes. Distances of an answer are those
//! of [`Hash::distance`](vigie_model::Hash::distance): graphs and scans compare in `f32`, within a slightly
//! larger distance than requested, and the distances of what they find are then computed exactly.

use std::fmt;
use std::sync::{Arc, Weak};

use vigie_index::{
    AuditError, BankFilter, Cancellation, Cancelled, Entry, HashEdit, HashEdits, HashIndex, HashRows,
    HashShape, HashSnapshot, Hit, Pace, SavedFile, SegmentError, Stored, UnsupportedShape, Within,
};
use vigie_model::{
    BankId, Distance, PARTS_OF_ONE, Recall, VectorClass, VectorElement, VectorMetric, vectors,
};

use crate::config::HnswConfig;
use crate::graph::answer::Wanted;
use crate::graph::engine::Engine;
use crate::graph::metric::{Dense, DenseBytes, Element, Metric};
use crate::graph::view::{Manner, View};

/// The number of rows that are loaded at once, which must fit into the list.
const ROWS_AT_ONCE: usize = 1_024;

/// The number of vectors for which a search asks at first: most searches find nothing, or little.
const MOST_AT_FIRST: usize = 32;

/// The excess of a search's distance over the requested one, relative and absolute: more than sums of `f32`
/// differ from exact ones.
const FARTHER: (f32, f32) = (1e-4, 1e-4);

/// Creates an empty approximate index of vectors.
///
/// # Panics
///
/// Panics if `config` has faults, or if the system refuses a thread.
pub fn vector_index(
    class: VectorClass,
    bytes: usize,
    config: HnswConfig,
) -> Result<Box<dyn HashIndex>, UnsupportedShape> {
    HashShape::Vector { class, bytes }.check()?;
    Ok(match class.element {
        VectorElement::F32 => Box::new(VectorIndex::<f32>::new(class.metric, bytes, config)),
        VectorElement::U8 => Box::new(VectorIndex::<u8>::new(class.metric, bytes, config)),
    })
}

/// The elements of which an index can be made.
pub(crate) trait Number: Element {
    type Metric: Metric<Element = Self>;

    const ELEMENT: VectorElement;

    fn metric(metric: VectorMetric) -> Self::Metric;

    fn of_bytes(bytes: &[u8]) -> Vec<Self>;

    fn to_bytes(vector: &[Self]) -> Vec<u8>;

    /// Returns the distance of two vectors, as for hashes.
    fn distance(metric: VectorMetric, one: &[Self], other: &[Self]) -> Distance;
}

impl Number for f32 {
    type Metric = Dense;

    const ELEMENT: VectorElement = VectorElement::F32;

    fn metric(metric: VectorMetric) -> Dense {
        Dense(metric)
    }

    fn of_bytes(bytes: &[u8]) -> Vec<f32> {
        vectors::numbers_of(bytes)
    }

    fn to_bytes(vector: &[f32]) -> Vec<u8> {
        vector.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    fn distance(metric: VectorMetric, one: &[f32], other: &[f32]) -> Distance {
        vectors::distance_of_numbers(metric, one, other)
    }
}

impl Number for u8 {
    type Metric = DenseBytes;

    const ELEMENT: VectorElement = VectorElement::U8;

    fn metric(metric: VectorMetric) -> DenseBytes {
        DenseBytes(metric)
    }

    fn of_bytes(bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn to_bytes(vector: &[u8]) -> Vec<u8> {
        vector.to_vec()
    }

    fn distance(metric: VectorMetric, one: &[u8], other: &[u8]) -> Distance {
        vectors::distance_of_bytes(metric, one, other)
    }
}

/// Vectors of one length and their items.
///
/// The index is approximate: the crate's documentation states what may be missed. It stores pairs of a vector
/// and an item, each pair once. It has no files: [`HashIndex::save`] and the other methods for files do
/// nothing.
pub(crate) struct VectorIndex<T: Number> {
    pub(crate) engine: Engine<T::Metric>,
    metric: VectorMetric,
    bytes: usize,
}

impl<T: Number> VectorIndex<T> {
    pub(crate) fn new(metric: VectorMetric, bytes: usize, config: HnswConfig) -> Self {
        let length = bytes / T::ELEMENT.bytes();
        Self { engine: Engine::new(T::metric(metric), length, config), metric, bytes }
    }

    fn shape(&self) -> HashShape {
        shape::<T>(self.metric, self.bytes)
    }
}

fn shape<T: Number>(metric: VectorMetric, bytes: usize) -> HashShape {
    HashShape::Vector { class: VectorClass { element: T::ELEMENT, metric }, bytes }
}

impl<T: Number> HashIndex for VectorIndex<T> {
    fn shape(&self) -> HashShape {
        self.shape()
    }

    /// Waits for a build if the list is full.
    fn apply(&self, edits: &HashEdits) -> usize {
        self.engine.write(|writer| {
            let mut changed = 0;
            for edit in edits.iter() {
                changed += usize::from(match edit {
                    HashEdit::Insert(hash, entry) => writer.insert(&whole::<T>(hash, self.bytes), entry),
                    HashEdit::Remove(hash, item) => writer.remove(&whole::<T>(hash, self.bytes), item),
                });
            }
            changed
        })
    }

    fn load(&self, rows: HashRows) -> Result<(), SegmentError> {
        let mut rows = rows.iter().peekable();
        while rows.peek().is_some() {
            self.engine.write(|writer| {
                for (hash, entry) in rows.by_ref().take(ROWS_AT_ONCE) {
                    writer.insert(&whole::<T>(hash, self.bytes), entry);
                }
            });
        }
        Ok(())
    }

    fn remove_bank(&self, bank: BankId) -> usize {
        self.engine.write(|writer| writer.remove_bank(bank))
    }

    /// Does nothing: graphs are built in the background.
    fn merge(&self) -> Result<(), SegmentError> {
        Ok(())
    }

    /// Rebuilds every graph that holds removed vectors: there are no files, but memory also holds them.
    fn clear_dead(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        self.engine.clear_dead(stop);
        Ok(())
    }

    fn save(&self, _: &[u8]) -> Result<Vec<SavedFile>, SegmentError> {
        Ok(Vec::new())
    }

    fn forget_before(&self, _: &[u8]) {}

    fn fault(&self) -> Option<String> {
        None
    }

    fn len(&self) -> usize {
        self.engine.view().live
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn recall(&self) -> Option<Recall> {
        self.engine.recall()
    }

    fn snapshot(&self) -> Arc<dyn HashSnapshot> {
        Arc::new(VectorSnapshot::<T> { view: self.engine.view(), metric: self.metric, bytes: self.bytes })
    }
}

/// A [`VectorIndex`] as it was at one moment.
pub(crate) struct VectorSnapshot<T: Number> {
    view: Arc<View<T::Metric>>,
    metric: VectorMetric,
    bytes: usize,
}

impl<T: Number> VectorSnapshot<T> {
    /// Returns this many of the nearest vectors within a distance, the nearest first, and whether there may
    /// be more.
    fn nearest(
        &self,
        query: &[T],
        most: usize,
        within: Within,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<(Vec<Hit>, bool), Cancelled> {
        let reach = in_metric(within.radius);
        let wanted = Wanted::Near { most, radius: reach + reach * FARTHER.0 + FARTHER.1 };
        let manner = if within.exact { Manner::Scan } else { Manner::Graphs };
        let mut hits = Vec::new();
        let mut measured: Option<(&[T], Distance)> = None;
        let found = self.view.search_one(query, wanted, manner, filter, cancel)?;
        let has_more = found.len() >= most;
        for found in found {
            // The rows of one vector are adjacent.
            let vector = self.view.vector_of(&found);
            let distance = match measured {
                Some((before, distance)) if std::ptr::eq(before, vector) => distance,
                Some(_) | None => T::distance(self.metric, query, vector),
            };
            measured = Some((vector, distance));
            if distance <= within.radius {
                hits.push(Hit { entry: found.entry, distance });
            }
        }
        hits.sort_unstable();
        Ok((hits, has_more))
    }
}

impl<T: Number> HashSnapshot for VectorSnapshot<T> {
    fn shape(&self) -> HashShape {
        shape::<T>(self.metric, self.bytes)
    }

    fn each(
        &self,
        queries: &[&[u8]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        for (number, query) in queries.iter().enumerate() {
            let within = Within { radius, exact: false };
            let query = whole::<T>(query, self.bytes);
            let (hits, _) = self.nearest(&query, usize::MAX, within, filter, cancel)?;
            hits.into_iter().for_each(|hit| take(number, hit));
        }
        Ok(())
    }

    fn nearest_first(
        &self,
        query: &[u8],
        within: Within,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(Hit) -> bool,
    ) -> Result<(), Cancelled> {
        let query = whole::<T>(query, self.bytes);
        // A scan costs the same however much it finds.
        let mut most = if within.exact { usize::MAX } else { MOST_AT_FIRST };
        loop {
            let (hits, has_more) = self.nearest(&query, most, within, filter, cancel)?;
            if !hits.into_iter().all(&mut *take) || !has_more {
                return Ok(());
            }
            most = most.saturating_mul(4);
        }
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn audit(&self, pace: &mut Pace<'_>, take: &mut dyn FnMut(&[u8], Entry)) -> Result<(), AuditError> {
        self.view.audit(self.bytes, pace, &mut |vector, entries| {
            let bytes = T::to_bytes(vector);
            entries.for_each(|entry| take(&bytes, entry));
        })
    }

    /// Returns nothing, because the index has no files and no checksums.
    fn stored(&self) -> Vec<Weak<dyn Stored>> {
        Vec::new()
    }
}

/// Converts a distance to the form of the graphs.
#[expect(clippy::cast_precision_loss, reason = "a search looks farther than that")]
fn in_metric(distance: Distance) -> f32 {
    distance.0 as f32 / PARTS_OF_ONE as f32
}

/// Converts a vector that has the length of the index's vectors.
fn whole<T: Number>(hash: &[u8], bytes: usize) -> Vec<T> {
    assert_eq!(hash.len(), bytes, "a vector as long as those of the index");
    T::of_bytes(hash)
}

/// Shows counts, never a vector.
impl<T: Number> fmt::Debug for VectorIndex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("VectorIndex");
        shown.field("shape", &self.shape()).field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T: Number> fmt::Debug for VectorSnapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorSnapshot").field("shape", &HashSnapshot::shape(self)).finish_non_exhaustive()
    }
}
