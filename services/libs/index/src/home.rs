//! Where an index keeps its segments: in memory, or in a folder that it owns.
//!
//! A folder holds segment files and one *manifest*, which names the segments of the last checkpoint and the
//! rows of theirs that were dead. A checkpoint writes the manifest to a temporary file, flushes it, and
//! renames it: an index is found as one checkpoint or the one before left it, whenever the machine stops.
//! Files that a manifest names are kept until the next one is in place; all others go when nobody needs them,
//! or when the folder is opened next.
//!
//! A lock on a file of the folder keeps a second process out, so nobody changes a file that is mapped.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytemuck::cast_slice;
use thiserror::Error;

use crate::segment::Segment;
use crate::segment_file::{SectionId, SegmentError, SegmentFile};
use crate::segment_writer::{self, SegmentWriter};
use crate::tombstones::DeadRows;

const MANIFEST: &str = "manifest";
const LOCK: &str = "lock";
const EXTENSION: &str = "segment";

/// Sections of a manifest: what the caller wanted to be kept, the numbers of the segments, and for each of
/// them the words of its dead rows, one after the other.
const TAG: SectionId = SectionId(1);
const NUMBERS: SectionId = SectionId(2);
const DEAD_LENGTHS: SectionId = SectionId(3);
const DEAD: SectionId = SectionId(4);

/// An index's folder cannot be taken into use.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The system refused.
    #[error("cannot use {} as an index's folder", path.display())]
    Folder {
        /// The folder, or the file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another index is open there.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the index is damaged or missing.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// See the module.
pub(crate) enum Home {
    Memory,
    Folder(Folder),
}

pub(crate) struct Folder {
    path: PathBuf,
    /// Held, not read.
    _lock: File,
    next_number: AtomicU64,
    /// Files that the manifest names.
    kept: Mutex<HashSet<PathBuf>>,
}

/// What the last checkpoint left.
#[derive(Default)]
pub(crate) struct Saved {
    pub(crate) segments: Vec<(SegmentFile, DeadRows)>,
    pub(crate) tag: Option<Vec<u8>>,
}

impl Home {
    /// Takes the folder and what the last checkpoint left in it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Saved), OpenError> {
        let lock = lock_folder(path)?;
        let folder_fault = |source| OpenError::Folder { path: path.to_owned(), source };
        segment_writer::remove_leftovers(path).map_err(folder_fault)?;
        let manifest = path.join(MANIFEST);
        let mut saved = Saved::default();
        let mut numbers = Vec::new();
        if manifest.try_exists().map_err(folder_fault)? {
            let manifest = SegmentFile::open(&manifest)?;
            numbers = read_numbers(&manifest, NUMBERS)?;
            saved.tag = Some(manifest.section(TAG).unwrap_or_default().to_vec());
            let lengths = read_numbers(&manifest, DEAD_LENGTHS)?;
            let mut words = read_numbers(&manifest, DEAD)?.into_iter();
            for (&number, &length) in numbers.iter().zip(&lengths) {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let dead = DeadRows::of(words.by_ref().take(length));
                saved.segments.push((SegmentFile::open(&segment_path(path, number))?, dead));
            }
        }
        let kept: HashSet<PathBuf> = numbers.iter().map(|&number| segment_path(path, number)).collect();
        remove_others(path, &kept).map_err(folder_fault)?;
        let next = numbers.iter().max().map_or(0, |&greatest| greatest + 1);
        Ok((Self::folder(path, lock, next, kept), saved))
    }

    /// Takes the folder and discards the index that is there.
    pub(crate) fn begin(path: &Path) -> Result<Self, OpenError> {
        let lock = lock_folder(path)?;
        let folder_fault = |source| OpenError::Folder { path: path.to_owned(), source };
        // The manifest first: without it the segments are nothing.
        match fs::remove_file(path.join(MANIFEST)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(folder_fault(error)),
            Ok(()) | Err(_) => {}
        }
        segment_writer::remove_leftovers(path).map_err(folder_fault)?;
        remove_others(path, &HashSet::new()).map_err(folder_fault)?;
        Ok(Self::folder(path, lock, 0, HashSet::new()))
    }

    fn folder(path: &Path, lock: File, next: u64, kept: HashSet<PathBuf>) -> Self {
        let path = path.to_owned();
        Self::Folder(Folder { path, _lock: lock, next_number: AtomicU64::new(next), kept: Mutex::new(kept) })
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

    /// Deletes the file of a segment that went out of use, unless the manifest names it.
    pub(crate) fn release(&self, file: &SegmentFile) -> Result<(), SegmentError> {
        match (self, file.path()) {
            (Self::Folder(folder), Some(path)) if !folder.kept().contains(path) => file.remove(),
            _ => Ok(()),
        }
    }

    /// Writes a manifest of these segments; without a folder there is nothing to do.
    pub(crate) fn save<const BYTES: usize>(
        &self,
        segments: &[Arc<Segment<BYTES>>],
        tag: &[u8],
    ) -> Result<(), SegmentError> {
        let Self::Folder(folder) = self else { return Ok(()) };
        let path = |segment: &Arc<Segment<BYTES>>| segment.file().path().map(Path::to_owned);
        let kept: HashSet<PathBuf> = segments.iter().filter_map(path).collect();
        let numbers: Vec<u64> =
            segments.iter().filter_map(path).filter_map(|path| number_in(&path)).collect();
        let dead: Vec<Vec<u64>> = segments.iter().map(|segment| segment.dead.words()).collect();
        let lengths: Vec<u64> = dead.iter().map(|words| words.len() as u64).collect();
        let dead = dead.concat();
        let sections: [(SectionId, &[u8]); 4] = [
            (TAG, tag),
            (NUMBERS, cast_slice(&numbers)),
            (DEAD_LENGTHS, cast_slice(&lengths)),
            (DEAD, cast_slice(&dead)),
        ];
        let manifest = folder.path.join(MANIFEST);
        let writer = SegmentWriter::create(&manifest, &sections.map(|(id, bytes)| (id, bytes.len())))?;
        for (id, bytes) in sections {
            writer.write_at(id, 0, bytes).map_err(|source| SegmentError::io("write", &manifest, source))?;
        }
        writer.finish(&[])?;
        let before = std::mem::replace(&mut *folder.kept(), kept.clone());
        for path in before.difference(&kept) {
            // Who still searches it holds the mapping. What cannot be deleted now goes at the next opening.
            let _later = fs::remove_file(path);
        }
        Ok(())
    }
}

impl Folder {
    fn kept(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// Deletes every segment file that is not to be kept.
fn remove_others(folder: &Path, kept: &HashSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(&OsString::from(EXTENSION)) && !kept.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
