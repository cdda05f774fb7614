//! An immutable segment: numbered sections of bytes in memory, read from a file or never written to one.
//!
//! The container does not interpret its content. The writer of a segment numbers its sections and defines
//! their meaning; `meta` is a short note (counts, seeds) in the header.
//!
//! Always true:
//!
//! - **Whole or refused.** [`SegmentFile::open`] reads every byte once and compares checksums before it
//!   returns. Any changed, added or missing byte is an error that names the file. Searches read the bytes
//!   that were compared: they are copied to memory of this process, so damage to the file afterwards changes
//!   no search.
//! - **Compared again.** [`SegmentFile::verify`] compares memory and file with the checksums at any later
//!   time.
//! - **Written once.** A file appears under its name complete and flushed ([`crate::rows::segment_writer`]),
//!   and is never changed afterwards.
//! - **Aligned.** A section is a slice of one mapping, at a multiple of at least 64 bytes.
//!
//! # Format, version 1
//!
//! All numbers are unsigned and little-endian. Checksums are XXH3-64 with seed 0 (Yann Collet, xxHash
//! specification). They detect damage, but not forgery: whoever can write to the folder can do anything in
//! any case.
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
//! | 48 | 24 S | for each section, ordered by offset: id (4 bytes), zero (4), offset (8), length (8) |
//! | 48 + 24 S | 8 B | for each block its checksum |
//! | 48 + 24 S + 8 B | M | `meta` |
//! | | | zeros |
//! | H - 8 | 8 | checksum of bytes 0 to H - 8 |
//! | H | L - H | sections, with padding before each |
//!
//! The first 32 bytes are the same in every later version, so that a newer file can be distinguished from a
//! damaged one. Ids differ from each other. Sections begin at multiples of 64 and do not overlap. The writer
//! leaves less than 64 bytes between them; earlier writers put sections of 2 MiB and more at multiples of 2
//! MiB. A reader must not rely on either.
//!
//! Blocks lie between multiples of 2 MiB: block 0 from H to the next multiple of 2 MiB (or to L), and so on
//! to L. Each block, not each section, has a checksum, so that threads share the work evenly and padding is
//! covered like everything else.
//!
//! # Memory
//!
//! Mapping a file would avoid the copy. But if a mapped file is truncated or its disk fails, the next access
//! to the page ends the process with SIGBUS, and a bit that flips in the file or in the page cache is
//! searched unnoticed. The price of the copy is anonymous memory of the size of the file, where a mapping is
//! pages of the file that the system may drop and read again. A merge also holds its sources and its result
//! at the same time. `measure` prints the memory of both, and how long each takes to open.
//!
//! Random reads of a large index wait for address translation as long as for memory. In 1 GiB, an independent
//! 64-byte read takes 33-50 ns through 4 KiB pages and 23-26 ns through 2 MiB pages; a read that depends on
//! the previous one takes 350-400 and 190-220 ns (Zen 3, Linux 6.18). The memory of a file therefore begins
//! at a multiple of 2 MiB, and huge pages are requested for all of it. On a system without huge pages
//! everything works the same way, but slower.

mod checksum;
mod error;
mod header;
mod mapping;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use memmap2::MmapMut;

pub(crate) use error::IN_MEMORY;
pub use error::{Fault, SegmentError};
pub(crate) use header::{META_BYTES_MAX, SectionId};
pub(crate) use mapping::Cells;
// Used by the writer.
pub(crate) use checksum::{PIECE_BYTES, Running, of_blocks};
pub(crate) use header::{Layout, PAGE_BYTES, encode};
pub(crate) use mapping::{anonymous, leave_writable, populate_fresh};

use mapping::Filled;

#[cfg(target_endian = "big")]
compile_error!("sections are mapped as they are, and they are little-endian");

/// A segment whose bytes can be read.
pub(crate) struct SegmentFile {
    /// The path of the file; `None` for a segment without a file.
    path: Option<PathBuf>,
    /// The memory of the segment: one mapping for a file, or one for each section of a segment without a
    /// file.
    maps: Vec<Filled>,
    sections: Vec<Section>,
    blocks: Vec<Block>,
    /// The size of the file, or of all sections, in bytes.
    bytes: usize,
    /// The checksum of the header, which covers the checksums of all blocks; `None` without a file.
    checksum: Option<u64>,
    meta: Vec<u8>,
}

