//! An immutable segment: rows sorted by hash and item, and the tables that find them.
//!
//! Rows are stored in columns: hashes, items, banks. Because they are sorted, the rows of one hash are
//! adjacent, a directory of prefixes leads to any hash within a few cache misses, and segments are merged by
//! reading them from end to end. A segment of a radius index also has the tables of `buckets`, unless it is
//! so small that a scan is faster.
//!
//! Columns are narrow. Items are stored as 4-byte offsets from the smallest one if these fit. Banks are
//! stored as numbers in the segment's list of banks, with one byte if there are few. A row of a 256-bit hash
//! with tables takes 32 + 96 + 5 bytes and two bits, and the directories take a few hundred kilobytes. With
//! compact tables a row takes 16 bytes less, an item's offset takes 3 bytes if it fits, and the bank takes
//! nothing in a segment with only one bank.

mod audit;
mod sections;
mod written;

use std::io;
use std::ops::Range;
use std::thread;

use bytemuck::{AnyBitPattern, cast_slice, try_cast_slice};
use vigie_model::{BankId, ItemId};

use crate::question::entry::Entry;
use crate::rows::home::Home;
use crate::rows::segment_file::{SectionId, SegmentError, SegmentFile};
use crate::rows::segment_writer::SegmentWriter;
use crate::rows::tombstones::{DeadRows, SourceId};
use crate::search::buckets;
use crate::search::chunking::Chunking;
use crate::search::id_form::{IdForm, NARROW_ROWS_MAX};
use crate::search::tables::{ChainTables, Ids, Lengths, wide};
use sections::{BANK_LIST, BANKS, DIRECTORY, HASHES, IDS, ITEMS, PREFIXES, SIGNATURES};
use written::{WrittenRows, WrittenTables, check};

/// All sections of a segment.
#[cfg(any(test, fuzzing))]
pub(crate) const SECTIONS: [SectionId; 8] =
    [HASHES, ITEMS, BANKS, BANK_LIST, PREFIXES, DIRECTORY, SIGNATURES, IDS];

/// A flag in the length field of the description of a segment whose ids have 3 bytes. Versions that do not
/// know it read a different length and refuse the file.
const NARROW: u64 = 1 << 32;

/// The number of rows that share a prefix if hashes are random: 1 KiB of 256-bit hashes.
const ROWS_PER_PREFIX_LOG2: u32 = 5;

/// A callback that returns whether to stop. Several threads call it at intervals.
pub(crate) type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// The number of rows that are collected before they are written: 2 MiB of 256-bit hashes.
pub(crate) const ROWS_AT_ONCE: usize = 1 << 16;

/// The properties of a segment that are known before its first row is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    /// The smallest and the largest item that may occur.
    pub(crate) items: (ItemId, ItemId),
    /// All banks that may occur, in ascending order.
    pub(crate) banks: Vec<BankId>,
    /// The seed of the permutation.
    pub(crate) seed: u64,
    /// The chunks into which the tables divide a hash; `None` without tables.
    pub(crate) chunking: Option<Chunking>,
    /// The form in which the tables store ids.
    pub(crate) id_form: IdForm,
}

impl Shape {
    fn item_width(&self) -> usize {
        match (self.id_form, self.items.1.0.saturating_sub(self.items.0.0)) {
            (IdForm::Narrow, 0..=0xff_ffff) => 3,
            (_, 0..=0xffff_ffff) => 4,
            _ => 8,
        }
    }

    fn bank_width(&self) -> usize {
        match self.banks.len() {
            0..=1 if self.id_form == IdForm::Narrow => 0,
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        }
    }

    fn prefix_bits(&self) -> u32 {
        self.rows.checked_ilog2().unwrap_or(0).saturating_sub(ROWS_PER_PREFIX_LOG2).min(24)
    }

