//! When the bytes of a removed item leave the log and the files.
//!
//! A bank's charter names the hours until the hash of a withdrawn item is in no file any more (`purge_hours`). The transaction
//! that removes an item records two times, by the charter as it is then, and the sweeper does what is due by the bank's clock:
//!
//! - **At half of the hours** the bytes of the change that added the item are removed from the log, and the row by which it could be
//!   brought back, which has them too. The change's digest stays, so the
//!   chain holds and `verify` counts it. Until then a follower that is behind goes on from where it is.
//! - **At three quarters** the database rewrites its tables of items, removed items and changes. Both databases leave copies of removed rows in
//!   the free space of their pages, and nothing but a rewrite clears it. Waiting makes one rewrite serve the removals of a
//!   quarter of the hours; the last quarter is for banks that are away and for rewrites that fail.
//!
//! Both are recorded in the store until they are done, so a restart or another bank continues them. The statements are in
//! `store/sqlite/purges.rs` and `store/postgres/purges.rs`, and `upkeep/erase.rs` has the rewrites done.

use vigie_consortium::{Charter, Directory};
use vigie_log::UnixMillis;
use vigie_model::{BankId, ItemId};

const HOUR_MS: u64 = 3_600_000;

/// When bytes are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurgeTimes {
    /// From the log.
    pub(crate) purge_at: UnixMillis,
    /// From the free space of the files.
    pub(crate) erase_at: UnixMillis,
}

impl PurgeTimes {
    /// The times of what is removed now from a bank. A bank that the directory does not have has the default charter.
    pub(crate) fn of(directory: &Directory, bank: BankId, now: vigie_model::UnixMillis) -> Self {
        let hours =
            directory.bank(bank).map_or(Charter::PURGE_HOURS_DEFAULT, |bank| bank.charter.purge_hours());
        let hours_ms = u64::from(hours) * HOUR_MS;
        let at = |after: u64| UnixMillis(now.0.saturating_add(after));
        Self { purge_at: at(hours_ms / 2), erase_at: at(hours_ms / 4 * 3) }
    }
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    /// An item.
    Item(ItemId),
    /// A bank, with all of its items.
    Bank(BankId),
}

/// What was removed, and when its bytes are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purge {
    /// What was removed.
    pub(crate) of: Removed,
    /// When its bytes are to go.
    pub(crate) times: PurgeTimes,
}

/// Ids, each with its times.
pub(crate) type Timed = Vec<(u64, PurgeTimes)>;

/// The items and the banks of purges.
pub(crate) fn by_kind(purges: &[Purge]) -> (Timed, Timed) {
    let (mut items, mut banks) = (Vec::new(), Vec::new());
    for Purge { of, times } in purges {
        match of {
            Removed::Item(item) => items.push((item.0, *times)),
            Removed::Bank(bank) => banks.push((bank.0.into(), *times)),
        }
    }
    (items, banks)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vigie_consortium::{CharterDraft, OwnedBank, Row};
    use vigie_model::MemberId;

    use super::*;

    #[test]
    fn times_follow_the_charter_and_leave_the_last_quarter_free() {
        let now = vigie_model::UnixMillis(1_000);
        let times = PurgeTimes::of(&Directory::new(), BankId(1), now);
        let after = |hours: u64| UnixMillis(1_000 + hours * HOUR_MS);
        assert_eq!((times.purge_at, times.erase_at), (after(36), after(54)));

        let mut directory = Directory::new();
        let draft = CharterDraft { purge_hours: 1, ..CharterDraft::default() };
        directory.set_row(Row::Bank(Arc::new(OwnedBank {
            id: BankId(1),
            owner: MemberId::HOST,
            name: "a".parse().unwrap(),
            enabled: true,
            charter: draft.try_into().unwrap(),
        })));
        let times = PurgeTimes::of(&directory, BankId(1), now);
        assert_eq!(times.purge_at, UnixMillis(1_000 + HOUR_MS / 2));
        assert_eq!(times.erase_at, UnixMillis(1_000 + HOUR_MS / 4 * 3));
    }
}
