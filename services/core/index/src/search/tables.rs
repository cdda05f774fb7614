//! The tables of a segment as a search reads them: arrays that fit together, and the cost of reading them.
//!
//! `chain` describes their content and proves that it suffices.

use thiserror::Error;

use crate::search::chunking::{Allowances, Chunk, Chunking};
use crate::search::id_form::IdForm;
use crate::search::signature::{LANES, prefetch};

/// The largest number of rows of a segment, so that at least 5 spare bits are left beside a row's number.
pub(crate) const ROWS_MAX: usize = 1 << 27;

/// The number of elements of each array of the tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// The start of each bucket, and one more element: the end of the last one.
    pub(crate) directory: usize,
    /// The number of entries: one for each distinct hash and chunk. `ids` has the same number.
    pub(crate) signatures: usize,
    pub(crate) ids: usize,
}

impl Lengths {
    /// Returns the lengths of the tables of this many distinct hashes.
    pub(crate) fn of(chunking: &Chunking, distinct: usize) -> Self {
        let entries = chunking.len() * distinct;
        Self { directory: chunking.buckets() + 1, signatures: entries, ids: entries }
    }
}

/// The ids of the tables' entries.
#[derive(Clone, Copy)]
pub(crate) enum Ids<'a> {
    Wide(&'a [u32]),
    /// Each id has 3 bytes, little-endian.
    Narrow(&'a [[u8; 3]]),
}

impl<'a> Ids<'a> {
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Wide(ids) => ids.len(),
            Self::Narrow(ids) => ids.len(),
        }
    }

    /// Returns the first `count` ids; `None` if there are fewer.
    pub(crate) fn first(self, count: usize) -> Option<Self> {
        match self {
            Self::Wide(ids) => ids.get(..count).map(Self::Wide),
            Self::Narrow(ids) => ids.get(..count).map(Self::Narrow),
        }
    }

    #[inline(always)]
    pub(crate) fn get(self, entry: usize) -> Option<u32> {
        match self {
            Self::Wide(ids) => ids.get(entry).copied(),
            Self::Narrow(ids) => ids.get(entry).map(|id| wide(*id)),
        }
    }

    /// Prefetches an id before it is needed.
    #[inline(always)]
    pub(crate) fn prefetch(self, entry: usize) {
        match self {
            Self::Wide(ids) => prefetch(ids, entry),
            Self::Narrow(ids) => prefetch(ids, entry),
        }
    }
}

impl<'a> From<&'a [u32]> for Ids<'a> {
    fn from(ids: &'a [u32]) -> Self {
        Self::Wide(ids)
    }
}

impl<'a> From<&'a Vec<u32>> for Ids<'a> {
    fn from(ids: &'a Vec<u32>) -> Self {
        Self::Wide(ids)
    }
}

/// Returns the stored form of an id of 24 bits.
pub(crate) const fn narrow(id: u32) -> [u8; 3] {
    let [low, middle, high, _] = id.to_le_bytes();
    [low, middle, high]
}

/// Reads an id of 24 bits from its stored form.
#[inline(always)]
pub(crate) const fn wide([low, middle, high]: [u8; 3]) -> u32 {
    u32::from_le_bytes([low, middle, high, 0])
}

/// Returns how many low bits of an id are the row's number, in tables of this many rows.
pub(crate) fn id_bits(rows: usize) -> u32 {
    rows.max(2).next_power_of_two().ilog2()
}

/// Sections that cannot be tables of these rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum TablesError {
    #[error("chunks of {0} bits together, where the hash has {1}")]
    Bits(usize, usize),
    #[error("{0} rows, where there may be 2^27")]
    Rows(usize),
    #[error("a directory of {0} buckets, where the chunks have {1}")]
    Directory(usize, usize),
    #[error("{0} signatures, {1} ids and {2} entries in the directory, where all must be equal")]
    Entries(usize, usize, usize),
    #[error("{0} entries, where each of {1} chunks has as many, at most one for a row")]
    Uneven(usize, usize),
}

