//! The records of items: the bank of each item, and what its contributor has submitted with it.
//!
//! Records are in immutable *files*, which are read into memory, or in memory only if there is no folder.
//! Those of the newest items are in an *overlay* on the heap. The overlay becomes a file when it is full or
//! when a snapshot is taken. Ids ascend, so the files cover consecutive ranges of ids, and the overlay covers
//! the newest. A removed item is a bit that is kept beside its file. Whenever a file is written, neighbouring
//! files are merged by the rules of `policy`.
//!
//! Readers take no lock for longer than one step in the overlay: the list of files is immutable, and is
//! replaced as a whole. A file that is no longer used stays in memory until its last reader has finished.
//!
//! There is one writer. It waits while it writes a full overlay (about 16 MiB) and merges files (128 MiB at
//! most). This takes ten milliseconds to a second, once in [`OVERLAY_ITEMS_MAX`] items.

mod encoding;
mod file;
mod policy;

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use vigie_index::container::{Container, ContainerWriter};
use vigie_index::{SavedFile, SegmentError, Stored};
use vigie_model::{BankId, Hash, ItemContent, ItemId, UnixMillis};

pub(crate) use encoding::{Notes, Record};

use encoding::AddedAt;
use file::RecordFile;

/// The most items of the overlay: as many as the tail of an index has rows.
const OVERLAY_ITEMS_MAX: usize = 1 << 17;

/// The most bytes of the overlay's content, which limits items with long content.
const OVERLAY_BYTES_MAX: usize = 64 << 20;

const EXTENSION: &str = "records";

/// The records of the living items of a shard, in files and an overlay.
#[derive(Debug)]
pub(crate) struct RecordStore {
    /// The folder of the files; `None` if records are in memory only.
    folder: Option<PathBuf>,
    next_number: AtomicU64,
    overlay: DashMap<ItemId, Overlaid>,
    overlay_bytes: AtomicUsize,
    /// The number of items at which the overlay becomes a file. It is larger after a failure.
    flush_at: AtomicUsize,
    /// The files, in ascending order of their ids.
    files: ArcSwap<Vec<Arc<RecordFile>>>,
    living: AtomicU64,
    /// The numbers of files that a snapshot names. They are deleted only after the next snapshot.
    kept: Mutex<HashSet<u64>>,
    /// The last disk error.
    fault: Mutex<Option<String>>,
}

#[derive(Debug, Clone)]
struct Overlaid {
    bank: BankId,
    added: AddedAt,
    /// The content is shared with a file that is being written, so it is not copied.
    content: Arc<[u8]>,
}

impl Overlaid {
    fn record(&self) -> Record<'_> {
        Record { bank: self.bank, added: self.added, content: &self.content }
    }
}

/// A file of a snapshot, and the bits of its rows that had died by then.
#[derive(Debug)]
pub(crate) struct SavedRecords {
    pub(crate) file: SavedFile,
    pub(crate) dead: Vec<u64>,
}

impl RecordStore {
    /// Returns a store without records and without files.
    pub(crate) fn in_memory() -> Self {
        Self::new(None)
    }

    /// Returns a store without records. Its files will be in `folder`, which must exist and be empty.
    pub(crate) fn begin(folder: &Path) -> Self {
        Self::new(Some(folder.to_owned()))
    }

    fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            next_number: AtomicU64::new(0),
            overlay: DashMap::new(),
            overlay_bytes: AtomicUsize::new(0),
            flush_at: AtomicUsize::new(OVERLAY_ITEMS_MAX),
            files: ArcSwap::default(),
            living: AtomicU64::new(0),
            kept: Mutex::default(),
            fault: Mutex::default(),
        }
    }

    /// Opens the records that a snapshot left in this folder, and reads all of them once. Files that the
    /// snapshot does not name are deleted.
    ///
    /// Errors: a file is damaged, or does not fit the others.
    pub(crate) fn open(folder: &Path, saved: &[SavedRecords]) -> Result<Self, SegmentError> {
        let mut files: Vec<Arc<RecordFile>> = Vec::new();
        for SavedRecords { file, dead } in saved {
            let container = Container::open(&folder.join(&file.name))?;
            let Some(number) = number_in(&file.name) else {
                return Err(container.contradiction("its name is none of a file of records"));
            };
            let ids_ascend = |next: &RecordFile| files.last().is_none_or(|last| last.last() < next.first());
            let file = RecordFile::open(number, container, dead)?;
            if !ids_ascend(&file) {
                return Err(file.container().contradiction("its items overlap with those of another file"));
            }
            files.push(Arc::new(file));
        }
        let kept: HashSet<u64> = files.iter().map(|file| file.number).collect();
        remove_others(folder, &kept);
        let store = Self::begin(folder);
        store.next_number.store(kept.iter().max().map_or(0, |greatest| greatest + 1), Ordering::Relaxed);
        let living: usize = files.iter().map(|file| file.living_count()).sum();
        store.living.store(living as u64, Ordering::Relaxed);
        store.files.store(Arc::new(files));
        *store.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(store)
    }

    /// Passes the record of an item to `read`, and returns its result. Returns `None` if the item has been
    /// removed or never existed.
    pub(crate) fn read<T>(&self, item: ItemId, read: impl FnOnce(&Record<'_>) -> T) -> Option<T> {
        if let Some(overlaid) = self.overlay.get(&item) {
            return Some(read(&overlaid.record()));
        }
        // Read after the overlay: a record that has just left the overlay is in the files.
        let files = self.files.load();
        let file = file_of(&files, item)?;
        file.get(item).map(|record| read(&record))
    }

    /// Returns the number of living items.
    pub(crate) fn count(&self) -> u64 {
        self.living.load(Ordering::Relaxed)
    }

    /// Adds an item. Its id must be greater than every earlier one.
    pub(crate) fn insert(&self, item: ItemId, bank: BankId, added_at: UnixMillis, content: &ItemContent) {
        let content = Arc::<[u8]>::from(encoding::encode(content));
        self.overlay_bytes.fetch_add(content.len(), Ordering::Relaxed);
        if self.overlay.insert(item, Overlaid { bank, added: added_at.into(), content }).is_none() {
            self.living.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn remove(&self, item: ItemId) {
        let was_there = match self.overlay.remove(&item) {
            Some((_, overlaid)) => {
                self.overlay_bytes.fetch_sub(overlaid.content.len(), Ordering::Relaxed);
                true
            }
            None => file_of(&self.files.load(), item).is_some_and(|file| file.remove(item)),
        };
        self.living.fetch_sub(was_there.into(), Ordering::Relaxed);
    }

    pub(crate) fn remove_banks(&self, banks: &HashSet<BankId>) {
        let mut gone = 0;
        self.overlay.retain(|_, overlaid| {
            let stays = !banks.contains(&overlaid.bank);
            if !stays {
                self.overlay_bytes.fetch_sub(overlaid.content.len(), Ordering::Relaxed);
                gone += 1;
            }
            stays
        });
        for file in &**self.files.load() {
            gone += file.remove_banks(|bank| banks.contains(&bank));
        }
        self.living.fetch_sub(gone as u64, Ordering::Relaxed);
    }

    /// Writes the overlay to a file if it is full, and merges the files that are due. After a failure, which
    /// [`Self::fault`] returns, everything stays as it was, and the next attempt follows some thousand items
    /// later.
    pub(crate) fn tend(&self) {
        let flush_at = self.flush_at.load(Ordering::Relaxed);
        let is_long = self.overlay_bytes.load(Ordering::Relaxed) >= OVERLAY_BYTES_MAX;
        let is_full = self.overlay.len() >= flush_at || is_long && flush_at == OVERLAY_ITEMS_MAX;
        if !is_full {
            return;
        }
        let tended = self.flush();
        let more =
            if tended.is_ok() { OVERLAY_ITEMS_MAX } else { self.overlay.len() + OVERLAY_ITEMS_MAX / 8 };
        self.flush_at.store(more, Ordering::Relaxed);
        *self.lock_fault() = tended.err().map(|error| error.to_string());
    }

    /// Returns the last error with the files. No data is lost by it: what cannot be written stays in memory.
    pub(crate) fn fault(&self) -> Option<String> {
        self.lock_fault().clone()
    }

    fn lock_fault(&self) -> MutexGuard<'_, Option<String>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the overlay to a file, and merges the files that are due.
    pub(crate) fn flush(&self) -> Result<(), SegmentError> {
        if !self.overlay.is_empty() {
            let mut items: Vec<ItemId> = self.overlay.iter().map(|one| *one.key()).collect();
            items.sort_unstable();
            // Only the writer, which runs here, changes the overlay. The rows are cloned cheaply, because
            // content is shared.
            let rows: Vec<_> = items
                .iter()
                .filter_map(|item| self.overlay.get(item).map(|one| (*item, one.clone())))
                .collect();
            let file = self.write(|| rows.iter().map(|(item, one)| (*item, one.record())))?;
            let mut files = Vec::clone(&self.files.load());
            files.push(Arc::new(file));
            // The file is added before the overlay is cleared: a reader that misses a record in the overlay
            // finds it in the file.
            self.files.store(Arc::new(files));
            self.overlay.clear();
            self.overlay_bytes.store(0, Ordering::Relaxed);
        }
        self.merge()
    }

    fn merge(&self) -> Result<(), SegmentError> {
        loop {
            let extents: Vec<_> = self.files.load().iter().map(|file| file.extent()).collect();
            let Some(range) = policy::next_merge(&extents) else { return Ok(()) };
            self.rewrite(range)?;
        }
    }

    /// Returns the number of the next file. All existing files have lower numbers.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_number.load(Ordering::Relaxed)
    }

    /// Rewrites one file that has dead records, without them, among the files with a number below `before`.
    /// Returns whether there was one.
    pub(crate) fn clear_dead(&self, before: u64) -> Result<bool, SegmentError> {
        let found = self.files.load().iter().position(|file| file.number < before && file.has_dead());
        found.map_or(Ok(false), |at| self.rewrite(at..at + 1).map(|()| true))
    }

    /// Merges the living records of neighbouring files into one file.
    fn rewrite(&self, range: Range<usize>) -> Result<(), SegmentError> {
        let mut files = Vec::clone(&self.files.load());
        let sources = files[range.clone()].to_vec();
        let is_empty = sources.iter().all(|file| file.living_count() == 0);
        let merged = (!is_empty).then(|| self.write(|| sources.iter().flat_map(|file| file.living())));
        let merged = merged.transpose()?.map(Arc::new);
        files.splice(range, merged);
        self.files.store(Arc::new(files));
        for file in sources.iter().filter(|file| !self.kept().contains(&file.number)) {
            file.container().remove()?;
        }
        Ok(())
    }

    fn write<'a, I: Iterator<Item = file::Row<'a>>>(
        &self,
        rows: impl Fn() -> I,
    ) -> Result<RecordFile, SegmentError> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let begin = |sections: &[(u32, usize)]| match &self.folder {
            Some(folder) => ContainerWriter::create(&folder.join(name_of(number)), sections),
            None => ContainerWriter::in_memory(sections),
        };
        RecordFile::write(number, begin, rows)
    }

    /// Returns the files, as weak references.
    pub(crate) fn stored(&self) -> Vec<Weak<dyn Stored>> {
        let weak = |file: &Arc<RecordFile>| {
            let weak: Weak<RecordFile> = Arc::downgrade(file);
            weak as Weak<dyn Stored>
        };
        self.files.load().iter().map(weak).collect()
    }

    /// Passes the living items of all files and their hashes to `take`.
    pub(crate) fn each_living(&self, mut take: impl FnMut(ItemId, BankId, &[Hash])) {
        for file in &**self.files.load() {
            for (item, record) in file.living() {
                take(item, record.bank(), &record.hashes());
            }
        }
    }

    /// Returns the files, and the bits of their dead rows. The overlay must have been flushed. The files are
    /// kept until [`Self::settle`], together with those of the previous snapshot.
    pub(crate) fn saved(&self) -> Vec<SavedRecords> {
        let files = self.files.load();
        self.kept().extend(files.iter().map(|file| file.number));
        let saved = |file: &Arc<RecordFile>| {
            Some(SavedRecords { file: file.container().saved()?, dead: file.dead_words() })
        };
        files.iter().filter_map(saved).collect()
    }

    /// Records that the snapshot of the current files is complete. The files that only the previous snapshot
    /// named are deleted.
    pub(crate) fn settle(&self) {
        let Some(folder) = &self.folder else { return };
        let named: HashSet<u64> = self.files.load().iter().map(|file| file.number).collect();
        let before = std::mem::replace(&mut *self.kept(), named.clone());
        for number in before.difference(&named) {
            // A file that cannot be deleted now is deleted when the folder is next opened.
            let _later = std::fs::remove_file(folder.join(name_of(*number)));
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the file whose range of ids contains the item.
fn file_of(files: &[Arc<RecordFile>], item: ItemId) -> Option<&RecordFile> {
    let at = files.partition_point(|file| file.last().is_some_and(|last| last < item));
    files.get(at).map(|file| &**file)
}

fn name_of(number: u64) -> String {
    format!("{number:010}.{EXTENSION}")
}

fn number_in(name: &str) -> Option<u64> {
    name.strip_suffix(EXTENSION)?.strip_suffix('.')?.parse().ok()
}

/// Deletes the files that a crash left: those that no snapshot names, complete or not. They only waste space.
fn remove_others(folder: &Path, kept: &HashSet<u64>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().and_then(number_in).is_none_or(|number| !kept.contains(&number)) {
            let _later = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use vigie_model::ItemDraft;

    use super::*;

    fn content(number: u64) -> ItemContent {
        let byte = number.to_le_bytes()[0];
        let draft = ItemDraft {
            hashes: vec![Hash::md5([byte; 16])],
            labels: vec![format!("label-{number}")],
            external_reference: format!("case-{number}"),
        };
        draft.try_into().unwrap()
    }

    /// Returns the time when an item was added. It is unknown for every third item.
    fn added_at(number: u64) -> UnixMillis {
        UnixMillis(if number.is_multiple_of(3) { 0 } else { 1_000 * (1_700_000_000 + number) })
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u32),
        Remove(u16),
        RemoveBank(u32),
        Flush,
        Save,
        Open,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            20 => (0..4_u32).prop_map(Step::Insert),
            8 => any::<u16>().prop_map(Step::Remove),
            1 => (0..4_u32).prop_map(Step::RemoveBank),
            4 => Just(Step::Flush),
            2 => Just(Step::Save),
            1 => Just(Step::Open),
        ]
    }

    /// Saves the store, and returns the content of the snapshot.
    fn save(store: &RecordStore) -> Vec<SavedRecords> {
        store.flush().unwrap();
        let saved = store.saved();
        store.settle();
        saved
    }

    fn check(steps: Vec<Step>, folder: Option<&Path>) {
        let mut store = folder.map_or_else(RecordStore::in_memory, RecordStore::begin);
        let (mut held, mut next) = (BTreeMap::new(), 1);
        let mut snapshot: Option<(Vec<SavedRecords>, BTreeMap<u64, u32>)> = None;
        for step in steps {
            match step {
                Step::Insert(bank) => {
                    store.insert(ItemId(next), BankId(bank), added_at(next), &content(next));
                    held.insert(next, bank);
                    next += 1 + u64::from(bank);
                }
                Step::Remove(at) if !held.is_empty() => {
                    let item = *held.keys().nth(usize::from(at) % held.len()).unwrap();
                    held.remove(&item);
                    store.remove(ItemId(item));
                }
                Step::Remove(_) => store.remove(ItemId(next)),
                Step::RemoveBank(bank) => {
                    held.retain(|_, one| *one != bank);
                    store.remove_banks(&HashSet::from([BankId(bank)]));
                }
                Step::Flush => store.flush().unwrap(),
                Step::Save => snapshot = Some((save(&store), held.clone())),
                Step::Open => {
                    if let (Some(folder), Some((saved, then))) = (folder, &snapshot) {
                        store = RecordStore::open(folder, saved).unwrap();
                        held = then.clone();
                    }
                }
            }
            assert_eq!(store.count(), held.len() as u64);
            for item in 0..=next {
                let read = store.read(ItemId(item), |record| {
                    (record.bank(), record.added_at(), record.hashes(), record.notes())
                });
                let expected = held.get(&item).map(|bank| {
                    let (content, known) = (content(item), Some(added_at(item)).filter(|at| at.0 > 0));
                    let reference = content.external_reference().map(Into::into);
                    let notes = Notes { labels: content.labels().into(), external_reference: reference };
                    (BankId(*bank), known, content.hashes().to_vec(), notes)
                });
                assert_eq!(read, expected);
            }
        }
        if let Some(folder) = folder {
            // No other file remains.
            save(&store);
            let left = std::fs::read_dir(folder).unwrap().count();
            assert_eq!(left, store.files.load().len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

        #[test]
        fn records_are_those_of_the_living_items(steps in prop::collection::vec(step(), 1..80)) {
            check(steps.clone(), None);
            check(steps, Some(tempfile::tempdir().unwrap().path()));
        }
    }

    #[test]
    fn readers_miss_nothing_while_the_writer_moves_it() {
        let store = Arc::new(RecordStore::in_memory());
        (1..=500).for_each(|item| store.insert(ItemId(item), BankId(1), added_at(item), &content(item)));
        let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let reading = {
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    for item in (1..=500).step_by(2) {
                        assert!(store.read(ItemId(item), |_| ()).is_some(), "{item}");
                    }
                }
            })
        };
        for round in 0..200 {
            store.flush().unwrap();
            store.remove(ItemId(2 + 2 * round));
            store.insert(ItemId(501 + round), BankId(1), added_at(round), &content(round));
        }
        done.store(true, Ordering::Relaxed);
        reading.join().unwrap();
    }
}
