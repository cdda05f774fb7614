//! An immutable file of records, which is read into memory; or the same data without a file.
//!
//! | section | bytes for an item | content |
//! |---|---|---|
//! | 1 | 8 | the items' ids, ascending |
//! | 2 | 4 | their banks |
//! | 3 | 4 | the start of each item's content, and the end of the last one |
//! | 4 | | the content: see [`super::encoding`] |
//! | 5 | 4 | the time when each was added, in seconds since 1970; 0 if unknown |
//!
//! Section 5 is absent if no time is known, as in files of versions that did not keep it. Those versions skip
//! the section.
//!
//! Rows that have died later are bits that are kept beside the file.

use std::collections::HashSet;

use bytemuck::cast_slice;
use vigie_index::container::{Container, ContainerWriter};
use vigie_index::{DeadRows, SegmentError, Stored};
use vigie_model::{BankId, ItemId};

use super::encoding::{AddedAt, Record};
use super::policy::Extent;

const IDS: u32 = 1;
const BANKS: u32 = 2;
const STARTS: u32 = 3;
const CONTENT: u32 = 4;
const ADDED: u32 = 5;

/// The format note of a record file.
const NOTE: &[u8] = b"vigie records 1";

/// The bytes of one write. Smaller writes are slow, and larger ones are no faster.
const PIECE_BYTES: usize = 256 << 10;

/// A file of records, with the bits of its dead rows.
#[derive(Debug)]
pub(super) struct RecordFile {
    /// The number in the file's name; unused in memory.
    pub(super) number: u64,
    container: Container,
    rows: usize,
    /// The banks that have, or had, an item in the file.
    banks: Box<[BankId]>,
    dead: DeadRows,
}

/// A record to be written, and its item.
pub(super) type Row<'a> = (ItemId, Record<'a>);

impl RecordFile {
    /// Writes rows. `rows` must return them in ascending order of ids, and the same rows in both of its
    /// calls.
    pub(super) fn write<'a, I: Iterator<Item = Row<'a>>>(
        number: u64,
        begin: impl FnOnce(&[(u32, usize)]) -> Result<ContainerWriter, SegmentError>,
        rows: impl Fn() -> I,
    ) -> Result<Self, SegmentError> {
        let (mut count, mut bytes, mut times_are_known) = (0, 0, false);
        for (_, record) in rows() {
            count += 1;
            bytes += record.content.len();
            times_are_known |= record.added != AddedAt::default();
        }
        let mut sections =
            vec![(IDS, count * 8), (BANKS, count * 4), (STARTS, (count + 1) * 4), (CONTENT, bytes)];
        sections.extend(times_are_known.then_some((ADDED, count * 4)));
        let writer = begin(&sections)?;
        let [mut ids, mut banks, mut starts, mut contents, mut added] = [IDS, BANKS, STARTS, CONTENT, ADDED]
            .map(|section| Gather { writer: &writer, section, at: 0, piece: Vec::new() });
        let mut start = 0_usize;
        for (item, record) in rows() {
            ids.add(&item.0.to_le_bytes())?;
            banks.add(&record.bank.0.to_le_bytes())?;
            starts.add(&position(start).to_le_bytes())?;
            contents.add(record.content)?;
            start += record.content.len();
            if times_are_known {
                added.add(&record.added.0.to_le_bytes())?;
            }
        }
        starts.add(&position(start).to_le_bytes())?;
        if times_are_known {
            added.finish()?;
        }
        [ids, banks, starts, contents].into_iter().try_for_each(Gather::finish)?;
        Ok(Self::of(number, writer.finish(NOTE)?, count, DeadRows::none_of(count)))
    }

    /// Reads an opened file, and checks that its sections are consistent.
    pub(super) fn open(number: u64, container: Container, dead: &[u64]) -> Result<Self, SegmentError> {
        let length = |section| container.section(section).map(<[u8]>::len);
        let rows = length(IDS).unwrap_or_default() / 8;
        let lengths = [(IDS, rows * 8), (BANKS, rows * 4), (STARTS, (rows + 1) * 4)];
        let is_whole = lengths.iter().all(|(section, bytes)| length(*section) == Some(*bytes))
            && length(ADDED).is_none_or(|bytes| bytes == rows * 4);
        if container.note() != NOTE || !is_whole {
            return Err(container.contradiction("it is no file of records"));
        }
        if dead.len() != rows.div_ceil(64) {
            return Err(container.contradiction("it has another number of rows than was saved"));
        }
        let file = Self::of(number, container, rows, DeadRows::of(dead.iter().copied()));
        if !file.fits_together() {
            return Err(file.container.contradiction("its records do not fit together"));
        }
        Ok(file)
    }

    fn of(number: u64, container: Container, rows: usize, dead: DeadRows) -> Self {
        let mut file = Self { number, container, rows, banks: Box::default(), dead };
        let banks: HashSet<u32> = file.bank_column().iter().copied().collect();
        file.banks = banks.into_iter().map(BankId).collect();
        file
    }

    fn fits_together(&self) -> bool {
        let (ids, starts, content) = (self.ids(), self.starts(), self.content());
        ids.is_sorted_by(|one, next| one < next)
            && starts.is_sorted()
            && starts.first() == Some(&0)
            && starts.last().is_some_and(|&end| end as usize == content.len())
            && (0..self.rows).all(|row| self.record(row).is_whole())
    }

    fn ids(&self) -> &[u64] {
        cast_slice(self.container.section(IDS).unwrap_or_default())
    }

