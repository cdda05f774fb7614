//! The writing side of a [`crate::RadiusIndex`]: appending, removing, reclaiming, publishing.
//!
//! There is one writer at a time (a mutex sees to that), so everything here but the rows and the published
//! [`View`] is ordinary data.
//!
//! **A view** is a list of blocks, of which all but the last are full, and a moment. A write appends rows to
//! the last block or stamps rows anywhere, and then publishes: a new moment in the same view or, when the
//! list of blocks changed, a new view. The moment of a view that was replaced never changes again. Who still
//! reads there sees the index as it was just before the replacement: the blocks are kept alive by the view,
//! later rows lie above its count of rows, and later stamps bear numbers above its count of removals.
//!
//! **Compaction.** When more than half of a full block is dead, its living rows are appended again like new
//! ones and the block leaves the list. Appearance there and disappearance here are one publication, so no
//! reader sees a row twice or not at all. No removal can slip in between, because removals are made by the
//! same writer. A moved row is paid for by a dead one, so removals cost constant time on average, and there
//! are at most two rows for each living one, plus one block, plus what older views still hold for the time of
//! a search.

use std::sync::Arc;

use arc_swap::ArcSwap;
use vigie_model::{BankId, ItemId};

use crate::block::{Block, Words, words_of};
use crate::entry::{Edit, Entry};
use crate::locator::Locator;
use crate::moment::{Moment, MomentCell};

/// Rows of a block. The leading two words of as many hashes take 32 KiB, so that they stay in the nearest
/// cache while a batch of queries passes; and one Arc is copied for each block when the list of blocks
/// changes.
pub(crate) const BLOCK_ROWS: usize = 2_048;

/// Enough for [`BLOCK_ROWS`]; the other 52 bits count removals, for 140 years at a million a second.
const ROW_BITS: u32 = 12;

/// What one search reads.
pub(crate) struct View<const BYTES: usize> {
    blocks: Box<[Arc<Block<BYTES>>]>,
    moment: MomentCell<ROW_BITS>,
}

impl<const BYTES: usize> View<BYTES> {
    pub(crate) fn empty() -> Self {
        Self { blocks: Box::default(), moment: MomentCell::new(Moment { removals: 0, rows: 0 }) }
    }

    /// The moment at which a search that begins now sees the index.
    pub(crate) fn now(&self) -> Moment {
        self.moment.read()
    }

    /// Each block with the number of its rows at that moment.
    pub(crate) fn blocks_at(&self, moment: Moment) -> impl Iterator<Item = (&Block<BYTES>, usize)> {
        let last = self.blocks.len().wrapping_sub(1);
        let rows = move |at| if at == last { moment.rows } else { BLOCK_ROWS };
        self.blocks.iter().enumerate().map(move |(at, block)| (&**block, rows(at)))
    }
}

/// Everything a writer needs to know beyond the view.
pub(crate) struct Writer<const BYTES: usize> {
    /// Blocks by number. A slot is a block's number times [`BLOCK_ROWS`] plus the row.
    blocks: Vec<Option<Numbered<BYTES>>>,
    /// Numbers without a block.
    vacant: Vec<usize>,
    /// The block that is being filled, the last one of the view.
    tail: Option<Tail>,
    /// Full blocks of which more than half is dead, each once.
    sparse: Vec<usize>,
    locator: Locator,
    /// The last number that a published removal bears.
    removals: u64,
    /// Rows were ended since the last publication; they bear the number after `removals`.
    ended: bool,
    /// The list of blocks is no longer the view's.
    relisted: bool,
}

struct Numbered<const BYTES: usize> {
    block: Arc<Block<BYTES>>,
    dead: usize,
}

#[derive(Clone, Copy)]
struct Tail {
    number: usize,
    rows: usize,
}

