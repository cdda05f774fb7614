//! The bank as the user of a log: its types, and what the log asks of it.

use std::sync::Arc;

use vigie_log::{Application, Draft};
use vigie_model::{BankId, Change, ChangeKind, FeedRange, ItemId, Partition};
use vigie_proto::bank::decode_change;

use crate::error::Error;
use crate::plan::digests::Totals;
use crate::plan::write::{Answer, Write};
use crate::plan::{Known, Planner, State};
use crate::store::{Loaded, Rows, Store, StoreError, id_to_model, to_model};

/// The term of a bank's log.
pub(crate) type Term = vigie_log::Term<BankLog>;
/// The term that is under way, if one is.
pub(crate) type CurrentTerm = vigie_log::CurrentTerm<BankLog>;
/// One that follows a bank's log.
pub(crate) type Follower = vigie_log::Follower<BankLog>;

/// The user of the log.
#[derive(Debug)]
pub(crate) struct BankLog {
    store: Arc<dyn Store>,
    /// See [`crate::Config::banks_max`].
    banks_max: usize,
}

impl BankLog {
    /// On a store, with at most so many living banks.
    pub(crate) fn new(store: Arc<dyn Store>, banks_max: usize) -> Self {
        Self { store, banks_max }
    }

    /// The store of the log and the state.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }
}

impl Application for BankLog {
    type Write = Write;
    type Answer = Answer;
    type Error = Error;
    type Change = Change;
    type State = State;
    type Known = Known;
    type Rows = Rows;
    type Summary = Totals;
    type StoreError = StoreError;
    type Planner<'a> = Planner<'a>;

    async fn load(&self) -> Result<vigie_log::Loaded<Self>, StoreError> {
        let Loaded { head, counts, banks, totals } = self.store.load().await?;
        Ok(vigie_log::Loaded { head, state: State::new(counts, banks), summary: totals })
    }

    /// Reads where the items are that the group removes, and the digests of the bank that it deletes.
    async fn look_up(&self, state: &State, writes: &[&Write]) -> Result<Known, StoreError> {
        let (mut items, mut deleted): (Vec<ItemId>, Option<BankId>) = (Vec::new(), None);
        for write in writes {
            match write {
                Write::RemoveItems { items: removed } => items.extend_from_slice(removed),
                Write::DeleteBank { name } => deleted = state.id_of(name),
                Write::CreateBank { .. }
                | Write::RenameBank { .. }
                | Write::SetBankEnabled { .. }
                | Write::AddItems { .. } => {}
            }
        }
        let placements = if items.is_empty() { Vec::new() } else { self.store.placements(&items).await? };
        let digests = match deleted {
            Some(bank) => self.store.bank_digests(bank).await?,
            None => Vec::new(),
        };
        Ok(Known::new(placements, digests))
    }

    fn planner<'a>(&'a self, state: &'a mut State, known: Known, draft: Draft<Change>) -> Planner<'a> {
        Planner::new(state, known, draft, self.banks_max)
    }

    fn read(sequence: vigie_log::Sequence, partition: Option<u16>, bytes: &[u8]) -> Option<Change> {
        let change = decode_change(to_model(sequence), bytes).ok()?;
        // An item's id is the number of the change that added it.
        let is_numbered = match &change.kind {
            ChangeKind::ItemAdded(item) => item.id.0 == sequence.0,
            ChangeKind::BankCreated { .. }
            | ChangeKind::BankRenamed { .. }
            | ChangeKind::BankEnabledSet { .. }
            | ChangeKind::BankDeleted { .. }
            | ChangeKind::ItemRemoved { .. } => true,
        };
        (is_numbered && change.kind.partition().map(Partition::get) == partition).then_some(change)
    }

    fn needs_sweep(rows: &Rows) -> bool {
        !rows.banks_deleted.is_empty()
    }

    async fn sweep(&self, rows_max: u32) -> Result<bool, StoreError> {
        self.store.sweep_items(rows_max).await
    }
}

/// A cursor as the log has it.
pub(crate) fn cursor(cursor: vigie_model::change::Cursor) -> vigie_log::Cursor {
    let vigie_model::change::Cursor { log, sequence, chain } = cursor;
    vigie_log::Cursor {
        log: vigie_log::LogId(log.0),
        sequence: vigie_log::Sequence(sequence.0),
        chain: chain.map(vigie_log::Chain),
    }
}

/// A range as the model has it.
pub(crate) fn feed_range(range: vigie_log::Range<BankLog>) -> FeedRange {
    FeedRange {
        log: id_to_model(range.log),
        after: to_model(range.after),
        through: to_model(range.through),
        head: to_model(range.head),
        head_committed: range.head_committed_at.map(|at| vigie_model::UnixMillis(at.0)),
        chain: range.chain.map(|chain| chain.0),
        changes: range.changes.into_iter().map(Arc::unwrap_or_clone).collect(),
        digest: range.proof,
    }
}
