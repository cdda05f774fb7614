//! Decides who gets room for the bytes of a request: limits and fairness together. It has no clock and never waits.
//!
//! Bytes count when they have arrived, and not when a length prefix announces them: who announces much and sends nothing takes
//! nothing from others. Their total is bounded in three parts:
//!
//! - The **open** part is for everybody, as it comes: a client that is alone has all of it.
//! - Beyond it, a client that has **less than its share** goes on: the open part divided by the clients that are active, and one
//!   message of the largest size in any case. So a client within its share is not refused because others hold the rest.
//! - **One message** at a time may be overdrawn. Streams keep what has arrived of a message while they wait for more room, and
//!   so many of them could hold all bytes and wait for each other. The one that overdraws always finishes, and gives its bytes
//!   back.
//!
//! What a client has announced and not sent yet counts against its own later messages alone: more than it can have at once is
//! refused at its prefix, and not after most of it has been sent.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::admission::shares::{Client, Clients};

/// The next to go on is chosen from this many of the waiting: a bound on the work of one choice.
const CHOSEN_FROM: usize = 64;

/// The parts of all bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// For everybody.
    open: usize,
    /// Up to here for clients within their share. One message more may be overdrawn.
    within_share: usize,
    /// The largest message.
    message_max: usize,
}

impl Sizes {
    /// Divides the bytes that may be in flight; there is always room for three messages of the largest size.
    pub(crate) fn new(bytes_in_flight_max: usize, message_bytes_max: usize) -> Self {
        let message_max = message_bytes_max.max(1);
        let total = bytes_in_flight_max.max(message_max.saturating_mul(3));
        let kept = (total / 3).max(message_max.saturating_mul(2));
        Self { open: total - kept, within_share: total - message_max, message_max }
    }

    /// Returns what counts of one request of this many bytes: more than the largest message would never be given.
    pub(crate) fn countable(&self, bytes: usize) -> usize {
        bytes.min(self.message_max)
    }
}

/// Why there is no room for bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// All of it is in use.
    Full,
    /// The client has its share, and others want theirs.
    Share,
}

/// Bytes of one client.
#[derive(Debug)]
pub(crate) struct Portion {
    client: Client,
    bytes: usize,
    /// That part of them is overdrawn.
    overdrawn: usize,
}

impl Portion {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn is_overdrawn(&self) -> bool {
        self.overdrawn > 0
    }

    /// Takes so many of them, if there are.
    pub(crate) fn split(&mut self, bytes: usize) -> Option<Self> {
        let left = self.bytes.checked_sub(bytes)?;
        let overdrawn = self.overdrawn.min(bytes);
        (self.bytes, self.overdrawn) = (left, self.overdrawn - overdrawn);
        Some(Self { client: self.client.clone(), bytes, overdrawn })
    }

    /// Adds those of another portion of the same client, which is left with none.
    pub(crate) fn merge(&mut self, other: &mut Self) {
        self.bytes += std::mem::take(&mut other.bytes);
        self.overdrawn += std::mem::take(&mut other.overdrawn);
    }
}

/// A message that waits for more room; `T` is how that is handed to it.
#[derive(Debug)]
struct Waiter<T> {
    number: u64,
    client: Client,
    bytes: usize,
    /// Its message has overdrawn bytes already.
    overdraws: bool,
    tell: T,
}

/// The outcome of asking for room that may be waited for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The room.
    Now(Portion),
    /// The room comes later; this number withdraws the request.
    Later(u64),
}

/// The bytes of one server, as numbers.
#[derive(Debug)]
pub(crate) struct Ledger<T> {
    sizes: Sizes,
    clients: Clients,
    /// Lengths of large messages, by who has announced them. None of it is zero.
    announced: HashMap<Client, usize>,
    /// All bytes, but for those that are overdrawn.
    in_use: usize,
    overdrawn: usize,
    waiting: VecDeque<Waiter<T>>,
    waiters: u64,
}

impl<T> Ledger<T> {
    pub(crate) fn new(sizes: Sizes) -> Self {
        Self {
            sizes,
            clients: Clients::default(),
            announced: HashMap::new(),
            in_use: 0,
            overdrawn: 0,
            waiting: VecDeque::new(),
            waiters: 0,
        }
    }

    /// Notes the length of a message, unless its client has announced so much that not all of it can arrive.
    pub(crate) fn announce(
        &mut self,
        now: Duration,
        client: &Client,
        bytes: usize,
    ) -> Result<Client, Shortage> {
        let (client, own) = self.clients.meet(client.clone(), now);
        let announced = self.announced.get(&client).map_or(0, |bytes| *bytes);
        let of_others = (self.in_use + self.overdrawn).saturating_sub(own);
        let available = self.sizes.open.saturating_sub(of_others).max(self.due());
        if announced.saturating_add(bytes) > available {
            return Err(self.shortage());
        }
        self.announced.insert(client.clone(), announced + bytes);
        Ok(client)
    }

