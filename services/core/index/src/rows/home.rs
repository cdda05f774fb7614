//! The storage of an index's segments: memory, or a folder that the index owns.
//!
//! A folder holds segment files and *manifests*. A manifest names the segments of a checkpoint and their dead
//! rows, and has the tag that the caller gave the checkpoint. A checkpoint writes a manifest with a new
//! number to a temporary file, flushes it, and renames it. Whenever the machine stops, the index is therefore
//! found as some checkpoint left it.
//!
//! Manifests and their files are kept until the caller reports with [`Home::forget_before`] that it needs no
//! earlier checkpoint. Several indexes can therefore be saved one after the other and opened as of one
//! moment. All other files are deleted when they are no longer in use, or when the folder is opened next.
//!
//! A lock on a file of the folder excludes other processes, so nobody changes a file that is in use.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytemuck::cast_slice;
use thiserror::Error;

use crate::any_hash::shape::UnsupportedShape;
use crate::rows::saved::SavedFile;
use crate::rows::segment_file::{SectionId, SegmentError, SegmentFile};
use crate::rows::segment_writer::{self, SegmentWriter};
use crate::rows::tombstones::DeadRows;

const MANIFEST: &str = "manifest-";
const LOCK: &str = "lock";
const EXTENSION: &str = "segment";

/// The sections of a manifest: the caller's tag, the numbers of the segments, and for each segment the words
/// of its dead rows, one after the other.
const TAG: SectionId = SectionId(1);
const NUMBERS: SectionId = SectionId(2);
const DEAD_LENGTHS: SectionId = SectionId(3);
const DEAD: SectionId = SectionId(4);

