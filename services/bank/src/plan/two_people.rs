//! Changes that need two people of a bank's owner: large removals, the deletion of a bank with many items, and charters that ask for less.
//!
//! The first person's request is refused and remembered; the same request by another principal of the member is done. What is remembered
//! does not survive the bank: after a failover the first person asks again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vigie_consortium::PrincipalId;
use vigie_model::{BankId, UnixMillis};

/// How long the second person has, and over how long removals of one bank are added up, in milliseconds.
pub(crate) const WITHIN_MS: u64 = 24 * 3_600_000;
/// Requests that wait for a second person; the oldest goes.
const ASKED_MAX: usize = 1_000;

/// The requests that wait, and what was removed lately.
#[derive(Debug, Default)]
pub(crate) struct TwoPeople(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// By the digest of the request: who asked, and when.
    asked: VecDeque<([u8; 32], PrincipalId, UnixMillis)>,
    /// By bank: how many items one person alone removed, and when.
    removed: HashMap<BankId, VecDeque<(UnixMillis, u64)>>,
}

impl TwoPeople {
    /// Whether one person may remove so many more items of a bank whose charter lets one person remove fewer than `limit`.
    pub(super) fn one_may_remove(&self, bank: BankId, items: u64, limit: u32, now: UnixMillis) -> bool {
        let held = self.held();
        let removed = held.removed.get(&bank).into_iter().flatten();
        let sum: u64 = removed.filter(|(at, _)| is_recent(*at, now)).map(|(_, items)| items).sum();
        sum.saturating_add(items) < limit.into()
    }

    /// Counts items of a bank that one person removes.
    pub(super) fn count_removed(&self, bank: BankId, items: u64, now: UnixMillis) {
        let mut held = self.held();
        let removed = held.removed.entry(bank).or_default();
        removed.retain(|(at, _)| is_recent(*at, now));
        removed.push_back((now, items));
    }

    /// Whether somebody else has asked for the same before; if not, it is remembered that this person does. `known_at` is whether the
    /// person was there as it is now at a moment: whoever could make a second person, or a key of one, is no second person with it.
    ///
    /// The first one's request stays until its time is over, since this one may have to be planned again. Nothing can be removed or deleted twice.
    pub(super) fn is_second(
        &self,
        request: [u8; 32],
        person: PrincipalId,
        known_at: impl Fn(UnixMillis) -> bool,
        now: UnixMillis,
    ) -> bool {
        let mut held = self.held();
        held.asked.retain(|(_, _, at)| is_recent(*at, now));
        let is_first = |(asked, by, at): &([u8; 32], PrincipalId, UnixMillis)| {
            *asked == request && *by != person && known_at(*at)
        };
        if held.asked.iter().any(is_first) {
            return true;
        }
        held.asked.retain(|(asked, by, _)| (*asked, *by) != (request, person));
        if held.asked.len() >= ASKED_MAX {
            held.asked.pop_front();
        }
        held.asked.push_back((request, person, now));
        false
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing in there panics half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let two = TwoPeople::default();
        let is_second =
            |request: u8, person, now| two.is_second([request; 32], person, |_| true, UnixMillis(now));
        assert!(!is_second(1, ONE, 0));
        // The same person again, and another request.
        assert!(!is_second(1, ONE, 5) && !is_second(2, OTHER, 5));
        // A person that the first one may have made.
        assert!(!two.is_second([1; 32], PrincipalId(3), |at| at < UnixMillis(5), UnixMillis(6)));
        // As often as it is planned.
        assert!(is_second(1, OTHER, 6) && is_second(1, OTHER, 7));
        assert!(!is_second(1, OTHER, 6 + WITHIN_MS));
    }

    #[test]
    fn small_removals_add_up_for_a_day() {
        let two = TwoPeople::default();
        let may = |bank, items, now| {
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
        let two = TwoPeople::default();
        for request in 0..2_000_u64 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&request.to_be_bytes());
            assert!(!two.is_second(digest, ONE, |_| true, UnixMillis(0)));
        }
        assert_eq!(two.held().asked.len(), ASKED_MAX);
    }
}
