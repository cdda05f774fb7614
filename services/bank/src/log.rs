//! Connects the bank to the log: the bank's types, and its implementation of `vigie_log::Application`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::watch;
use vigie_access::HashTypes;
use vigie_audit::salt::Salts;
use vigie_consortium::{ContentDigest, Directory, DocumentKind, ListSecret, MemberId, MemberState, View};
use vigie_log::{Application, Draft, PurgeStep};
use vigie_model::{FeedRange, ItemId, SetDigest, UnixMillis};
use vigie_statistics::{CellKey, Counts};

use crate::error::Error;
use crate::plan::answer::Answer;
use crate::plan::audit::Audit;
use crate::plan::beside::counters::trial_id;
use crate::plan::beside::counters::{Counters, counters_from, latencies_from, read_latency};
use crate::plan::cases::known::look_up_cases;
use crate::plan::digests::Totals;
use crate::plan::exchanges::known::{LookedUp, look_up};
use crate::plan::exchanges::write::ExchangeAction;
use crate::plan::lists::state::Lists;
use crate::plan::noted::Counted;
use crate::plan::records::removed_items;
use crate::plan::step::Step;
use crate::plan::write::{Action, Write};
use crate::plan::{Exchanges, Known, Planner, State};
use crate::store::documents::DocumentRange;
use crate::store::{Loaded, PurgedPage, Rows, Store, StoreError, id_to_model, to_model};
use crate::upkeep::erase::Eraser;

/// The term of a bank's log.
pub(crate) type Term = vigie_log::Term<BankLog>;
/// The current term, if there is one.
pub(crate) type CurrentTerm = vigie_log::CurrentTerm<BankLog>;
/// Returns the current term, for one call; fails with [`Error::Standby`] if there is none.
pub(crate) fn term(current: &CurrentTerm) -> Result<Arc<Term>, Error> {
    current.get().ok_or(Error::Standby)
}

/// A follower of a bank's log.
pub(crate) type Follower = vigie_log::Follower<BankLog>;

/// The newest states of the directory. A follower that has one of them is sent only the difference.
#[derive(Debug, Clone)]
pub(crate) struct States(VecDeque<Arc<View>>);

impl States {
    /// Number of states that are kept. States share rows, so one costs about as much as its changes.
    const KEPT: usize = 64;

    fn new() -> Self {
        Self(VecDeque::from([Arc::new(View::from(Directory::new()))]))
    }

    fn newest_view(&self) -> &Arc<View> {
        // The queue is never empty.
        &self.0[0]
    }

    /// The state as of the newest commit.
    pub(crate) fn newest(&self) -> &Directory {
        self.newest_view().directory()
    }

    /// Returns the state with this digest, if it is kept.
    pub(crate) fn with_digest(&self, digest: SetDigest) -> Option<&Directory> {
        self.0.iter().map(|view| view.directory()).find(|directory| directory.digest() == digest)
    }

    fn add(&mut self, view: Arc<View>) {
        self.0.push_front(view);
        self.0.truncate(Self::KEPT);
    }
}

/// The bank's side of the log: the log calls it to load, plan and show state.
#[derive(Debug)]
pub(crate) struct BankLog {
    store: Arc<dyn Store>,
    /// The most living banks ([`crate::Config::banks_max`]).
    banks_max: usize,
    /// The directory as of the newest commit, and the states before it.
    states: watch::Sender<States>,
    clock: Arc<dyn vigie_log::Clock>,
    salts: Arc<Salts>,
    eraser: Eraser,
    counted: Arc<Counted>,
    hash_types: Mutex<HashTypes>,
    /// Number of changes of the set of quarantined members since this bank began.
    quarantine_changes: AtomicU64,
    /// All exchanges as of the newest commit.
    exchanges: watch::Sender<Arc<Exchanges>>,
    /// The store's secret, once it is read.
    secret: OnceLock<ListSecret>,
}

impl BankLog {
    /// Makes the log's user on a store, with at most `banks_max` living banks.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        banks_max: usize,
        clock: Arc<dyn vigie_log::Clock>,
        salts: Arc<Salts>,
        eraser: Eraser,
    ) -> Self {
        let states = watch::Sender::new(States::new());
        let (counted, quarantine_changes) = (Arc::default(), AtomicU64::new(0));
        let exchanges = watch::Sender::new(Arc::default());
        Self {
            store,
            banks_max,
            states,
            clock,
            salts,
            eraser,
            counted,
            hash_types: Mutex::default(),
            quarantine_changes,
            exchanges,
            secret: OnceLock::new(),
        }
    }

    /// Returns the directory as of the newest commit, and what each caller may see of it.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(self.states.borrow().newest_view())
    }

    /// Returns a receiver of the newest states of the directory, present and future.
    pub(crate) fn history(&self) -> watch::Receiver<States> {
        self.states.subscribe()
    }

    /// Returns the time by which rights expire: the time of the bank's commits.
    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis(self.clock.now().0)
    }

    /// Returns how often the set of quarantined members has changed since this bank began.
    pub(crate) fn quarantine_changes(&self) -> u64 {
        self.quarantine_changes.load(Ordering::Acquire)
    }

    /// Returns all exchanges as of the newest commit.
    pub(crate) fn exchanges(&self) -> Arc<Exchanges> {
        Arc::clone(&self.exchanges.borrow())
    }

    /// Returns the store of the log and the state.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Returns the store's secret: random, and the same for the lifetime of the store.
    pub(crate) fn secret(&self) -> ListSecret {
        self.secret.get().cloned().unwrap_or_default()
    }
}