    fn to_bytes(&self, bytes: usize, distinct: usize) -> Vec<u8> {
        let form = match self.id_form {
            IdForm::Wide => 0,
            IdForm::Narrow => NARROW,
        };
        let numbers = [
            bytes as u64 | form,
            self.rows as u64,
            distinct as u64,
            self.items.0.0,
            self.items.1.0,
            self.seed,
        ];
        let mut meta: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        if let Some(chunking) = &self.chunking {
            meta.extend(chunking.widths());
        }
        meta
    }

    /// Reads the shape, without its banks, and the number of distinct hashes.
    fn from_bytes(bytes: usize, meta: &[u8]) -> Result<(Self, usize), &'static str> {
        let (numbers, widths) = meta.split_at_checked(48).ok_or("its description is too short")?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let number = |at: usize| u64::from_le_bytes(numbers[at]);
        let id_form = match number(0) {
            number if number == bytes as u64 => IdForm::Wide,
            number if number == bytes as u64 | NARROW => IdForm::Narrow,
            _ => return Err("it holds hashes of another length"),
        };
        let rows = usize::try_from(number(1)).map_err(|_| "it has too many rows")?;
        let distinct = usize::try_from(number(2)).map_err(|_| "it has too many rows")?;
        if distinct > rows || rows > u32::MAX as usize || id_form == IdForm::Narrow && rows > NARROW_ROWS_MAX
        {
            return Err("its number of rows is impossible");
        }
        let chunking = match widths {
            [] => None,
            widths => Some(
                Chunking::from_widths(bytes * 8, widths).map_err(|_| "its chunks do not make up a hash")?,
            ),
        };
        let (items, banks) = ((ItemId(number(3)), ItemId(number(4))), Vec::new());
        Ok((Self { rows, items, banks, seed: number(5), chunking, id_form }, distinct))
    }
}

/// A segment in use.
pub(crate) struct Segment<const BYTES: usize> {
    pub(crate) id: SourceId,
    pub(crate) dead: DeadRows,
    shape: Shape,
    /// The number of distinct hashes in the tables.
    distinct: usize,
    file: SegmentFile,
}

impl<const BYTES: usize> Segment<BYTES> {
    /// Takes a file into use after checking that its parts fit together.
    pub(crate) fn open(
        id: SourceId,
        file: SegmentFile,
        dead: Option<DeadRows>,
    ) -> Result<Self, SegmentError> {
        let (mut shape, distinct) =
            Shape::from_bytes(BYTES, file.meta()).map_err(|reason| file.contradiction(reason))?;
        let banks = file.section(BANK_LIST).unwrap_or_default();
        shape.banks = banks.as_chunks::<4>().0.iter().map(|bank| BankId(u32::from_le_bytes(*bank))).collect();
        let dead = dead.unwrap_or_else(|| DeadRows::none_of(shape.rows));
        let segment = Self { id, dead, shape, distinct, file };
        match segment.fault() {
            None => Ok(segment),
            Some(reason) => Err(segment.file.contradiction(reason)),
        }
    }

