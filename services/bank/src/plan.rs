//! Decides what a group of writes does to the log and the state. Pure: data in, data out.
//!
//! A [`Planner`] takes writes one after another; each sees the effects of those before it. A write is checked
//! as a whole before it changes anything, so a rejected one has no effect. The result is a draft of changes
//! and the [`Rows`] that they cause.

pub(crate) mod answer;
pub(crate) mod audit;
pub(crate) mod digests;
/// Data beside items: opinions, documents, and counters.
pub(crate) mod beside {
    pub(crate) mod opinion_write;
    mod opinions;
    mod documents;
    pub(crate) mod counters;
    mod counting;
}
/// Settings of banks.
mod banks {
    mod settings;
}
/// Exchanges: their settings, and the pages of records that they bring.
pub(crate) mod exchanges {
    pub(crate) mod write;
    pub(crate) mod known;
    mod settings;
    mod page;
}
/// Reports, referrals, incidents, and records of decisions.
pub(crate) mod cases {
    pub(crate) mod write;
    pub(crate) mod stage;
    pub(crate) mod known;
    pub(crate) mod recorded;
    mod change;
    mod marked;
    mod reports;
    pub(crate) mod referrals;
    mod incidents;
    mod decisions;
}
/// Published lists.
pub(crate) mod lists {
    pub(crate) mod state;
    mod planned;
}
pub(crate) mod holds;
mod items;
pub(crate) mod members;
/// Classifiers: their cards.
pub(crate) mod classifiers {
    pub(crate) mod model_cards;
}
/// Hash types of vectors, which a deployment declares.
pub(crate) mod vectors {
    pub(crate) mod hash_types;
}
pub(crate) mod purge;
pub(crate) mod records;
pub(crate) mod noted;
pub(crate) mod step;
pub(crate) mod two_people;
pub(crate) mod undo;
pub(crate) mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tonic::Code;
use vigie_consortium::{Change, Directory, Exchange, ExchangeId, ItemRecord, View};
use vigie_log::{Draft, Planned};
use vigie_model::{
    Bank, BankId, BankRef, ChangeKind, Item, ItemId, Partition, Sequence, SetDigest, UnixMillis,
};
use vigie_proto::bank::{LogChange, encode_log_change};

use self::answer::Answer;
use self::audit::{Audit, NewEntry};
use self::beside::counters::Counters;
use self::cases::known::KnownDocuments;
use self::digests::{PartDigest, Parts};
use self::exchanges::known::KnownPage;
use self::lists::state::{Before, Lists};
use self::members::{MembersAction, Standing};
use self::noted::{Counted, TwoPeople};
use self::purge::{Purge, PurgeTimes, Removed};
use self::records::{Records, RemovedItem, RemovedItems};
use self::step::Step;
use self::vectors::hash_types::check_declared;
use self::write::{Action, Author, Write};
use crate::error::Error;
use crate::store::documents::{DocumentRows, Documents};
use crate::store::exchanges::{ExchangeRows, KeyDigest, MappedRecord};
use crate::store::touched::{Touch, Touched};
use crate::store::{Counts, Placement, Rows, StoredEntry, StoredItem, StoredRecord, Undo, to_model};

/// All exchanges, by id.
pub(crate) type Exchanges = BTreeMap<ExchangeId, Exchange>;

/// The state that the writer keeps in memory: counts, living banks, the directory, the audit and more.
#[derive(Debug, Clone)]
pub(crate) struct State {
    counts: Counts,
    banks: BTreeMap<BankId, Bank>,
    view: Arc<View>,
    audit: Audit,
    exchanges: Arc<Exchanges>,
    lists: Arc<Lists>,
    two_people: Arc<TwoPeople>,
    counted: Arc<Counted>,
    counters: Counters,
}

impl State {
    /// Builds the state from the rows of the store.
    pub(crate) fn new(counts: Counts, banks: Vec<Bank>, directory: Directory, audit: Audit) -> Self {
        let banks = banks.into_iter().map(|bank| (bank.id, bank)).collect();
        let (exchanges, lists, two_people, counted, counters) = Default::default();
        let view = Arc::new(View::from(directory));
        Self { counts, banks, view, audit, exchanges, lists, two_people, counted, counters }
    }

