//! An immutable segment: numbered sections of bytes in one mapped file, or in memory.
//!
//! The container knows nothing of what it holds. Whoever writes a segment numbers its sections and says what
//! they mean; `meta` is a short note (counts, seeds) that travels in the header.
//!
//! Always true:
//!
//! - **Whole or refused.** [`SegmentFile::open`] reads every byte once and compares checksums before it returns.
//!   Any byte changed, added or missing is an error that names the file.
//! - **Written once.** A file appears under its name complete and flushed ([`crate::rows::segment_writer`]), and is
//!   never changed afterwards.
//! - **Not copied.** A section is a slice of the mapping, aligned to 64 bytes at least.
//!
//! # Format, version 1
//!
//! All numbers are unsigned and little-endian. Checksums are XXH3-64 with seed 0 (Yann Collet, xxHash
//! specification): damage is found, forgery is not, for who can write here can do as he likes anyway.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `VIGIESEG` |
//! | 8 | 4 | version |
//! | 12 | 4 | length of the header H, a multiple of 64 |
//! | 16 | 8 | length of the file L |
//! | 24 | 8 | checksum of bytes 0 to 24 |
//! | 32 | 4 | number of sections S |
//! | 36 | 4 | number of blocks B |
//! | 40 | 4 | length of `meta` M |
//! | 44 | 4 | zero |
//! | 48 | 24 S | for each section, in the order of their offsets: id (4 bytes), zero (4), offset (8), length (8) |
//! | 48 + 24 S | 8 B | for each block its checksum |
//! | 48 + 24 S + 8 B | M | `meta` |
//! | | | zeros |
//! | H - 8 | 8 | checksum of bytes 0 to H - 8 |
//! | H | L - H | sections, with padding before each |
//!
//! The first 32 bytes are the same in every version to come, so that a newer file is told from a damaged one.
//! Ids differ from each other. Sections begin at multiples of 64 and do not overlap. The writer puts sections of
//! 2 MiB and more at multiples of 2 MiB and leaves the padding before them a hole, which takes no space on disk;
//! a reader must not rely on either.
//!
//! A block is what lies between two multiples of 2 MiB: block 0 from H to the next multiple of 2 MiB (or to L),
//! and so on to L. Blocks and not sections have the checksums, so that threads share the work evenly, and so that
//! padding is covered like everything else.
//!
//! # Huge pages
//!
//! Random reads of a large index wait for address translation as long as for memory: of 1 GiB, an independent
//! 64-byte read takes 33-50 ns through 4 KiB pages and 23-26 ns through 2 MiB pages, one that depends on the last
//! 350-400 and 190-220; a mapped file is then as quick as anonymous memory (Zen 3, Linux 6.18, ext4).
//!
//! The page cache of ext4 keeps a file in pages as large as the `write` that brought them, and maps 2 MiB at once
//! where alignment allows. So [`crate::rows::segment_writer`] begins each aligned 2 MiB by one write, and the advice
//! given here makes a file that is read from disk come in 2 MiB pages too. Where a system has no such pages
//! everything works the same, slower.

mod checksum;
mod error;
mod header;
mod mapping;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

pub(crate) use error::IN_MEMORY;
pub use error::{Fault, SegmentError};
pub(crate) use header::{META_BYTES_MAX, SectionId};
pub(crate) use mapping::Cells;
// For the writer.
pub(crate) use checksum::{PIECE_BYTES, Running, of_blocks};
pub(crate) use header::{Layout, PAGE_BYTES, encode};
pub(crate) use mapping::{anonymous, populate_fresh};

#[cfg(target_endian = "big")]
compile_error!("sections are mapped as they are, and they are little-endian");

/// A segment that is read.
pub(crate) struct SegmentFile {
    /// `None` for a segment in memory.
    path: Option<PathBuf>,
    /// One for a file, one for each section of a segment in memory.
    maps: Vec<Mmap>,
    sections: Vec<Section>,
    meta: Vec<u8>,
}

/// Where a section lies.
struct Section {
    id: SectionId,
    map: usize,
    range: std::ops::Range<usize>,
}

impl SegmentFile {
    /// Maps the file and verifies all of it.
    ///
    /// The caller holds the lock of the folder: nobody else may write to the file while it is mapped.
    pub(crate) fn open(path: &Path) -> Result<Self, SegmentError> {
        let failed = |source| SegmentError::io("open", path, source);
        let file = File::open(path).map_err(failed)?;
        let map = mapping::of_file(&file).map_err(failed)?;
        Self::verified(map, path)
    }

