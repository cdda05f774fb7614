//! Writes one segment, to a file or to memory.
//!
//! The writer is created with the lengths of all sections, which fixes their positions. Any thread then
//! writes any part, in any order, and [`SegmentWriter::finish`] makes the segment readable. Bytes that were
//! never written are zero.
//!
//! **A file exists whole or not at all.** It is written as `<name>.tmp` in its final folder. When its content
//! is complete, the header is written, everything is flushed to disk, the file is renamed, and the folder is
//! flushed. A crash before the rename leaves a `.tmp` file, which [`remove_leftovers`] deletes; a writer that
//! is dropped deletes it itself.
//!
//! **Each 2 MiB begin with one write.** The page cache takes the size of its pages from the first write to
//! them (see [`crate::rows::segment_file`]). Before a smaller write to a part without pages, the writer
//! therefore writes zeros to all of the 2 MiB, which makes flushing and mapping faster. But the zeros are
//! copied while the file is locked against writes of other threads, so callers collect whole 2 MiB where they
//! can.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

use memmap2::MmapMut;

use crate::rows::segment_file::{
    self, IN_MEMORY, Layout, META_BYTES_MAX, PAGE_BYTES, PIECE_BYTES, SectionId, SegmentError, SegmentFile,
};

/// A segment that is being written.
pub(crate) struct SegmentWriter {
    layout: Layout,
    target: Target,
}

enum Target {
    File(Growing),
    /// The memory of each section of the layout. A writing thread locks a section during a copy.
    Memory(Vec<RwLock<MmapMut>>),
}

/// A file that is not a segment yet.
struct Growing {
    file: File,
    path: PathBuf,
    temporary: Temporary,
    /// For each 2 MiB of the file, whether something was written there.
    begun: Vec<Mutex<bool>>,
    /// The first write to such a part.
    zeros: Box<[u8]>,
}

impl SegmentWriter {
    /// Begins a file that will appear at `path`, with sections of these lengths in bytes.
    pub(crate) fn create(path: &Path, lengths: &[(SectionId, usize)]) -> Result<Self, SegmentError> {
        let failed = |source| SegmentError::io("create", path, source);
        let layout = place(lengths).map_err(failed)?;
        let target = Target::File(Growing::create(path, layout.file_bytes).map_err(failed)?);
        Ok(Self { layout, target })
    }

    /// Begins a segment in memory, without a file.
    pub(crate) fn in_memory(lengths: &[(SectionId, usize)]) -> Result<Self, SegmentError> {
        let failed = |source| SegmentError::io("allocate", Path::new(IN_MEMORY), source);
        let layout = place(lengths).map_err(failed)?;
        let sections = layout.sections.iter();
        let maps = sections.map(|(_, range)| Ok(RwLock::new(segment_file::anonymous(range.len())?)));
        let maps = maps.collect::<io::Result<_>>().map_err(failed)?;
        Ok(Self { layout, target: Target::Memory(maps) })
    }

