//! The searches that queue for a service, and which of them go out together.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use vigie_rpc::Priority;

use super::carry::{Carry, Reply, Search as _};
use super::pace::{Load, Pace};

/// The number of calls of which one is for bulk, if bulk waits.
const BULK_TURN: u64 = 8;
/// The least time between two sweeps of the whole queue.
const SWEEP_EVERY: Duration = Duration::from_millis(5);
/// Searches share a call if their remaining times differ by at most one part in this many.
const TIME_SHARE: u32 = 8;

/// A search that queues.
#[derive(Debug)]
pub(super) struct Pending<C: Carry> {
    pub(super) search: C::Search,
    pub(super) reply: oneshot::Sender<Reply<C>>,
    /// The instant at which it was queued.
    pub(super) since: Instant,
    /// Whether the search shares no call, because one of its queries may have broken the last one.
    pub(super) alone: bool,
}

impl<C: Carry> Pending<C> {
    fn is_wanted(&self, now: Instant) -> bool {
        !self.reply.is_closed() && self.search.deadline() > now
    }

    /// Returns whether the two may share a call.
    fn shares_with(&self, other: &Self, now: Instant) -> bool {
        let left = |pending: &Self| pending.search.deadline().saturating_duration_since(now);
        let (one, another) = (left(self), left(other));
        one.abs_diff(another) <= one / TIME_SHARE && self.search.is_alike(&other.search)
    }
}

#[derive(Debug)]
pub(super) struct Queue<C: Carry> {
    interactive: VecDeque<Pending<C>>,
    bulk: VecDeque<Pending<C>>,
    /// The number of calls in flight.
    pub(super) out: usize,
    /// Decides when the next calls begin.
    pub(super) pace: Pace,
    /// The instant since which a task waits for other tasks before it makes a call, if one does.
    pub(super) gathering_since: Option<Instant>,
    /// Whether a task waits for the end of an interval.
    pub(super) is_timed: bool,
    turns: u64,
    swept: Option<Instant>,
}

impl<C: Carry> Default for Queue<C> {
    fn default() -> Self {
        Self {
            interactive: VecDeque::new(),
            bulk: VecDeque::new(),
            out: 0,
            pace: Pace::default(),
            gathering_since: None,
            is_timed: false,
            turns: 0,
            swept: None,
        }
    }
}

impl<C: Carry> Queue<C> {
    pub(super) fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.bulk.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.interactive.len() + self.bulk.len()
    }

    /// Returns when the queued searches may go; `None` for at once, also if they fill a call of `queries_max`
    /// queries.
    pub(super) fn due(&self, queries_max: usize, now: Instant) -> Option<Instant> {
        let oldest = [self.interactive.front(), self.bulk.front()].into_iter().flatten();
        let due = |pending: &Pending<C>| self.pace.due(pending.since, pending.search.deadline(), now);
        // The earliest of both; `None` if either may go at once.
        let due = oldest.map(due).collect::<Option<Vec<_>>>()?.into_iter().min()?;
        (!self.fills(queries_max)).then_some(due)
    }

    /// Returns whether the queue has enough queries for a call of `queries_max`.
    fn fills(&self, queries_max: usize) -> bool {
        let mut queries = 0;
        let mut all = self.interactive.iter().chain(&self.bulk);
        all.any(|pending| {
            queries += pending.search.query_count();
            queries >= queries_max
        })
    }

    pub(super) fn put(&mut self, pending: Pending<C>) {
        self.of(pending.search.priority()).push_back(pending);
    }

    /// Puts a search before all others.
    pub(super) fn put_back(&mut self, pending: Pending<C>) {
        self.of(pending.search.priority()).push_front(pending);
    }

    /// Removes the searches that no caller waits for. That takes a while, so it is done at intervals.
    pub(super) fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now >= swept + SWEEP_EVERY) {
            self.swept = Some(now);
            self.interactive.retain(|pending| pending.is_wanted(now));
            self.bulk.retain(|pending| pending.is_wanted(now));
        }
    }

    /// Takes the searches of a call out of turn, from a queue whose oldest search has waited for `patience`,
    /// if there is one.
    pub(super) fn overdue(
        &mut self,
        queries_max: usize,
        now: Instant,
        patience: Duration,
    ) -> Vec<Pending<C>> {
        for queue in [&mut self.interactive, &mut self.bulk] {
            while queue.front().is_some_and(|pending| !pending.is_wanted(now)) {
                queue.pop_front();
            }
            if queue.front().is_some_and(|oldest| now >= oldest.since + patience) {
                return take_alike(queue, queries_max, now);
            }
        }
        Vec::new()
    }

    fn of(&mut self, priority: Priority) -> &mut VecDeque<Pending<C>> {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Bulk => &mut self.bulk,
        }
    }

    /// Takes the searches of the next call; none if no search waits.
    pub(super) fn next(&mut self, queries_max: usize, now: Instant) -> Vec<Pending<C>> {
        let oldest = [self.interactive.front(), self.bulk.front()].into_iter().flatten();
        let oldest = oldest.map(|pending| pending.since).min().unwrap_or(now);
        let batch = self.take(queries_max, now);
        if !batch.is_empty() {
            let load = Load::of(batch.iter().map(|pending| &pending.search));
            // This call is counted in `out` already.
            self.pace.note_call(load, self.out.saturating_sub(1), oldest, now);
        }
        batch
    }

    fn take(&mut self, queries_max: usize, now: Instant) -> Vec<Pending<C>> {
        self.turns += 1;
        let bulk_first = self.turns.is_multiple_of(BULK_TURN);
        let order = [Priority::Interactive, Priority::Bulk];
        let order = if bulk_first { [order[1], order[0]] } else { order };
        order
            .into_iter()
            .map(|priority| take_alike(self.of(priority), queries_max, now))
            .find(|taken| !taken.is_empty())
            .unwrap_or_default()
    }
}

/// Takes the oldest search whose caller still waits, and the searches that can share its call, in order.
fn take_alike<C: Carry>(
    queue: &mut VecDeque<Pending<C>>,
    queries_max: usize,
    now: Instant,
) -> Vec<Pending<C>> {
    let first = loop {
        match queue.pop_front() {
            None => return Vec::new(),
            Some(pending) if pending.is_wanted(now) => break pending,
            Some(_) => {}
        }
    };
    let queries_max = queries_max.min(first.search.shared_queries_max());
    let mut count = first.search.query_count();
    let mut taken = vec![first];
    if taken[0].alone {
        return taken;
    }
    let mut passed_over = Vec::new();
    while count < queries_max {
        let Some(pending) = queue.pop_front() else { break };
        if !pending.is_wanted(now) {
            continue;
        }
        let fits = count + pending.search.query_count() <= queries_max;
        if fits && !pending.alone && taken[0].shares_with(&pending, now) {
            count += pending.search.query_count();
            taken.push(pending);
        } else {
            passed_over.push(pending);
        }
    }
    for pending in passed_over.into_iter().rev() {
        queue.push_front(pending);
    }
    taken
}
