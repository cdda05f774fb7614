//! Notes that the bank keeps outside the log: requests that wait for a second person, and the items that
//! members add in a day.
//!
//! A note of a request counts once the group of writes that made it is committed: a group is planned on a
//! copy of the notes, and the commit puts the copy into [`Committed`]. Notes do not survive the bank: after a
//! failover the first person must ask again, and a day's quota starts again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vigie_consortium::{Meter, PrincipalId, Quota, Spent};
use vigie_model::{BankId, MemberId, UnixMillis};

/// The counts that the bank keeps outside the log, and that survive a reload of the state.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(super) added: AddedItems,
    pub(super) two_people: Committed,
}

/// The time that the second person has, and the period over which removals of one bank are summed, in
/// milliseconds.
pub(crate) const WITHIN_MS: u64 = 24 * 3_600_000;
/// The most requests that wait for a second person; beyond it the oldest is dropped.
const ASKED_MAX: usize = 1_000;

/// The notes as of the newest commit.
#[derive(Debug, Default)]
pub(super) struct Committed(Mutex<Arc<TwoPeople>>);

impl Committed {
    /// Returns the notes, to plan on.
    pub(super) fn get(&self) -> Arc<TwoPeople> {
        Arc::clone(&self.held())
    }

    /// Replaces the notes by those of a committed group.
    pub(super) fn set(&self, notes: &Arc<TwoPeople>) {
        *self.held() = Arc::clone(notes);
    }

    fn held(&self) -> MutexGuard<'_, Arc<TwoPeople>> {
        // Nothing that holds this lock panics halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waiting requests, and recent removals.
#[derive(Debug, Clone, Default)]
pub(super) struct TwoPeople {
    /// The digest of each waiting request, its principal, and its time.
    asked: VecDeque<([u8; 32], PrincipalId, UnixMillis)>,
    /// For each bank, the times of removals by one person alone, and their numbers of items.
    removed: HashMap<BankId, VecDeque<(UnixMillis, u64)>>,
}

impl TwoPeople {
    /// Returns whether one person alone may remove so many more items of a bank whose charter lets one person
    /// remove fewer than `limit`.
    pub(super) fn one_may_remove(&self, bank: BankId, items: u64, limit: u32, now: UnixMillis) -> bool {
        let removed = self.removed.get(&bank).into_iter().flatten();
        let sum: u64 = removed.filter(|(at, _)| is_recent(*at, now)).map(|(_, items)| items).sum();
        sum.saturating_add(items) < limit.into()
    }

    /// Counts items of a bank that one person removes.
    pub(super) fn count_removed(&mut self, bank: BankId, items: u64, now: UnixMillis) {
        let removed = self.removed.entry(bank).or_default();
        removed.retain(|(at, _)| is_recent(*at, now));
        removed.push_back((now, items));
    }

    /// Returns whether another person has made the same request before; if not, notes the request. `known_at`
    /// returns whether the person had its present credentials at a given time: a first person who could
    /// create a second person, or a key of one, must not be able to act as both.
    ///
    /// A request that two people have made is no longer noted: the same request later is a new one.
    pub(super) fn is_second(
        &mut self,
        request: [u8; 32],
        person: PrincipalId,
        known_at: impl Fn(UnixMillis) -> bool,
        now: UnixMillis,
    ) -> bool {
        self.asked.retain(|(_, _, at)| is_recent(*at, now));
        let is_first = |(asked, by, at): &([u8; 32], PrincipalId, UnixMillis)| {
            *asked == request && *by != person && known_at(*at)
        };
        if self.asked.iter().any(is_first) {
            self.asked.retain(|(asked, ..)| *asked != request);
            return true;
        }
        self.asked.retain(|(asked, by, _)| (*asked, *by) != (request, person));
        if self.asked.len() >= ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back((request, person, now));
        false
    }
}

/// The items that members have added since this bank began to serve. The counts do not survive the bank:
/// after a failover a day's quota starts again.
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

const fn is_recent(at: UnixMillis, now: UnixMillis) -> bool {
    now.0.saturating_sub(at.0) < WITHIN_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PrincipalId = PrincipalId(1);
    const OTHER: PrincipalId = PrincipalId(2);

    #[test]
    fn the_same_by_another_within_a_day_is_the_second() {
        let mut two = TwoPeople::default();
        let is_second = |two: &mut TwoPeople, request: u8, person, now| {
            two.is_second([request; 32], person, |_| true, UnixMillis(now))
        };
        assert!(!is_second(&mut two, 1, ONE, 0));
        // The same person again, and another request.
        assert!(!is_second(&mut two, 1, ONE, 5) && !is_second(&mut two, 2, OTHER, 5));
        // A person that the first one may have created.
        assert!(!two.is_second([1; 32], PrincipalId(3), |at| at < UnixMillis(5), UnixMillis(6)));
        // Only once, unless it is planned again on the earlier notes.
        assert!(is_second(&mut two.clone(), 1, OTHER, 6) && is_second(&mut two, 1, OTHER, 7));
        assert!(!is_second(&mut two, 1, ONE, 8));
        assert!(!is_second(&mut two, 1, OTHER, 8 + WITHIN_MS));
    }

    #[test]
    fn small_removals_add_up_for_a_day() {
        let mut two = TwoPeople::default();
        let mut may = |bank, items, now| {
            let may = two.one_may_remove(BankId(bank), items, 5, UnixMillis(now));
            if may {
                two.count_removed(BankId(bank), items, UnixMillis(now));
            }
            may
        };
        assert!(may(1, 3, 0) && may(1, 1, 10));
        assert!(!may(1, 1, 20) && may(2, 4, 20));
        assert!(may(1, 3, WITHIN_MS));
        assert!(!may(1, 1, WITHIN_MS + 9) && may(1, 1, WITHIN_MS + 10));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut two = TwoPeople::default();
        for request in 0..2_000_u64 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&request.to_be_bytes());
            assert!(!two.is_second(digest, ONE, |_| true, UnixMillis(0)));
        }
        assert_eq!(two.asked.len(), ASKED_MAX);
    }
}