    /// Returns the first inconsistency between sections. Hashes, items and ids are not checked: whatever they
    /// are, a search stays within bounds.
    fn fault(&self) -> Option<&'static str> {
        let shape = &self.shape;
        let length = |section: SectionId| self.file.section(section).map(<[u8]>::len);
        if length(HASHES) != Some(shape.rows * BYTES)
            || length(ITEMS) != Some(shape.rows * shape.item_width())
            || length(BANKS) != Some(shape.rows * shape.bank_width())
        {
            return Some("its columns are not as long as it has rows");
        }
        let prefixes: &[u32] = self.numbers(PREFIXES);
        let whole =
            prefixes.first() == Some(&0) && prefixes.last().map(|&last| last as usize) == Some(shape.rows);
        if prefixes.len() != (1 << shape.prefix_bits()) + 1 || !whole || !prefixes.is_sorted() {
            return Some("its directory of prefixes is not one");
        }
        if self.dead.words().len() != shape.rows.div_ceil(64) {
            return Some("its dead rows are not as many as its rows");
        }
        (self.shape.chunking.is_some() && self.tables().is_none())
            .then_some("its tables are not as its chunks")
    }

    pub(crate) const fn file(&self) -> &SegmentFile {
        &self.file
    }

    pub(crate) const fn rows(&self) -> usize {
        self.shape.rows
    }

    pub(crate) fn live(&self) -> usize {
        self.shape.rows - self.dead.count()
    }

    pub(crate) const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the size of everything the segment takes, on disk or in memory, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.file.len() + self.dead.bytes()
    }

    fn section(&self, section: SectionId) -> &[u8] {
        self.file.section(section).unwrap_or_default()
    }

    /// Returns a section as a slice of numbers; empty if its length does not fit.
    fn numbers<T: AnyBitPattern>(&self, section: SectionId) -> &[T] {
        try_cast_slice(self.section(section)).unwrap_or_default()
    }

    pub(crate) fn hashes(&self) -> &[[u8; BYTES]] {
        self.section(HASHES).as_chunks().0
    }

    pub(crate) fn item(&self, row: usize) -> ItemId {
        let offset = match self.shape.item_width() {
            3 => u64::from(wide(self.section(ITEMS).as_chunks().0[row])),
            4 => u64::from(self.numbers::<u32>(ITEMS)[row]),
            _ => self.numbers::<u64>(ITEMS)[row],
        };
        ItemId(self.shape.items.0.0.wrapping_add(offset))
    }

    pub(crate) fn bank(&self, row: usize) -> BankId {
        let number = match self.shape.bank_width() {
            0 => 0,
            1 => usize::from(self.section(BANKS)[row]),
            2 => usize::from(self.numbers::<u16>(BANKS)[row]),
            _ => self.numbers::<u32>(BANKS)[row] as usize,
        };
        // A number that is not in the list can only come from a forged file; no filter includes that bank.
        self.shape.banks.get(number).copied().unwrap_or(BankId(u32::MAX))
    }

    pub(crate) fn entry(&self, row: usize) -> Entry {
        Entry { item: self.item(row), bank: self.bank(row) }
    }

    /// Returns the tables, if the segment has any.
    pub(crate) fn tables(&self) -> Option<ChainTables<'_, BYTES>> {
        let chunking = self.shape.chunking.as_ref()?;
        let entries = self.distinct * chunking.len();
        let (signatures, ids) = (self.numbers(SIGNATURES).get(..entries)?, self.ids().first(entries)?);
        ChainTables::new(self.hashes(), chunking, self.numbers(DIRECTORY), signatures, ids).ok()
    }

    /// Returns the section of the tables' ids, which may be longer than needed.
    fn ids(&self) -> Ids<'_> {
        match self.shape.id_form {
            IdForm::Wide => Ids::Wide(self.numbers(IDS)),
            IdForm::Narrow => Ids::Narrow(self.section(IDS).as_chunks().0),
        }
    }

    /// Returns the rows of one hash.
    pub(crate) fn lookup(&self, hash: &[u8; BYTES]) -> Range<usize> {
        let prefixes: &[u32] = self.numbers(PREFIXES);
        let prefix = prefix_of(hash, self.shape.prefix_bits());
        let (first, end) = (prefixes[prefix] as usize, prefixes[prefix + 1] as usize);
        let rows = &self.hashes()[first..end];
        let start = rows.partition_point(|row| row < hash);
        let count = run_length(&rows[start..], hash);
        first + start..first + start + count
    }

    /// Returns the row of this pair, dead or alive.
    pub(crate) fn find(&self, hash: &[u8; BYTES], item: ItemId) -> Option<usize> {
        let run = self.lookup(hash);
        let first = run.start;
        let count = run.len();
        // The items of a run are in ascending order.
        let mut below = 0..count;
        while !below.is_empty() {
            let middle = below.start + below.len() / 2;
            match self.item(first + middle).cmp(&item) {
                std::cmp::Ordering::Less => below.start = middle + 1,
                std::cmp::Ordering::Equal => return Some(first + middle),
                std::cmp::Ordering::Greater => below.end = middle,
            }
        }
        None
    }
}

