//! The marks of a shard's items: which items are held, and their standings among the members.
//!
//! Marked items stay in the indexes. A search leaves out those that its member must not get.

use std::sync::Arc;

use vigie_model::{BankId, ItemId, MemberId, SetDigest, Standing};

use crate::shard::banks::Books;
use crate::shard::beside::by_item::ByItem;

/// The marks of one moment. Clones share unchanged parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    /// The items that are held: no search answers with them.
    held: Arc<ByItem<()>>,
    /// The standings that differ from the default one.
    standings: Arc<ByItem<Arc<Standing>>>,
}

impl Marks {
    /// Returns the items that are held.
    pub(crate) fn held(&self) -> &ByItem<()> {
        &self.held
    }

    /// Returns the items that have a standing, with their standings.
    pub(crate) fn standings(&self) -> &ByItem<Arc<Standing>> {
        &self.standings
    }

    /// Returns whether an item is held, so that no search answers with it.
    #[inline]
    pub(crate) fn is_held(&self, item: ItemId) -> bool {
        self.held.contains(item)
    }

    /// Returns whether an item is set aside for a member.
    #[inline]
    pub(crate) fn is_aside(&self, item: ItemId, member: Option<MemberId>) -> bool {
        self.standings.get(item).is_some_and(|standing| standing.is_aside_for(member))
    }

    /// Holds an item of a bank, or releases it.
    pub(crate) fn set_held(&mut self, item: ItemId, bank: BankId, held: bool, books: &mut Books) {
        if self.held.contains(item) == held {
            return;
        }
        let items = Arc::make_mut(&mut self.held);
        if held {
            items.insert(item, bank, ());
            books.mark(bank, SetDigest::of_hold(item));
        } else {
            items.remove(item);
            books.unmark(bank, SetDigest::of_hold(item));
        }
    }

    /// Sets the standing of an item of a bank. The default standing removes the one that it had.
    pub(crate) fn set_standing(
        &mut self,
        item: ItemId,
        bank: BankId,
        standing: Arc<Standing>,
        books: &mut Books,
    ) {
        let is_default = *standing == Standing::default();
        let before = self.standings.get(item);
        if before.map_or(is_default, |before| *before == standing) {
            return;
        }
        let standings = Arc::make_mut(&mut self.standings);
        let before = if is_default {
            standings.remove(item)
        } else {
            books.mark(bank, SetDigest::of_standing(item, &standing));
            standings.insert(item, bank, books.interned.intern(standing))
        };
        if let Some(before) = before {
            books.unmark(bank, SetDigest::of_standing(item, &before));
        }
    }

    /// Removes the marks of an item that is removed.
    pub(crate) fn remove(&mut self, item: ItemId, bank: BankId, books: &mut Books) {
        self.set_held(item, bank, false, books);
        self.set_standing(item, bank, Arc::default(), books);
    }

    /// Removes the marks of the items of a bank that is deleted. The books drop their digests with the bank.
    pub(crate) fn remove_bank(&mut self, bank: BankId) {
        if self.held.count() > 0 {
            Arc::make_mut(&mut self.held).remove_bank(bank);
        }
        if self.standings.count() > 0 {
            Arc::make_mut(&mut self.standings).remove_bank(bank);
        }
    }
}