    /// Checks everything that the format promises.
    fn verified(map: Mmap, path: &Path) -> Result<Self, SegmentError> {
        let refused = |fault| SegmentError::Refused { path: path.to_owned(), fault };
        let unread = |source| SegmentError::io("read", path, source);
        mapping::populate(&map, 0..map.len().min(PAGE_BYTES)).map_err(unread)?;
        let header = header::decode(&map).map_err(refused)?;
        let blocks = header.layout.blocks();
        let found = of_blocks(&blocks, |block| {
            mapping::populate(&map, block.clone())?;
            Ok(checksum::of(&map[block.clone()]))
        });
        let found = found.map_err(unread)?;
        let differs = found.iter().zip(&header.checksums).position(|(found, expected)| found != expected);
        if let Some(block) = differs.map(|at| blocks[at].clone()) {
            let sections = header.layout.sections_within(&block);
            return Err(refused(Fault::Content { from: block.start, to: block.end, sections }));
        }
        Ok(Self::of_map(map, path, &header.layout, header.meta))
    }

    /// Takes over what was just written, and checksummed on the way.
    ///
    /// Its pages are brought in as searches come upon them, 2 MiB at a time: what it takes the place of is still
    /// in memory, and both at once would be twice as much.
    pub(crate) fn of_written(
        file: &File,
        path: &Path,
        layout: &Layout,
        meta: &[u8],
    ) -> Result<Self, SegmentError> {
        let map = mapping::of_file(file).map_err(|source| SegmentError::io("map", path, source))?;
        Ok(Self::of_map(map, path, layout, meta.to_vec()))
    }

    fn of_map(map: Mmap, path: &Path, layout: &Layout, meta: Vec<u8>) -> Self {
        let section = |(id, range)| Section { id, map: 0, range };
        let sections = layout.sections.iter().cloned().map(section).collect();
        Self { path: Some(path.to_owned()), maps: vec![map], sections, meta }
    }

    /// A segment without a file: a mapping for each section.
    pub(crate) fn of_memory(maps: Vec<(SectionId, usize, Mmap)>, meta: &[u8]) -> Self {
        let place = |(map, (id, bytes, _)): (usize, &(SectionId, usize, Mmap))| Section {
            id: *id,
            map,
            range: 0..*bytes,
        };
        let sections = maps.iter().enumerate().map(place).collect();
        let maps = maps.into_iter().map(|(_, _, map)| map).collect();
        Self { path: None, maps, sections, meta: meta.to_vec() }
    }

    /// The bytes of a section, which begin at a multiple of 64.
    pub(crate) fn section(&self, id: SectionId) -> Option<&[u8]> {
        let section = self.sections.iter().find(|section| section.id == id)?;
        self.maps.get(section.map)?.get(section.range.clone())
    }

    /// The checksum of the header, which covers the checksums of all blocks; `None` in memory.
    pub(crate) fn checksum(&self) -> Option<u64> {
        let [map] = &*self.maps else { return None };
        self.path.as_ref()?;
        header::checksum_in(map)
    }

    /// The note that the writer left.
    pub(crate) fn meta(&self) -> &[u8] {
        &self.meta
    }

    /// Bytes that are mapped.
    pub(crate) fn len(&self) -> usize {
        self.maps.iter().map(|map| map.len()).sum()
    }

    /// Where it was opened or written; `None` in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The error that says what is wrong with what it holds.
    pub(crate) fn contradiction(&self, reason: &'static str) -> SegmentError {
        let path = self.path.clone().unwrap_or_else(|| IN_MEMORY.into());
        SegmentError::Refused { path, fault: Fault::Contradiction(reason) }
    }

    /// Deletes the file of a segment that nothing refers to any more, but for searches that still read it.
    ///
    /// The name goes at once; the bytes stay until the last reader drops the mapping, as POSIX has it. Done on
    /// drop instead, a process that is killed meanwhile would leave the file behind.
    pub(crate) fn remove(&self) -> Result<(), SegmentError> {
        let Some(path) = &self.path else { return Ok(()) };
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(SegmentError::io("remove", path, error))
            }
            _ => Ok(()),
        }
    }
}

/// Without content: sections hold hashes.
impl fmt::Debug for SegmentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = self.sections.len();
        let mut debug = f.debug_struct("SegmentFile");
        debug.field("path", &self.path).field("len", &self.len()).field("sections", &sections);
        debug.finish_non_exhaustive()
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod forge;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod measure;
