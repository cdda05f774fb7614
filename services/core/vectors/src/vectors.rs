//! An approximate index of vectors of numbers: embeddings, and opaque fingerprints such as 144 bytes.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use vigie_index::{BankFilter, Cancellation, Cancelled, Entry};
use vigie_model::{BankId, ItemId, Recall};

use crate::config::HnswConfig;
use crate::graph::answer::{Found, Wanted};
use crate::graph::engine::Engine;
use crate::graph::metric::{Dense, DenseBytes, LENGTH_MAX, Metric, VectorMetric, unit};
use crate::graph::view::View;

/// The largest magnitude of a number: the squares of as many differences as fit into a vector still add up to a
/// finite number.
pub const MAGNITUDE_MAX: f32 = 1e15;

/// Numbers that vectors are made of: `f32` and `u8`.
pub trait VectorElement: sealed::Sealed + Copy + fmt::Debug {}

impl VectorElement for f32 {}
impl VectorElement for u8 {}

mod sealed {
    use super::{Metric, VectorError, VectorMetric};

    pub trait Sealed: Sized {
        type Metric: Metric<Element = Self>;

        fn metric(metric: VectorMetric) -> Self::Metric;

        /// The vector as it is held and compared.
        fn admit(vector: &[Self], metric: VectorMetric) -> Result<Vec<Self>, VectorError>;
    }
}

impl sealed::Sealed for f32 {
    type Metric = Dense;

    fn metric(metric: VectorMetric) -> Dense {
        Dense(metric)
    }

    fn admit(vector: &[f32], metric: VectorMetric) -> Result<Vec<f32>, VectorError> {
        if !vector.iter().all(|number| number.abs() <= MAGNITUDE_MAX) {
            return Err(VectorError::Magnitude);
        }
        match metric {
            VectorMetric::Cosine => unit(vector).ok_or(VectorError::NoDirection),
            // Adding zero makes one of the two zeros.
            VectorMetric::L2 => Ok(vector.iter().map(|number| number + 0.0).collect()),
        }
    }
}

impl sealed::Sealed for u8 {
    type Metric = DenseBytes;

    fn metric(metric: VectorMetric) -> DenseBytes {
        DenseBytes(metric)
    }

    fn admit(vector: &[u8], metric: VectorMetric) -> Result<Vec<u8>, VectorError> {
        if metric == VectorMetric::Cosine && vector.iter().all(|&byte| byte == 0) {
            return Err(VectorError::NoDirection);
        }
        Ok(vector.to_vec())
    }
}

/// Why a vector cannot be held or asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VectorError {
    /// The index holds vectors of another length.
    #[error("the vector has {given} elements, the index holds vectors of {declared}")]
    Length {
        /// Elements of the vector.
        given: usize,
        /// Elements that the index was declared with.
        declared: usize,
    },
    /// A number is NaN, infinite, or beyond [`MAGNITUDE_MAX`].
    #[error("the vector has an element that is not a number of moderate size")]
    Magnitude,
    /// All elements are zero, and the metric is the cosine.
    #[error("the vector is zero, and so has no angle to others")]
    NoDirection,
}

/// Why a search has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VectorSearchError {
    /// A query is not a vector that the index could hold.
    #[error("cannot search for this vector")]
    Query(#[from] VectorError),
    /// It was stopped.
    #[error("cannot finish the search")]
    Cancelled(#[from] Cancelled),
}

/// One vector found by a query. Answers are ordered by distance, then by entry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VectorHit {
    /// What was found.
    pub entry: Entry,
    /// How far it lies, in the metric of the index. Sums of `f32` differ in their last digits from exact ones.
    pub distance: f32,
}

impl From<Found> for VectorHit {
    fn from(Found { distance, entry }: Found) -> Self {
        Self { entry, distance }
    }
}

/// Vectors of a declared length and the items that bear them, found by cosine or Euclidean distance.
///
/// Approximate: the crate's documentation says what may be missed. It holds pairs of a vector and an item, the same pair once. With the cosine,
/// vectors of `f32` are held at length 1, so that two of the same direction are the same.
pub struct VectorIndex<T: VectorElement> {
    pub(crate) engine: Engine<T::Metric>,
    length: usize,
    metric: VectorMetric,
}

impl<T: VectorElement> VectorIndex<T> {
    /// An empty index of vectors of `length` elements.
    ///
    /// # Panics
    ///
    /// If `length` is not 1 to [`LENGTH_MAX`], if `config` has faults, or if the system refuses a thread.
    #[must_use]
    pub fn new(length: usize, metric: VectorMetric, config: HnswConfig) -> Self {
        assert!((1..=LENGTH_MAX).contains(&length), "a vector has 1 to {LENGTH_MAX} elements");
        Self { engine: Engine::new(T::metric(metric), length, config), length, metric }
    }

