//! Purges in memory.

use async_trait::async_trait;
use vigie_log::{Sequence, UnixMillis};
use vigie_model::ItemId;

use super::MemoryStore;
use crate::store::Purging;
use crate::store::error::StoreError;
use crate::store::records::PurgedPage;

/// A store in memory has no free space to clear.
#[async_trait]
impl Purging for MemoryStore {
    async fn purge_due(&self, now: UnixMillis, rows_max: u32) -> Result<PurgedPage, StoreError> {
        let mut contents = self.disk.contents();
        let due = contents.purges.iter().filter(|(_, times)| times.purge_at <= now).map(|(item, _)| *item);
        let due: Vec<ItemId> = due.take(rows_max as usize).collect();
        for item in &due {
            contents.purges.remove(item);
            contents.undos.remove(item);
            contents.log.purge(Sequence(item.0));
        }
        let through = due.last().map(|item| Sequence(item.0));
        Ok(PurgedPage { through, more: due.len() == rows_max as usize })
    }

    async fn erase_is_due(&self, _now: UnixMillis) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn erase(&self, _rewrite: bool) -> Result<(), StoreError> {
        Ok(())
    }
}
