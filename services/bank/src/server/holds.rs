//! Ends expired holds, holds the items of quarantined members in other members' banks, holds items whose
//! disputes nobody resolved, and updates items after a charter has changed.
//!
//! The directory says which members are quarantined. The records of items say which members contributed them,
//! but no index maps a member to its items. So the bank scans all its items when a member is quarantined, and
//! once when it begins to serve while a member is quarantined; it scans the held items when a quarantine
//! ends. It writes what it finds like any caller's change, and the plan decides again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;
use vigie_consortium::{Caller, Directory, DocumentKey, DocumentKind, Holder, ItemRecord, Method, Process};
use vigie_log::Clock;
use vigie_model::{BankId, Item, ItemId, UnixMillis};

use crate::error::Error;
use crate::log::{CurrentTerm, Term, quarantined, term};
use crate::plan::holds::are_quarantined;
use crate::plan::write::{Action, Author, Write};
use crate::store::documents::DocumentRange;
use crate::store::{HeldRange, ItemRange, Store, StoreError};

/// The interval between two rounds.
const EVERY: Duration = Duration::from_secs(1);
/// The pause after a failed round: a round that scans all items is not restarted at once.
const AFTER_A_FAULT: Duration = Duration::from_secs(10);
/// The most time of one write.
const WRITE_MAX: Duration = Duration::from_secs(3);
/// The most items of one write, and of one page of a scan.
const ITEMS: u32 = 1_000;
/// The most bytes of such a page.
const PAGE_BYTES: usize = 4 << 20;

/// Runs the rounds that keep holds up to date with the clock, the directory and the charters.
#[derive(Debug)]
pub(crate) struct HoldKeeper {
    current: CurrentTerm,
    clock: Arc<dyn Clock>,
    /// The current term, and the number of quarantine changes when its items were last scanned.
    followed: Option<(Weak<Term>, u64)>,
    /// Disputes that became due up to this time have been handled, in the followed term.
    disputes_through: UnixMillis,
}

/// The reason why a round did not finish. The next round starts again.
enum Stopped {
    Read(StoreError),
    Write(Error),
}

impl HoldKeeper {
    pub(crate) const fn new(current: CurrentTerm, clock: Arc<dyn Clock>) -> Self {
        Self { current, clock, followed: None, disputes_through: UnixMillis(0) }
    }