/// Returns how many rows from the first on equal `hash`. The step is doubled each time, because a run may be
/// one row or all rows.
pub(crate) fn run_length<const BYTES: usize>(rows: &[[u8; BYTES]], hash: &[u8; BYTES]) -> usize {
    let mut reach = 1;
    while reach < rows.len() && rows[reach - 1] == *hash {
        reach *= 2;
    }
    let rows = &rows[..reach.min(rows.len())];
    rows.partition_point(|row| row <= hash)
}

/// Converts a row's position to its stored number.
fn number(row: usize) -> u32 {
    u32::try_from(row).expect("a segment has fewer than 2^32 rows")
}

/// Returns the leading bits of a hash as a number.
fn prefix_of<const BYTES: usize>(hash: &[u8; BYTES], bits: u32) -> usize {
    let leading = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    leading.checked_shr(32 - bits).unwrap_or(0) as usize
}

/// Writes a segment of rows in the order of hash and item, each pair once. The rows come in stretches, each
/// with the number of its first row, which as many threads read. `stop` is called at intervals; if it returns
/// true, the function fails with [`io::ErrorKind::Interrupted`].
pub(crate) fn write<const BYTES: usize>(
    home: &Home,
    shape: &Shape,
    stretches: Vec<(usize, impl Iterator<Item = ([u8; BYTES], Entry)> + Send)>,
    threads: usize,
    stop: Stop<'_>,
) -> Result<SegmentFile, SegmentError> {
    let tables =
        shape.chunking.as_ref().map(|chunking| Lengths::of(chunking, shape.rows)).unwrap_or_default();
    let writer = home.writer(&[
        (HASHES, shape.rows * BYTES),
        (ITEMS, shape.rows * shape.item_width()),
        (BANKS, shape.rows * shape.bank_width()),
        (BANK_LIST, shape.banks.len() * 4),
        (PREFIXES, ((1 << shape.prefix_bits()) + 1) * 4),
        (DIRECTORY, tables.directory * 4),
        (SIGNATURES, tables.signatures * 2),
        (IDS, tables.ids * shape.id_form.bytes()),
    ])?;
    let banks: Vec<u8> = shape.banks.iter().flat_map(|bank| bank.0.to_le_bytes()).collect();
    let failed = |source| writer.failed("write", source);
    writer.write_at(BANK_LIST, 0, &banks).map_err(failed)?;
    write_columns(&writer, shape, stretches, stop).map_err(failed)?;
    let mut distinct = 0;
    if let Some(chunking) = &shape.chunking {
        let source = WrittenRows::<BYTES> { writer: &writer, rows: shape.rows, stop };
        distinct = buckets::build(chunking, &source, &WrittenTables(&writer, shape.id_form), threads)
            .map_err(failed)?;
    }
    writer.finish(&shape.to_bytes(BYTES, distinct))
}

/// Sorts rows into the order of a segment. Of equal pairs, the one with the greatest bank is kept.
pub(crate) fn sort<const BYTES: usize>(rows: &mut Vec<([u8; BYTES], Entry)>, threads: usize) {
    sort_parts(rows, threads);
    // Items are compared first, because they nearly always differ and are compared faster.
    rows.dedup_by(|row, before| row.1.item == before.1.item && row.0 == before.0);
}

/// Sorts by partitioning into as many parts as there are threads.
fn sort_parts<const BYTES: usize>(rows: &mut [([u8; BYTES], Entry)], threads: usize) {
    // The first eight bytes as a number distinguish most hashes.
    let leading =
        |row: &([u8; BYTES], Entry)| row.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
    let order = |one: &([u8; BYTES], Entry), other: &([u8; BYTES], Entry)| {
        let rest = || (&one.0, one.1.item, other.1.bank).cmp(&(&other.0, other.1.item, one.1.bank));
        leading(one).cmp(&leading(other)).then_with(rest)
    };
    if threads < 2 || rows.len() < ROWS_AT_ONCE {
        return rows.sort_unstable_by(order);
    }
    let middle = rows.len() / 2;
    rows.select_nth_unstable_by(middle, order);
    let (lower, upper) = rows.split_at_mut(middle);
    thread::scope(|scope| {
        scope.spawn(|| sort_parts(lower, threads / 2));
        sort_parts(upper, threads - threads / 2);
    });
}