    /// Returns the state with these counters of the published statistics.
    pub(crate) fn with_counters(self, counters: Counters) -> Self {
        Self { counters, ..self }
    }

    /// Returns the state with these published lists.
    pub(crate) fn with_lists(self, lists: Lists) -> Self {
        Self { lists: Arc::new(lists), ..self }
    }

    fn lists_mut(&mut self) -> &mut Lists {
        Arc::make_mut(&mut self.lists)
    }

    /// Returns the state with these exchanges.
    pub(crate) fn with_exchanges(self, exchanges: Vec<Exchange>) -> Self {
        let exchanges = exchanges.into_iter().map(|exchange| (exchange.id, exchange)).collect();
        Self { exchanges: Arc::new(exchanges), ..self }
    }

    /// Returns all exchanges.
    pub(crate) const fn exchanges(&self) -> &Arc<Exchanges> {
        &self.exchanges
    }

    /// Returns the state with the counts that were kept before it was loaded.
    pub(crate) fn counting(self, counted: Arc<Counted>) -> Self {
        Self { two_people: counted.two_people.get(), counted, ..self }
    }

    /// Publishes the notes on requests that need two people, once their groups are committed.
    pub(crate) fn keep_notes(&self) {
        self.counted.two_people.set(&self.two_people);
    }

    /// Returns the directory with the rights of its callers.
    pub(crate) const fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Returns the id of the bank that a caller names, if the caller may use it as it asks.
    pub(crate) fn id_of(&self, by: Author, name: &BankRef, now: UnixMillis) -> Result<BankId, Error> {
        Ok(by.admitted(&self.view, now)?.bank(name)?.id)
    }
}

/// The stored state of the items, and of the deleted bank, that a group of writes names.
#[derive(Debug, Default)]
pub(crate) struct Known {
    items: HashMap<ItemId, Placement>,
    /// Items whose labels the group may change, in full.
    contents: HashMap<ItemId, Item>,
    /// The digests of banks that are to be deleted.
    digests: Vec<PartDigest>,
    records: Records,
    removed: HashMap<ItemId, RemovedItem>,
    /// Whether some of the removed items that are to be restored were not read.
    removed_is_cut: bool,
    page: KnownPage,
    /// Documents of cases.
    documents: KnownDocuments,
}

impl Known {
    /// Builds it from the rows of the store.
    pub(crate) fn new(
        placements: Vec<Placement>,
        digests: Vec<PartDigest>,
        records: Vec<StoredRecord>,
    ) -> Self {
        let items = placements.into_iter().map(|placement| (placement.item, placement)).collect();
        let records = Records::new(records);
        Self { items, digests, records, ..Self::default() }
    }

    /// Returns it with the known records of a page of a programme.
    pub(crate) fn with_page(self, page: KnownPage) -> Self {
        Self { page, ..self }
    }

    /// Returns it with the known documents of cases.
    pub(crate) fn with_documents(self, documents: Vec<vigie_consortium::Document>) -> Self {
        let documents = documents.into_iter().map(|document| (document.id(), document)).collect();
        Self { documents, ..self }
    }

    /// Returns it with items whose labels the group may change.
    pub(crate) fn with_contents(self, items: Vec<Item>) -> Self {
        Self { contents: items.into_iter().map(|item| (item.id, item)).collect(), ..self }
    }

    /// Returns it with removed items that are to be restored.
    pub(crate) fn with_removed(mut self, removed: RemovedItems) -> Self {
        self.removed_is_cut = removed.is_cut;
        self.removed = removed.items.into_iter().map(|one| (one.item.id, one)).collect();
        self
    }
}