/// The reasons why an index cannot open or create its folder.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The operating system reported an error.
    #[error("cannot use {} as an index's folder", path.display())]
    Folder {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Another index is open in the folder.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder has no checkpoint with the requested tag.
    #[error("{} holds no checkpoint of that tag", path.display())]
    NoSuchTag {
        /// The folder.
        path: PathBuf,
    },
    /// No index supports hashes of this shape.
    #[error(transparent)]
    Shape(#[from] UnsupportedShape),
    /// A file of the index is damaged or missing.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// The storage of an index's segments.
pub(crate) enum Home {
    Memory,
    Folder(Folder),
}

pub(crate) struct Folder {
    path: PathBuf,
    /// The lock of the folder: held, never read.
    _lock: File,
    next_number: AtomicU64,
    /// The checkpoints whose manifests are kept, by number.
    checkpoints: Mutex<BTreeMap<u64, Checkpoint>>,
}

struct Checkpoint {
    tag: Vec<u8>,
    /// The segment files that the manifest names.
    files: HashSet<PathBuf>,
}

/// The state that the opened checkpoint saved.
#[derive(Default)]
pub(crate) struct Saved {
    pub(crate) segments: Vec<(SegmentFile, DeadRows)>,
    pub(crate) tag: Option<Vec<u8>>,
}

impl Home {
    /// Locks the folder and opens the checkpoint with this tag. Without a tag, opens the last checkpoint, or
    /// returns an empty state if there is none.
    pub(crate) fn open(path: &Path, tag: Option<&[u8]>) -> Result<(Self, Saved), OpenError> {
        let lock = lock_folder(path)?;
        let folder_fault = |source| OpenError::Folder { path: path.to_owned(), source };
        segment_writer::remove_leftovers(path).map_err(folder_fault)?;
        let numbers = manifests(path).map_err(folder_fault)?;
        let greatest = numbers.first().copied();
        let mut saved = Saved::default();
        let mut checkpoints = BTreeMap::new();
        if let Some((manifest_number, manifest)) = choose(path, &numbers, tag)? {
            let numbers = read_numbers(&manifest, NUMBERS)?;
            let tag = manifest.section(TAG).unwrap_or_default().to_vec();
            let lengths = read_numbers(&manifest, DEAD_LENGTHS)?;
            let mut words = read_numbers(&manifest, DEAD)?.into_iter();
            for (&number, &length) in numbers.iter().zip(&lengths) {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let dead = DeadRows::of(words.by_ref().take(length));
                saved.segments.push((SegmentFile::open(&segment_path(path, number))?, dead));
            }
            let files = numbers.iter().map(|&number| segment_path(path, number)).collect();
            saved.tag = Some(tag.clone());
            checkpoints.insert(manifest_number, Checkpoint { tag, files });
        }
        // The opened checkpoint is the only one from now on: all others are deleted.
        for number in numbers.iter().filter(|number| !checkpoints.contains_key(number)) {
            fs::remove_file(manifest_path(path, *number)).map_err(folder_fault)?;
        }
        let kept: HashSet<PathBuf> =
            checkpoints.values().flat_map(|checkpoint| checkpoint.files.iter().cloned()).collect();
        remove_others(path, &kept).map_err(folder_fault)?;
        let of_kept = kept.iter().filter_map(|file| number_in(file)).max();
        let next = of_kept.max(greatest).map_or(0, |greatest| greatest + 1);
        Ok((Self::folder(path, lock, next, checkpoints), saved))
    }

    /// Locks the folder and deletes the index in it.
    pub(crate) fn begin(path: &Path) -> Result<Self, OpenError> {
        let lock = lock_folder(path)?;
        let folder_fault = |source| OpenError::Folder { path: path.to_owned(), source };
        // Manifests are deleted first, because segments without a manifest are ignored.
        for number in manifests(path).map_err(folder_fault)? {
            fs::remove_file(manifest_path(path, number)).map_err(folder_fault)?;
        }
        segment_writer::remove_leftovers(path).map_err(folder_fault)?;
        remove_others(path, &HashSet::new()).map_err(folder_fault)?;
        Ok(Self::folder(path, lock, 0, BTreeMap::new()))
    }

    fn folder(path: &Path, lock: File, next: u64, checkpoints: BTreeMap<u64, Checkpoint>) -> Self {
        let (path, next_number) = (path.to_owned(), AtomicU64::new(next));
        Self::Folder(Folder { path, _lock: lock, next_number, checkpoints: Mutex::new(checkpoints) })
    }

    /// Begins a segment.
    pub(crate) fn writer(&self, lengths: &[(SectionId, usize)]) -> Result<SegmentWriter, SegmentError> {
        match self {
            Self::Memory => SegmentWriter::in_memory(lengths),
            Self::Folder(folder) => {
                let number = folder.next_number.fetch_add(1, Ordering::Relaxed);
                SegmentWriter::create(&segment_path(&folder.path, number), lengths)
            }
        }
    }

    /// Deletes the file of a segment that is no longer in use, unless a manifest names it.
    pub(crate) fn release(&self, file: &SegmentFile) -> Result<(), SegmentError> {
        match (self, file.path()) {
            (Self::Folder(folder), Some(path)) if !folder.is_kept(path) => file.remove(),
            _ => Ok(()),
        }
    }

    /// Writes a manifest of these segments and their dead rows, keeps the earlier ones, and returns the files
    /// of the checkpoint. Does nothing without a folder.
    pub(crate) fn save(
        &self,
        segments: &[(&SegmentFile, &DeadRows)],
        tag: &[u8],
    ) -> Result<Vec<SavedFile>, SegmentError> {
        let Self::Folder(folder) = self else { return Ok(Vec::new()) };
        let path = |(file, _): &(&SegmentFile, &DeadRows)| file.path().map(Path::to_owned);
        let files: HashSet<PathBuf> = segments.iter().filter_map(path).collect();
        let numbers: Vec<u64> =
            segments.iter().filter_map(path).filter_map(|path| number_in(&path)).collect();
        let dead: Vec<Vec<u64>> = segments.iter().map(|(_, dead)| dead.words()).collect();
        let lengths: Vec<u64> = dead.iter().map(|words| words.len() as u64).collect();
        let dead = dead.concat();
        let sections: [(SectionId, &[u8]); 4] = [
            (TAG, tag),
            (NUMBERS, cast_slice(&numbers)),
            (DEAD_LENGTHS, cast_slice(&lengths)),
            (DEAD, cast_slice(&dead)),
        ];
        let number = folder.next_number.fetch_add(1, Ordering::Relaxed);
        let manifest = manifest_path(&folder.path, number);
        let writer = SegmentWriter::create(&manifest, &sections.map(|(id, bytes)| (id, bytes.len())))?;
        for (id, bytes) in sections {
            writer.write_at(id, 0, bytes).map_err(|source| SegmentError::io("write", &manifest, source))?;
        }
        let manifest = writer.finish(&[])?;
        folder.checkpoints().insert(number, Checkpoint { tag: tag.to_vec(), files });
        let files = segments.iter().map(|(file, _)| *file);
        Ok(files.chain([&manifest]).filter_map(SavedFile::of).collect())
    }

    /// Deletes the manifests before that of this tag, and the files that only they named. Deletes nothing if
    /// no manifest has this tag.
    pub(crate) fn forget_before(&self, tag: &[u8]) {
        let Self::Folder(folder) = self else { return };
        let mut checkpoints = folder.checkpoints();
        let known = checkpoints.iter().rev().find(|(_, checkpoint)| checkpoint.tag == tag);
        let Some(number) = known.map(|(number, _)| *number) else { return };
        let later = checkpoints.split_off(&number);
        let earlier = std::mem::replace(&mut *checkpoints, later);
        let is_kept = |file: &PathBuf| checkpoints.values().any(|one| one.files.contains(file));
        for (number, checkpoint) in &earlier {
            // A file that no later checkpoint names is out of use and will not be used again. Searches that
            // still read it hold it in memory. A file that cannot be deleted now is deleted at the next
            // opening.
            let _later = fs::remove_file(manifest_path(&folder.path, *number));
            for file in checkpoint.files.iter().filter(|file| !is_kept(file)) {
                let _later = fs::remove_file(file);
            }
        }
    }
}

impl Folder {
    fn checkpoints(&self) -> MutexGuard<'_, BTreeMap<u64, Checkpoint>> {
        self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_kept(&self, file: &Path) -> bool {
        self.checkpoints().values().any(|checkpoint| checkpoint.files.contains(file))
    }
}

/// Returns the numbers of the folder's manifests, the latest first.
fn manifests(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_prefix(MANIFEST)?.parse::<u64>().ok()));
    }
    numbers.sort_unstable_by(|one, other| other.cmp(one));
    Ok(numbers)
}

