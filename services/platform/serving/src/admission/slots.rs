//! The slots of a server: the shell around [`Gate`], with its lock, clock and waiting.
//!
//! A [`Slot`] is released when it is dropped, whether its call was answered, failed or was cancelled. So are
//! [`HeldBytes`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Response;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use vigie_rpc::Priority;

use crate::admission::budget::{Announced, Budget, HeldBytes};
use crate::admission::gate::{Asked, Gate, Held, Want};
use crate::admission::ledger::{Shortage, Sizes};
use crate::admission::limit::{Aim, Class, Limit};
use crate::admission::refusal::Refusals;
use crate::admission::shares::Client;
use crate::config::{Concurrency, ServingConfig};
use crate::load::Load;

/// The most bulk work that waits for a slot. Each stream has at most one request waiting, and is not read
/// meanwhile.
const WAITING_MAX: usize = 4_096;

/// Returns the limit of calls in flight. A learned limit begins at a quarter of its maximum.
fn limit(config: &ServingConfig) -> Limit {
    match config.concurrency {
        Concurrency::Fixed(calls) => Limit::fixed(calls.min(config.calls_in_flight_max)),
        Concurrency::Adaptive => {
            let aim = Aim {
                limit_min: config.calls_in_flight_min,
                limit_max: config.calls_in_flight_max,
                limit_initial: config.calls_in_flight_max / 4,
                latency_target: Duration::from_millis(config.latency_ms_target),
            };
            Limit::adaptive(aim, Duration::ZERO)
        }
    }
}

/// All slots of one server. Clones share the state.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    gate: Mutex<Gate<oneshot::Sender<Slot>>>,
    begun: Instant,
    load: Load,
    refusals: Refusals,
    bytes: Budget,
}

impl Slots {
    /// Returns the slots and the budget of bytes. `message_bytes_max` is the largest message: there is always
    /// memory for one.
    pub(crate) fn new(config: &ServingConfig, message_bytes_max: usize, load: Load, seed: u64) -> Self {
        let gate = Gate::new(limit(config), config.calls_in_flight_max, WAITING_MAX);
        load.show(gate.limit(), 0, 0);
        let sizes = Sizes::of_requests(config.bytes_in_flight_max, message_bytes_max);
        let shown = load.clone();
        let bytes = Budget::new(sizes, move |bytes| shown.reserved(bytes));
        Self {
            inner: Arc::new(Inner {
                gate: Mutex::new(gate),
                begun: Instant::now(),
                load,
                refusals: Refusals::new(seed),
                bytes,
            }),
        }
    }

    /// Takes a slot at once, or returns the answer to the refused call.
    pub(crate) fn take(&self, client: Client, priority: Priority) -> Result<Slot, Box<Response<Body>>> {
        let inner = &*self.inner;
        let mut gate = inner.lock();
        match gate.admit(inner.now(), client, priority) {
            Ok(held) => {
                inner.show(&gate);
                drop(gate);
                inner.load.accept();
                Ok(self.slot(held))
            }
            Err(refusal) => {
                let overload = gate.overload();
                drop(gate);
                inner.load.refuse(refusal);
                Err(Box::new(inner.refusals.response(refusal, overload)))
            }
        }
    }

    /// Takes the slots of bulk work as soon as they are free. `DEADLINE_EXCEEDED` if that is not before the
    /// deadline.
    pub(crate) async fn wait(&self, client: Client, want: Want, deadline: Instant) -> Result<Slot, Status> {
        let (sender, receiver) = oneshot::channel();
        let asked = {
            let inner = &*self.inner;
            let mut gate = inner.lock();
            let asked = gate.ask(inner.now(), client, want, sender).map_err(|refusal| {
                inner.load.refuse(refusal);
                inner.refusals.status(refusal, gate.overload())
            });
            // The call may have given up a slot.
            self.hand_on(gate);
            asked?
        };
        let slot = match asked {
            Asked::Now(held) => self.slot(held),
            Asked::Later(number) => {
                let _request = Request { slots: self, number };
                match tokio::time::timeout_at(deadline, receiver).await {
                    Ok(Ok(slot)) => slot,
                    Ok(Err(_)) | Err(_) => return Err(too_late()),
                }
            }
        };
        self.inner.load.accept();
        Ok(slot)
    }

