//! Decides who gets room for bytes, of requests or of answers: limits and fairness together. It has no clock and never waits.
//!
//! Bytes of requests count when they have arrived, and not when a length prefix announces them: who announces much and sends
//! nothing takes nothing from others. Bytes of answers count from before an answer is built until its client has taken it. The
//! total of either is bounded in parts:
//!
//! - The **open** part is for everybody, as it comes: a client that is alone has all of it.
//! - Beyond it, a client that has **less than its share** goes on: the open part divided by the clients that are active, and one
//!   message of the largest size in any case. So a client within its share is not refused because others hold the rest.
//! - **One message** of a request at a time may be overdrawn. Streams keep what has arrived of a message while they wait for more
//!   room, and so many of them could hold all bytes and wait for each other. The one that overdraws always finishes, and gives its
//!   bytes back.
//!
//! Requests arrive at a minimum rate, so their bytes come back. A client that reads none of its answers keeps theirs as long as it
//! likes. Therefore the part of answers that is not open is never used up: of that a client that has any takes **no more than it leaves free**
//! (the dynamic threshold of Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998).
//! Large answers leave a further part to **small ones**, of the same client too: it may be a service that asks for many.
//!
//! What a client has announced and not sent yet counts against its own later messages alone: more than it can have at once is
//! refused at its prefix, and not after most of it has been sent.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::admission::shares::{Client, Clients};

/// The next to go on is chosen from this many kinds of the waiting: a bound on the work of one choice.
const CHOSEN_FROM: usize = 64;
/// An answer of more than this part of all bytes is large ...
const LARGE: usize = 64;
/// ... and leaves this part to small ones.
const FOR_SMALL: usize = 16;

/// The parts of all bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// For everybody.
    open: usize,
    /// Up to here for clients within their share.
    within_share: usize,
    /// The largest message, or answer: more is never asked for, and each client may have one.
    message_max: usize,
    /// So many bytes more may be overdrawn.
    overdrawn_max: usize,
    answers: Option<AnswerSizes>,
}

/// Further parts of the bytes of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AnswerSizes {
    /// An answer with more is large.
    small_max: usize,
    /// A large answer leaves this much of each part.
    for_small: usize,
}

impl Sizes {
    /// Divides the bytes of requests that may be in flight; there is always room for three messages of the largest size.
    pub(crate) fn of_requests(bytes_in_flight_max: usize, message_bytes_max: usize) -> Self {
        let message_max = message_bytes_max.max(1);
        let total = bytes_in_flight_max.max(message_max.saturating_mul(3));
        let kept = (total / 3).max(message_max.saturating_mul(2));
        let (open, within_share) = (total - kept, total - message_max);
        Self { open, within_share, message_max, overdrawn_max: message_max, answers: None }
    }

    /// Divides the bytes of answers that may be in flight. Half is open; the largest answer takes a quarter.
    pub(crate) const fn of_answers(bytes_in_flight_max: usize) -> Self {
        let total = bytes_in_flight_max;
        let answers = AnswerSizes { small_max: total / LARGE, for_small: total / FOR_SMALL };
        let (open, message_max) = (total / 2, total / 4);
        Self { open, within_share: total, message_max, overdrawn_max: 0, answers: Some(answers) }
    }

    /// Returns what counts of one message of this many bytes: more than the largest would never be given.
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
        let overdrawing = |waiter: &Waiter<T>| self.may_overdraw(waiter.bytes, waiter.overdraws);
        let fitting = self.first_that_fits();
        let at = fitting.or_else(|| self.waiting.iter().take(CHOSEN_FROM).position(overdrawing))?;
        let overdraws = fitting.is_none();
        let Waiter { client, bytes, tell, .. } = self.waiting.remove(at)?;
        // It may have been forgotten while it waited.
        let (client, _) = self.clients.meet(client, now);
        Some((tell, self.enter(client, bytes, if overdraws { bytes } else { 0 })))
    }

    /// The first of the waiting for which there is room. However many one client has waiting, those of others are found.
    fn first_that_fits(&self) -> Option<usize> {
        // Where there is no room for one, there is none for a larger one of the same client.
        let mut without: Vec<&Waiter<T>> = Vec::new();
        for (at, waiter) in self.waiting.iter().enumerate() {
            if without.iter().any(|one| one.bytes <= waiter.bytes && one.client == waiter.client) {
                continue;
            }
            if self.fits(self.clients.in_flight(&waiter.client), waiter.bytes) {
                return Some(at);
            }
            if without.len() == CHOSEN_FROM {
                return None;
            }
            without.push(waiter);
        }
        None
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
        let Sizes { open, within_share, answers, .. } = self.sizes;
        let for_small = match answers {
            Some(AnswerSizes { small_max, for_small }) if bytes > small_max => for_small,
            Some(_) | None => 0,
        };
        let more = bytes.saturating_add(for_small);
        let in_use = self.in_use.saturating_add(more);
        let leaves_enough = || {
            answers.is_none() || own == 0 || own.saturating_add(bytes) <= within_share.saturating_sub(in_use)
        };
        in_use <= open
            || (own.saturating_add(more) <= self.due() && in_use <= within_share && leaves_enough())
    }

    /// One message at a time does, and no more than the largest takes.
    fn may_overdraw(&self, bytes: usize, overdraws: bool) -> bool {
        (overdraws || self.overdrawn == 0) && self.overdrawn.saturating_add(bytes) <= self.sizes.overdrawn_max
    }

    /// What each client may have though others want room too.
    fn due(&self) -> usize {
        let for_small = self.sizes.answers.map_or(0, |answers| answers.for_small);
        self.clients.share(self.sizes.open).max(self.sizes.message_max + for_small)
    }

    fn shortage(&self) -> Shortage {
        if self.clients.several() { Shortage::Share } else { Shortage::Full }
    }
}

#[cfg(test)]
mod tests;