impl BankLog {
    /// Reads the counters that the writer keeps in memory.
    async fn counters(&self) -> Result<Counters, StoreError> {
        let after = latencies_from(self.now());
        let range = DocumentRange { kind: DocumentKind::Latency, after, before: None, limit: 1_000 };
        // There are two documents a month, and none of a month later than the clock.
        let documents = self.store.document_range(&range).await?;
        let latencies = documents.iter().filter_map(read_latency).collect();
        Ok(Counters::new(self.counts().await?, latencies, self.now()))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        let mut counters = Counts::default();
        let mut after = counters_from(self.now());
        loop {
            let range = DocumentRange { kind: DocumentKind::Count, after, before: None, limit: 1_000 };
            let page = self.store.document_range(&range).await?;
            let Some(last) = page.last() else { return Ok(counters) };
            after = last.key.clone();
            for document in &page {
                let count = (*document.payload).try_into().map(u64::from_be_bytes);
                if let (Ok(key), Ok(count)) = (CellKey::decode(document.key.as_bytes()), count) {
                    counters.add(key, count);
                }
            }
        }
    }
}

impl Application for BankLog {
    type Write = Write;
    type Answer = Answer;
    type Error = Error;
    type Change = Step;
    type State = State;
    type Known = Known;
    type Rows = Rows;
    type Summary = Totals;
    type StoreError = StoreError;
    type Planner<'a> = Planner<'a>;

    async fn load(&self) -> Result<vigie_log::Loaded<Self>, StoreError> {
        let loaded = self.store.load().await?;
        let directory = loaded.directory();
        let Loaded { head, counts, banks, totals, audit, exchanges, lists, list_secret, directory: _ } =
            loaded;
        let of = lists.into_iter().map(|list| (list.bank, list)).collect();
        let audit = Audit::new(audit, Arc::clone(&self.salts));
        let counters = self.counters().await?;
        self.secret.get_or_init(|| list_secret.clone());
        let state = State::new(counts, banks, directory, audit)
            .with_exchanges(exchanges)
            .with_lists(Lists { secret: list_secret, of })
            .with_counters(counters)
            .counting(Arc::clone(&self.counted));
        Ok(vigie_log::Loaded { head, state, summary: totals })
    }

    fn show(&self, state: &State) {
        state.keep_notes();
        self.exchanges.send_replace(Arc::clone(state.exchanges()));
        self.states.send_if_modified(|shown| {
            let is_new = !Arc::ptr_eq(shown.newest_view(), state.view());
            if is_new {
                if !quarantined(shown.newest()).eq(quarantined(state.view().directory())) {
                    self.quarantine_changes.fetch_add(1, Ordering::AcqRel);
                }
                let mut hash_types = self.hash_types.lock().unwrap_or_else(PoisonError::into_inner);
                hash_types.register(state.view().directory());
                shown.add(Arc::clone(state.view()));
            }
            is_new
        });
    }

