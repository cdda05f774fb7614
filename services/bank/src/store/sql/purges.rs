//! The statements of purges that both databases share.

use vigie_log::{Sequence, UnixMillis};

use crate::store::error::corrupt;
use crate::store::records::PurgedPage;
use crate::store::sql::read::{Read, Reader, Value, all, first};
use crate::store::sql::rows::StoredRow as _;

/// An item whose bytes are due to be purged, and the time at which the freed space is due to be cleared.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Due {
    pub(in crate::store) item: u64,
    pub(in crate::store) erase_at_ms: u64,
}

/// Returns the result of purging these items; no change if none is due.
pub(in crate::store) fn page_of(due: &[Due], rows_max: u32) -> PurgedPage {
    let through = due.iter().map(|one| Sequence(one.item)).max();
    PurgedPage { through, more: through.is_some() && due.len() == rows_max as usize }
}

/// Returns the time at which the space freed by these items is due to be cleared, in milliseconds since 1970:
/// the earliest of their times.
pub(in crate::store) fn erase_at_ms(due: &[Due]) -> u64 {
    due.iter().map(|one| one.erase_at_ms).min().unwrap_or_default()
}

/// Reads the items whose bytes are due in the log, the longest overdue first.
pub(in crate::store) async fn due<C: Reader>(
    connection: &mut C,
    now: UnixMillis,
    rows_max: u32,
) -> Read<Vec<Due>> {
    let select = "SELECT item_id, erase_at_ms FROM purges WHERE purge_at_ms <= $1 ORDER BY purge_at_ms, item_id LIMIT $2";
    let read = |row: &C::Row| {
        let read = || Ok::<_, sqlx::Error>(Due { item: row.number(0)?, erase_at_ms: row.number(1)? });
        read().map_err(|_| corrupt("a purge"))
    };
    all(connection, "find what is to be purged", select, &[now.0, rows_max.into()].map(Value::Number), read)
        .await
}

/// Returns whether free space must be cleared at `now`.
pub(in crate::store) async fn erase_is_due<C: Reader>(connection: &mut C, now: UnixMillis) -> Read<bool> {
    let select = "SELECT count(*) FROM erasures WHERE erase_at_ms <= $1";
    let read = |row: &C::Row| row.number::<u64>(0).map_err(|_| corrupt("an erasure"));
    let count = first(connection, "find what is to be erased", select, &[Value::Number(now.0)], read).await?;
    Ok(count.unwrap_or_default() > 0)
}

/// Returns the time of the last recorded erasure, in milliseconds since 1970; 0 if there is none. Clearing
/// free space now covers all of them.
pub(in crate::store) async fn last_erasure<C: Reader>(connection: &mut C) -> Read<u64> {
    let select = "SELECT coalesce(max(erase_at_ms), 0) FROM erasures";
    let read = |row: &C::Row| row.number(0).map_err(|_| corrupt("an erasure"));
    Ok(first(connection, "find what is to be erased", select, &[], read).await?.unwrap_or_default())
}
