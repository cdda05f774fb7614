//! The schedule by which the bytes of a removed item are deleted from the log and the files.
//!
//! A bank's charter names the hours after which the hash of a withdrawn item must be in no file
//! (`purge_hours`). The transaction that removes an item records two times, by the charter of that moment,
//! and the sweeper does what is due by the bank's clock:
//!
//! - **At half of the hours** the bytes of the change that added the item are removed from the log, and so is
//!   the row from which it could be restored, which has the bytes too. The change's digest stays, so the
//!   chain remains valid and `verify` counts the change. Until then a follower that is behind continues from
//!   its position.
//! - **At three quarters** the database rewrites its tables of items, removed items and changes. Both
//!   databases leave copies of removed rows in the free space of their pages, and only a rewrite clears it.
//!   Because of the wait, one rewrite serves the removals of a quarter of the hours. The last quarter is for
//!   banks that are down and for rewrites that fail.
//!
//! Both times are stored until the work is done, so a restarted or another bank continues it. The statements
//! are in `store/sqlite/purges.rs` and `store/postgres/purges.rs`, and `upkeep/erase.rs` runs the rewrites.

use vigie_consortium::{Charter, Directory};
use vigie_log::UnixMillis;
use vigie_model::{BankId, ItemId};

const HOUR_MS: u64 = 3_600_000;

/// The times at which bytes are due to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurgeTimes {
    /// The time for the log.
    pub(crate) purge_at: UnixMillis,
    /// The time for the free space of the files.
    pub(crate) erase_at: UnixMillis,
}

impl PurgeTimes {
    /// Returns the times for a removal from a bank now. A bank that is not in the directory has the default
    /// charter.
    pub(crate) fn of(directory: &Directory, bank: BankId, now: vigie_model::UnixMillis) -> Self {
        let hours =
            directory.bank(bank).map_or(Charter::PURGE_HOURS_DEFAULT, |bank| bank.charter.purge_hours());
        let hours_ms = u64::from(hours) * HOUR_MS;
        let at = |after: u64| UnixMillis(now.0.saturating_add(after));
        Self { purge_at: at(hours_ms / 2), erase_at: at(hours_ms / 4 * 3) }
    }
}

/// The object of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    /// An item.
    Item(ItemId),
    /// A bank, with all of its items.
    Bank(BankId),
}

/// A removal, and the times at which its bytes are due to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purge {
    /// The removed object.
    pub(crate) of: Removed,
    /// The times at which its bytes are due.
    pub(crate) times: PurgeTimes,
}

/// Ids, each with its times.
pub(crate) type Timed = Vec<(u64, PurgeTimes)>;

/// Splits purges into those of items and those of banks.
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