    /// As [`vigie_index::RadiusIndex::insert`].
    pub fn insert(&self, vector: &[T], entry: Entry) -> Result<bool, VectorError> {
        let vector = self.admit(vector)?;
        Ok(self.engine.write(|writer| writer.insert(&vector, entry)))
    }

    /// Inserts many at once, faster than one by one, and shows them all at one moment. Says how many pairs were
    /// new. If one of the vectors cannot be held, none is inserted.
    pub fn insert_all(&self, pairs: &[(Vec<T>, Entry)]) -> Result<usize, VectorError> {
        let admit = |(vector, entry): &(Vec<T>, Entry)| Ok((self.admit(vector)?, *entry));
        let pairs = pairs.iter().map(admit).collect::<Result<Vec<_>, VectorError>>()?;
        Ok(self
            .engine
            .write(|writer| pairs.iter().filter(|(vector, entry)| writer.insert(vector, *entry)).count()))
    }

    /// As [`vigie_index::RadiusIndex::remove`].
    pub fn remove(&self, vector: &[T], item: ItemId) -> Result<bool, VectorError> {
        let vector = self.admit(vector)?;
        Ok(self.engine.write(|writer| writer.remove(&vector, item)))
    }

    /// As [`vigie_index::RadiusIndex::remove_bank`].
    pub fn remove_bank(&self, bank: BankId) -> usize {
        self.engine.write(|writer| writer.remove_bank(bank))
    }

    /// The living pairs.
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

    /// As [`crate::HnswIndex::recall`].
    #[must_use]
    pub fn recall(&self) -> Option<Recall> {
        self.engine.recall()
    }

    /// The index as it is now, and stays in this view however it changes meanwhile.
    #[must_use]
    pub fn snapshot(&self) -> VectorSnapshot<T> {
        VectorSnapshot { view: self.engine.view(), length: self.length, metric: self.metric }
    }

    /// [`VectorSnapshot::search`] of the index as it is now.
    pub fn search(
        &self,
        queries: &[Vec<T>],
        radius: f32,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<VectorHit>>, VectorSearchError> {
        self.snapshot().search(queries, radius, filter, cancel)
    }

    /// [`VectorSnapshot::nearest`] of the index as it is now.
    pub fn nearest(
        &self,
        queries: &[Vec<T>],
        k: usize,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<VectorHit>>, VectorSearchError> {
        self.snapshot().nearest(queries, k, filter, cancel)
    }

    fn admit(&self, vector: &[T]) -> Result<Vec<T>, VectorError> {
        admit(vector, self.length, self.metric)
    }
}

fn admit<T: VectorElement>(
    vector: &[T],
    declared: usize,
    metric: VectorMetric,
) -> Result<Vec<T>, VectorError> {
    if vector.len() != declared {
        return Err(VectorError::Length { given: vector.len(), declared });
    }
    T::admit(vector, metric)
}

/// A [`VectorIndex`] as it was at one moment.
pub struct VectorSnapshot<T: VectorElement> {
    view: Arc<View<T::Metric>>,
    length: usize,
    metric: VectorMetric,
}

impl<T: VectorElement> VectorSnapshot<T> {
    /// Vectors within `radius` of each query, the nearest first; some may be missed. A radius that is NaN or
    /// negative finds nothing.
    pub fn search(
        &self,
        queries: &[Vec<T>],
        radius: f32,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<VectorHit>>, VectorSearchError> {
        let radius = if radius.is_nan() { -1.0 } else { radius };
        self.ask(queries, Wanted::Within(radius), filter, cancel)
    }

    /// The `k` vectors nearest to each query, the nearest first; some may be missed for farther ones.
    pub fn nearest(
        &self,
        queries: &[Vec<T>],
        k: usize,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<VectorHit>>, VectorSearchError> {
        self.ask(queries, Wanted::Nearest(k), filter, cancel)
    }

    fn ask(
        &self,
        queries: &[Vec<T>],
        wanted: Wanted,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<VectorHit>>, VectorSearchError> {
        let admit = |query: &Vec<T>| admit(query, self.length, self.metric);
        let queries = queries.iter().map(admit).collect::<Result<Vec<_>, _>>()?;
        let answers = self.view.search(queries.iter().map(|query| &**query), wanted, filter, cancel)?;
        Ok(answers.into_iter().map(|found| found.into_iter().map(VectorHit::from).collect()).collect())
    }
}

/// Shows how much it holds, never a vector.
impl<T: VectorElement> fmt::Debug for VectorIndex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("VectorIndex");
        shown.field("length", &self.length).field("metric", &self.metric).field("len", &self.len());
        shown.finish_non_exhaustive()
    }
}

impl<T: VectorElement> fmt::Debug for VectorSnapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VectorSnapshot").field("length", &self.length).finish_non_exhaustive()
    }
}