    /// Reads what the group's writes need: the placements of the items that they remove or update; the
    /// records of these items and of the content that they add or restore; the removed items that they
    /// restore; and the digests of the bank that they delete.
    async fn look_up(&self, state: &State, writes: &[&Write]) -> Result<Known, StoreError> {
        let (mut items, mut content, mut deleted): (Vec<ItemId>, Vec<u64>, _) =
            (Vec::new(), Vec::new(), None);
        let (mut restored, mut relabelled): (Vec<ItemId>, Vec<ItemId>) = (Vec::new(), Vec::new());
        let (mut page, mut documents) = (LookedUp::default(), Vec::new());
        for write in writes {
            match &write.action {
                Action::RemoveItems { items: removed, .. } => items.extend_from_slice(removed),
                Action::UpdateItem { item, labels, .. } => {
                    items.push(*item);
                    relabelled.extend(labels.as_ref().map(|_| *item));
                }
                Action::SetItemHold { items: held, .. }
                | Action::ReviewHolds { items: held, .. }
                | Action::ListItems { items: held, .. } => {
                    items.extend_from_slice(held);
                }
                Action::RestoreItems { items } => restored.extend_from_slice(items),
                Action::AddItems { bank, items } => {
                    let Ok(bank) = state.id_of(write.by, bank, self.now()) else { continue };
                    let has_members = state.view().directory().is_on();
                    let named = items.iter().filter(|item| item.origin_of_submission(has_members).is_some());
                    content.extend(named.map(|item| ContentDigest::of(bank, item.content.hashes()).key()));
                }
                Action::DeleteBank { name } => deleted = state.id_of(write.by, name, self.now()).ok(),
                Action::CreateBank { .. }
                | Action::RenameBank { .. }
                | Action::SetBankEnabled { .. }
                | Action::SetBankMatchRatio { .. }
                | Action::Members(_)
                | Action::CountLatencies(..)
                | Action::Record(_) => {}
                Action::CountMatches(counts) => {
                    let mut ids: Vec<_> = counts.trials.iter().map(|trial| trial_id(trial.member)).collect();
                    ids.dedup();
                    if !ids.is_empty() {
                        documents.extend(self.store.documents(&ids).await?);
                    }
                }
                Action::Opinions(opinions) => items.extend(opinions.items()),
                Action::Case(case) => {
                    let admitted = write.by.admitted(state.view(), self.now()).ok();
                    let member = admitted.and_then(|admitted| admitted.member()).map(|member| member.id);
                    let found = look_up_cases(&*self.store, member, &case.action).await?;
                    documents.extend(found.documents);
                    items.extend(found.items);
                    deleted = found.deleted.or(deleted);
                }
                Action::Exchange(write) => {
                    let ExchangeAction::Apply(asked) = &write.action else { continue };
                    let Some(exchange) = state.exchanges().get(&asked.exchange) else { continue };
                    // Such a write is alone in its group.
                    page = look_up(&*self.store, exchange, asked).await?;
                }
            }
        }
        let removed = removed_items(&*self.store, &restored).await?;
        content.extend(
            removed.items.iter().filter_map(|one| one.record.as_ref()).map(|record| record.content.key()),
        );
        let records = if items.is_empty() && content.is_empty() {
            Vec::new()
        } else {
            self.store.known_records(&items, &content).await?
        };
        // Items whose records were found by content may change too.
        items.extend(records.iter().map(|stored| stored.item));
        items.sort_unstable();
        items.dedup();
        let placements = if items.is_empty() { Vec::new() } else { self.store.placements(&items).await? };
        let digests = match deleted {
            Some(bank) => self.store.bank_digests(bank).await?,
            None => Vec::new(),
        };
        let contents =
            if relabelled.is_empty() { Vec::new() } else { self.store.contents(&relabelled).await? };
        let contents = contents.into_iter().chain(page.contents).collect();
        let placements = placements.into_iter().chain(page.placements).collect();
        let records = records.into_iter().chain(page.records).collect();
        Ok(Known::new(placements, digests, records)
            .with_contents(contents)
            .with_removed(removed)
            .with_page(page.page)
            .with_documents(documents))
    }

    fn planner<'a>(&'a self, state: &'a mut State, known: Known, draft: Draft<Step>) -> Planner<'a> {
        Planner::new(state, known, draft, self.banks_max)
    }

    fn read(sequence: vigie_log::Sequence, partition: Option<u16>, bytes: &[u8]) -> Option<Step> {
        Step::read(sequence, partition, bytes)
    }

    fn stand_alone(rows: &Rows) -> bool {
        // Restoring removed items onto existing items need not change anything else.
        !rows.audit.is_empty()
            || !rows.undone.is_empty()
            || !rows.lists.heads.is_empty()
            || !rows.documents.is_empty()
    }

    fn needs_sweep(rows: &Rows) -> bool {
        !rows.banks_deleted.is_empty() || !rows.exchanges.removed.is_empty()
    }

    async fn sweep(&self, rows_max: u32) -> Result<bool, StoreError> {
        self.store.sweep_items(rows_max).await
    }

    async fn purge(&self, now: vigie_log::UnixMillis, rows_max: u32) -> Result<PurgeStep, StoreError> {
        let PurgedPage { through, more } = self.store.purge_due(now, rows_max).await?;
        if !more {
            self.eraser.tend(&*self.store, now).await?;
        }
        Ok(PurgeStep { through, more })
    }
}

/// Returns the quarantined members.
pub(crate) fn quarantined(directory: &Directory) -> impl Iterator<Item = MemberId> {
    let members = directory.members().iter();
    members.filter(|member| member.state == MemberState::Quarantined).map(|member| member.id)
}

/// Converts a cursor of the model to one of the log.
pub(crate) fn cursor(cursor: vigie_model::change::Cursor) -> vigie_log::Cursor {
    let vigie_model::change::Cursor { log, sequence, chain } = cursor;
    vigie_log::Cursor {
        log: vigie_log::LogId(log.0),
        sequence: vigie_log::Sequence(sequence.0),
        chain: chain.map(vigie_log::Chain),
    }
}

/// Converts a range of the log to one of the model. `members_on` is true if there is a principal, so that
/// every search must name its set of banks.
pub(crate) fn feed_range(range: vigie_log::Range<BankLog>, members_on: bool) -> FeedRange {
    FeedRange {
        log: id_to_model(range.log),
        after: to_model(range.after),
        through: to_model(range.through),
        head: to_model(range.head),
        head_committed: range.head_committed_at.map(|at| vigie_model::UnixMillis(at.0)),
        chain: range.chain.map(|chain| chain.0),
        changes: range.changes.into_iter().filter_map(|step| Arc::unwrap_or_clone(step).of_shard()).collect(),
        first_committed: range.first_committed_at.map(|at| vigie_model::UnixMillis(at.0)),
        digest: range.proof,
        members_on,
    }
}
