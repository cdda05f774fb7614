//! What a shard has noted beside its items: which are held, and their standings among the members.
//!
//! Marked items stay in the indexes. A search leaves out those that its member is not to be answered.

use std::sync::Arc;

use vigie_model::{BankId, ItemId, MemberId, SetDigest, Standing};

use crate::shard::banks::Books;
use crate::shard::beside::by_item::ByItem;

/// The marks of one moment. Clones share what does not change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    /// Items that no search answers with.
    held: Arc<ByItem<()>>,
    /// Standings other than the default one.
    standings: Arc<ByItem<Arc<Standing>>>,
}

impl Marks {
    /// The items that are held.
    pub(crate) fn held(&self) -> &ByItem<()> {
        &self.held
    }

    /// The items with a standing, and their standings.
    pub(crate) fn standings(&self) -> &ByItem<Arc<Standing>> {
        &self.standings
    }

    /// Whether no search answers with an item.
    #[inline]
    pub(crate) fn is_held(&self, item: ItemId) -> bool {
        self.held.contains(item)
    }

    /// Whether an item is set aside for a member.
    #[inline]
    pub(crate) fn is_aside(&self, item: ItemId, member: Option<MemberId>) -> bool {
        self.standings.get(item).is_some_and(|standing| standing.is_aside_for(member))
    }

    /// Holds an item of a bank, or lifts its hold.
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

    /// Gives an item of a bank another standing; the default one removes the one that it had.
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

    /// Removes what is noted of an item that goes.
    pub(crate) fn remove(&mut self, item: ItemId, bank: BankId, books: &mut Books) {
        self.set_held(item, bank, false, books);
        self.set_standing(item, bank, Arc::default(), books);
    }

    /// Removes what is noted of the items of a bank that goes; the books drop it with the bank.
    pub(crate) fn remove_bank(&mut self, bank: BankId) {
        if self.held.count() > 0 {
            Arc::make_mut(&mut self.held).remove_bank(bank);
        }
        if self.standings.count() > 0 {
            Arc::make_mut(&mut self.standings).remove_bank(bank);
        }
    }
}