    fn bank_column(&self) -> &[u32] {
        cast_slice(self.container.section(BANKS).unwrap_or_default())
    }

    fn starts(&self) -> &[u32] {
        cast_slice(self.container.section(STARTS).unwrap_or_default())
    }

    /// Empty if no time is known.
    fn added(&self) -> &[u32] {
        self.container.section(ADDED).map_or(&[], cast_slice)
    }

    fn content(&self) -> &[u8] {
        self.container.section(CONTENT).unwrap_or_default()
    }

    fn record(&self, row: usize) -> Record<'_> {
        let starts = self.starts();
        let content = &self.content()[starts[row] as usize..starts[row + 1] as usize];
        let added = AddedAt(self.added().get(row).copied().unwrap_or_default());
        Record { bank: BankId(self.bank_column()[row]), added, content }
    }

    /// Returns the greatest id of the file.
    pub(super) fn last(&self) -> Option<ItemId> {
        self.ids().last().map(|&id| ItemId(id))
    }

    pub(super) fn first(&self) -> Option<ItemId> {
        self.ids().first().map(|&id| ItemId(id))
    }

    /// Returns the row of a living item.
    fn row_of(&self, item: ItemId) -> Option<usize> {
        self.ids().binary_search(&item.0).ok().filter(|&row| !self.dead.contains(row))
    }

    pub(super) fn get(&self, item: ItemId) -> Option<Record<'_>> {
        self.row_of(item).map(|row| self.record(row))
    }

    /// Marks a living item as dead. Returns whether there was one.
    pub(super) fn remove(&self, item: ItemId) -> bool {
        self.row_of(item).is_some_and(|row| self.dead.insert(row))
    }

    /// Marks the living items of some banks as dead. Returns their number.
    pub(super) fn remove_banks(&self, is_gone: impl Fn(BankId) -> bool) -> usize {
        if !self.banks.iter().any(|bank| is_gone(*bank)) {
            return 0;
        }
        let rows = self.bank_column().iter().enumerate();
        let gone = rows.filter(|(_, bank)| is_gone(BankId(**bank)));
        gone.filter(|(row, _)| self.dead.insert(*row)).count()
    }

    /// Returns the living records, in ascending order of ids.
    pub(super) fn living(&self) -> impl Iterator<Item = (ItemId, Record<'_>)> {
        let rows = self.ids().iter().enumerate().filter(|(row, _)| !self.dead.contains(*row));
        rows.map(|(row, id)| (ItemId(*id), self.record(row)))
    }

    pub(super) fn living_count(&self) -> usize {
        self.rows - self.dead.count()
    }

    pub(super) fn has_dead(&self) -> bool {
        self.dead.count() > 0
    }

    pub(super) fn extent(&self) -> Extent {
        let (rows, living) = (self.rows as u64, self.living_count() as u64);
        // An estimate, as if all records had the same length.
        let content = self.content().len() as u64 * living / rows.max(1);
        Extent { living, dead: rows - living, bytes: content + 20 * living }
    }

    /// Returns the bits of the dead rows.
    pub(super) fn dead_words(&self) -> Vec<u64> {
        self.dead.words()
    }

    pub(super) const fn container(&self) -> &Container {
        &self.container
    }
}

impl Stored for RecordFile {
    fn block_count(&self) -> usize {
        self.container.block_count()
    }

    fn verify(&self, block: usize) -> Result<usize, SegmentError> {
        self.container.verify(block)
    }

    fn memory(&self) -> Vec<std::ops::Range<usize>> {
        self.container.memory()
    }
}

/// Returns a position in the content, which is below 4 GiB: see [`super::policy::FILE_BYTES_MAX`].
fn position(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a file of records is bounded")
}

/// Collects small pieces of a section into larger writes.
struct Gather<'a> {
    writer: &'a ContainerWriter,
    section: u32,
    at: usize,
    piece: Vec<u8>,
}

impl Gather<'_> {
    fn add(&mut self, bytes: &[u8]) -> Result<(), SegmentError> {
        self.piece.extend(bytes);
        if self.piece.len() >= PIECE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), SegmentError> {
        self.writer.write_at(self.section, self.at, &self.piece)?;
        self.at += self.piece.len();
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(), SegmentError> {
        self.write()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks rows with four bytes of content each and these times.
    fn check(added: &[u32], sections: &[usize]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        // No hashes, no labels and no reference.
        let record = |added| Record { bank: BankId(7), added: AddedAt(added), content: &[0, 0, 0, 0] };
        let rows = || added.iter().zip(1..).map(|(added, id)| (ItemId(id), record(*added)));
        let written =
            RecordFile::write(1, |sections| ContainerWriter::create(&path, sections), rows).unwrap();
        let container = Container::open(&path).unwrap();
        let lengths = (1..=6).map_while(|section| container.section(section).map(<[u8]>::len));
        assert_eq!(lengths.collect::<Vec<_>>(), sections);
        let opened = RecordFile::open(1, container, &[0]).unwrap();
        for file in [written, opened] {
            let read: Vec<u32> = file.living().map(|(_, record)| record.added.0).collect();
            assert_eq!(read, added);
        }
    }

    #[test]
    fn times_are_a_section_of_their_own_beside_those_of_older_versions() {
        check(&[5, 0, 1_700_000_000], &[24, 12, 16, 12, 12]);
        // Equal to the file of a version that does not keep times, byte for byte.
        check(&[0, 0], &[16, 8, 12, 8]);
    }
}
