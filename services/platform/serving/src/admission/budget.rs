//! The bytes of requests, or of answers, in flight: the shell around [`Ledger`], with its lock, clock and
//! waiting.
//!
//! Requests and answers have the same clients, with the same shares. [`HeldBytes`] are released when they are
//! dropped, whatever happened to their call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::admission::ledger::{Asked, Ledger, Portion, Shortage, Sizes};
use crate::admission::shares::Client;
use crate::load::Counted;

/// Counts bytes in a gauge of [`crate::Load`].
type Count = Box<dyn Fn(usize) -> Counted + Send + Sync>;

/// The memory for the bytes of one server. Clones share the state.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    inner: Arc<Inner>,
}

struct Inner {
    ledger: Mutex<Ledger<oneshot::Sender<HeldBytes>>>,
    sizes: Sizes,
    begun: Instant,
    count: Count,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inner").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

impl Budget {
    /// Returns a budget of these sizes. `count` counts the held bytes in a gauge.
    pub(crate) fn new(sizes: Sizes, count: impl Fn(usize) -> Counted + Send + Sync + 'static) -> Self {
        let (ledger, count) = (Mutex::new(Ledger::new(sizes)), Box::new(count));
        Self { inner: Arc::new(Inner { ledger, sizes, begun: Instant::now(), count }) }
    }

    /// Reserves `bytes` at once, or returns why it cannot.
    pub(crate) fn take(&self, client: &Client, bytes: usize) -> Result<HeldBytes, Shortage> {
        let taken = self.inner.lock().take(self.inner.now(), client, bytes);
        taken.map(|portion| self.held(portion))
    }

    /// Reserves `bytes` as soon as possible. `overdraws` means that bytes of the same message are overdrawn
    /// already.
    pub(crate) async fn wait(&self, client: &Client, bytes: usize, overdraws: bool) -> HeldBytes {
        loop {
            let (sender, receiver) = oneshot::channel();
            let asked = self.inner.lock().ask(self.inner.now(), client, bytes, overdraws, sender);
            match asked {
                Asked::Now(portion) => return self.held(portion),
                Asked::Later(number) => {
                    let _request = Request { budget: self, number };
                    // The sender is dropped only when the request is withdrawn.
                    if let Ok(bytes) = receiver.await {
                        return bytes;
                    }
                }
            }
        }
    }

    /// Notes the length of a message whose bytes will arrive.
    pub(crate) fn announce(&self, client: &Client, bytes: usize) -> Result<Announced, Shortage> {
        let client = self.inner.lock().announce(self.inner.now(), client, bytes)?;
        Ok(Announced { budget: self.clone(), client, bytes })
    }

    /// Returns how many bytes of a message of this length count.
    pub(crate) fn countable(&self, bytes: usize) -> usize {
        self.inner.sizes.countable(bytes)
    }

    fn held(&self, portion: Portion) -> HeldBytes {
        let counted = (self.inner.count)(portion.bytes());
        HeldBytes { budget: self.clone(), portion, counted }
    }

    fn give_back(&self, portion: &Portion) {
        let inner = &*self.inner;
        let mut ledger = inner.lock();
        ledger.leave(portion);
        let mut next = Vec::new();
        while let Some(one) = ledger.next(inner.now()) {
            next.push(one);
        }
        drop(ledger);
        // Without the lock: sending to a receiver that has gone drops the bytes, which takes the lock again.
        for (channel, portion) in next {
            drop(channel.send(self.held(portion)));
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Ledger<oneshot::Sender<HeldBytes>>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// A request that waits for memory. Dropping it withdraws it.
struct Request<'a> {
    budget: &'a Budget,
    number: u64,
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.budget.inner.lock().give_up(self.number);
    }
}

/// Reserved bytes, until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    budget: Budget,
    portion: Portion,
    counted: Counted,
}

impl HeldBytes {
    /// Splits off `bytes`, or returns `None` if there are fewer.
    pub(crate) fn split(&mut self, bytes: usize) -> Option<Self> {
        let portion = self.portion.split(bytes)?;
        Some(Self { budget: self.budget.clone(), portion, counted: self.counted.split(bytes) })
    }

    /// Releases all but `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        drop(self.split(self.portion.bytes().saturating_sub(bytes)));
    }

    /// Adds another reservation of the same call.
    pub(crate) fn merge(&mut self, mut other: Self) {
        let client = self.portion.client();
        if other.portion.client() != client {
            self.budget.inner.lock().transfer(&mut other.portion, client);
        }
        self.portion.merge(&mut other.portion);
        self.counted.merge(&mut other.counted);
    }

    /// Returns their number.
    pub(crate) fn bytes(&self) -> usize {
        self.portion.bytes()
    }

    /// Returns whether some of them exceed the total.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.portion.is_overdrawn()
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        if self.portion.bytes() > 0 {
            self.budget.give_back(&self.portion);
        }
    }
}

/// The length of a message that is arriving, until this is dropped.
#[derive(Debug)]
pub(crate) struct Announced {
    budget: Budget,
    client: Client,
    bytes: usize,
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.budget.inner.lock().forget(&self.client, self.bytes);
    }
}