    /// Runs rounds for as long as it is polled.
    pub(crate) async fn run(&mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            let Ok(term) = term(&self.current) else { continue };
            let Err(stopped) = self.tend(&term).await else { continue };
            match stopped {
                Stopped::Read(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "cannot read the holds that are due");
                }
                Stopped::Write(error) => tracing::warn!(%error, "cannot end or begin holds of items now"),
            }
            tokio::time::sleep(AFTER_A_FAULT).await;
        }
    }

    /// Brings holds up to date with the clock and the directory.
    async fn tend(&mut self, term: &Arc<Term>) -> Result<(), Stopped> {
        let store = term.application.store();
        self.end_holds(term, &*store).await?;
        // Read before the directory: a change in between is seen in the next round.
        let changes = term.application.quarantine_changes();
        let view = term.application.view();
        let directory = view.directory();
        let is_of_term = |of: &Weak<Term>| of.upgrade().is_some_and(|of| Arc::ptr_eq(&of, term));
        if !self.followed.as_ref().is_some_and(|(of, _)| is_of_term(of)) {
            self.disputes_through = UnixMillis(0);
        }
        self.hold_disputed(term, &*store).await?;
        self.follow_charters(term, &*store).await?;
        if self.followed.take_if(|(of, then)| is_of_term(of) && *then == changes).is_none() {
            // It is unknown what another bank has followed.
            self.lift(term, &*store, directory).await?;
            if quarantined(directory).next().is_some() {
                self.hold(term, &*store, directory).await?;
            }
        }
        self.followed = Some((Arc::downgrade(term), changes));
        Ok(())
    }

    /// Ends expired holds, page by page.
    async fn end_holds(&self, term: &Term, store: &dyn Store) -> Result<(), Stopped> {
        let mut before = Vec::new();
        loop {
            let ended = store.ended_holds(self.clock.now(), ITEMS).await.map_err(Stopped::Read)?;
            // Items of deleted banks stay in the result until they are swept.
            if ended.is_empty() || ended == before {
                return Ok(());
            }
            review(term, ended.clone()).await?;
            before = ended;
        }
    }

    /// Reviews the items whose disputes have become due.
    async fn hold_disputed(&mut self, term: &Term, store: &dyn Store) -> Result<(), Stopped> {
        let now = UnixMillis(self.clock.now().0);
        let mut after = DocumentKey::of_numbers(&[self.disputes_through.0]);
        let before = Some(DocumentKey::of_numbers(&[now.0.saturating_add(1)]));
        loop {
            let kind = DocumentKind::OpenDispute;
            let limit = u16::try_from(ITEMS).unwrap_or(u16::MAX);
            let range = DocumentRange { kind, after, before: before.clone(), limit };
            let due = store.document_range(&range).await.map_err(Stopped::Read)?;
            let Some(last) = due.last() else { break };
            after = last.key.clone();
            review(term, due.iter().map(|dispute| ItemId(dispute.key.number(1))).collect()).await?;
        }
        self.disputes_through = now;
        Ok(())
    }

    /// Reviews the items of banks whose charters now require other opinions. A charter that changes meanwhile
    /// is followed in the next round.
    async fn follow_charters(&self, term: &Term, store: &dyn Store) -> Result<(), Stopped> {
        let limit = u16::try_from(ITEMS).unwrap_or(u16::MAX);
        let changed = DocumentRange::all(DocumentKind::CharterChange, limit);
        let changed = store.document_range(&changed).await.map_err(Stopped::Read)?;
        let mut by_bank: BTreeMap<BankId, Vec<DocumentKey>> = BTreeMap::new();
        for document in changed {
            let bank = BankId(u32::try_from(document.key.number(0)).unwrap_or(u32::MAX));
            by_bank.entry(bank).or_default().push(document.key);
        }
        for (bank, followed) in by_bank {
            let mut after = ItemId(0);
            let bounds = (limit, PAGE_BYTES);
            while let Some(rows) = store.items(bank, after, bounds).await.map_err(Stopped::Read)?.value {
                let items = rows.items;
                let Some(last) = items.last() else { break };
                after = last.id;
                self.end_holds(term, store).await?;
                review(term, items.iter().map(|item| item.id).collect()).await?;
            }
            write(term, Action::ReviewHolds { items: Vec::new(), followed }).await?;
        }
        Ok(())
    }

    /// Lifts the holds of quarantines that have ended.
    async fn lift(&self, term: &Term, store: &dyn Store, directory: &Directory) -> Result<(), Stopped> {
        let mut after = ItemId(0);
        loop {
            let range = HeldRange { after, through: ItemId(u64::MAX), count_max: ITEMS };
            let held = store.held_items(range).await.map_err(Stopped::Read)?;
            let Some(last) = held.last() else { return Ok(()) };
            after = *last;
            self.end_holds(term, store).await?;
            let placements = store.placements(&held).await.map_err(Stopped::Read)?;
            let records = records_of(store, &held).await?;
            let is_over = |item: ItemId, bank| {
                records.get(&item).is_some_and(|record| {
                    record.holds.of(Holder::Quarantine).is_some()
                        && !are_quarantined(directory, bank, record.members())
                })
            };
            let over = placements.iter().filter(|placement| is_over(placement.item, placement.bank));
            review(term, over.map(|placement| placement.item).collect()).await?;
        }
    }

    /// Holds items of quarantined members.
    async fn hold(&self, term: &Term, store: &dyn Store, directory: &Directory) -> Result<(), Stopped> {
        // Read after the directory: everything that a quarantined member has added is at or before this
        // sequence.
        let through = ItemId(store.head().await.map_err(Stopped::Read)?.sequence.0);
        let mut after = ItemId(0);
        while after < through {
            let (count_max, bytes_max) = (ITEMS as usize, PAGE_BYTES);
            let range = ItemRange { after, through, shard: None, count_max, bytes_max };
            let page = store.item_page(&range).await.map_err(Stopped::Read)?;
            after = page.through;
            self.end_holds(term, store).await?;
            let ids: Vec<ItemId> = page.items.iter().map(|item| item.id).collect();
            let records = records_of(store, &ids).await?;
            let is_due = |item: &&Item| match records.get(&item.id) {
                Some(record) => {
                    record.holds.of(Holder::Quarantine).is_none()
                        && are_quarantined(directory, item.bank, record.members())
                }
                None => are_quarantined(directory, item.bank, [item.contributor].into_iter()),
            };
            review(term, page.items.iter().filter(is_due).map(|item| item.id).collect()).await?;
        }
        Ok(())
    }
}

async fn records_of(store: &dyn Store, items: &[ItemId]) -> Result<HashMap<ItemId, ItemRecord>, Stopped> {
    let stored = store.records(items).await.map_err(Stopped::Read)?;
    Ok(stored.into_iter().map(|stored| (stored.item, stored.record)).collect())
}

/// Has the bank decide again whether these items are held.
async fn review(term: &Term, items: Vec<ItemId>) -> Result<(), Stopped> {
    if items.is_empty() {
        return Ok(());
    }
    write(term, Action::ReviewHolds { items, followed: Vec::new() }).await
}

async fn write(term: &Term, action: Action) -> Result<(), Stopped> {
    let by = Author { caller: Caller::Process(Process::Bank), method: Method::SetItemHold };
    let deadline = Instant::now() + WRITE_MAX;
    let written = term.log.write(Write { by, action }, None, deadline);
    let written = tokio::time::timeout_at(deadline, written).await;
    written.unwrap_or(Err(Error::TimeSpent)).map(drop).map_err(Stopped::Write)
}