    /// The message has come, or will not.
    pub(crate) fn forget(&mut self, client: &Client, bytes: usize) {
        if let Some(announced) = self.announced.get_mut(client) {
            *announced = announced.saturating_sub(bytes);
            if *announced == 0 {
                self.announced.remove(client);
            }
        }
    }

    /// Gives room now, or none.
    pub(crate) fn take(&mut self, now: Duration, client: &Client, bytes: usize) -> Result<Portion, Shortage> {
        let (client, own) = self.clients.meet(client.clone(), now);
        if self.fits(own, bytes) { Ok(self.enter(client, bytes, 0)) } else { Err(self.shortage()) }
    }

    /// Gives room now or later. `overdraws` says that the same message has overdrawn bytes already.
    pub(crate) fn ask(
        &mut self,
        now: Duration,
        client: &Client,
        bytes: usize,
        overdraws: bool,
        tell: T,
    ) -> Asked {
        let (client, own) = self.clients.meet(client.clone(), now);
        if self.fits(own, bytes) {
            return Asked::Now(self.enter(client, bytes, 0));
        }
        if self.may_overdraw(bytes, overdraws) {
            return Asked::Now(self.enter(client, bytes, bytes));
        }
        self.waiters += 1;
        self.waiting.push_back(Waiter { number: self.waiters, client, bytes, overdraws, tell });
        Asked::Later(self.waiters)
    }

    /// Takes the next of the waiting out of the queue, if there is room for it. To be called whenever bytes come back.
    pub(crate) fn next(&mut self, now: Duration) -> Option<(T, Portion)> {
        let fits = |waiter: &Waiter<T>| self.fits(self.clients.in_flight(&waiter.client), waiter.bytes);
        let overdrawing = |waiter: &Waiter<T>| self.may_overdraw(waiter.bytes, waiter.overdraws);
        let candidates = || self.waiting.iter().take(CHOSEN_FROM);
        let fitting = candidates().position(fits);
        let at = fitting.or_else(|| candidates().position(overdrawing))?;
        let overdraws = fitting.is_none();
        let Waiter { client, bytes, tell, .. } = self.waiting.remove(at)?;
        // It may have been forgotten while it waited.
        let (client, _) = self.clients.meet(client, now);
        Some((tell, self.enter(client, bytes, if overdraws { bytes } else { 0 })))
    }

    /// Withdraws the request of this number.
    pub(crate) fn give_up(&mut self, number: u64) {
        if let Ok(at) = self.waiting.binary_search_by_key(&number, |waiter| waiter.number) {
            self.waiting.remove(at);
        }
    }

    /// Counts the bytes of a portion as those of another client: what its client is counted as has changed.
    pub(crate) fn transfer(&mut self, portion: &mut Portion, to: &Client) {
        self.clients.leave(&portion.client, portion.bytes);
        self.clients.enter(to, portion.bytes);
        portion.client = to.clone();
    }

    /// Takes bytes back.
    pub(crate) fn leave(&mut self, portion: &Portion) {
        self.clients.leave(&portion.client, portion.bytes);
        self.in_use = self.in_use.saturating_sub(portion.bytes - portion.overdrawn);
        self.overdrawn = self.overdrawn.saturating_sub(portion.overdrawn);
    }

    fn enter(&mut self, client: Client, bytes: usize, overdrawn: usize) -> Portion {
        self.clients.enter(&client, bytes);
        self.in_use += bytes - overdrawn;
        self.overdrawn += overdrawn;
        Portion { client, bytes, overdrawn }
    }

    /// Whether there is room for so many more bytes of a client that has `own`.
    fn fits(&self, own: usize, bytes: usize) -> bool {
        let in_use = self.in_use.saturating_add(bytes);
        in_use <= self.sizes.open
            || (own.saturating_add(bytes) <= self.due() && in_use <= self.sizes.within_share)
    }

    /// One message at a time does, and no more than the largest takes.
    fn may_overdraw(&self, bytes: usize, overdraws: bool) -> bool {
        (overdraws || self.overdrawn == 0) && self.overdrawn.saturating_add(bytes) <= self.sizes.message_max
    }

    /// What each client may have though others want room too.
    fn due(&self) -> usize {
        self.clients.share(self.sizes.open).max(self.sizes.message_max)
    }

    fn shortage(&self) -> Shortage {
        if self.clients.several() { Shortage::Share } else { Shortage::Full }
    }
}

#[cfg(test)]
mod tests;
