//! The indexes of a shard: one for each hash type and length, and two for the frames of videos. Each is made
//! when the first such hash arrives.
//!
//! A hash whose type this build does not know has no index. It is kept in the records, counted, and part of
//! the digests, so the shard still equals the bank's. A search for it is refused, never answered with "no
//! match".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use vigie_index::{
    HashEdits, HashIndex, HashRows, HashShape, HashSnapshot, IndexOptions, OpenError, SegmentError,
};
use vigie_model::{
    BankId, Hash, HashCount, HashType, HashTypeSet, Metric, PdqHash, SearchOptions, VectorClass,
};
use vigie_vectors::HnswConfig;

use crate::shard::pdq::PdqEngine;

/// The settings from which the indexes of a shard are made.
#[derive(Debug, Clone, Default)]
pub(crate) struct IndexPlan {
    /// The engine that searches PDQ hashes.
    pub(crate) pdq_engine: PdqEngine,
    /// The parameters of the approximate engine.
    pub(crate) hnsw: HnswConfig,
    /// Types of the table that are treated as unknown. Tests use this to make a replica behave like an older
    /// build.
    pub(crate) lacks: HashTypeSet,
}

impl IndexPlan {
    /// Returns whether this replica can search hashes of a type.
    pub(crate) fn searches(&self, hash_type: HashType) -> bool {
        hash_type.is_known() && !self.lacks.contains(hash_type)
    }

    /// Returns the types of the table that this replica can search, in ascending order.
    pub(crate) fn searched(&self) -> impl Iterator<Item = HashType> {
        HashType::of_table().filter(|hash_type| self.searches(*hash_type))
    }

    /// Returns the marker of each class of vectors that this replica can search.
    fn markers(&self) -> impl Iterator<Item = HashType> {
        VectorClass::ALL.into_iter().map(VectorClass::marker).filter(|marker| self.searches(*marker))
    }

    /// Returns whether the index of a type finds every match.
    pub(crate) fn is_exact(&self, hash_type: HashType) -> bool {
        let is_approximate_pdq = hash_type == HashType::PDQ && self.pdq_engine == PdqEngine::Hnsw;
        !is_approximate_pdq && hash_type.vector_class().is_none()
    }

    /// Returns whether a search compares the hashes of a type with every hash, because it is exact and the
    /// index is approximate. Frames of a video are compared with the PDQ hashes of images, if these are
    /// searched.
    pub(crate) fn scans(&self, hash_type: HashType, options: &SearchOptions) -> bool {
        let has_images = options.stills.images_of.is_some();
        let is_pdq = hash_type == HashType::PDQ || hash_type == HashType::VPDQ && has_images;
        options.exact && is_pdq && !self.is_exact(HashType::PDQ)
    }

    fn make(
        &self,
        key: IndexKey,
        shape: HashShape,
        folder: Option<&Path>,
    ) -> Result<Box<dyn HashIndex>, OpenError> {
        if let Some(class) = key.hash_type.vector_class() {
            return Ok(vigie_vectors::vector_index(class, key.bytes, self.hnsw)?);
        }
        if !self.is_exact(key.hash_type) {
            return Ok(vigie_vectors::hamming_index(shape.bytes(), self.hnsw)?);
        }
        match folder {
            Some(folder) => shape.begin(folder, key.options()),
            None => Ok(shape.in_memory(key.options())?),
        }
    }
}

/// The key of an index: the rows that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct IndexKey {
    pub(crate) hash_type: HashType,
    /// The length in bytes of a row's hash.
    pub(crate) bytes: usize,
    pub(crate) part: Part,
}

/// The part of an item's rows that an index holds. See [`super::rows`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// Whole hashes.
    Whole,
    /// The frames of a video that last longest.
    Probe,
    /// The other frames of a video.
    Rest,
}

impl IndexKey {
    /// Returns the key of the index of whole hashes of a type and length in bytes.
    pub(crate) const fn whole(hash_type: HashType, bytes: usize) -> Self {
        Self { hash_type, bytes, part: Part::Whole }
    }

    /// Returns the key of the index of this part of the frames of videos.
    pub(crate) const fn frames(part: Part) -> Self {
        Self { hash_type: HashType::VPDQ, bytes: size_of::<PdqHash>(), part }
    }

    /// Returns the key of the index that holds `hash`, whose type is compared as a whole.
    pub(crate) fn of(hash: &Hash) -> Self {
        Self::whole(hash.hash_type(), hash.as_bytes().len())
    }

    /// Returns the name of the index's folder in the shard's folder: the name of the type, and the length or
    /// the part if the type has several.
    pub(crate) fn folder(self) -> String {
        let Self { hash_type, bytes, part } = self;
        let has_one_length = hash_type.vector_class().is_none()
            && hash_type
                .row()
                .is_some_and(|row| row.lengths.listed().is_none_or(|lengths| lengths.len() == 1));
        match part {
            Part::Whole if has_one_length => hash_type.to_string(),
            Part::Whole => format!("{hash_type}-{bytes}"),
            Part::Probe => format!("{hash_type}-probe"),
            Part::Rest => format!("{hash_type}-rest"),
        }
    }

