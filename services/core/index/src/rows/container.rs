//! Files of checksummed sections, for other crates that keep immutable data of their own beside an index.
//!
//! The format and its guarantees are those of the index's segments: a file appears under its name complete
//! and flushed, is never changed afterwards, and is read into memory whole or refused with an error that
//! names it.

use std::ops::Range;
use std::path::Path;

use crate::rows::saved::SavedFile;
use crate::rows::segment_file::{SectionId, SegmentError, SegmentFile};
use crate::rows::segment_writer::SegmentWriter;
use crate::rows::stored::Stored;

/// A file that is being written, or the same data in memory.
///
/// If it is dropped unfinished, no file is left.
pub struct ContainerWriter(SegmentWriter);

impl ContainerWriter {
    /// Begins a file that will appear at `path`, with sections of these numbers and lengths in bytes. Bytes
    /// that are never written are zero.
    pub fn create(path: &Path, sections: &[(u32, usize)]) -> Result<Self, SegmentError> {
        SegmentWriter::create(path, &ids(sections)).map(Self)
    }

    /// Begins a container in memory, without a file.
    pub fn in_memory(sections: &[(u32, usize)]) -> Result<Self, SegmentError> {
        SegmentWriter::in_memory(&ids(sections)).map(Self)
    }

    /// Writes into a section. Pieces of 64 KiB and more are fast.
    pub fn write_at(&self, section: u32, offset: usize, bytes: &[u8]) -> Result<(), SegmentError> {
        let written = self.0.write_at(SectionId(section), offset, bytes);
        written.map_err(|source| self.0.failed("write", source))
    }

    /// Makes the file durable and gives it its name. An existing file of that name is replaced atomically.
    /// `note` has at most 1,024 bytes.
    pub fn finish(self, note: &[u8]) -> Result<Container, SegmentError> {
        self.0.finish(note).map(Container)
    }
}

/// A file that was read into memory and whose checksums are right.
#[derive(Debug)]
pub struct Container(SegmentFile);

impl Container {
    /// Reads a file into memory and compares all checksums.
    pub fn open(path: &Path) -> Result<Self, SegmentError> {
        SegmentFile::open(path).map(Self)
    }

    /// Returns the bytes of a section, which begin at a multiple of 64; `None` if there is no section with
    /// this number.
    #[must_use]
    pub fn section(&self, section: u32) -> Option<&[u8]> {
        self.0.section(SectionId(section))
    }

    /// Returns the note that the writer left.
    #[must_use]
    pub fn note(&self) -> &[u8] {
        self.0.meta()
    }

    /// Returns the name, length and checksum by which the file is found again; `None` in memory.
    #[must_use]
    pub fn saved(&self) -> Option<SavedFile> {
        SavedFile::of(&self.0)
    }

    /// Deletes the file. The data in memory stays readable.
    pub fn remove(&self) -> Result<(), SegmentError> {
        self.0.remove()
    }

    /// Creates the error that the content is not valid, with the reason.
    #[must_use]
    pub fn contradiction(&self, reason: &'static str) -> SegmentError {
        self.0.contradiction(reason)
    }
}

impl Stored for Container {
    fn block_count(&self) -> usize {
        self.0.block_count()
    }

    fn verify(&self, block: usize) -> Result<usize, SegmentError> {
        self.0.verify(block)
    }

    fn memory(&self) -> Vec<Range<usize>> {
        self.0.memory()
    }
}

impl std::fmt::Debug for ContainerWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContainerWriter").finish_non_exhaustive()
    }
}

fn ids(sections: &[(u32, usize)]) -> Vec<(SectionId, usize)> {
    sections.iter().map(|(number, bytes)| (SectionId(*number), *bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_found_and_summed_up_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        let write = |writer: ContainerWriter| {
            writer.write_at(1, 2, b"one").unwrap();
            writer.write_at(7, 0, &[9; 70_000]).unwrap();
            writer.finish(b"note").unwrap()
        };
        let sections = [(1, 5), (7, 70_000)];
        let written = write(ContainerWriter::create(&path, &sections).unwrap());
        let (memory, opened) =
            (write(ContainerWriter::in_memory(&sections).unwrap()), Container::open(&path).unwrap());
        for one in [&written, &memory, &opened] {
            assert_eq!(one.section(1).unwrap(), b"\0\0one");
            assert!(one.section(7).unwrap().iter().all(|&byte| byte == 9) && one.section(2).is_none());
            assert_eq!(one.note(), b"note");
        }
        let saved = opened.saved().unwrap();
        assert_eq!((written.saved().as_ref(), memory.saved()), (Some(&saved), None));
        assert_eq!((&*saved.name, saved.bytes), ("notes", std::fs::metadata(&path).unwrap().len()));
        let other = ContainerWriter::create(&path, &sections).unwrap();
        assert_ne!(other.finish(b"note").unwrap().saved().unwrap().checksum, saved.checksum);
    }
}
