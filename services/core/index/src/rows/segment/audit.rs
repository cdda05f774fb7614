//! Checks that a search reaches every row of a segment.
//!
//! For look-ups: rows are in order, and each is at a position to which its prefix leads. For searches of the
//! tables: each chunk has as many entries as there are distinct hashes; each entry is in the bucket of its
//! row's chunk and has the signature and the spare bits of that row; and rows ascend within a bucket.
//! Therefore no row is listed twice in a chunk, and each is listed once.

use super::{BANKS, DIRECTORY, PREFIXES, SIGNATURES, Segment, prefix_of};
use crate::question::audit::{AuditError, Pace, Steps, check};
use crate::rows::segment_file::SegmentError;
use crate::rows::stored::Stored;
use crate::search::chunking::{Chunk, Chunking};
use crate::search::tables::id_bits;
use crate::search::verify::begins_a_run;

/// The callback for each row.
type Row<'a, const BYTES: usize> = dyn FnMut(u32, &[u8; BYTES]) -> Result<(), AuditError> + 'a;

impl<const BYTES: usize> Segment<BYTES> {
    /// Checks that a search reaches each row, and passes on each row, dead or alive.
    pub(crate) fn audit(&self, pace: &mut Pace<'_>, row: &mut Row<'_, BYTES>) -> Result<(), AuditError> {
        let hashes = self.hashes();
        let prefixes: &[u32] = self.numbers(PREFIXES);
        let bits = self.shape.prefix_bits();
        check(hashes.len() == self.rows(), "a segment lacks rows")?;
        check(prefixes.len() == (1 << bits) + 1, "a segment's directory has another length")?;
        check(self.section(BANKS).len() == self.rows() * self.shape.bank_width(), "a segment lacks banks")?;
        let mut steps = Steps::of(BYTES + self.shape.item_width() + self.shape.bank_width(), pace);
        let mut distinct = 0;
        for (at, hash) in hashes.iter().enumerate() {
            let prefix = prefix_of(hash, bits);
            let reached = prefixes[prefix] as usize <= at && at < prefixes[prefix + 1] as usize;
            check(reached, "a segment's directory does not lead to a row")?;
            let is_first = begins_a_run(hashes, at);
            if let Some(before) = at.checked_sub(1) {
                let ordered = (&hashes[before], self.item(before)) < (hash, self.item(at));
                check(ordered, "a segment's rows are not in order")?;
            }
            distinct += usize::from(is_first);
            row(super::number(at), hash)?;
            steps.step()?;
        }
        steps.end()?;
        self.shape.chunking.as_ref().map_or(Ok(()), |chunking| self.audit_tables(chunking, distinct, pace))
    }

    fn audit_tables(
        &self,
        chunking: &Chunking,
        distinct: usize,
        pace: &mut Pace<'_>,
    ) -> Result<(), AuditError> {
        const LENGTH: &str = "a segment's tables have another length";
        let hashes = self.hashes();
        let (directory, signatures): (&[u32], &[u16]) = (self.numbers(DIRECTORY), self.numbers(SIGNATURES));
        let (ids, form) = (self.ids(), self.shape.id_form);
        let entries = distinct * chunking.len();
        check(distinct == self.distinct && directory.len() == chunking.buckets() + 1, LENGTH)?;
        check(signatures.len() >= entries && ids.len() >= entries, LENGTH)?;
        let id_bits = id_bits(self.rows());
        let row_mask = (1_u32 << id_bits) - 1;
        let ring = chunking.chunks();
        let mut steps = Steps::of(BYTES + size_of::<u16>() + 2 * size_of::<u32>(), pace);
        for (at, chunk) in ring.iter().enumerate() {
            let [next, third] = [at + 1, at + 2].map(|at| ring[at % ring.len()]);
            let spare = (1_u32 << chunking.spare_bits(at, id_bits, form)) - 1;
            let mut entry = at * distinct;
            for value in 0..1_u32 << chunk.width {
                let bucket = (chunk.directory + value) as usize;
                let (first, end) = (directory[bucket] as usize, directory[bucket + 1] as usize);
                let follows = first == entry && entry <= end && end <= (at + 1) * distinct;
                check(follows, "a segment's buckets do not follow each other")?;
                let mut last = None;
                while entry < end {
                    let (id, signature) = (ids.get(entry).unwrap_or(u32::MAX), signatures[entry]);
                    let row = (id & row_mask) as usize;
                    let Some(hash) = hashes.get(row) else {
                        return Err(AuditError::Damaged("a segment's table names a row that is not there"));
                    };
                    let is_own = chunk.of(hash) == value
                        && Chunk::signature(next.of(hash)) == signature
                        && third.of(hash) & spare == id >> id_bits
                        && last.is_none_or(|last| last < row)
                        && begins_a_run(hashes, row);
                    check(is_own, "a segment's table does not lead to a row")?;
                    (last, entry) = (Some(row), entry + 1);
                    steps.step()?;
                }
            }
            check(entry == (at + 1) * distinct, "a segment's table lacks rows")?;
        }
        steps.end()
    }
}

impl<const BYTES: usize> Stored for Segment<BYTES> {
    fn block_count(&self) -> usize {
        self.file.block_count()
    }

    fn verify(&self, block: usize) -> Result<usize, SegmentError> {
        self.file.verify(block)
    }

    fn memory(&self) -> Vec<std::ops::Range<usize>> {
        self.file.memory()
    }
}