    /// Returns the options of the index. Its tables are made for the distance that most searches ask for.
    /// Videos have many frames, of which a search looks for few, so their indexes take less memory and more
    /// time.
    pub(crate) fn options(self) -> IndexOptions {
        let (distance, compact) = (self.hash_type.distance_default(), self.part != Part::Whole);
        IndexOptions { distance, compact, ..IndexOptions::default() }
    }

    fn shape(self) -> Option<HashShape> {
        let bytes = self.bytes;
        Some(match self.hash_type.row()?.metric {
            Metric::Hamming | Metric::Frames => HashShape::Hamming { bytes },
            Metric::Equality => HashShape::Equality { bytes },
            Metric::Vector => HashShape::Vector { class: self.hash_type.vector_class()?, bytes },
        })
    }

    /// Returns whether the index is saved. Graphs of vectors are not; they are built again from the records.
    pub(crate) fn is_saved(self) -> bool {
        self.hash_type.vector_class().is_none()
    }
}

/// The indexes of a shard. They can be searched while they are written to.
#[derive(Debug)]
pub(crate) struct Indexes {
    plan: IndexPlan,
    /// The shard's folder; `None` if the indexes are in memory only.
    home: Option<PathBuf>,
    by_key: RwLock<BTreeMap<IndexKey, Arc<dyn HashIndex>>>,
    /// The reason why an index is in memory although the shard has a folder. No data is lost, but nothing can
    /// be saved.
    unsaved: Mutex<Option<String>>,
}

/// The edits of each index.
pub(crate) type EditsByIndex = BTreeMap<IndexKey, HashEdits>;

impl Indexes {
    /// Returns a set without any index. Files will be in `home`, if there is one.
    pub(crate) fn new(plan: IndexPlan, home: Option<&Path>) -> Self {
        let (by_key, unsaved) = (RwLock::default(), Mutex::default());
        Self { plan, home: home.map(Path::to_owned), by_key, unsaved }
    }

    /// Opens the indexes that were saved under this tag in a shard's folder. Types that this replica does not
    /// search are skipped.
    pub(crate) fn open(
        plan: IndexPlan,
        home: &Path,
        keys: &[IndexKey],
        tag: &[u8],
    ) -> Result<Self, OpenError> {
        let indexes = Self::new(plan, Some(home));
        let mut by_key: BTreeMap<IndexKey, Arc<dyn HashIndex>> = BTreeMap::new();
        for key in keys.iter().filter(|key| indexes.plan.searches(key.hash_type)) {
            let Some(shape) = key.shape() else { continue };
            by_key.insert(*key, shape.open_tagged(&home.join(key.folder()), key.options(), tag)?.into());
        }
        *indexes.by_key.write().unwrap_or_else(PoisonError::into_inner) = by_key;
        Ok(indexes)
    }

    /// Returns the settings from which the indexes are made.
    pub(crate) const fn plan(&self) -> &IndexPlan {
        &self.plan
    }

    /// Returns every index with its key, ordered by type.
    pub(crate) fn all(&self) -> Vec<(IndexKey, Arc<dyn HashIndex>)> {
        let by_key = self.by_key.read().unwrap_or_else(PoisonError::into_inner);
        by_key.iter().map(|(key, index)| (*key, Arc::clone(index))).collect()
    }

