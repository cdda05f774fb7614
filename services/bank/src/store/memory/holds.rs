//! Held items and standings, in memory.

use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

use async_trait::async_trait;
use vigie_log::UnixMillis;
use vigie_model::{ItemId, Standing};

use super::MemoryStore;
use crate::store::ReadHolds;
use crate::store::error::StoreError;
use crate::store::records::HeldRange;

#[async_trait]
impl ReadHolds for MemoryStore {
    async fn held_items(&self, range: HeldRange) -> Result<Vec<ItemId>, StoreError> {
        if range.after >= range.through {
            return Ok(Vec::new());
        }
        let contents = self.disk.contents();
        let stored = contents.records.range((Excluded(range.after), Included(range.through)));
        let held = stored.filter(|(_, stored)| stored.hold_ends().is_some()).map(|(item, _)| *item);
        Ok(held.take(range.count_max as usize).collect())
    }

    async fn standings(&self, range: HeldRange) -> Result<Vec<(ItemId, Arc<Standing>)>, StoreError> {
        if range.after >= range.through {
            return Ok(Vec::new());
        }
        let contents = self.disk.contents();
        let stored = contents.records.range((Excluded(range.after), Included(range.through)));
        let with_standing = stored.filter(|(_, stored)| stored.has_standing());
        let found = with_standing.map(|(item, stored)| (*item, Arc::clone(&stored.record.standing)));
        Ok(found.take(range.count_max as usize).collect())
    }

    async fn ended_holds(&self, now: UnixMillis, count_max: u32) -> Result<Vec<ItemId>, StoreError> {
        let contents = self.disk.contents();
        let has_ended = |end: u64| end <= now.0;
        let ended = contents.records.values().filter(|stored| stored.hold_ends().is_some_and(has_ended));
        Ok(ended.map(|stored| stored.item).take(count_max as usize).collect())
    }
}
