//! Reads held items and standings.

use std::sync::Arc;

use async_trait::async_trait;
use vigie_log::UnixMillis;
use vigie_model::{ItemId, Standing};

use super::SqliteStore;
use crate::store::ReadHolds;
use crate::store::error::StoreError;
use crate::store::records::HeldRange;
use crate::store::sql::records;

#[async_trait]
impl ReadHolds for SqliteStore {
    async fn held_items(&self, range: HeldRange) -> Result<Vec<ItemId>, StoreError> {
        records::held_items(&mut *self.reader().await?, range).await
    }

    async fn standings(&self, range: HeldRange) -> Result<Vec<(ItemId, Arc<Standing>)>, StoreError> {
        records::standings(&mut *self.reader().await?, range).await
    }

    async fn ended_holds(&self, now: UnixMillis, count_max: u32) -> Result<Vec<ItemId>, StoreError> {
        records::ended_holds(&mut *self.reader().await?, now, count_max).await
    }
}
