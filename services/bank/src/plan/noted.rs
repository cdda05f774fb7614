//! What the bank notes beside the log: requests that wait for a second person, and the items that members add in a day.
//!
//! A note of a request counts once the group of writes that made it is committed: a group is planned on a copy of the notes, and
//! [`Committed`] takes the copy over with the commit. Notes do not survive the bank: after a failover the first person asks again, and a
//! day's quota begins anew.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vigie_consortium::{Meter, PrincipalId, Quota, Spent};
use vigie_model::{BankId, MemberId, UnixMillis};

/// Counts that are kept beside the log. They stay when the state is loaded anew.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(super) added: AddedItems,
    pub(super) two_people: Committed,
}

/// How long the second person has, and over how long removals of one bank are added up, in milliseconds.
pub(crate) const WITHIN_MS: u64 = 24 * 3_600_000;
/// Requests that wait for a second person; the oldest goes.
const ASKED_MAX: usize = 1_000;

/// The notes as of the newest commit.
#[derive(Debug, Default)]
pub(super) struct Committed(Mutex<Arc<TwoPeople>>);

impl Committed {
    /// The notes, to plan on.
    pub(super) fn get(&self) -> Arc<TwoPeople> {
        Arc::clone(&self.held())
    }

    /// Takes over the notes of a group that is committed.
    pub(super) fn set(&self, notes: &Arc<TwoPeople>) {
        *self.held() = Arc::clone(notes);
    }

    fn held(&self) -> MutexGuard<'_, Arc<TwoPeople>> {
        // Nothing in there panics half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The requests that wait, and what was removed lately.
#[derive(Debug, Clone, Default)]
pub(super) struct TwoPeople {
    /// By the digest of the request: who asked, and when.
    asked: VecDeque<([u8; 32], PrincipalId, UnixMillis)>,
    /// By bank: how many items one person alone removed, and when.
    removed: HashMap<BankId, VecDeque<(UnixMillis, u64)>>,
}

impl TwoPeople {
    /// Whether one person may remove so many more items of a bank whose charter lets one person remove fewer than `limit`.
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

    /// Whether somebody else has asked for the same before; if not, it is noted that this person does. `known_at` is whether the
    /// person was there as it is now at a moment: whoever could make a second person, or a key of one, is no second person with it.
    ///
    /// The notes of a request that two people have made are gone with it: the same request later is a new one.
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
        // A person that the first one may have made.
        assert!(!two.is_second([1; 32], PrincipalId(3), |at| at < UnixMillis(5), UnixMillis(6)));
        // Once, unless it is planned again on the notes from before.
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