/// The position of a section.
struct Section {
    id: SectionId,
    map: usize,
    range: Range<usize>,
}

/// A part of the memory that has a checksum.
struct Block {
    map: usize,
    range: Range<usize>,
    checksum: u64,
}

/// Reads bytes of a file, beginning at an offset.
type Read<'a> = &'a (dyn Fn(&mut [u8], u64) -> io::Result<()> + Sync);

impl SegmentFile {
    /// Reads the file into memory and verifies all of it.
    pub(crate) fn open(path: &Path) -> Result<Self, SegmentError> {
        let failed = |source| SegmentError::io("open", path, source);
        let file = File::open(path).map_err(failed)?;
        Self::of_file(&file, path)
    }

    /// Reads and verifies a file that is already open: see [`Self::open`].
    pub(crate) fn of_file(file: &File, path: &Path) -> Result<Self, SegmentError> {
        let failed = |source| SegmentError::io("open", path, source);
        let bytes = file.metadata().map_err(failed)?.len();
        let bytes = usize::try_from(bytes).map_err(|error| failed(io::Error::other(error)))?;
        Self::read(bytes, path, &|into, at| file.read_exact_at(into, at))
    }

    /// Reads a file and checks every rule of the format.
    fn read(bytes: usize, path: &Path, read: Read<'_>) -> Result<Self, SegmentError> {
        let refused = |fault| SegmentError::Refused { path: path.to_owned(), fault };
        let unread = |source| SegmentError::io("read", path, source);
        let mut map = mapping::anonymous(bytes).map_err(unread)?;
        let head = bytes.min(PAGE_BYTES);
        read(&mut map[..head], 0).map_err(unread)?;
        // If the header is longer than the bytes read, the rest is zero and its checksum is wrong.
        let header = header::decode(&map[..bytes]).map_err(refused)?;
        let blocks = header.layout.blocks();
        let found = read_blocks(&mut map, &blocks, read).map_err(unread)?;
        let differs = found.iter().zip(&header.checksums).position(|(found, expected)| found != expected);
        if let Some(block) = differs.map(|at| blocks[at].clone()) {
            let sections = header.layout.sections_within(&block);
            return Err(refused(Fault::Content { from: block.start, to: block.end, sections }));
        }
        let section = |(id, range): (SectionId, Range<usize>)| Section { id, map: 0, range };
        let block = |(range, checksum)| Block { map: 0, range, checksum };
        Ok(Self {
            path: Some(path.to_owned()),
            checksum: header::checksum_in(&map[..bytes]),
            maps: vec![Filled::new(map).map_err(unread)?],
            sections: header.layout.sections.into_iter().map(section).collect(),
            blocks: blocks.into_iter().zip(header.checksums).map(block).collect(),
            bytes,
            meta: header.meta,
        })
    }

    /// Creates a segment without a file. Each section has memory of at least its length.
    pub(crate) fn of_memory(maps: Vec<(SectionId, usize, MmapMut)>, meta: &[u8]) -> io::Result<Self> {
        let (mut sections, mut blocks, mut filled) = (Vec::new(), Vec::new(), Vec::new());
        let mut sum = 0;
        for (map, (id, bytes, memory)) in maps.into_iter().enumerate() {
            sections.push(Section { id, map, range: 0..bytes });
            for start in (0..bytes).step_by(PAGE_BYTES) {
                let range = start..bytes.min(start + PAGE_BYTES);
                let checksum = checksum::of(&memory[range.clone()]);
                blocks.push(Block { map, range, checksum });
            }
            sum += memory.len();
            filled.push(Filled::new(memory)?);
        }
        Ok(Self {
            path: None,
            maps: filled,
            sections,
            blocks,
            bytes: sum,
            checksum: None,
            meta: meta.to_vec(),
        })
    }

    /// Returns the number of the segment's blocks, of at most 2 MiB each.
    pub(crate) const fn block_count(&self) -> usize {
        self.blocks.len()
    }