/// Plans one group of writes.
#[derive(Debug)]
pub(crate) struct Planner<'a> {
    state: &'a mut State,
    /// The directory before the group.
    before: Directory,
    known: Known,
    draft: Draft<Step>,
    /// The newest change before the group.
    begins_after: vigie_log::Sequence,
    banks_max: usize,
    touched: BTreeSet<BankId>,
    removed: HashSet<ItemId>,
    items: Vec<StoredItem>,
    /// The rows of items whose labels changed.
    relabelled: BTreeMap<ItemId, StoredItem>,
    /// Records that changed.
    records: BTreeMap<ItemId, ItemRecord>,
    /// The latest changes of items that existed before the group, and of items that it removes.
    touched_items: BTreeMap<ItemId, Touched>,
    /// Removed items that can be restored, and (`undone`) those that were.
    undos: BTreeMap<ItemId, Undo>,
    undone: Vec<ItemId>,
    /// The state in their lists, before the group, of the items that the group touches.
    listed: BTreeMap<ItemId, Before>,
    /// The lists that changed. The value is the index of a list's newest entry among the group's entries.
    lists: BTreeMap<BankId, Option<usize>>,
    /// Exchanges that changed; `None` for removed ones.
    exchanges: BTreeMap<ExchangeId, Option<Exchange>>,
    /// Records of programmes that changed; `None` for removed ones.
    exchange_records: BTreeMap<(ExchangeId, KeyDigest), Option<MappedRecord>>,
    /// Documents that changed; `None` for removed ones.
    documents: Documents,
    /// The changes of the digests of living banks.
    parts: Parts,
    /// The changes of the digests of partitions, over all banks.
    totals: BTreeMap<u16, SetDigest>,
    /// Entries of the audit.
    entries: Vec<StoredEntry>,
    /// The removals whose bytes are to be purged.
    purges: Vec<Purge>,
}

impl<'a> Planner<'a> {
    /// Begins a group on `state`. After [`vigie_log::Planner::finish`], `state` includes the group. If the
    /// group is not committed, the state must be loaded again.
    pub(crate) fn new(state: &'a mut State, known: Known, draft: Draft<Step>, banks_max: usize) -> Self {
        Self {
            before: state.view.directory().clone(),
            state,
            known,
            begins_after: draft.last(),
            draft,
            banks_max,
            touched: BTreeSet::new(),
            removed: HashSet::new(),
            items: Vec::new(),
            relabelled: BTreeMap::new(),
            records: BTreeMap::new(),
            touched_items: BTreeMap::new(),
            undos: BTreeMap::new(),
            undone: Vec::new(),
            listed: BTreeMap::new(),
            lists: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            exchange_records: BTreeMap::new(),
            documents: Documents::new(),
            parts: Parts::default(),
            totals: BTreeMap::new(),
            entries: Vec::new(),
            purges: Vec::new(),
        }
    }
}

