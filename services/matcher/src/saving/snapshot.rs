//! Saves a shard to its folder, and restores it from there.
//!
//! A snapshot is the files of the indexes and records, and a manifest that names them and the position in the
//! log. It exists completely or not at all: files get new names, the manifest is written last, and files that
//! only the previous snapshot needed are deleted after that. Whenever the machine stops, one of both
//! snapshots can be opened.
//!
//! **Saving** blocks changes of the shard, but not searches. It writes what is new since the last snapshot
//! (the tails of the indexes, at most about 700,000 rows of each type, and the overlay of the records) and
//! the dead bits, and flushes each file. Measured (`tests::snapshot::measure`, two cores, one quiet disk)
//! with one million items and with ten million: 22 and 26 ms after 1,000 changes, 76 and 350 ms after
//! 200,000. A busy disk takes longer. If an index is merging segments, saving waits for the end of the merge,
//! which takes some seconds for the largest.
//!
//! **Opening** trusts nothing. Every file must have the length and checksum that the manifest names, and
//! every block the checksum in its file. The digest of every bank is computed again from the records, and the
//! indexes must have the same number of hashes. If anything differs, its name is reported, the whole snapshot
//! is discarded, and the shard is loaded from the bank. Finally, the shard has to agree with the bank's
//! digest, like any other.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use vigie_index::{Entry, HashRows, OpenError, SavedFile, SegmentError};
use vigie_model::change::{Cursor, LogId};
use vigie_model::{BankId, HashCount, HashType, ItemId, Sequence, SetDigest, ShardIdentity};

use crate::saving::folder::{self, Folder};
use crate::saving::manifest::{
    BankEntry, FORMAT, FileEntry, IndexEntry, Manifest, RecordsEntry, Sections, Settings,
};
use crate::saving::standings;
use crate::shard::banks::{BankState, BankTable, Books};
use crate::shard::beside::marks::Marks;
use crate::shard::indexes::{IndexKey, IndexPlan, Indexes};
use crate::shard::records::{RecordStore, SavedRecords};
use crate::shard::removals::{self, Removals};
use crate::shard::rows;
use crate::shard::state::{Shard, ShardState, Still};
use crate::shard::stores::{RECORDS, Stores};

