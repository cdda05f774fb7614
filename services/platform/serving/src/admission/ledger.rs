//! Decides which client may reserve bytes, of requests or of answers, by limits and fair shares. It has no
//! clock and never waits.
//!
//! Bytes of requests count when they have arrived, not when a length prefix announces them: a client that
//! announces much and sends nothing takes nothing from others. Bytes of answers count from before an answer
//! is built until its client has taken it. The total of either is divided into parts:
//!
//! - The **open** part is for all clients, first come, first served: a client that is alone has all of it.
//! - Beyond it, a client with **less than its share** may still reserve. The share is the open part divided
//!   by the number of active clients, and at least one message of the largest size. So a client within its
//!   share is not refused because others hold the rest.
//! - **One message** of a request at a time may be overdrawn. Streams keep what has arrived of a message
//!   while they wait for more memory, and so many of them could hold all bytes and wait for each other. The
//!   one that overdraws always finishes, and releases its bytes.
//!
//! Requests arrive at a minimum rate, so their bytes are released. A client that reads none of its answers
//! keeps their bytes as long as it likes. Therefore the part of answers that is not open is never used up: a
//! client that has bytes already may take **no more of it than it leaves free** (the dynamic threshold of
//! Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998). Large
//! answers leave a further part to **small ones**, including those of the same client: it may be a service
//! that asks for many.
//!
//! The bytes that a client has announced and not yet sent count only against its own later messages: a
//! message beyond what it can have at once is refused at its prefix, and not after most of it has been sent.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::admission::shares::{Client, Clients};

/// The number of kinds of waiters from which the next is chosen: a bound on the work of one choice.
const CHOSEN_FROM: usize = 64;
/// An answer of more than this part of all bytes is large ...
const LARGE: usize = 64;
/// ... and leaves this part to small ones.
const FOR_SMALL: usize = 16;

/// The parts of the total of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// The bytes that all clients may use.
    open: usize,
    /// The bytes in use up to which clients within their share may reserve.
    within_share: usize,
    /// The largest message or answer, in bytes. No reservation is larger, and each client may have one.
    message_max: usize,
    /// The bytes that may be overdrawn beyond these parts.
    overdrawn_max: usize,
    answers: Option<AnswerSizes>,
}

/// Further parts of the total, for answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AnswerSizes {
    /// An answer with more bytes than this is large.
    small_max: usize,
    /// The bytes of each part that a large answer leaves to small ones.
    for_small: usize,
}

impl Sizes {
    /// Divides the bytes of requests that may be in flight. The total is at least three messages of the
    /// largest size.
    pub(crate) fn of_requests(bytes_in_flight_max: usize, message_bytes_max: usize) -> Self {
        let message_max = message_bytes_max.max(1);
        let total = bytes_in_flight_max.max(message_max.saturating_mul(3));
        let kept = (total / 3).max(message_max.saturating_mul(2));
        let (open, within_share) = (total - kept, total - message_max);
        Self { open, within_share, message_max, overdrawn_max: message_max, answers: None }
    }

    /// Divides the bytes of answers that may be in flight. Half is open; the largest answer has a quarter.
    pub(crate) const fn of_answers(bytes_in_flight_max: usize) -> Self {
        let total = bytes_in_flight_max;
        let answers = AnswerSizes { small_max: total / LARGE, for_small: total / FOR_SMALL };
        let (open, message_max) = (total / 2, total / 4);
        Self { open, within_share: total, message_max, overdrawn_max: 0, answers: Some(answers) }
    }

    /// Returns how many bytes of a message of this length count: at most the largest, because no more is ever
    /// reserved.
    pub(crate) fn countable(&self, bytes: usize) -> usize {
        bytes.min(self.message_max)
    }
}

/// The reasons for which bytes cannot be reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// All bytes are in use.
    Full,
    /// The client has its share, and other clients are active.
    Share,
}

/// Reserved bytes of one client.
#[derive(Debug)]
pub(crate) struct Portion {
    client: Client,
    bytes: usize,
    /// The number of these bytes that are overdrawn.
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

    /// Splits off `bytes`, or returns `None` if there are fewer.
    pub(crate) fn split(&mut self, bytes: usize) -> Option<Self> {
        let left = self.bytes.checked_sub(bytes)?;
        let overdrawn = self.overdrawn.min(bytes);
        (self.bytes, self.overdrawn) = (left, self.overdrawn - overdrawn);
        Some(Self { client: self.client.clone(), bytes, overdrawn })
    }