impl vigie_log::Planner for Planner<'_> {
    type Write = Write;
    type Answer = Answer;
    type Error = Error;
    type Change = Step;
    type Rows = Rows;
    type Delta = Vec<(u16, SetDigest)>;

    /// While members are on, each write leaves an audit entry, and so does the write that turns them on.
    fn plan(&mut self, write: &Write) -> Result<Answer, Error> {
        let by = self.who(write.by);
        let about = self.about(write);
        let before = self.draft.last();
        let answer = match self.act(write) {
            Err(error @ Error::SecondPerson { .. }) => {
                let (action, code) = (write.by.method.path().to_owned(), Code::FailedPrecondition);
                self.record(NewEntry { by, action, code, about, calls: 1, since: None })?;
                return Err(error);
            }
            acted => acted?,
        };
        let is_nothing = |items: &[ItemId]| items.is_empty() || self.draft.last() == before;
        let is_own_and_nothing =
            matches!(&write.action, Action::ReviewHolds { items, .. } if is_nothing(items));
        let is_retention = matches!(&write.action, Action::Case(case) if case.is_silent());
        let is_silent = is_own_and_nothing
            || is_retention
            || matches!(write.action, Action::CountMatches(..) | Action::CountLatencies(..))
            || matches!(answer, Answer::Recorded { .. } | Answer::ItemsListed { .. });
        if self.has_members() && !is_silent {
            let (action, code) = (write.by.method.path().to_owned(), Code::Ok);
            let mut about = about.answered(&answer);
            if self.draft.last() == before {
                about.sequence = None;
            }
            self.record(NewEntry { by, action, code, about, calls: 1, since: None })?;
        }
        Ok(answer)
    }

    fn finish(mut self) -> Planned<Step, Rows, Self::Delta> {
        let lists = self.finish_lists();
        self.state.counts.banks = self.state.banks.len() as u64;
        let (living, gone): (Vec<_>, Vec<_>) =
            self.touched.iter().map(|id| self.state.banks.get(id).ok_or(*id)).partition(Result::is_ok);
        let records = self.records.into_iter().filter(|(item, _)| !self.removed.contains(item));
        let records = records.map(|(item, record)| StoredRecord { item, record });
        let rows = Rows {
            counts: self.state.counts,
            banks_set: living.into_iter().filter_map(Result::ok).cloned().collect(),
            banks_deleted: gone.into_iter().filter_map(Result::err).collect(),
            items_added: self.items,
            items_relabelled: self.relabelled.into_values().collect(),
            records_set: records.collect(),
            touched: self.touched_items.into_values().collect(),
            undos: self.undos.into_values().collect(),
            undone: self.undone,
            exchanges: ExchangeRows::of(self.exchanges, self.exchange_records),
            documents: DocumentRows::of(self.documents, to_model(self.draft.last())),
            lists,
            items_removed: self.removed.into_iter().collect(),
            digests: self.parts.iter().collect(),
            directory: self.state.view.directory().difference_from(&self.before).into(),
            audit: self.entries,
            purges: self.purges,
        };
        Planned { draft: self.draft, rows, delta: self.totals.into_iter().collect() }
    }
}

