//! The claims of followers: for each follower, the log must keep the changes after the position that it has
//! reached.
//!
//! A follower that is cut off returns within seconds, or within minutes after a restart. For that long its
//! claim is remembered, so that it can continue from there. A follower that stays away for longer loads the
//! state again. So does one that is connected but has taken nothing for as long: a stalled reader must not
//! make the log grow without bound.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::position::Sequence;

/// The remembered claims of followers that have gone, for each possible follower. Beyond that number the
/// oldest are forgotten.
const GONE_EACH: usize = 4;

/// The claims of all followers.
#[derive(Debug)]
pub(super) struct Claims {
    held: Mutex<Held>,
    /// The time for which a claim is remembered.
    remembered: Duration,
    gone_max: usize,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    present: HashMap<u64, (Instant, Sequence)>,
    gone: Vec<(Instant, Sequence)>,
}

/// The claim of one follower, which is remembered when this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Arc<Claims>,
    number: u64,
    /// Whether it is remembered; the claim of a refused follower is not.
    accepted: bool,
}

impl Claims {
    /// Returns the claims of at most `followers_max` followers at once.
    pub(super) fn new(followers_max: usize, remembered: Duration) -> Self {
        Self { held: Mutex::default(), remembered, gone_max: followers_max.saturating_mul(GONE_EACH) }
    }

    /// Adds a follower that has every change up to `reached`.
    pub(super) fn join(self: &Arc<Self>, reached: Sequence) -> Claim {
        let mut held = self.held();
        let number = held.next;
        held.next += 1;
        held.present.insert(number, (Instant::now(), reached));
        drop(held);
        Claim { claims: Arc::clone(self), number, accepted: false }
    }

    /// Returns the last change that all of them have; `None` if no claim is remembered.
    pub(super) fn all_have(&self) -> Option<Sequence> {
        let mut held = self.held();
        let now = Instant::now();
        held.forget(now, self.remembered);
        let awake = held.present.values().filter(|(heard, _)| now.duration_since(*heard) < self.remembered);
        awake.chain(&held.gone).map(|(_, reached)| *reached).min()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Every change under the lock is a single step.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn forget(&mut self, now: Instant, remembered: Duration) {
        self.gone.retain(|(left, _)| now.duration_since(*left) < remembered);
    }
}

impl Claim {
    /// Moves the claim to `reached`. From now on it will be remembered.
    pub(super) fn advance(&mut self, reached: Sequence) {
        self.accepted = true;
        self.claims.held().present.insert(self.number, (Instant::now(), reached));
    }

    /// Returns a number that no other claim has.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut held = self.claims.held();
        held.forget(now, self.claims.remembered);
        if let Some((_, reached)) = held.present.remove(&self.number).filter(|_| self.accepted) {
            held.gone.push((now, reached));
        }
        if held.gone.len() > self.claims.gone_max {
            held.gone.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_claim_is_kept_while_its_follower_is_there_and_a_while_after() {
        let claims = Arc::new(Claims::new(2, Duration::from_secs(60)));
        assert_eq!(claims.all_have(), None);
        let mut slow = claims.join(Sequence(3));
        slow.advance(Sequence(3));
        let mut quick = claims.join(Sequence(0));
        quick.advance(Sequence(9));
        assert_eq!(claims.all_have(), Some(Sequence(3)));
        drop(slow);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(claims.all_have(), Some(Sequence(3)));
        quick.advance(Sequence(9));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(claims.all_have(), Some(Sequence(9)));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_were_refused_or_are_stalled_hold_nothing_up() {
        let claims = Arc::new(Claims::new(2, Duration::from_secs(60)));
        drop(claims.join(Sequence(1)));
        assert_eq!(claims.all_have(), None);
        let mut stalled = claims.join(Sequence(0));
        stalled.advance(Sequence(4));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(claims.all_have(), None);
        stalled.advance(Sequence(5));
        assert_eq!(claims.all_have(), Some(Sequence(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_and_go_are_not_remembered_without_bound() {
        let claims = Arc::new(Claims::new(2, Duration::from_secs(60)));
        for reached in 1..100 {
            claims.join(Sequence(0)).advance(Sequence(reached));
        }
        assert_eq!(claims.all_have(), Some(Sequence(92)));
    }
}
