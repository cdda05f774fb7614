//! The items that members add in a day, against their quotas.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use vigie_consortium::{Meter, Quota, Spent};
use vigie_model::{MemberId, UnixMillis};

/// The items that members have added since this bank began to serve. Counts do not survive the bank: after a failover a day's quota
/// begins anew.
#[derive(Debug, Default)]
pub(crate) struct AddedItems(Mutex<HashMap<MemberId, Meter>>);

impl AddedItems {
    /// Counts new items of a member, all or none. Items that are planned and then not committed stay counted.
    pub(crate) fn spend(
        &self,
        member: MemberId,
        quota: &Quota,
        items: u64,
        now: UnixMillis,
    ) -> Result<(), Spent> {
        if quota.items_added_per_day.get().is_none() {
            return Ok(());
        }
        // Members are few, and bounded by the directory.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.entry(member).or_default().spend_added(quota, items, Duration::from_millis(now.0))
    }
}