    /// Compares one block of the memory that is searched with its checksum, and the block of the file with
    /// the memory. Returns how many bytes were read. A file that was deleted is out of use, which is not an
    /// error.
    pub(crate) fn verify(&self, at: usize) -> Result<usize, SegmentError> {
        let Some(Block { map, range, checksum }) = self.blocks.get(at) else { return Ok(0) };
        let memory = &self.maps[*map];
        let refused = |fault| {
            let path = self.path.clone().unwrap_or_else(|| IN_MEMORY.into());
            SegmentError::Refused { path, fault }
        };
        let touches =
            |one: &&Section| one.map == *map && one.range.start < range.end && range.start < one.range.end;
        let sections = || self.sections.iter().filter(touches).map(|one| one.id.0).collect();
        let (from, to) = (range.start, range.end);
        if checksum::of(&memory[range.clone()]) != *checksum {
            return Err(refused(Fault::Memory { from, to, sections: sections() }));
        }
        let Some(path) = &self.path else { return Ok(range.len()) };
        let unread = |source| SegmentError::io("read", path, source);
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(range.len()),
            opened => opened.map_err(unread)?,
        };
        let (found, expected) = (file.metadata().map_err(unread)?.len(), self.bytes as u64);
        if found < expected {
            return Err(refused(Fault::Truncated { expected, found }));
        }
        if found > expected {
            return Err(refused(Fault::TooLong { expected, found }));
        }
        mapping::forget_cached(&file);
        // The header is not part of a block, so it is compared with block 0.
        let from = if at == 0 { 0 } else { from };
        let mut piece = vec![0; PIECE_BYTES];
        for start in (from..to).step_by(PIECE_BYTES) {
            let end = to.min(start + PIECE_BYTES);
            let piece = &mut piece[..end - start];
            file.read_exact_at(piece, start as u64).map_err(unread)?;
            if *piece != memory[start..end] {
                return Err(refused(Fault::File { from, to, sections: sections() }));
            }
        }
        Ok(2 * (to - from))
    }

    /// Returns the bytes of a section, which begin at a multiple of 64.
    pub(crate) fn section(&self, id: SectionId) -> Option<&[u8]> {
        let section = self.sections.iter().find(|section| section.id == id)?;
        self.maps.get(section.map)?.get(section.range.clone())
    }

    /// Returns the memory ranges of the sections, for tests that damage them there.
    pub(crate) fn memory(&self) -> Vec<Range<usize>> {
        let place = |one: &Section| {
            let start = self.maps[one.map].as_ptr().addr() + one.range.start;
            start..start + one.range.len()
        };
        self.sections.iter().map(place).collect()
    }

    /// Returns the checksum of the header, which covers the checksums of all blocks; `None` in memory.
    pub(crate) const fn checksum(&self) -> Option<u64> {
        self.checksum
    }

    /// Returns the note that the writer left.
    pub(crate) fn meta(&self) -> &[u8] {
        &self.meta
    }

    /// Returns the size of the segment, in bytes.
    pub(crate) const fn len(&self) -> usize {
        self.bytes
    }

    /// Returns the path at which the segment was opened or written; `None` in memory.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Creates the error that the content is not valid, with the reason.
    pub(crate) fn contradiction(&self, reason: &'static str) -> SegmentError {
        let path = self.path.clone().unwrap_or_else(|| IN_MEMORY.into());
        SegmentError::Refused { path, fault: Fault::Contradiction(reason) }
    }

    /// Deletes the file of a segment that is no longer referenced, except by searches that still read it in
    /// memory.
    ///
    /// This is not done on drop, because a process that is killed before the drop would leave the file
    /// behind.
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

/// Fills the blocks, which are adjacent, and returns the checksum of each.
fn read_blocks(map: &mut MmapMut, blocks: &[Range<usize>], read: Read<'_>) -> io::Result<Vec<u64>> {
    let first = blocks.first().map_or(0, |block| block.start);
    let mut rest = &mut map[first..];
    let mut parts = Vec::with_capacity(blocks.len());
    for block in blocks {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(block.len());
        parts.push((block.start as u64, Mutex::new(part)));
        rest = after;
    }
    of_blocks(&parts, |(start, part)| {
        // Each part has only one reader.
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        read(&mut part, *start)?;
        Ok(checksum::of(&part))
    })
}

/// Omits the content: sections hold hashes.
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