    /// Returns the index of these hashes, and makes it if it does not exist yet. Returns `None` if their type
    /// is not searched.
    fn index(&self, key: IndexKey) -> Option<Arc<dyn HashIndex>> {
        if let Some(index) = self.by_key.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Some(Arc::clone(index));
        }
        let shape = key.shape().filter(|_| self.plan.searches(key.hash_type))?;
        let folder = self.home.as_ref().map(|home| home.join(key.folder()));
        let made = self.plan.make(key, shape, folder.as_deref()).or_else(|error| {
            let mut unsaved = self.unsaved.lock().unwrap_or_else(PoisonError::into_inner);
            *unsaved = Some(format!("the index of {} hashes lies in memory: {error}", key.hash_type));
            self.plan.make(key, shape, None)
        });
        // A test checks that every row of the table has an index.
        let index: Arc<dyn HashIndex> = made.expect("an index in memory is made for every row").into();
        let mut by_key = self.by_key.write().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(by_key.entry(key).or_insert(index)))
    }

    /// Applies the edits to every index.
    pub(crate) fn apply(&self, edits: &EditsByIndex) {
        for (key, edits) in edits {
            if let Some(index) = self.index(*key) {
                index.apply(edits);
            }
        }
    }

    /// Adds many hashes at once to their index.
    pub(crate) fn load(&self, key: IndexKey, rows: HashRows) -> Result<(), SegmentError> {
        self.index(key).map_or(Ok(()), |index| index.load(rows))
    }

    /// Removes every hash of a bank.
    pub(crate) fn remove_bank(&self, bank: BankId) {
        for (_, index) in self.all() {
            index.remove_bank(bank);
        }
    }

    /// Merges the segments of each index into one.
    pub(crate) fn merge(&self) -> Result<(), SegmentError> {
        self.all().iter().try_for_each(|(_, index)| index.merge())
    }

    /// Rewrites every file that holds removed hashes now, until `stop` returns true.
    pub(crate) fn clear_dead(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        self.all().iter().try_for_each(|(_, index)| index.clear_dead(stop))
    }

    /// Returns why the indexes cannot be saved, if they cannot.
    pub(crate) fn unsaved(&self) -> Option<String> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Drops what was saved before this tag.
    pub(crate) fn forget_before(&self, tag: &[u8]) {
        self.all().iter().for_each(|(_, index)| index.forget_before(tag));
    }

    /// Returns the last error with the files of the indexes. No data is lost by it.
    pub(crate) fn fault(&self) -> Option<String> {
        self.unsaved().or_else(|| self.all().iter().find_map(|(_, index)| index.fault()))
    }

    /// Returns the number of living rows of each type that can be searched: every type of the table, even
    /// without a row; every vector type that has an index; and the marker of each class of vectors. A hash
    /// has one row, except a video, which has many.
    pub(crate) fn counts(&self) -> Vec<HashCount> {
        let all = self.all();
        let count = |hash_type: HashType| {
            let of_type = || all.iter().filter(|(key, _)| key.hash_type == hash_type).map(|(_, index)| index);
            HashCount {
                hash_type,
                hashes: of_type().map(|index| index.len() as u64).sum(),
                is_searched: true,
                exact: self.plan.is_exact(hash_type),
                recall: of_type().find_map(|index| index.recall()),
            }
        };
        let vectors = all.iter().map(|(key, _)| key.hash_type).filter(|one| one.vector_class().is_some());
        let types: HashTypeSet = self.plan.searched().chain(self.plan.markers()).chain(vectors).collect();
        types.iter().map(count).collect()
    }

    /// Returns all indexes as they are now.
    pub(crate) fn snapshot(&self) -> Snapshots {
        Snapshots(self.all().into_iter().map(|(key, index)| (key, index.snapshot())).collect())
    }
}

/// The indexes of a shard at one moment, ordered by type.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshots(Vec<(IndexKey, Arc<dyn HashSnapshot>)>);

impl Snapshots {
    /// Returns the indexes of one type: one for each length that has arrived.
    pub(crate) fn of(&self, hash_type: HashType) -> impl Iterator<Item = (IndexKey, &dyn HashSnapshot)> {
        self.all().filter(move |(key, _)| key.hash_type == hash_type)
    }

    /// Returns one index, or `None` if it holds nothing yet.
    pub(crate) fn get(&self, key: IndexKey) -> Option<&dyn HashSnapshot> {
        let at = self.0.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(&*self.0[at].1)
    }

    /// Returns the indexes of all types.
    pub(crate) fn all(&self) -> impl Iterator<Item = (IndexKey, &dyn HashSnapshot)> {
        self.0.iter().map(|(key, one)| (*key, &**one))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_row_of_the_table_has_an_index_of_each_of_its_lengths() {
        let vectors = VectorClass::ALL.map(|class| class.hash_type(7));
        for hash_type in HashType::of_table().chain(vectors) {
            let of_vectors: &[usize] = if hash_type.vector_class().is_some() { &[384, 1_536] } else { &[] };
            let lengths = hash_type.row().unwrap().lengths.listed().unwrap_or(of_vectors);
            let frames = [Part::Probe, Part::Rest].map(IndexKey::frames);
            let keys = lengths.iter().map(|&bytes| IndexKey::whole(hash_type, bytes)).chain(frames);
            let mut folders = HashSet::new();
            for key in keys {
                key.shape().unwrap().check().unwrap();
                assert!(folders.insert(key.folder()), "{key:?}");
                assert!(Indexes::new(IndexPlan::default(), None).index(key).is_some(), "{key:?}");
            }
        }
    }

    #[test]
    fn types_without_a_row_have_none() {
        let unknown = HashType::from_number(9_999).unwrap();
        let indexes = Indexes::new(IndexPlan::default(), None);
        assert!(indexes.index(IndexKey::whole(unknown, 20)).is_none());
        let lacks = [HashType::MD5].into_iter().collect();
        let indexes = Indexes::new(IndexPlan { lacks, ..IndexPlan::default() }, None);
        assert!(indexes.index(IndexKey::whole(HashType::MD5, 16)).is_none());
        assert!(indexes.counts().iter().all(|count| count.hash_type != HashType::MD5));
    }
}
