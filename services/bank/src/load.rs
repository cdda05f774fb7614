//! Reads the present state of a shard, for a follower that does not begin at the first change of the log.
//!
//! Nothing is locked and no long transaction is held: items are read page by page while writes go on.
//! Together with the log, the pages give the state of one moment, because the hashes of an item never change
//! and its id is a sequence. Items up to the head at which the banks are read come from the pages, later
//! items from the log. An item that is removed before its page is read is missing from the pages, and its
//! removal in the log has no effect; the last part names the sequence up to which this can happen. Holds and
//! standings (with the labels that replaced an item's first ones) do change: the log sends again each such
//! change that was made before the item's page was read.

use std::collections::HashSet;
use std::sync::Arc;

use vigie_log::{Admission, Chain, FollowError, Shutdown};
use vigie_model::change::Cursor;
use vigie_model::{BankId, Item, ItemId, ShardIdentity, StatePart};

use crate::error::{Error, RESTORE};
use crate::log::BankLog;
use crate::logged::{Altered, altered};
use crate::plan::digests::slice_of;
use crate::store::{HeadRow, HeldRange, ItemRange, Store, id_to_model, to_model};

/// The most items that one page scans, whatever part of them belongs to the shard.
const SCAN_MAX: u64 = 65_536;

/// Reads the state of a shard, one part at a time.
#[derive(Debug)]
pub(crate) struct Loader {
    store: Arc<dyn Store>,
    /// The follower's slot, and its claim on the log.
    admission: Admission<BankLog>,
    shard: ShardIdentity,
    /// True if there is a principal, so that every search must name its set of banks.
    members_on: bool,
    shutdown: Shutdown,
    next: Next,
}

/// The next part to read.
#[derive(Debug)]
enum Next {
    Begin,
    Items { banks: HashSet<BankId>, after: ItemId, through: ItemId },
    End,
    Nothing,
}

impl Loader {
    /// Makes a loader that has read nothing yet.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        admission: Result<Admission<BankLog>, FollowError>,
        shard: ShardIdentity,
        members_on: bool,
        shutdown: Shutdown,
    ) -> Result<Self, Error> {
        Ok(Self { store, admission: admission?, shard, members_on, shutdown, next: Next::Begin })
    }

    /// Returns the next part; `None` after the last one, and on shutdown.
    pub(crate) async fn next(&mut self) -> Result<Option<StatePart>, Error> {
        if self.shutdown.is_cancelled() {
            return Ok(None);
        }
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Begin => self.begin().await.map(Some),
            Next::Items { banks, after, through } => self.items(banks, after, through).await.map(Some),
            Next::End => {
                let head = self.store.head().await.map_err(|error| Error::from_read(&error))?;
                Ok(Some(StatePart::End { settled: to_model(head.sequence) }))
            }
            Next::Nothing => Ok(None),
        }
    }

    async fn begin(&mut self) -> Result<StatePart, Error> {
        // Claimed before the head is read, so that the changes after the head are not cut.
        self.admission.claim();
        let read = self.store.head_and_banks().await;
        let (HeadRow { head, .. }, banks) = read.map_err(|error| Error::from_read(&error))?;
        self.admission.advance(head.sequence);
        let chain = Some(head.chain).filter(|chain| *chain != Chain::GENESIS).map(|chain| chain.0);
        let sequence = to_model(head.sequence);
        let cursor = Cursor { log: id_to_model(self.store.log_id()), sequence, chain };
        let ids = banks.iter().map(|bank| bank.id).collect();
        self.next = Next::Items { banks: ids, after: ItemId(0), through: ItemId(sequence.0) };
        Ok(StatePart::Begin { cursor, banks, members_on: self.members_on })
    }

    /// Replaces items whose rows are damaged by what the log proves was added. With one damaged item the
    /// shard's digest would differ from the bank's, and the shard would never become ready.
    async fn mend(&self, items: &mut [Item]) -> Result<(), Error> {
        let altered = altered(&*self.store, slice_of(self.shard), items).await;
        for Altered { item, added } in altered.map_err(|error| Error::from_read(&error))? {
            let Some(added) = added else {
                tracing::error!(%item, "the item is damaged in the store, and the log cannot prove what it was; {RESTORE}");
                return Err(Error::Damaged(format!("item {item}")));
            };
            tracing::error!(%item, "the item is damaged in the store: serving what the log proves was added; {RESTORE}");
            if let Ok(at) = items.binary_search_by_key(&item, |one| one.id) {
                items[at] = added;
            }
        }
        Ok(())
    }

    async fn items(
        &mut self,
        banks: HashSet<BankId>,
        after: ItemId,
        through: ItemId,
    ) -> Result<StatePart, Error> {
        let (count_max, bytes_max) = self.admission.page_max();
        let scanned = ItemId(through.0.min(after.0.saturating_add(SCAN_MAX)));
        let range = ItemRange { after, through: scanned, shard: Some(self.shard), count_max, bytes_max };
        let turn = self.admission.turn_to_read().await;
        let page = self.store.item_page(&range).await.map_err(|error| Error::from_load(&error))?;
        let mut items: Vec<Item> = page.items;
        // Items of banks that were deleted earlier are still stored until they are swept.
        items.retain(|item| banks.contains(&item.bank));
        self.mend(&mut items).await?;
        // Holds are read after the items. A hold that changes between the two reads is sent again by the log.
        let range = HeldRange { after, through: page.through, count_max: u32::MAX };
        let mut held = self.store.held_items(range).await.map_err(|error| Error::from_load(&error))?;
        held.retain(|id| items.binary_search_by_key(id, |item| item.id).is_ok());
        let mut standings = self.store.standings(range).await.map_err(|error| Error::from_load(&error))?;
        standings.retain(|(id, _)| items.binary_search_by_key(id, |item| item.id).is_ok());
        drop(turn);
        self.next = if page.through < through {
            Next::Items { banks, after: page.through, through }
        } else {
            Next::End
        };
        Ok(StatePart::Items { items, held, standings })
    }
}