/// Rows and their tables, as `buckets` builds them.
///
/// The arrays should begin at multiples of 64 bytes. Otherwise lines of signatures cross cache lines, and
/// searches are slower.
#[derive(Clone, Copy)]
pub(crate) struct ChainTables<'a, const BYTES: usize> {
    /// Permuted hashes in ascending order.
    pub(crate) rows: &'a [[u8; BYTES]],
    pub(crate) chunking: &'a Chunking,
    /// The first entry of each bucket of each chunk; the start of the next bucket is the end.
    pub(crate) directory: &'a [u32],
    /// For each entry, the low 16 bits of the next chunk.
    pub(crate) signatures: &'a [u16],
    /// For each entry, the row in the low `id_bits` bits, and spare bits of the chunk after the next.
    pub(crate) ids: Ids<'a>,
    pub(crate) id_bits: u32,
}

impl<'a, const BYTES: usize> ChainTables<'a, BYTES> {
    /// Checks that the sections fit together. Checks lengths only, so it takes constant time.
    pub(crate) fn new(
        rows: &'a [[u8; BYTES]],
        chunking: &'a Chunking,
        directory: &'a [u32],
        signatures: &'a [u16],
        ids: impl Into<Ids<'a>>,
    ) -> Result<Self, TablesError> {
        let ids = ids.into();
        let bits = chunking.chunks().iter().map(|chunk| chunk.width as usize).sum();
        if bits != 8 * BYTES {
            return Err(TablesError::Bits(bits, 8 * BYTES));
        }
        if rows.len() > ROWS_MAX {
            return Err(TablesError::Rows(rows.len()));
        }
        if directory.len() != chunking.buckets() + 1 {
            return Err(TablesError::Directory(directory.len().saturating_sub(1), chunking.buckets()));
        }
        let entries = directory.last().map_or(0, |&end| end as usize);
        if signatures.len() != entries || ids.len() != entries {
            return Err(TablesError::Entries(signatures.len(), ids.len(), entries));
        }
        if !entries.is_multiple_of(chunking.len()) || entries / chunking.len() > rows.len() {
            return Err(TablesError::Uneven(entries, chunking.len()));
        }
        Ok(Self { rows, chunking, directory, signatures, ids, id_bits: id_bits(rows.len()) })
    }

    /// Returns the form of the ids.
    pub(crate) const fn id_form(&self) -> IdForm {
        match self.ids {
            Ids::Wide(_) => IdForm::Wide,
            Ids::Narrow(_) => IdForm::Narrow,
        }
    }

    /// Returns the cost of scanning the rows, in the unit of [`cost`].
    pub(crate) fn scan_cost(&self) -> u64 {
        self.rows.len() as u64 * BYTES as u64 * cost::SCANNED_BYTE
    }

    /// Returns the expected cost of a query's search in the tables, if the hashes are spread evenly.
    pub(crate) fn tables_cost(&self, allowances: &Allowances) -> u64 {
        let distinct = (self.signatures.len() / self.chunking.len()) as u64;
        let chunk_cost = |(at, chunk): (usize, &Chunk)| {
            let probes = self.chunking.probes_of(at, allowances) as u64;
            let lines = probes + ((probes * distinct) >> chunk.width) / LANES as u64;
            probes * cost::PROBE + lines * cost::LINE
        };
        self.chunking.chunks().iter().enumerate().map(chunk_cost).sum()
    }
}

/// The costs of the steps of a search, in units of 0.01 ns on one core of a Zen 3 server at 2.4 GHz. They
/// only decide when to scan the rows instead of using the tables.
pub(crate) mod cost {
    /// A byte of a hash is compared in the scan of all rows.
    pub(crate) const SCANNED_BYTE: u64 = 4;
    /// A bucket is read from the directory.
    pub(crate) const PROBE: u64 = 1_500;
    /// A line of signatures is compared.
    pub(crate) const LINE: u64 = 600;
    /// An entry whose signature is near is processed further.
    pub(crate) const SURVIVOR: u64 = 3_000;
}