impl Planner<'_> {
    fn act(&mut self, write: &Write) -> Result<Answer, Error> {
        let by = write.by;
        match &write.action {
            Action::CreateBank { name, match_ratio } => self.create_bank(by, name, *match_ratio),
            Action::RenameBank { name, new_name } => self.rename_bank(by, name, new_name),
            Action::SetBankEnabled { name, enabled } => self.set_bank_enabled(by, name, *enabled),
            Action::SetBankMatchRatio { name, ratio } => self.set_bank_match_ratio(by, name, *ratio),
            Action::DeleteBank { name } => self.delete_bank(write, name),
            Action::AddItems { bank, items } => self.add_items(by, bank, items),
            Action::UpdateItem { item, details, labels } => {
                self.update_item(by, *item, details.as_deref(), labels.as_ref())
            }
            Action::RestoreItems { items } => self.restore_items(by, items),
            Action::SetItemHold { items, holding } => self.set_item_hold(by, items, *holding),
            Action::ReviewHolds { items, followed } => self.review_holds(items, followed),
            Action::RemoveItems { items, origin } => self.remove_items(write, items, origin.as_ref()),
            Action::ListItems { bank, items, through } => self.list_items(*bank, items, *through),
            Action::Members(members) => self.change_members(write, &members.action),
            Action::Exchange(exchange) => self.change_exchanges(by, &exchange.action),
            Action::Opinions(opinions) => self.change_opinions(write, &opinions.action),
            Action::Case(case) => self.change_cases(write, &case.action),
            Action::Record(entries) => self.record_all(entries),
            Action::CountMatches(counts) => self.count_matches(counts),
            Action::CountLatencies(counted, _) => self.count_latencies(counted),
        }
    }

    fn change_members(&mut self, write: &Write, action: &MembersAction) -> Result<Answer, Error> {
        let (view, now) = (&self.state.view, self.now());
        let directory = view.directory();
        let standing = Standing { admitted: write.by.admitted(view, now)?, directory, now };
        let change = standing.change(action)?;
        if let Change::HashTypeDeclared(declaration) = &change
            && directory.hash_type(declaration.hash_type).is_some_and(|known| **known == *declaration)
        {
            // The log holds the same declaration already, so nothing is written.
            return Ok(Answer::Directory { change, sequence: to_model(self.draft.last()) });
        }
        if let Change::CharterPut { bank, charter } = &change {
            check_declared(directory, charter)?;
            self.check_charter(write, *bank, charter)?;
        }
        let asks_otherwise = self.asks_otherwise(&change);
        let sequence = self.append(LogChange::Directory(change.clone()))?;
        self.keep_version(&change)?;
        if let Some(bank) = asks_otherwise {
            self.note_charter_change(bank, sequence)?;
        }
        Ok(Answer::Directory { change, sequence })
    }

    /// Returns whether members are on. If so, calls leave entries in the audit.
    fn has_members(&self) -> bool {
        self.state.view.directory().is_on()
    }

    /// Notes when the bytes of an item or a bank that is removed must be purged.
    fn purge(&mut self, of: Removed, bank: BankId) -> PurgeTimes {
        let times = PurgeTimes::of(self.state.view.directory(), bank, self.now());
        self.purges.push(Purge { of, times });
        times
    }

    /// Notes that the newest change is the latest one of an item. An item's own addition is not noted.
    fn touch_item(&mut self, item: ItemId, bank: BankId, touch: Touch) {
        let is_new = item.0 > self.begins_after.0;
        if is_new && touch == Touch::Changed {
            return;
        }
        let (sequence, at) = (self.draft.last(), self.draft.stamp());
        self.touched_items.insert(item, Touched { item, bank, sequence, at, touch });
    }

    /// Applies `change` to the digests of an item's bank and partition.
    fn count(&mut self, item: ItemId, bank: BankId, change: impl Fn(&mut SetDigest)) {
        let partition = Partition::of(item).get();
        change(self.parts.part(bank, partition));
        change(self.totals.entry(partition).or_default());
    }

    /// Removes from the digests a bank that is about to be deleted.
    fn forget_digests(&mut self, bank: &Bank) -> Result<(), Error> {
        let stored = || self.known.digests.iter().filter(|part| part.bank == bank.id).copied();
        let parts: Vec<PartDigest> = stored().chain(self.parts.of(bank.id)).collect();
        let hashes = parts.iter().fold(0_u64, |sum, part| sum.wrapping_add(part.digest.hashes));
        if hashes != bank.hash_count {
            return Err(Error::Broken);
        }
        self.parts.remove(bank.id);
        for part in parts {
            *self.totals.entry(part.partition).or_default() -= part.digest;
        }
        Ok(())
    }

    /// Changes a living bank, and returns it as changed.
    fn touch(&mut self, id: BankId, change: impl FnOnce(&mut Bank)) -> Result<Bank, Error> {
        let bank = self.state.banks.get_mut(&id).ok_or(Error::Broken)?;
        change(bank);
        self.touched.insert(id);
        Ok(bank.clone())
    }

    /// Returns the time with which the group's changes are stamped.
    fn stamp(&self) -> UnixMillis {
        UnixMillis(self.draft.stamp().0)
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(self.draft.now().0)
    }

    /// Numbers a change of a bank or an item, and adds it to the group.
    fn log(&mut self, kind: ChangeKind) -> Result<Sequence, Error> {
        self.append(LogChange::Shard(kind))
    }

    /// Applies a change to the directory, if it has one there, then numbers it and adds it to the group.
    fn append(&mut self, change: LogChange) -> Result<Sequence, Error> {
        if let Some(of_directory) = change.of_directory() {
            let mut directory = self.state.view.directory().clone();
            directory.apply(to_model(self.draft.last().next()), &of_directory)?;
            self.state.view = Arc::new(View::from(directory));
        }
        let bytes = encode_log_change(change.clone()).ok_or(Error::Broken)?;
        let partition = change.partition();
        let step = |sequence| Step { sequence: to_model(sequence), change };
        Ok(to_model(self.draft.append(partition, bytes, step)))
    }
}

#[cfg(test)]
mod tests;
