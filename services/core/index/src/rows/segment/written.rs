//! A segment that is being written, as a source and a sink for the builder of the tables.

use std::io;

use bytemuck::cast_slice;

use super::sections::{DIRECTORY, HASHES, IDS, SIGNATURES};
use crate::rows::segment_writer::SegmentWriter;
use crate::search::buckets::{RowSource, TableSink};
use crate::search::id_form::IdForm;
use crate::search::tables::narrow;

/// The column of hashes, read back to build the tables.
pub(super) struct WrittenRows<'a, const BYTES: usize> {
    pub(super) writer: &'a SegmentWriter,
    pub(super) rows: usize,
    pub(super) stop: &'a (dyn Fn() -> bool + Sync),
}

impl<const BYTES: usize> RowSource<BYTES> for WrittenRows<'_, BYTES> {
    fn len(&self) -> usize {
        self.rows
    }

    fn read(&self, first: usize, into: &mut [[u8; BYTES]]) -> io::Result<()> {
        check(self.stop)?;
        self.writer.read_at(HASHES, first * BYTES, into.as_flattened_mut())
    }
}

/// The columns of the tables, and the form of their ids.
pub(super) struct WrittenTables<'a>(pub(super) &'a SegmentWriter, pub(super) IdForm);

impl TableSink for WrittenTables<'_> {
    fn id_form(&self) -> IdForm {
        self.1
    }

    fn directory(&self, at: usize, starts: &[u32]) -> io::Result<()> {
        self.0.write_at(DIRECTORY, at * 4, cast_slice(starts))
    }

    fn signatures(&self, at: usize, signatures: &[u16]) -> io::Result<()> {
        self.0.write_at(SIGNATURES, at * 2, cast_slice(signatures))
    }

    fn ids(&self, at: usize, ids: &[u32]) -> io::Result<()> {
        match self.1 {
            IdForm::Wide => self.0.write_at(IDS, at * 4, cast_slice(ids)),
            IdForm::Narrow => {
                let narrow: Vec<u8> = ids.iter().flat_map(|id| narrow(*id)).collect();
                self.0.write_at(IDS, at * 3, &narrow)
            }
        }
    }
}

/// Fails if the writing must stop.
pub(super) fn check(stop: &(dyn Fn() -> bool + Sync)) -> io::Result<()> {
    if stop() { Err(io::Error::new(io::ErrorKind::Interrupted, "the index is being closed")) } else { Ok(()) }
}