    /// Takes over the bytes of another portion of the same client, which is left empty.
    pub(crate) fn merge(&mut self, other: &mut Self) {
        self.bytes += std::mem::take(&mut other.bytes);
        self.overdrawn += std::mem::take(&mut other.overdrawn);
    }
}

/// A message that waits for memory. `T` is the channel that delivers it.
#[derive(Debug)]
struct Waiter<T> {
    number: u64,
    client: Client,
    bytes: usize,
    /// Whether the message has overdrawn bytes already.
    overdraws: bool,
    channel: T,
}

/// The outcome of asking for memory that may be waited for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// The memory.
    Now(Portion),
    /// The memory will be delivered later; this number withdraws the request.
    Later(u64),
}

/// The bytes of one server, as numbers.
#[derive(Debug)]
pub(crate) struct Ledger<T> {
    sizes: Sizes,
    clients: Clients,
    /// The announced lengths of large messages, by client. No stored length is zero.
    announced: HashMap<Client, usize>,
    /// All bytes in use, without the overdrawn ones.
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

    /// Forgets an announced length: the message has arrived, or will not.
    pub(crate) fn forget(&mut self, client: &Client, bytes: usize) {
        if let Some(announced) = self.announced.get_mut(client) {
            *announced = announced.saturating_sub(bytes);
            if *announced == 0 {
                self.announced.remove(client);
            }
        }
    }

    /// Reserves bytes at once, or returns why not.
    pub(crate) fn take(&mut self, now: Duration, client: &Client, bytes: usize) -> Result<Portion, Shortage> {
        let (client, own) = self.clients.meet(client.clone(), now);
        if self.fits(own, bytes) { Ok(self.enter(client, bytes, 0)) } else { Err(self.shortage()) }
    }

    /// Reserves bytes now, or queues the request. `overdraws` means that the same message has overdrawn bytes
    /// already.
    pub(crate) fn ask(
        &mut self,
        now: Duration,
        client: &Client,
        bytes: usize,
        overdraws: bool,
        channel: T,
    ) -> Asked {
        let (client, own) = self.clients.meet(client.clone(), now);
        if self.fits(own, bytes) {
            return Asked::Now(self.enter(client, bytes, 0));
        }
        if self.may_overdraw(bytes, overdraws) {
            return Asked::Now(self.enter(client, bytes, bytes));
        }
        self.waiters += 1;
        self.waiting.push_back(Waiter { number: self.waiters, client, bytes, overdraws, channel });
        Asked::Later(self.waiters)
    }

    /// Removes the next waiter from the queue, if its bytes can be reserved. Called whenever bytes are
    /// released.
    pub(crate) fn next(&mut self, now: Duration) -> Option<(T, Portion)> {
        let overdrawing = |waiter: &Waiter<T>| self.may_overdraw(waiter.bytes, waiter.overdraws);
        let fitting = self.first_that_fits();
        let at = fitting.or_else(|| self.waiting.iter().take(CHOSEN_FROM).position(overdrawing))?;
        let overdraws = fitting.is_none();
        let Waiter { client, bytes, channel, .. } = self.waiting.remove(at)?;
        // The client may have been forgotten while it waited.
        let (client, _) = self.clients.meet(client, now);
        Some((channel, self.enter(client, bytes, if overdraws { bytes } else { 0 })))
    }

    /// Returns the first waiter whose bytes can be reserved. However many waiters one client has, those of
    /// others are found.
    fn first_that_fits(&self) -> Option<usize> {
        // If one waiter does not fit, a larger one of the same client does not fit either.
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

    /// Counts the bytes of a portion for another client: the key under which its client is counted has
    /// changed.
    pub(crate) fn transfer(&mut self, portion: &mut Portion, to: &Client) {
        self.clients.leave(&portion.client, portion.bytes);
        self.clients.enter(to, portion.bytes);
        portion.client = to.clone();
    }

    /// Releases the bytes of a portion.
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

    /// Returns whether `bytes` more can be reserved for a client that has `own` bytes.
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

    /// Returns whether a message may overdraw: one at a time, and no more bytes than the largest message has.
    fn may_overdraw(&self, bytes: usize, overdraws: bool) -> bool {
        (overdraws || self.overdrawn == 0) && self.overdrawn.saturating_add(bytes) <= self.sizes.overdrawn_max
    }

    /// Returns the bytes that each client may have though other clients are active.
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
