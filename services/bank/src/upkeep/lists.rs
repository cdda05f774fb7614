//! Proves the published lists of banks: their numbers and chains, and that their content matches the banks'
//! items.

use std::collections::BTreeMap;

use vigie_consortium::items::published::entry_of;
use vigie_consortium::{ItemRecord, ListChain, ListContent, ListHead, ListSecret};
use vigie_model::{Bank, BankId, Item, SetDigest};

use crate::store::published::{ListQuery, StoredList};
use crate::store::{Store, StoreError};

/// The most entries of one read, and the most bytes of their items.
const PAGE: (u16, usize) = (2_000, 4 << 20);

/// The lists of all living banks, and the digest of the items that belong in each, as they are read.
#[derive(Debug)]
pub(super) struct Lists(BTreeMap<BankId, Proving>);

#[derive(Debug)]
struct Proving {
    list: StoredList,
    secret: ListSecret,
    /// The digest of the entries that the bank's items should have.
    set: SetDigest,
}

impl Lists {
    /// Reads the heads of the lists.
    pub(super) async fn read(store: &dyn Store, banks: &[Bank]) -> Result<Self, StoreError> {
        let mut lists = BTreeMap::new();
        for Bank { id: bank, .. } in banks {
            let query = ListQuery { bank: *bank, after: 0, count_max: 1, bytes_max: 1 };
            // `None`: the bank was deleted meanwhile.
            if let Some(page) = store.list_page(&query).await? {
                let proving = Proving { list: page.list, secret: page.secret, set: SetDigest::EMPTY };
                lists.insert(*bank, proving);
            }
        }
        Ok(Self(lists))
    }

    /// Adds an item of a bank to that bank's digest.
    pub(super) fn add(&mut self, item: &Item, record: Option<&ItemRecord>) {
        let Some(Proving { list, secret, set }) = self.0.get_mut(&item.bank) else { return };
        let key = secret.key(item.bank, item.id);
        let entry = entry_of(key, ListContent::of(&item.content), record).filter(|_| list.lists(item.id));
        if let Some(entry) = entry {
            *set += entry.term();
        }
    }

    /// Returns the first bank whose list is not proven; `None` if all are.
    pub(super) async fn fault(&self, store: &dyn Store) -> Result<Option<BankId>, StoreError> {
        for (bank, Proving { list, set, .. }) in &self.0 {
            let ends = folded(store, *bank).await?;
            if *set != list.head.set || ends != Some((list.head.number, list.head.chain)) {
                return Ok(Some(*bank));
            }
        }
        Ok(None)
    }
}

/// Returns the last number and the chain that the entries give; `None` if the entries have a gap or a stored
/// chain is wrong.
async fn folded(store: &dyn Store, bank: BankId) -> Result<Option<(u64, ListChain)>, StoreError> {
    let ListHead { mut number, mut chain, .. } = ListHead::default();
    loop {
        let query = ListQuery { bank, after: number, count_max: PAGE.0, bytes_max: PAGE.1 };
        let Some(page) = store.list_page(&query).await? else { return Ok(Some((number, chain))) };
        if page.chain != chain {
            return Ok(None);
        }
        for found in &page.entries {
            if number.checked_add(1) != Some(found.entry.number) {
                return Ok(None);
            }
            number = found.entry.number;
            chain = chain.after(number, &found.entry.digest);
        }
        if page.entries.is_empty() {
            return Ok(Some((number, chain)));
        }
    }
}