/// Returns the manifest with this tag, or the last one.
fn choose(
    folder: &Path,
    numbers: &[u64],
    tag: Option<&[u8]>,
) -> Result<Option<(u64, SegmentFile)>, OpenError> {
    let Some(tag) = tag else {
        let Some(&number) = numbers.first() else { return Ok(None) };
        return Ok(Some((number, SegmentFile::open(&manifest_path(folder, number))?)));
    };
    let mut damage = None;
    for &number in numbers {
        match SegmentFile::open(&manifest_path(folder, number)) {
            Ok(manifest) if manifest.section(TAG).unwrap_or_default() == tag => {
                return Ok(Some((number, manifest)));
            }
            Ok(_) => {}
            // The damaged manifest may be the requested one.
            Err(error) => damage = damage.or(Some(error)),
        }
    }
    Err(damage.map_or_else(|| OpenError::NoSuchTag { path: folder.to_owned() }, OpenError::from))
}

fn lock_folder(path: &Path) -> Result<File, OpenError> {
    let fault = |source| OpenError::Folder { path: path.to_owned(), source };
    fs::create_dir_all(path).map_err(fault)?;
    let file =
        File::options().write(true).create(true).truncate(false).open(path.join(LOCK)).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(fault(source)),
    }
}

fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.{EXTENSION}"))
}

fn manifest_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{MANIFEST}{number:010}"))
}

fn number_in(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.parse().ok()
}

fn read_numbers(manifest: &SegmentFile, section: SectionId) -> Result<Vec<u64>, SegmentError> {
    let bytes = manifest.section(section).unwrap_or_default();
    match bytes.as_chunks::<8>() {
        (numbers, []) => Ok(numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()),
        _ => Err(manifest.contradiction("a list of numbers is cut off")),
    }
}

/// Deletes every segment file that is not in the set.
fn remove_others(folder: &Path, kept: &HashSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(&OsString::from(EXTENSION)) && !kept.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
