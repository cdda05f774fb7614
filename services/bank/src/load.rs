//! Reads the present state of a shard for a follower that does not begin with the log's first change.
//!
//! Nothing is locked and no long transaction is held: items are read a page at a time while writes go on. That comes
//! to the state of one moment together with the log, since the hashes of items never change and their ids are sequences: those up to
//! the head as of which the banks are read come by pages, those after it by the log. An item that is removed before
//! its page is read is missing there, and its removal in the log then meets nothing; the last part says up to where
//! that can be. Which items are held does change, and so do standings, with the labels that replaced an item's first ones: what changed
//! before its page is read is sent again by the log.

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

/// Items that one page looks through at most, whatever part of them is the shard's.
const SCAN_MAX: u64 = 65_536;

/// One that reads the state of a shard, a part at a time.
#[derive(Debug)]
pub(crate) struct Loader {
    store: Arc<dyn Store>,
    /// Its slot among the followers, and its claim on the log.
    admission: Admission<BankLog>,
    shard: ShardIdentity,
    /// There is a principal, so that every search has to name its set of banks.
    members_on: bool,
    shutdown: Shutdown,
    next: Next,
}

/// What comes next.
#[derive(Debug)]
enum Next {
    Begin,
    Items { banks: HashSet<BankId>, after: ItemId, through: ItemId },
    End,
    Nothing,
}

impl Loader {
    /// Nothing is read yet.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        admission: Result<Admission<BankLog>, FollowError>,
        shard: ShardIdentity,
        members_on: bool,
        shutdown: Shutdown,
    ) -> Result<Self, Error> {
        Ok(Self { store, admission: admission?, shard, members_on, shutdown, next: Next::Begin })
    }

    /// The next part; `None` after the last one, and on shutdown.
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
        // Claimed from before the head is read: what follows it is not cut.
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

    /// Puts what the log proves to have been added in the place of items whose rows are damaged. With one damaged item the
    /// shard would come to another digest than the bank's, and never become ready.
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
        // Those of banks that were deleted before wait to be swept.
        items.retain(|item| banks.contains(&item.bank));
        self.mend(&mut items).await?;
        // After the items: each is as held as it was when it was read, or as it became since, which the log tells again.
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