/// Reasons why a shard was not saved. The previous snapshot stays valid.
#[derive(Debug, Error)]
pub(crate) enum SaveError {
    #[error("the shard is not kept in files")]
    NotKept,
    #[error("the shard has no position in the log yet, or a failure left it incomplete")]
    NotWhole,
    #[error("the shard cannot be saved: {reason}")]
    InMemory { reason: String },
    #[error("cannot flush {}", path.display())]
    Flush { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// Reasons why a snapshot cannot be used.
#[derive(Debug, Error)]
pub(crate) enum RestoreError {
    #[error("the snapshot was made with other settings: {saved:?}, and not {own:?}")]
    Settings { saved: Settings, own: Settings },
    #[error("the snapshot was saved by a version with another table of hash types: {0}")]
    OtherTable(&'static str),
    #[error("{} is not the file that the snapshot names", path.display())]
    OtherFile { path: PathBuf },
    #[error("{}: {reason}", path.display())]
    Manifest { path: PathBuf, reason: &'static str },
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error(transparent)]
    Index(#[from] OpenError),
}

/// Called between two steps of saving. Tests stop there.
pub(crate) type Checkpoint<'a> = &'a mut dyn FnMut(&'static str) -> Result<(), SaveError>;

/// Returns the settings that the files of a shard depend on.
pub(crate) fn settings(identity: ShardIdentity, plan: &IndexPlan) -> Settings {
    Settings {
        shard: identity.shard().0,
        shard_count: identity.shard_count().get(),
        pdq_engine: plan.pdq_engine,
        pdq_distance: HashType::PDQ.distance_default().0,
    }
}

/// Saves the present shard. Returns the last change that is in the snapshot.
pub(crate) fn save(
    folder: &Folder,
    shard: &Shard,
    checkpoint: Checkpoint<'_>,
) -> Result<Sequence, SaveError> {
    shard.hold_still(|still| save_still(folder, &still, checkpoint)).ok_or(SaveError::NotWhole)?
}

fn save_still(folder: &Folder, still: &Still<'_>, checkpoint: Checkpoint<'_>) -> Result<Sequence, SaveError> {
    let Still { identity, stores, moment, settled, books, removals } = still;
    let name = stores.folder.as_deref().ok_or(SaveError::NotKept)?;
    let home = folder.shard(name).ok_or(SaveError::NotKept)?;
    let cursor = moment.cursor.ok_or(SaveError::NotWhole)?;
    let number = folder.next_snapshot();
    let tag = tag(number, cursor.sequence);

    let Stores { indexes, records, .. } = stores;
    if let Some(reason) = indexes.unsaved() {
        return Err(SaveError::InMemory { reason });
    }
    records.flush()?;
    let saved = records.saved();
    let mut files: Vec<FileEntry> = saved.iter().map(|one| entry(name, RECORDS, &one.file)).collect();
    checkpoint("records")?;
    let all = indexes.all();
    for (key, index) in &all {
        files.extend(index.save(&tag)?.iter().map(|file| entry(name, &key.folder(), file)));
        checkpoint(key.hash_type.name().unwrap_or_default())?;
    }
    for path in [&home, folder.path()] {
        folder::sync(path).map_err(|source| SaveError::Flush { path: path.to_owned(), source })?;
    }
    let bank = |(id, bank): (&BankId, &BankState)| {
        let SetDigest { sums, hashes } = books.digest(*id);
        BankEntry { id: id.0, name: bank.name.to_string(), enabled: bank.enabled, sums, hashes }
    };
    let mut banks: Vec<BankEntry> = moment.banks.iter().map(bank).collect();
    banks.sort_unstable_by_key(|bank| bank.id);
    let record =
        |one: &SavedRecords| RecordsEntry { name: one.file.name.clone(), dead_words: one.dead.len() };
    let manifest = Manifest {
        format: FORMAT,
        number,
        settings: settings(*identity, indexes.plan()),
        log: cursor.log.0,
        sequence: cursor.sequence.0,
        chain: cursor.chain,
        settled: settled.0,
        members_on: moment.members_on,
        removed_since_ms: Some(removals.oldest_ms().unwrap_or_default()),
        folder: name.to_owned(),
        held: moment.marks.held().sorted().into_iter().map(|item| item.0).collect(),
        banks,
        records: saved.iter().map(record).collect(),
        indexes: all.iter().filter(|(key, _)| key.is_saved()).map(|(key, _)| IndexEntry::of(*key)).collect(),
        files,
    };
    let beside = Sections {
        dead: saved.iter().flat_map(|one| one.dead.iter().copied()).collect(),
        standings: standings::encode(moment.marks.standings().iter()),
    };
    manifest.write(&folder.manifest(), &beside)?;
    checkpoint("manifest")?;

    records.settle();
    indexes.forget_before(&tag);
    folder.remove_shards_but(Some(name));
    checkpoint("forgotten")?;
    Ok(cursor.sequence)
}

/// Returns the shard that was saved last, or `None` if there is no snapshot.
pub(crate) fn restore(
    folder: &Folder,
    identity: ShardIdentity,
    plan: &IndexPlan,
) -> Result<Option<Shard>, RestoreError> {
    let path = folder.manifest();
    if !path.exists() {
        return Ok(None);
    }
    let (manifest, beside) = Manifest::read(&path)?;
    let wrong = |reason| RestoreError::Manifest { path: path.clone(), reason };
    let home = check_manifest(folder, &path, &manifest, settings(identity, plan))?;
    for file in &manifest.files {
        check_file(folder.path(), file)?;
    }
    let records = open_records(&home.join(RECORDS), &manifest, &beside.dead)?;
    let keys = manifest.indexes.iter().map(IndexEntry::key).collect::<Option<Vec<IndexKey>>>();
    let keys = keys.ok_or_else(|| wrong("it names an index that cannot exist"))?;
    let tag = tag(manifest.number, Sequence(manifest.sequence));
    let indexes = Indexes::open(plan.clone(), &home, &keys, &tag)?;
    let (banks, marks, books) = count_anew(&manifest, &beside.standings, &records, plan).map_err(wrong)?;
    load_unsaved(&indexes, &records)?;
    let counted = |hash_type| banks.values().map(|bank: &BankState| bank.hashes(hash_type)).sum::<u64>();
    let rows = indexes.counts();
    let whole = rows.iter().map(|count| count.hash_type).filter(|hash_type| *hash_type != HashType::VPDQ);
    let frames = books.searched.digest.hashes.wrapping_sub(whole.map(counted).sum());
    for HashCount { hash_type, hashes, .. } in rows {
        let expected = if hash_type == HashType::VPDQ { frames } else { counted(hash_type) };
        match expected {
            count if count == hashes => {}
            _ if keys.iter().all(|key| key.hash_type != hash_type) => {
                return Err(RestoreError::OtherTable("it did not know a hash type of the records"));
            }
            _ => return Err(wrong("its indexes and its records hold different numbers of hashes")),
        }
    }
    folder.count_from(manifest.number);
    folder.remove_shards_but(Some(&manifest.folder));
    let state = ShardState {
        cursor: Cursor {
            log: LogId(manifest.log),
            sequence: Sequence(manifest.sequence),
            chain: manifest.chain,
        },
        settled: Sequence(manifest.settled),
        banks: banks.into(),
        marks,
        members_on: manifest.members_on,
        books,
        // An older version did not record the age of removals, so they count as new.
        removals: Removals::since(manifest.removed_since_ms.unwrap_or_else(removals::now_ms)),
    };
    let stores = Stores { indexes, records, folder: Some(manifest.folder) };
    Ok(Some(Shard::of_state(identity, stores, state)))
}

/// Returns the folder of the shard that a manifest names, if the manifest has these settings and names only
/// files of the shard.
pub(crate) fn check_manifest(
    folder: &Folder,
    path: &Path,
    manifest: &Manifest,
    own: Settings,
) -> Result<PathBuf, RestoreError> {
    let wrong = |reason| RestoreError::Manifest { path: path.to_owned(), reason };
    if manifest.settings != own {
        return Err(RestoreError::Settings { saved: manifest.settings, own });
    }
    let home = folder.shard(&manifest.folder).ok_or_else(|| wrong("it names no folder of a shard"))?;
    let is_for_own_distance = |entry: &IndexEntry| {
        entry.key().is_none_or(|key| !key.hash_type.is_known() || *entry == IndexEntry::of(key))
    };
    if !manifest.indexes.iter().all(is_for_own_distance) {
        return Err(RestoreError::OtherTable("its indexes are made for other distances"));
    }
    if names_are_plain(manifest) { Ok(home) } else { Err(wrong("it names files that are not the shard's")) }
}

/// Returns the tag that identifies the checkpoints of the indexes of one snapshot.
fn tag(number: u64, sequence: Sequence) -> [u8; 16] {
    let mut tag = [0; 16];
    tag[..8].copy_from_slice(&number.to_le_bytes());
    tag[8..].copy_from_slice(&sequence.0.to_le_bytes());
    tag
}

fn entry(shard: &str, part: &str, file: &SavedFile) -> FileEntry {
    let SavedFile { name, bytes, checksum } = file;
    FileEntry { name: format!("{shard}/{part}/{name}"), bytes: *bytes, checksum: *checksum }
}

/// Returns whether every file is in one of the shard's folders, and every file of records is among the files.
/// The check is necessary because a manifest may come from an object store.
fn names_are_plain(manifest: &Manifest) -> bool {
    let is_plain = |name: &str| {
        let parts: Vec<&str> = name.split('/').collect();
        matches!(parts[..], [folder, part, file] if folder == manifest.folder
            && !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
            && !matches!(file, "" | "." | ".."))
    };
    let is_listed = |record: &RecordsEntry| {
        let name = format!("{}/{RECORDS}/{}", manifest.folder, record.name);
        manifest.files.iter().any(|file| file.name == name)
    };
    manifest.files.iter().all(|file| is_plain(&file.name)) && manifest.records.iter().all(is_listed)
}

/// Compares the length of a file and the checksum in its header with those of the manifest.
fn check_file(folder: &Path, file: &FileEntry) -> Result<(), RestoreError> {
    let path = folder.join(&file.name);
    let found = SavedFile::look_at(&path)?;
    let is_it = found.is_some_and(|found| (found.bytes, found.checksum) == (file.bytes, file.checksum));
    if is_it { Ok(()) } else { Err(RestoreError::OtherFile { path }) }
}

fn open_records(folder: &Path, manifest: &Manifest, dead: &[u64]) -> Result<RecordStore, SegmentError> {
    let mut dead = dead.iter().copied();
    let saved = |one: &RecordsEntry| SavedRecords {
        file: SavedFile { name: one.name.clone(), bytes: 0, checksum: 0 },
        dead: dead.by_ref().take(one.dead_words).collect(),
    };
    let saved: Vec<SavedRecords> = manifest.records.iter().map(saved).collect();
    RecordStore::open(folder, &saved)
}

/// The number of rows of one index that are collected before they are loaded.
const UNSAVED_AT_ONCE: usize = 1 << 12;

/// Fills the indexes that are not saved, from the records.
fn load_unsaved(indexes: &Indexes, records: &RecordStore) -> Result<(), SegmentError> {
    let mut gathered: BTreeMap<IndexKey, HashRows> = BTreeMap::new();
    let mut loaded = Ok(());
    records.each_living(|item, bank, hashes| {
        rows::each(hashes, indexes.plan(), |key, row| {
            if key.is_saved() || loaded.is_err() {
                return;
            }
            let rows = gathered.entry(key).or_insert_with(|| HashRows::new(key.bytes));
            rows.push(row, Entry { item, bank });
            if rows.len() >= UNSAVED_AT_ONCE {
                loaded = indexes.load(key, std::mem::replace(rows, HashRows::new(key.bytes)));
            }
        });
    });
    loaded?;
    gathered.into_iter().try_for_each(|(key, rows)| indexes.load(key, rows))
}

/// Computes the banks, their hashes and the marks of items from the records. Returns an error if the digests
/// differ from the saved ones.
fn count_anew(
    manifest: &Manifest,
    standings: &[u8],
    records: &RecordStore,
    plan: &IndexPlan,
) -> Result<(BankTable, Marks, Books), &'static str> {
    let mut banks = BankTable::new();
    for bank in &manifest.banks {
        let name = bank.name.parse().map_err(|_| "it holds a bank without a name")?;
        banks.insert(BankId(bank.id), BankState::new(name, bank.enabled));
    }
    let mut books = Books::default();
    let mut is_known = true;
    // The lookup could be done once for a run of items of one bank, but in a map of a few banks it is as
    // fast.
    records.each_living(|item, bank, hashes| match banks.get(&bank) {
        Some(state) => {
            hashes.iter().for_each(|hash| state.count(hash.hash_type(), 1));
            books.add(bank, item, hashes, plan);
        }
        None => is_known = false,
    });
    let mut marks = Marks::default();
    let bank_of = |item| {
        let bank = records.read(item, |record| record.bank());
        bank.ok_or("it marks an item that has no record")
    };
    for item in manifest.held.iter().copied().map(ItemId) {
        marks.set_held(item, bank_of(item)?, true, &mut books);
    }
    for (item, standing) in standings::decode(standings).ok_or("its standings are of another form")? {
        marks.set_standing(item, bank_of(item)?, standing, &mut books);
    }
    let saved: HashMap<BankId, SetDigest> = manifest
        .banks
        .iter()
        .map(|bank| (BankId(bank.id), SetDigest { sums: bank.sums, hashes: bank.hashes }))
        .collect();
    if !is_known || saved.iter().any(|(bank, digest)| books.digest(*bank) != *digest) {
        return Err("its records do not come to the digests that were saved");
    }
    Ok((banks, marks, books))
}
