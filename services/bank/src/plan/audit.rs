//! Plans the entries of the audit: those of writes, and those recorded without a write.

mod recording;

use std::sync::Arc;

use prost::Message as _;
use tonic::Code;
use vigie_access::Who;
use vigie_audit::salt::Salts;
use vigie_audit::tree::{Frontier, Full, LeafIndex};
use vigie_consortium::{CardVersion, Change, Grant};
use vigie_model::{BankId, ItemId, Sequence, UnixMillis};
use vigie_proto::pb::consortium::v1 as pb;

use crate::plan::answer::Answer;
use crate::store::StoredEntry;

/// The largest number of banks that one entry names.
pub(crate) const BANKS_MAX: usize = 256;

/// An audit entry that has no index yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEntry {
    /// The caller.
    pub(crate) by: Who,
    /// The path of the method.
    pub(crate) action: String,
    /// The code with which the calls ended.
    pub(crate) code: Code,
    /// The banks and items of the calls.
    pub(crate) about: About,
    /// The number of calls.
    pub(crate) calls: u64,
    /// For several calls, a lower bound of the time of the first.
    pub(crate) since: Option<UnixMillis>,
}

/// The banks, items and changes that calls are about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct About {
    /// Banks, at most [`BANKS_MAX`].
    pub(crate) banks: Vec<BankId>,
    /// The first item.
    pub(crate) first_item: Option<ItemId>,
    /// The number of items.
    pub(crate) items: u64,
    /// The sequence of the last change that the calls made.
    pub(crate) sequence: Option<Sequence>,
    /// The model card that the call put.
    pub(crate) card: Option<Arc<CardVersion>>,
}

impl About {
    /// Returns calls about one bank.
    pub(crate) fn bank(bank: BankId) -> Self {
        Self { banks: vec![bank], ..Self::default() }
    }

    /// Returns calls about items, each with its bank.
    pub(crate) fn items(items: impl IntoIterator<Item = (ItemId, BankId)>) -> Self {
        let mut about = Self::default();
        for (item, bank) in items {
            about.first_item = about.first_item.or(Some(item));
            about.items += 1;
            if about.banks.len() < BANKS_MAX && !about.banks.contains(&bank) {
                about.banks.push(bank);
            }
        }
        about
    }

    /// Returns `self` with what the answer to a write adds to it.
    pub(crate) fn answered(self, answer: &Answer) -> Self {
        match answer {
            Answer::Bank { bank, sequence } => Self { sequence: Some(*sequence), ..Self::bank(bank.id) },
            Answer::BankDeleted { sequence, item_count } => {
                Self { sequence: Some(*sequence), items: *item_count, ..self }
            }
            Answer::ItemsAdded { items, sequence, known: _ } => Self {
                first_item: items.first().copied(),
                items: items.len() as u64,
                sequence: Some(*sequence),
                ..self
            },
            Answer::ItemUpdated { sequence, .. } => Self { sequence: Some(*sequence), ..self },
            Answer::ItemsRemoved { sequence }
            | Answer::HoldsSet { sequence, held: _ }
            | Answer::FloodsHeld { sequence, held: _ }
            | Answer::Noted { sequence, changed: _ } => Self { sequence: Some(*sequence), ..self },
            Answer::Directory { change, sequence } => {
                let card =
                    if let Change::ModelCardPut(card) = change { Some(Arc::clone(card)) } else { None };
                let banks = bank_of(change).into_iter().collect();
                Self { banks, sequence: Some(*sequence), card, ..self }
            }
            Answer::Exchange { exchange, sequence } => {
                Self { sequence: Some(*sequence), ..Self::bank(exchange.bank) }
            }
            Answer::ExchangeRemoved { sequence } => Self { sequence: Some(*sequence), ..self },
            Answer::PageApplied { sequence, added, removed, .. } => {
                let items = u64::from(*added) + u64::from(*removed);
                Self { sequence: Some(*sequence), items, ..self }
            }
            Answer::Case(case) => {
                Self { banks: case.bank.into_iter().collect(), sequence: Some(case.sequence), ..self }
            }
            Answer::Recorded { .. } | Answer::ItemsListed { .. } => self,
        }
    }
}

/// Returns the bank that a change of the directory is about, for grants and charters only.
const fn bank_of(change: &Change) -> Option<BankId> {
    match change {
        Change::GrantPut(Grant { bank, .. })
        | Change::GrantRevoked { bank, .. }
        | Change::CharterPut { bank, .. } => Some(*bank),
        Change::MemberPut(_)
        | Change::PrincipalPut(_)
        | Change::PrincipalRevoked(_)
        | Change::QuotaPut { .. }
        | Change::PoliciesPut { .. }
        | Change::HashTypeDeclared(_)
        | Change::ModelCardPut(_)
        | Change::BankCreated { .. }
        | Change::BankRenamed { .. }
        | Change::BankEnabledSet { .. }
        | Change::BankDeleted { .. } => None,
    }
}

/// The audit as the writer keeps it: the tree over its entries, and the salts of new ones.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    tree: Frontier,
    salts: Arc<Salts>,
}

impl Audit {
    /// Returns the audit that continues `tree`.
    pub(crate) const fn new(tree: Frontier, salts: Arc<Salts>) -> Self {
        Self { tree, salts }
    }

    /// Returns the audit of a new log.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self::new(Frontier::empty(), Arc::new(Salts::new().unwrap()))
    }

    /// Returns the number of entries.
    pub(crate) const fn count(&self) -> u64 {
        self.tree.size().get()
    }

    /// Appends an entry. Fails if the tree is full.
    pub(crate) fn append(&mut self, new: NewEntry, now: UnixMillis) -> Result<StoredEntry, Full> {
        let index = self.count();
        let NewEntry { by, action, code, about, calls, since } = new;
        let member = by.member.map_or(0, |member| member.0);
        let entry = pb::AuditEntry {
            index,
            at_unix_ms: now.0,
            member_id: member,
            principal_id: by.principal.map_or(0, |principal| principal.0),
            action,
            code: code.into(),
            bank_ids: about.banks.into_iter().map(|bank| bank.0).collect(),
            first_item_id: about.first_item.map_or(0, |item| item.0),
            item_count: about.items,
            sequence: about.sequence.map_or(0, |sequence| sequence.0),
            calls,
            since_unix_ms: since.map_or(0, |since| since.0),
            salt: self.salts.of(LeafIndex(index)).to_vec(),
            model: about.card.as_deref().map(Into::into),
        };
        let payload = entry.encode_to_vec();
        let tree = self.tree.append(&payload)?;
        Ok(StoredEntry { index, member, payload, tree })
    }
}
