//! The tables that find every hash within a distance of a query, and the proof that they do.
//!
//! A permuted hash is divided into a ring of m chunks. For each chunk there is a table from its value to the
//! rows with that value. Beside its row, an entry has the *next* chunk of the ring (its signature: the low 16
//! bits) and as many bits of the chunk after that as fit beside the row's number (its spare bits). Most
//! entries of a bucket are therefore excluded without reading their hashes.
//!
//! # Why nothing is missed
//!
//! Let d_i be the number of differing bits in chunk i, and a_i >= 0 the chunk's allowance; the allowances sum
//! to r + 1, where r is the radius. Let x_i = d_i - a_i. If the whole distance is at most r, the sum of all
//! x_i is at most -1. By the cycle lemma (Dvoretzky and Motzkin, Duke Mathematical Journal 1947), a ring of
//! integers whose sum is negative has a start from which *every* partial sum is negative. Proof: repeat the
//! ring without end. The running sum falls by at least 1 in each round, so it takes its greatest value a last
//! time, and from that position on all sums are below it. Hence some chunk i has
//!
//! - d_i <= a_i - 1: the query's value differs from the row's in at most T_i = a_i - 1 bits, so the row is in
//!   a bucket that the search reads. (If a_i = 0 this is impossible, so chunk i need not be searched at all.)
//! - d_i + d_(i+1) <= a_i + a_(i+1) - 1: the signature passes. Comparing only a part of chunk i+1 lowers the
//!   sum.
//! - d_i + d_(i+1) + d_(i+2) <= a_i + a_(i+1) + a_(i+2) - 1: the spare bits pass, since they are also only a
//!   part.
//!
//! No bit may count for a chunk that it does not belong to: a signature never has bits of chunk i+2, and
//! spare bits never bits of chunk i+3. Entries that pass are compared as whole hashes. So each row within the
//! radius is found and no other row is reported: recall and precision are 1 by construction.
//!
//! Sources: Norouzi, Punjani, Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012; Qin
//! and Xiao, "Pigeonring: a principle for faster thresholded similarity search", PVLDB 2018.
//!
//! # Why each row is reported once
//!
//! A row may pass from several starts. It is reported by the first of them in the order of chunks: when a row
//! has been compared and is near, the starts before the one that found it are tried on it. This needs no
//! memory of the reported rows, and only rows that are answers cost this check.
//!
//! # The worst case
//!
//! Data may be such that all hashes agree in a chunk, or in nearly all bits. Each query therefore has a
//! budget: the cost of scanning all rows. The buckets, entries and rows that it reads are charged to the
//! budget. A query that has spent it discards its hits and scans the rows instead. So a search takes at most
//! about twice as long as a scan, whatever the data. A search whose buckets alone would cost more than a scan
//! begins with the scan.
//!
//! # Copies
//!
//! Rows are sorted, so equal ones are adjacent. Only the first of each run is in the tables and is reported:
//! a hundred thousand copies of a hash add nothing to the cost of searches for other hashes.
//!
//! # Damaged tables
//!
//! Only the lengths of sections are checked; their content may be anything. Positions and rows out of range
//! are skipped, so a damaged table gives wrong answers (the file's checksum detects damage), but never a
//! panic.

use crate::question::cancel::{Cancelled, Checkpoint};
use crate::search::pipeline::{Scratch, Search};
#[cfg(test)]
use crate::search::signature::{Instructions, dispatch_to};
use crate::search::signature::{Kernel, Task, dispatch};
use crate::search::tables::ChainTables;
use crate::search::verify::{Found, Scan};

impl<const BYTES: usize> ChainTables<'_, BYTES> {
    /// Reports every distinct row within `radius` of each query, in no particular order: the query's number,
    /// the first row with the hash, and the distance.
    ///
    /// Queries are permuted in the same way as the rows. All queries of a batch are searched as one stream,
    /// so that the memory accesses of one query overlap with the work of the next.
    pub(crate) fn search(
        &self,
        queries: &[[u8; BYTES]],
        radius: u32,
        checkpoint: &mut Checkpoint<'_>,
        scratch: &mut Scratch,
        found: &mut impl FnMut(usize, u32, u32),
    ) -> Result<(), Cancelled> {
        dispatch(self.task(queries, radius, checkpoint, scratch, found))
    }

    /// Searches on instructions of the caller's choice; `None` if the processor does not have them.
    #[cfg(test)]
    pub(crate) fn search_on(
        &self,
        instructions: Instructions,
        queries: &[[u8; BYTES]],
        radius: u32,
        checkpoint: &mut Checkpoint<'_>,
        scratch: &mut Scratch,
        found: &mut impl FnMut(usize, u32, u32),
    ) -> Option<Result<(), Cancelled>> {
        dispatch_to(instructions, self.task(queries, radius, checkpoint, scratch, found))
    }

    fn task<'s, 'c, 'f>(
        &'s self,
        queries: &'s [[u8; BYTES]],
        radius: u32,
        checkpoint: &'s mut Checkpoint<'c>,
        scratch: &'s mut Scratch,
        found: &'s mut Found<'f>,
    ) -> Whole<'s, 'c, 'f, BYTES> {
        Whole { tables: self, queries, radius, checkpoint, scratch, found }
    }
}

/// A search of tables, or a scan if that costs less.
struct Whole<'a, 'c, 'f, const BYTES: usize> {
    tables: &'a ChainTables<'a, BYTES>,
    queries: &'a [[u8; BYTES]],
    radius: u32,
    checkpoint: &'a mut Checkpoint<'c>,
    scratch: &'a mut Scratch,
    found: &'a mut Found<'f>,
}

impl<const BYTES: usize> Task for Whole<'_, '_, '_, BYTES> {
    type Output = Result<(), Cancelled>;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> Self::Output {
        let Self { tables, queries, radius, checkpoint, scratch, found } = self;
        let budget = tables.scan_cost();
        let allowances = tables.chunking.allowances(radius);
        let allowances = allowances.filter(|allowances| tables.tables_cost(allowances) < budget);
        scratch.begin(queries.len(), if allowances.is_some() { 0 } else { u64::MAX });
        if let Some(allowances) = &allowances {
            Search { tables, queries, radius, allowances, budget, checkpoint, scratch, found }.run(kernel)?;
        }
        let spent = &scratch.spent;
        let asked: Vec<usize> = (0..queries.len()).filter(|&query| spent[query] > budget).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let asked = asked.iter().copied();
        Scan { rows: tables.rows, queries, asked, radius, checkpoint, found }.run(kernel)
    }
}

#[cfg(test)]
mod latency;
#[cfg(test)]
mod tests;
