//! Decides which calls get a slot, by the limit, the priority and the fair shares. It has no clock and never
//! waits.
//!
//! - An **interactive** call gets a slot while one is free, and beyond that if its client has less than its
//!   due (see `shares`): up to half the limit more in all. The other clients get none until fewer than the
//!   limit are in flight again, so a client that sends little does not suffer from one that sends much.
//! - A **bulk** call gets a slot while less than three quarters of the limit are in use, so that interactive
//!   calls find capacity. A client that has its share gets nothing of the last eighth of that while other
//!   clients are active. Against an interactive call, bulk work counts with at most three quarters of the
//!   current limit: if the limit has shrunk while bulk work goes on, interactive calls still find the last
//!   quarter.
//! - A costly call is bulk work of several slots, at most half of what bulk work may use. It gives up the
//!   slot that it has while it waits for them.
//! - Bulk work that may wait does so in a queue of bounded length. Next is the first waiter whose client has
//!   the fewest slots in flight. New bulk work also waits if a client in the queue has no more in flight than
//!   its own. Interactive calls never wait.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use vigie_rpc::Priority;

use crate::admission::limit::{Capacity, Class, Evidence, Limit};
use crate::admission::shares::{Client, Clients};
use crate::load::Refusal;

/// The share of the limit that bulk calls may use: three quarters.
const BULK: (usize, usize) = (3, 4);
/// The part of the bulk calls' share that is kept for clients with less than theirs: an eighth.
const BULK_KEPT: usize = 8;
/// The number of waiters from which the next is chosen: a bound on the work of one choice.
const CHOSEN_FROM: usize = 64;
/// The share of refusals is a moving mean over about this many decisions.
const DECISIONS: f64 = 128.0;

/// A slot that is in use.
#[derive(Debug)]
pub(crate) struct Held {
    client: Client,
    evidence: Evidence,
    slots: usize,
    priority: Priority,
}

/// The slots that a piece of bulk work asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Want {
    /// The number of slots. No work gets more than half of what bulk work may use.
    pub(crate) slots: usize,
    /// Whether the work's call already holds one of them.
    pub(crate) has_one: bool,
}

impl Want {
    /// A single slot, for work that has none.
    pub(crate) const ONE: Self = Self { slots: 1, has_one: false };
}

/// Work that waits. `T` is the channel that delivers its slot.
#[derive(Debug)]
struct Waiter<T> {
    number: u64,
    client: Client,
    want: Want,
    channel: T,
}

/// The outcome of asking for a slot that may be waited for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The slot.
    Now(Held),
    /// The slot will be delivered later; this number withdraws the request.
    Later(u64),
}

/// The slots of one server, as numbers.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    limit: Limit,
    clients: Clients,
    in_flight: usize,
    /// The slots in flight that bulk work holds.
    bulk_in_flight: usize,
    /// The most slots in flight, even for clients that may exceed the limit.
    in_flight_max: usize,
    waiting: VecDeque<Waiter<T>>,
    /// The number of waiters of each client.
    waiting_of: HashMap<Client, usize>,
    waiting_max: usize,
    waiters: u64,
    /// The share of refusals among the last decisions.
    refused: f64,
}