    /// Writes into a section.
    pub(crate) fn write_at(&self, section: SectionId, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let index = self.locate(section, offset, bytes.len())?;
        match &self.target {
            Target::File(growing) => growing.write(&self.layout.sections[index].1, offset, bytes),
            Target::Memory(maps) => {
                // Threads allocate fresh pages at the same time, so that the exclusive lock is held only for
                // the copy.
                let map = maps[index].read().unwrap_or_else(PoisonError::into_inner);
                segment_file::populate_fresh(&map, offset..offset + bytes.len());
                drop(map);
                let mut map = maps[index].write().unwrap_or_else(PoisonError::into_inner);
                map[offset..offset + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Creates the error of an action on the file.
    pub(crate) fn failed(&self, action: &'static str, source: io::Error) -> SegmentError {
        let path = match &self.target {
            Target::File(growing) => &growing.path,
            Target::Memory(_) => Path::new(IN_MEMORY),
        };
        SegmentError::io(action, path, source)
    }

    /// Reads back bytes that were written into a section.
    pub(crate) fn read_at(&self, section: SectionId, offset: usize, bytes: &mut [u8]) -> io::Result<()> {
        let index = self.locate(section, offset, bytes.len())?;
        match &self.target {
            Target::File(growing) => {
                let start = self.layout.sections[index].1.start + offset;
                growing.file.read_exact_at(bytes, start as u64)
            }
            Target::Memory(maps) => {
                let map = maps[index].read().unwrap_or_else(PoisonError::into_inner);
                bytes.copy_from_slice(&map[offset..offset + bytes.len()]);
                Ok(())
            }
        }
    }

    /// Completes the segment with a note of at most [`META_BYTES_MAX`] bytes. A file is durable afterwards.
    ///
    /// After an error there may be a file at the final path, complete but perhaps not durable. The owner of
    /// the folder deletes files that it has no record of.
    pub(crate) fn finish(self, meta: &[u8]) -> Result<SegmentFile, SegmentError> {
        let Self { layout, target } = self;
        match target {
            Target::File(growing) => growing.finish(&layout, meta),
            Target::Memory(maps) => {
                let failed = |source| SegmentError::io("finish", Path::new(IN_MEMORY), source);
                check_note(meta).map_err(failed)?;
                let filled = |((id, range), map): (&(SectionId, Range<usize>), RwLock<MmapMut>)| {
                    (*id, range.len(), map.into_inner().unwrap_or_else(PoisonError::into_inner))
                };
                let maps = layout.sections.iter().zip(maps).map(filled).collect();
                SegmentFile::of_memory(maps, meta).map_err(failed)
            }
        }
    }

    /// Returns the section's number in the layout, if this many bytes fit into it.
    fn locate(&self, section: SectionId, offset: usize, bytes: usize) -> io::Result<usize> {
        let index = self.layout.sections.iter().position(|(id, _)| *id == section);
        let index = index.ok_or_else(|| invalid("no such section was declared"))?;
        let section_bytes = self.layout.sections[index].1.len();
        if offset.checked_add(bytes).is_none_or(|end| end > section_bytes) {
            return Err(invalid("beyond the end of the section"));
        }
        Ok(index)
    }
}

impl Growing {
    fn create(path: &Path, file_bytes: usize) -> io::Result<Self> {
        let temporary = Temporary::beside(path);
        // A leftover file of this name may be overwritten, because it was never a segment.
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(&temporary.path)?;
        file.set_len(file_bytes as u64)?;
        let begun = (0..file_bytes.div_ceil(PAGE_BYTES)).map(|_| Mutex::new(false)).collect();
        let zeros = vec![0; PAGE_BYTES].into_boxed_slice();
        Ok(Self { file, path: path.to_owned(), temporary, begun, zeros })
    }

    fn write(&self, section: &Range<usize>, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let start = section.start + offset;
        // Small sections share pages, and a few small pages do no harm.
        if section.len() >= PAGE_BYTES {
            self.begin(section, start..start + bytes.len())?;
        }
        self.file.write_all_at(bytes, start as u64)
    }

    /// Ensures that the first write to each 2 MiB that `part` touches covers the section's share of them.
    /// Where sections share 2 MiB, each writes only its own share.
    fn begin(&self, section: &Range<usize>, part: Range<usize>) -> io::Result<()> {
        for page in part.start / PAGE_BYTES..part.end.div_ceil(PAGE_BYTES) {
            let start = (page * PAGE_BYTES).max(section.start);
            let end = ((page + 1) * PAGE_BYTES).min(section.end);
            let is_covered = part.start <= start && end <= part.end;
            let mut begun = self.begun[page].lock().unwrap_or_else(PoisonError::into_inner);
            if !*begun && !is_covered {
                self.file.write_all_at(&self.zeros[..end - start], start as u64)?;
            }
            *begun = true;
        }
        Ok(())
    }

    fn finish(mut self, layout: &Layout, meta: &[u8]) -> Result<SegmentFile, SegmentError> {
        self.complete(layout, meta).map_err(|source| SegmentError::io("finish", &self.path, source))?;
        // The file is read back, so that the searched bytes are those that were compared with the checksums.
        SegmentFile::of_file(&self.file, &self.path)
    }

    /// Writes the header, and renames the file once everything is on disk.
    fn complete(&mut self, layout: &Layout, meta: &[u8]) -> io::Result<()> {
        check_note(meta)?;
        let checksums = segment_file::of_blocks(&layout.blocks(), |block| self.checksum(block))?;
        self.file.write_all_at(&segment_file::encode(layout, &checksums, meta), 0)?;
        self.file.sync_all()?;
        self.temporary.rename(&self.path)
    }

    fn checksum(&self, block: &Range<usize>) -> io::Result<u64> {
        let mut checksum = segment_file::Running::new();
        let mut piece = vec![0; PIECE_BYTES];
        for start in block.clone().step_by(PIECE_BYTES) {
            let piece = &mut piece[..PIECE_BYTES.min(block.end - start)];
            self.file.read_exact_at(piece, start as u64)?;
            checksum.add(piece);
        }
        Ok(checksum.finish())
    }
}

/// Deletes the unfinished files that killed writers left in a folder, and returns their number.
///
/// For the owner of the folder, before it begins to write: deletes everything whose name ends in `.tmp`.
pub(crate) fn remove_leftovers(folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") && path.is_file() {
            fs::remove_file(path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A temporary file that is deleted unless it is renamed.
struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        Self { path: name.into(), renamed: false }
    }

    /// Renames the file durably.
    fn rename(&mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.renamed = true;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            // If this fails too, the owner of the folder deletes the file at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn place(lengths: &[(SectionId, usize)]) -> io::Result<Layout> {
    Layout::place(lengths).ok_or_else(|| invalid("two sections have one id, or they are too large"))
}

fn check_note(meta: &[u8]) -> io::Result<()> {
    if meta.len() > META_BYTES_MAX { Err(invalid("the note is too long")) } else { Ok(()) }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
