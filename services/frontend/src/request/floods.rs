//! Flood control: an item that matches far too often at one member is held for that member alone.
//!
//! Each match of an item in a content that is answered to a member counts once, however many hashes of the
//! item match; matches in shadow do not count. An item floods at a member if it matched there at least
//! [`FloodLimits::matches_min`] times within the window, and at least `median_factor` times the median of the
//! other items that matched there; if no other item matched, that median is 1. The flood is reported to the
//! bank in the background, and the bank holds the item for the member. Every member is counted separately.
//!
//! After a report the count restarts at zero, with the first answer that includes the hold. So an item whose
//! hold was lifted has to flood again before it is held again. Each frontend counts the matches in its own
//! answers; a member's matches at other frontends are not included.

pub(crate) mod limits;
mod tracked;
pub(crate) mod control;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use vigie_model::{ItemId, MemberId, Sequence};

use self::limits::FloodLimits;
use self::tracked::{PairKey, STEPS, Step, Tracked};
use crate::matching::Answer;

/// The number of pairs that are read in one go, while counting waits for the lock.
const READ_AT_ONCE: usize = 1_024;

/// An item that matched far too often at a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flood {
    pub(super) member: MemberId,
    pub(super) item: ItemId,
    /// The number of its matches in the window.
    pub(super) count: u32,
    /// The median count of the other items that matched there; 0 if there are none.
    pub(super) median: u32,
}

/// The matches of members by item, counted as they are answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Floods(
    /// `None` if flood control is off.
    Option<Arc<Counted>>,
);

#[derive(Debug)]
struct Counted {
    limits: FloodLimits,
    begun: Instant,
    tracked: Mutex<Tracked>,
}

impl Floods {
    /// Counts matches, with these limits; `None` counts nothing.
    pub(crate) fn new(limits: Option<FloodLimits>) -> Self {
        let counted = |limits: FloodLimits| {
            let tracked = Mutex::new(Tracked::new(limits.matches_min, limits.pairs_max));
            Arc::new(Counted { limits, begun: Instant::now(), tracked })
        };
        Self(limits.map(counted))
    }

    /// Counts the matches of an answer to a member.
    pub(super) fn count(&self, member: MemberId, answer: &Answer) {
        let Some(counted) = &self.0 else { return };
        let contents = answer.results.iter().flatten();
        let mut items =
            contents.flat_map(|content| &content.found.matches).map(|found| found.item).peekable();
        if items.peek().is_none() {
            return;
        }
        let (step, as_of) = (counted.step(), answer.coverage.sequence_min);
        let mut tracked = counted.tracked();
        items.for_each(|item| tracked.count((member, item), as_of, step));
    }
}

impl Counted {
    fn tracked(&self) -> MutexGuard<'_, Tracked> {
        // No code that holds this lock can panic between two changes.
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self) -> Step {
        let of_step = (self.limits.window.as_millis() / STEPS as u128).max(1);
        Step::try_from(self.begun.elapsed().as_millis() / of_step).unwrap_or(Step::MAX)
    }

    /// Takes up to `limit` items that flood now. Their matches do not count until [`Self::begin_anew`].
    fn take_floods(&self, limit: usize) -> Vec<Flood> {
        let candidates = self.tracked().take_candidates();
        if candidates.is_empty() {
            return Vec::new();
        }
        let mut of_members: HashMap<MemberId, OfMember> = HashMap::new();
        for (member, item) in &candidates {
            of_members.entry(*member).or_default().judged.insert(*item, 0);
        }
        let step = self.step();
        let mut from = 0;
        // Matches are counted between two parts.
        while let Some(part) = self.tracked().counts(from, READ_AT_ONCE, step) {
            for ((member, item), count) in part {
                if let Some(of_member) = of_members.get_mut(&member) {
                    of_member.add(item, count);
                }
            }
            from += READ_AT_ONCE;
        }
        let judged = of_members.into_iter().flat_map(|(member, of_member)| of_member.judge(member));
        let floods = judged.filter(|flood| self.limits.is_flood(flood.count, flood.median)).take(limit);
        let floods: Vec<Flood> = floods.collect();
        let mut tracked = self.tracked();
        for Flood { member, item, .. } in &floods {
            tracked.begin_anew((*member, *item), Sequence(u64::MAX));
        }
        drop(tracked);
        floods
    }

    /// Restarts the count of a pair at zero, with answers that include its hold.
    fn begin_anew(&self, (member, item): PairKey, held_at: Sequence) {
        self.tracked().begin_anew((member, item), held_at);
    }
}

/// The matches of one member in the window.
#[derive(Debug, Default)]
struct OfMember {
    /// The candidates for floods.
    judged: HashMap<ItemId, u32>,
    /// The counts of all items.
    counts: Vec<u32>,
}

impl OfMember {
    fn add(&mut self, item: ItemId, count: u32) {
        self.counts.push(count);
        if let Some(of_item) = self.judged.get_mut(&item) {
            *of_item = count;
        }
    }

    fn judge(self, member: MemberId) -> impl Iterator<Item = Flood> {
        let Self { judged, mut counts } = self;
        counts.sort_unstable();
        let flood =
            move |(item, count)| Flood { member, item, count, median: median_without(&counts, count) };
        judged.into_iter().map(flood)
    }
}

/// Returns the lower median of sorted counts, without one count equal to `own`; 0 if there is no other.
fn median_without(sorted: &[u32], own: u32) -> u32 {
    let own_at = sorted.partition_point(|count| *count < own);
    let others = sorted.len().saturating_sub(1);
    let middle = others.saturating_sub(1) / 2;
    let at = if middle < own_at { middle } else { middle + 1 };
    sorted.get(at).copied().filter(|_| others > 0).unwrap_or(0)
}

#[cfg(test)]
mod tests;