/// Returns the shape of a segment of these rows, which must be in order.
pub(crate) fn shape_of_rows<const BYTES: usize>(
    rows: &[([u8; BYTES], Entry)],
    seed: u64,
    distance: Option<u32>,
    compact: bool,
) -> Shape {
    let items = rows.iter().map(|row| row.1.item);
    let items = (items.clone().min().unwrap_or(ItemId(0)), items.max().unwrap_or(ItemId(0)));
    let mut banks: Vec<BankId> = Vec::new();
    for bank in rows.iter().map(|row| row.1.bank) {
        if let Err(at) = banks.binary_search(&bank) {
            banks.insert(at, bank);
        }
    }
    let id_form = IdForm::of(rows.len(), compact);
    let chunking = distance.and_then(|distance| Chunking::choose(BYTES * 8, rows.len(), distance, id_form));
    Shape { rows: rows.len(), items, banks, seed, chunking, id_form }
}

fn write_columns<const BYTES: usize>(
    writer: &SegmentWriter,
    shape: &Shape,
    stretches: Vec<(usize, impl Iterator<Item = ([u8; BYTES], Entry)> + Send)>,
    stop: Stop<'_>,
) -> io::Result<()> {
    let written: io::Result<Vec<_>> = thread::scope(|scope| {
        let write = |(first, rows)| scope.spawn(move || write_stretch(writer, shape, first, rows, stop));
        let threads: Vec<_> = stretches.into_iter().map(write).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    });
    let mut prefixes = vec![0_u32; (1 << shape.prefix_bits()) + 1];
    for counts in written? {
        prefixes[1..].iter_mut().zip(counts).for_each(|(prefix, count)| *prefix += count);
    }
    let mut before = 0;
    for prefix in &mut prefixes {
        before += *prefix;
        *prefix = before;
    }
    assert!(before as usize == shape.rows, "as many rows come as the shape says");
    writer.write_at(PREFIXES, 0, cast_slice(&prefixes))
}

/// Writes the columns of the rows from `first` on, and returns how many rows have each prefix.
fn write_stretch<const BYTES: usize>(
    writer: &SegmentWriter,
    shape: &Shape,
    first: usize,
    mut rows: impl Iterator<Item = ([u8; BYTES], Entry)>,
    stop: Stop<'_>,
) -> io::Result<Vec<u32>> {
    let (mut hashes, mut items, mut banks) = (Vec::new(), Vec::new(), Vec::new());
    let mut prefixes = vec![0; 1 << shape.prefix_bits()];
    let mut row = first;
    // Adjacent rows usually have the same bank, so its number is remembered.
    let mut bank_known = (BankId(u32::MAX), 0);
    loop {
        check(stop)?;
        hashes.clear();
        items.clear();
        banks.clear();
        for (hash, entry) in rows.by_ref().take(ROWS_AT_ONCE) {
            prefixes[prefix_of(&hash, shape.prefix_bits())] += 1;
            hashes.push(hash);
            let offset = (entry.item.0 - shape.items.0.0).to_le_bytes();
            items.extend_from_slice(&offset[..shape.item_width()]);
            if bank_known.0 != entry.bank {
                let number = shape.banks.binary_search(&entry.bank).expect("the shape names every bank");
                bank_known = (entry.bank, number);
            }
            banks.extend_from_slice(&bank_known.1.to_le_bytes()[..shape.bank_width()]);
        }
        if hashes.is_empty() {
            return Ok(prefixes);
        }
        writer.write_at(HASHES, row * BYTES, hashes.as_flattened())?;
        writer.write_at(ITEMS, row * shape.item_width(), &items)?;
        writer.write_at(BANKS, row * shape.bank_width(), &banks)?;
        row += hashes.len();
    }
}
