//! Where those who follow the log have come to: what the log must still keep.
//!
//! A follower that is cut off comes back within seconds, or minutes after a restart. For that long its place is
//! remembered, so that it finds the log going on from there. One that stays away for longer loads the state anew. So does
//! one that is there and has taken nothing for as long: a stalled reader must not make the log grow for ever.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vigie_model::Sequence;

/// Places of followers that have gone, remembered for each that may be there. Beyond it the longest gone are forgotten.
const GONE_EACH: usize = 4;

/// See the module.
#[derive(Debug)]
pub(crate) struct Followers {
    places: Mutex<Places>,
    /// How long a place is remembered.
    remembered: Duration,
    gone_max: usize,
}

#[derive(Debug, Default)]
struct Places {
    next: u64,
    present: HashMap<u64, (Instant, Sequence)>,
    gone: Vec<(Instant, Sequence)>,
}

/// The place of one follower, which is remembered when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    followers: Arc<Followers>,
    number: u64,
    /// Whether it is one to be remembered: a follower that was refused is not.
    accepted: bool,
}

impl Followers {
    /// For at most so many followers at once.
    pub(crate) fn new(followers_max: usize, remembered: Duration) -> Self {
        Self { places: Mutex::default(), remembered, gone_max: followers_max.saturating_mul(GONE_EACH) }
    }

    /// One more, that has every change up to `reached`.
    pub(crate) fn join(self: &Arc<Self>, reached: Sequence) -> Place {
        let mut places = self.places();
        let number = places.next;
        places.next += 1;
        places.present.insert(number, (Instant::now(), reached));
        drop(places);
        Place { followers: Arc::clone(self), number, accepted: false }
    }

    /// The last change that all of them have; `None` where nobody is remembered.
    pub(crate) fn all_have(&self) -> Option<Sequence> {
        let mut places = self.places();
        let now = Instant::now();
        places.forget(now, self.remembered);
        let awake = places.present.values().filter(|(told, _)| now.duration_since(*told) < self.remembered);
        awake.chain(&places.gone).map(|(_, reached)| *reached).min()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Every change of it is a single step.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Places {
    fn forget(&mut self, now: Instant, remembered: Duration) {
        self.gone.retain(|(left, _)| now.duration_since(*left) < remembered);
    }
}

impl Place {
    /// It has come to here, and is remembered from now on.
    pub(crate) fn advance(&mut self, reached: Sequence) {
        self.accepted = true;
        self.followers.places().present.insert(self.number, (Instant::now(), reached));
    }

    /// A number that others do not have.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut places = self.followers.places();
        places.forget(now, self.followers.remembered);
        if let Some((_, reached)) = places.present.remove(&self.number).filter(|_| self.accepted) {
            places.gone.push((now, reached));
        }
        if places.gone.len() > self.followers.gone_max {
            places.gone.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_place_is_kept_while_its_follower_is_there_and_a_while_after() {
        let followers = Arc::new(Followers::new(2, Duration::from_secs(60)));
        assert_eq!(followers.all_have(), None);
        let mut slow = followers.join(Sequence(3));
        slow.advance(Sequence(3));
        let mut quick = followers.join(Sequence(0));
        quick.advance(Sequence(9));
        assert_eq!(followers.all_have(), Some(Sequence(3)));
        drop(slow);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(followers.all_have(), Some(Sequence(3)));
        quick.advance(Sequence(9));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(followers.all_have(), Some(Sequence(9)));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_were_refused_or_are_stalled_hold_nothing_up() {
        let followers = Arc::new(Followers::new(2, Duration::from_secs(60)));
        drop(followers.join(Sequence(1)));
        assert_eq!(followers.all_have(), None);
        let mut stalled = followers.join(Sequence(0));
        stalled.advance(Sequence(4));
        tokio::time::advance(Duration::from_secs(61)).await;
        assert_eq!(followers.all_have(), None);
        stalled.advance(Sequence(5));
        assert_eq!(followers.all_have(), Some(Sequence(5)));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_and_go_are_not_remembered_without_bound() {
        let followers = Arc::new(Followers::new(2, Duration::from_secs(60)));
        for reached in 1..100 {
            followers.join(Sequence(0)).advance(Sequence(reached));
        }
        assert_eq!(followers.all_have(), Some(Sequence(92)));
    }
}