    /// Reserves `bytes` at once. `RESOURCE_EXHAUSTED` if it cannot.
    pub(crate) fn take_bytes(&self, client: &Client, bytes: usize) -> Result<HeldBytes, Status> {
        self.inner.bytes.take(client, bytes).map_err(|shortage| self.no_bytes(shortage))
    }

    /// Notes the length of a message whose bytes will arrive. Refused if not all of them can.
    pub(crate) fn announce_bytes(&self, client: &Client, bytes: usize) -> Result<Announced, Status> {
        self.inner.bytes.announce(client, bytes).map_err(|shortage| self.no_bytes(shortage))
    }

    /// Reserves `bytes` as soon as possible. `RESOURCE_EXHAUSTED` if that is not before the deadline.
    pub(crate) async fn wait_bytes(
        &self,
        client: &Client,
        bytes: usize,
        overdraws: bool,
        deadline: Instant,
    ) -> Result<HeldBytes, Status> {
        let waited = tokio::time::timeout_at(deadline, self.inner.bytes.wait(client, bytes, overdraws)).await;
        waited.map_err(|_| self.no_bytes(Shortage::Full))
    }

    /// Returns how many bytes of a request of this length count.
    pub(crate) fn countable(&self, bytes: usize) -> usize {
        self.inner.bytes.countable(bytes)
    }

    fn no_bytes(&self, shortage: Shortage) -> Status {
        let inner = &*self.inner;
        inner.load.refuse_bytes();
        inner.refusals.no_bytes(shortage, inner.lock().overload())
    }

    /// Counts a call that was ended because its body arrived too slowly.
    pub(crate) fn end_slow(&self) {
        self.inner.load.end_slow();
    }

    fn slot(&self, held: Held) -> Slot {
        Slot { slots: self.clone(), held: Some(held) }
    }

    fn leave(&self, held: Held, took: Option<(Class, Duration)>) {
        let inner = &*self.inner;
        let mut gate = inner.lock();
        gate.leave(inner.now(), held, took);
        self.hand_on(gate);
    }

    /// Gives free slots to waiting work.
    fn hand_on(&self, mut gate: MutexGuard<'_, Gate<oneshot::Sender<Slot>>>) {
        let inner = &*self.inner;
        let mut next = Vec::new();
        while let Some(one) = gate.next(inner.now()) {
            next.push(one);
        }
        inner.show(&gate);
        drop(gate);
        // Without the lock: sending to a receiver that has gone drops the slot, which takes the lock again.
        for (channel, held) in next {
            drop(channel.send(self.slot(held)));
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Gate<oneshot::Sender<Slot>>> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn show(&self, gate: &Gate<oneshot::Sender<Slot>>) {
        self.load.show(gate.limit(), gate.in_flight(), gate.waiting());
    }
}

/// The slot that a call holds, or several slots if the call is costly.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    held: Option<Held>,
}

impl Slot {
    /// Releases the slot, and reports the call's class and latency.
    pub(crate) fn leave(mut self, class: Class, took: Duration) {
        if let Some(held) = self.held.take() {
            self.slots.leave(held, Some((class, took)));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.slots.leave(held, None);
        }
    }
}

/// A request that waits for its slot. Dropping it withdraws it.
struct Request<'a> {
    slots: &'a Slots,
    number: u64,
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        let mut gate = self.slots.inner.lock();
        gate.give_up(self.number);
        self.slots.inner.show(&gate);
    }
}

pub(crate) fn too_late() -> Status {
    Status::deadline_exceeded("the call's deadline passed before it could be worked on")
}