impl<const BYTES: usize> Writer<BYTES> {
    pub(crate) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            vacant: Vec::new(),
            tail: None,
            sparse: Vec::new(),
            locator: Locator::default(),
            removals: 0,
            ended: false,
            relisted: false,
        }
    }

    pub(crate) fn live(&self) -> usize {
        self.locator.len()
    }

    /// Rows that take memory.
    #[cfg(test)]
    pub(crate) fn rows_held(&self) -> usize {
        self.blocks.iter().flatten().count() * BLOCK_ROWS
    }

    pub(crate) fn edit(&mut self, edit: &Edit<BYTES>) -> bool {
        match edit {
            Edit::Insert(hash, entry) => self.insert(hash, *entry),
            Edit::Remove(hash, item) => self.remove(hash, *item),
        }
    }

    pub(crate) fn insert(&mut self, hash: &[u8; BYTES], entry: Entry) -> bool {
        let fingerprint = self.locator.fingerprint(hash, entry.item);
        let known = self.find(fingerprint, &words_of(hash), entry.item);
        if let Some(slot) = known {
            let (number, row) = place_of(slot);
            if self.block(number).bank(row) == entry.bank {
                return false;
            }
            self.end(slot, fingerprint);
        }
        let slot = self.append(hash, entry);
        self.locator.insert(fingerprint, slot);
        known.is_none()
    }

    pub(crate) fn remove(&mut self, hash: &[u8; BYTES], item: ItemId) -> bool {
        let fingerprint = self.locator.fingerprint(hash, item);
        let found = self.find(fingerprint, &words_of(hash), item);
        if let Some(slot) = found {
            self.end(slot, fingerprint);
        }
        found.is_some()
    }

    pub(crate) fn remove_bank(&mut self, bank: BankId) -> usize {
        let live_before = self.live();
        for number in 0..self.blocks.len() {
            let Some(numbered) = &self.blocks[number] else { continue };
            let block = Arc::clone(&numbered.block);
            for row in 0..self.rows_of(number) {
                if block.bank(row) == bank && block.lives(row) {
                    let fingerprint = self.locator.fingerprint(&block.hash(row), block.item(row));
                    self.end(slot_of(number, row), fingerprint);
                }
            }
        }
        live_before - self.live()
    }

    /// Makes everything since the last publication visible at once.
    pub(crate) fn publish(&mut self, view: &ArcSwap<View<BYTES>>) {
        while let Some(number) = self.sparse.pop() {
            self.compact(number);
        }
        self.locator.trim();
        self.removals += u64::from(std::mem::take(&mut self.ended));
        let moment = Moment { removals: self.removals, rows: self.tail.map_or(0, |tail| tail.rows) };
        if std::mem::take(&mut self.relisted) {
            view.store(Arc::new(View { blocks: self.list(), moment: MomentCell::new(moment) }));
        } else {
            view.load().moment.publish(moment);
        }
    }

    /// The blocks in the order of their numbers, but the tail last.
    fn list(&self) -> Box<[Arc<Block<BYTES>>]> {
        let tail = self.tail.map(|tail| tail.number);
        let full = (0..self.blocks.len()).filter(|&number| Some(number) != tail);
        full.chain(tail)
            .filter_map(|number| self.blocks[number].as_ref())
            .map(|one| Arc::clone(&one.block))
            .collect()
    }

    fn compact(&mut self, number: usize) {
        let Numbered { block, .. } = self.blocks[number].take().expect("a sparse block is listed once");
        for row in (0..BLOCK_ROWS).filter(|&row| block.lives(row)) {
            let (hash, entry) = (block.hash(row), block.entry(row));
            let fingerprint = self.locator.fingerprint(&hash, entry.item);
            let slot = self.append(&hash, entry);
            self.locator.relocate(fingerprint, slot_of(number, row), slot);
        }
        // Only now: a block that the loop began must not take this number, or old and new slots would mix.
        self.vacant.push(number);
        self.relisted = true;
    }

    fn append(&mut self, hash: &[u8; BYTES], entry: Entry) -> u32 {
        let Tail { number, rows } = match self.tail {
            Some(tail) if tail.rows < BLOCK_ROWS => tail,
            full => self.begin_block(full),
        };
        self.block(number).write(rows, hash, entry);
        self.tail = Some(Tail { number, rows: rows + 1 });
        slot_of(number, rows)
    }

    fn begin_block(&mut self, full: Option<Tail>) -> Tail {
        if let Some(full) = full
            && self.blocks[full.number].as_ref().is_some_and(|one| one.dead > BLOCK_ROWS / 2)
        {
            self.sparse.push(full.number);
        }
        let number = self.vacant.pop().unwrap_or(self.blocks.len());
        if number == self.blocks.len() {
            self.blocks.push(None);
        }
        self.blocks[number] = Some(Numbered { block: Arc::new(Block::new(BLOCK_ROWS)), dead: 0 });
        self.relisted = true;
        Tail { number, rows: 0 }
    }

    /// Ends the living row in this slot.
    fn end(&mut self, slot: u32, fingerprint: u32) {
        let (number, row) = place_of(slot);
        let is_full = self.tail.is_none_or(|tail| tail.number != number);
        let one = self.blocks[number].as_mut().expect("a live row has a block");
        one.block.end(row, self.removals + 1);
        one.dead += 1;
        if is_full && one.dead == BLOCK_ROWS / 2 + 1 {
            self.sparse.push(number);
        }
        self.locator.remove(fingerprint, slot);
        self.ended = true;
    }

    fn find(&self, fingerprint: u32, words: &Words, item: ItemId) -> Option<u32> {
        self.locator.find(fingerprint, |slot| {
            let (number, row) = place_of(slot);
            let block = self.block(number);
            block.item(row) == item && block.equals(row, words)
        })
    }

    fn block(&self, number: usize) -> &Block<BYTES> {
        &self.blocks[number].as_ref().expect("a slot in use has a block").block
    }

    fn rows_of(&self, number: usize) -> usize {
        self.tail.filter(|tail| tail.number == number).map_or(BLOCK_ROWS, |tail| tail.rows)
    }
}

fn slot_of(number: usize, row: usize) -> u32 {
    u32::try_from(number * BLOCK_ROWS + row).expect("one index holds fewer than 2^32 rows")
}

const fn place_of(slot: u32) -> (usize, usize) {
    (slot as usize / BLOCK_ROWS, slot as usize % BLOCK_ROWS)
}
