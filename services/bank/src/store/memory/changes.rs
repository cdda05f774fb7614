//! The changes of a bank in memory.

use async_trait::async_trait;
use vigie_log::{Sequence, UnixMillis};
use vigie_model::{BankId, ItemId};

use super::{Contents, MemoryStore, read};
use crate::store::ReadChanges;
use crate::store::changes::{ChangedItem, ChangesPage, ChangesQuery, Rows, Start};
use crate::store::error::{StoreError, corrupt};
use crate::store::touched::Touched;

#[async_trait]
impl ReadChanges for MemoryStore {
    async fn bank_changes(&self, query: &ChangesQuery) -> Result<Option<ChangesPage>, StoreError> {
        let contents = self.disk.contents();
        if !contents.banks.contains_key(&query.bank) {
            return Ok(None);
        }
        let head = contents.log.head().sequence;
        let all = contents.changed_items(query.bank)?;
        let last_until = |time: UnixMillis| {
            let of_batches = contents.log.last_before(UnixMillis(time.0.saturating_add(1)));
            let until = all.iter().filter(|changed| changed.at <= time).map(|changed| changed.sequence);
            of_batches.unwrap_or_default().max(until.max().unwrap_or_default())
        };
        let after = match query.start {
            Start::After(sequence) => sequence,
            Start::AfterTime(time) => last_until(time),
        };
        let through = query.through.map_or(head, |time| last_until(time).min(head));
        if after >= through {
            return Ok(Some(ChangesPage::empty(after, head)));
        }
        let is_asked = |changed: &ChangedItem| changed.sequence > after && changed.sequence <= through;
        let rows = Rows { rows: all.into_iter().filter(is_asked).collect(), cut_at: None };
        let none = Rows { rows: Vec::new(), cut_at: None };
        let mut page = ChangesPage::merged(none, rows, (after, through), query.count_max.into(), head);
        let records = page.living().into_iter().filter_map(|item| contents.records.get(&item).cloned());
        page.records = records.collect();
        Ok(Some(page))
    }
}

impl Contents {
    /// Returns every item that a bank has or had, at its latest change.
    fn changed_items(&self, bank: BankId) -> Result<Vec<ChangedItem>, StoreError> {
        let item = |id: &ItemId, payload: &Vec<u8>| {
            let item = read(*id, payload)?;
            Ok((item.bank == bank && !self.touched.contains_key(id)).then(|| ChangedItem::added(item)))
        };
        let added = self.items.iter().map(|(id, payload)| item(id, payload));
        let touched = |touched: &Touched| {
            let of_removed = self.undos.get(&touched.item).and_then(|(_, payload)| payload.as_ref());
            let payload = self.items.get(&touched.item).or(of_removed);
            let item = payload.map(|payload| read(touched.item, payload)).transpose()?;
            ChangedItem::touched(touched, item).ok_or_else(|| corrupt("a change of an item"))
        };
        let of_bank = self.touched.values().filter(|touched| touched.bank == bank);
        let touched = of_bank.map(|one| touched(one).map(Some));
        let mut all: Vec<ChangedItem> =
            added.chain(touched).filter_map(Result::transpose).collect::<Result<_, StoreError>>()?;
        all.sort_unstable_by_key(|changed| changed.sequence);
        debug_assert!(all.first().is_none_or(|first| first.sequence > Sequence::ZERO));
        Ok(all)
    }
}