impl<T> Gate<T> {
    pub(crate) fn new(limit: Limit, in_flight_max: usize, waiting_max: usize) -> Self {
        Self {
            limit,
            clients: Clients::default(),
            in_flight: 0,
            bulk_in_flight: 0,
            in_flight_max: in_flight_max.max(1),
            waiting: VecDeque::new(),
            waiting_of: HashMap::new(),
            waiting_max,
            waiters: 0,
            refused: 0.0,
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.current()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the ratio of requested to accepted calls: 1 if all are accepted, 2 if half are.
    pub(crate) fn overload(&self) -> f64 {
        1.0 / (1.0 - self.refused).max(0.01)
    }

    /// Gives a slot at once, or returns why not.
    pub(crate) fn admit(
        &mut self,
        now: Duration,
        client: Client,
        priority: Priority,
    ) -> Result<Held, Refusal> {
        let (client, own) = self.clients.meet(client, now);
        let behind = priority == Priority::Bulk && self.waits_before(&client, own);
        let refusal = if behind { Some(Refusal::Bulk) } else { self.refusal(now, &client, own, priority, 1) };
        self.refused += (f64::from(u8::from(refusal.is_some())) - self.refused) / DECISIONS;
        match refusal {
            None => Ok(self.enter(client, Want::ONE, priority)),
            Some(refusal) => {
                self.limit.reached(now, priority);
                Err(refusal)
            }
        }
    }

    /// Returns whether waiting work comes before that of this client, which has `own` slots in flight.
    fn waits_before(&self, client: &Client, own: usize) -> bool {
        if self.waiting_of.contains_key(client) {
            return true;
        }
        let mut candidates = self.waiting.iter().take(CHOSEN_FROM);
        candidates.any(|waiter| self.clients.in_flight(&waiter.client) <= own)
    }

    /// Gives the slots of bulk work now, or queues it.
    pub(crate) fn ask(
        &mut self,
        now: Duration,
        client: Client,
        want: Want,
        channel: T,
    ) -> Result<Asked, Refusal> {
        let (client, mut own) = self.clients.meet(client, now);
        if want.has_one {
            self.count_out(&client, 1);
            own = own.saturating_sub(1);
        }
        let slots = self.most(want);
        if !self.waits_before(&client, own)
            && self.refusal(now, &client, own, Priority::Bulk, slots).is_none()
        {
            return Ok(Asked::Now(self.enter(client, want, Priority::Bulk)));
        }
        self.limit.reached(now, Priority::Bulk);
        if self.waiting.len() >= self.waiting_max {
            self.take_back(&client, want);
            return Err(Refusal::Waiting);
        }
        self.waiters += 1;
        *self.waiting_of.entry(client.clone()).or_default() += 1;
        self.waiting.push_back(Waiter { number: self.waiters, client, want, channel });
        Ok(Asked::Later(self.waiters))
    }

    /// Returns the number of slots that the work gets.
    fn most(&self, want: Want) -> usize {
        want.slots.min(bulk_part(self.limit.current()) / 2).max(1)
    }

    /// Counts the call's own slot again, for work that got nothing.
    fn take_back(&mut self, client: &Client, want: Want) {
        if want.has_one {
            self.in_flight += 1;
            self.clients.enter(client, 1);
        }
    }

    /// Removes the next waiter from the queue, if it may go on. Called whenever a slot is released.
    pub(crate) fn next(&mut self, now: Duration) -> Option<(T, Held)> {
        let candidates = self.waiting.iter().take(CHOSEN_FROM).enumerate();
        let (at, own) = candidates
            .map(|(at, waiter)| (at, self.clients.in_flight(&waiter.client)))
            .min_by_key(|(_, own)| *own)?;
        let first = self.waiting.get(at)?;
        let (client, slots) = (first.client.clone(), self.most(first.want));
        if self.refusal(now, &client, own, Priority::Bulk, slots).is_some() {
            self.limit.reached(now, Priority::Bulk);
            return None;
        }
        let Waiter { channel, want, .. } = self.take_out(at)?;
        // The client may have been forgotten while it waited.
        let (client, _) = self.clients.meet(client, now);
        Some((channel, self.enter(client, want, Priority::Bulk)))
    }

    /// Withdraws the request of this number.
    pub(crate) fn give_up(&mut self, number: u64) {
        if let Ok(at) = self.waiting.binary_search_by_key(&number, |waiter| waiter.number) {
            let Some(Waiter { client, want, .. }) = self.take_out(at) else { return };
            self.take_back(&client, want);
        }
    }

    fn take_out(&mut self, at: usize) -> Option<Waiter<T>> {
        let waiter = self.waiting.remove(at)?;
        if let Entry::Occupied(mut entry) = self.waiting_of.entry(waiter.client.clone()) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        Some(waiter)
    }

    /// Takes a slot back. `took` is the call's class and latency, if they are evidence of the load.
    pub(crate) fn leave(&mut self, now: Duration, held: Held, took: Option<(Class, Duration)>) {
        if let Some((class, took)) = took {
            self.limit.record(now, class, took, held.evidence, self.in_flight);
        }
        if held.priority == Priority::Bulk {
            self.bulk_in_flight = self.bulk_in_flight.saturating_sub(held.slots);
        }
        self.count_out(&held.client, held.slots);
    }

    fn count_out(&mut self, client: &Client, slots: usize) {
        self.in_flight = self.in_flight.saturating_sub(slots);
        self.clients.leave(client, slots);
    }

    fn enter(&mut self, client: Client, want: Want, priority: Priority) -> Held {
        let slots = self.most(want);
        self.in_flight += slots;
        self.clients.enter(&client, slots);
        let (evidence, slots) = if want.has_one {
            // The call itself returns the first slot, and reports its latency.
            (Evidence::Nothing, slots - 1)
        } else {
            (self.limit.admit(self.in_flight), slots)
        };
        if priority == Priority::Bulk {
            self.bulk_in_flight += slots;
        }
        Held { client, evidence, slots, priority }
    }

    /// Returns the slots in use that count against an interactive call under a limit of `slots`: those of
    /// bulk work count with its part at most.
    fn in_use_for_interactive(&self, slots: usize) -> usize {
        let of_bulk = self.bulk_in_flight.min(bulk_part(slots));
        self.in_flight - self.bulk_in_flight + of_bulk
    }

    fn refusal(
        &mut self,
        now: Duration,
        client: &Client,
        own: usize,
        priority: Priority,
        wanted: usize,
    ) -> Option<Refusal> {
        let Capacity { slots, within_share, first_of_client } = self.limit.at(now, priority);
        let several = self.clients.several();
        match priority {
            Priority::Interactive => {
                let borrows = several && own < self.clients.due(client, self.limit.current());
                let in_use = self.in_use_for_interactive(slots);
                let may_borrow = if own == 0 { first_of_client } else { within_share };
                let has_slot = in_use < slots || (borrows && in_use < may_borrow);
                if has_slot && self.in_flight < self.in_flight_max {
                    None
                } else if borrows || !several {
                    Some(Refusal::Full)
                } else {
                    Some(Refusal::Share)
                }
            }
            Priority::Bulk => {
                let bulk = bulk_part(slots);
                let more = wanted - 1;
                let has_share = several && own + more >= self.clients.share(bulk).max(1);
                // On an idle server, work gets its slots however many they are.
                let in_flight = if self.in_flight == 0 { 0 } else { self.in_flight + more };
                if in_flight >= bulk {
                    Some(Refusal::Bulk)
                } else if has_share && in_flight >= bulk - bulk / BULK_KEPT {
                    Some(Refusal::Share)
                } else {
                    None
                }
            }
        }
    }
}

/// Returns the part of `slots` that bulk work may use.
fn bulk_part(slots: usize) -> usize {
    (slots * BULK.0 / BULK.1).max(1)
}

#[cfg(test)]
mod tests;
