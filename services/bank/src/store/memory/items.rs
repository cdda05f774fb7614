//! Pages of items in memory: the items of a bank, and the items that a search finds.

use std::ops::Bound::{Excluded, Unbounded};

use vigie_model::{BankId, ItemId};

use super::{Contents, read};
use crate::store::error::StoreError;
use crate::store::records::{AsOf, FoundPage, ItemRows, ItemSearch};

impl Contents {
    /// Returns a page of the items of a living bank.
    pub(super) fn items_of(
        &self,
        bank: BankId,
        after: ItemId,
        (count_max, bytes_max): (u16, usize),
    ) -> Result<AsOf<Option<ItemRows>>, StoreError> {
        let sequence = self.sequence();
        if !self.banks.contains_key(&bank) {
            return Ok(AsOf { value: None, sequence });
        }
        let (mut page, mut bytes) = (ItemRows { items: Vec::new(), is_cut: false }, 0);
        for (id, payload) in self.items.range((Excluded(after), Unbounded)) {
            let item = read(*id, payload)?;
            if item.bank != bank {
                continue;
            }
            bytes += payload.len();
            let is_full = page.items.len() >= usize::from(count_max);
            if is_full || (bytes > bytes_max && !page.items.is_empty()) {
                page.is_cut = true;
                break;
            }
            page.items.push(item);
        }
        Ok(AsOf { value: Some(page), sequence })
    }

    /// Returns a page of the items of living banks that a search finds.
    pub(super) fn found(&self, search: &ItemSearch) -> Result<AsOf<FoundPage>, StoreError> {
        let mut page = FoundPage { items: Vec::new(), next_after: None, read: 0 };
        let (mut found_bytes, mut read_bytes) = (0, 0);
        for (id, payload) in self.items.range((Excluded(search.after), Unbounded)) {
            let item = read(*id, payload)?;
            if search.banks.as_ref().is_some_and(|banks| !banks.contains(&item.bank)) {
                continue;
            }
            page.read += 1;
            read_bytes += payload.len() as u64;
            if self.is_living(&item) && search.query.asks_for(&item.content) {
                found_bytes += payload.len();
                page.items.push(item);
            }
            let is_full =
                page.items.len() >= usize::from(search.found_max) || found_bytes >= search.found_bytes_max;
            let is_over = page.read >= u64::from(search.read_max) || read_bytes >= search.read_bytes_max;
            if is_full || is_over {
                page.next_after = Some(*id);
                break;
            }
        }
        Ok(AsOf { value: page, sequence: self.sequence() })
    }
}
