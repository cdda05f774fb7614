//! The slots of a server, and what a call holds of them: the shell around [`Gate`], with its lock, clock and waiting.
//!
//! A [`Slot`] is given back when it is dropped, whatever happened: answered, failed, cancelled. So are bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use vigie_rpc::Priority;

use crate::admission::gate::{Asked, Gate, Held, Want};
use crate::admission::limit::{Aim, Class, Limit};
use crate::admission::refusal::Refusals;
use crate::admission::shares::Client;
use crate::config::{Concurrency, ServingConfig};
use crate::load::{Counted, Load};

/// The most bulk work that waits for a slot. Each stream has one request waiting at most: it is read no further meanwhile.
const WAITING_MAX: usize = 4_096;

/// The limit of calls in flight, from now on. A learned limit begins at a quarter of its most.
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

/// All slots of one server. A clone is a handle of the same.
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
    bytes: Arc<Semaphore>,
    bytes_max: usize,
}

impl Slots {
    /// `message_bytes_max` is the largest message: there is always room for one.
    pub(crate) fn new(config: &ServingConfig, message_bytes_max: usize, load: Load, seed: u64) -> Self {
        let gate = Gate::new(limit(config), config.calls_in_flight_max, WAITING_MAX);
        load.show(gate.limit(), 0, 0);
        let bytes_max = config.bytes_in_flight_max.max(message_bytes_max).min(Semaphore::MAX_PERMITS);
        Self {
            inner: Arc::new(Inner {
                gate: Mutex::new(gate),
                begun: Instant::now(),
                load,
                refusals: Refusals::new(seed),
                bytes: Arc::new(Semaphore::new(bytes_max)),
                bytes_max,
            }),
        }
    }

    /// A slot at once, or the answer of the refused call.
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

    /// The slots of bulk work, as soon as there are and before the deadline.
    pub(crate) async fn wait(&self, client: Client, want: Want, deadline: Instant) -> Result<Slot, Status> {
        let (sender, receiver) = oneshot::channel();
        let asked = {
            let inner = &*self.inner;
            let mut gate = inner.lock();
            let asked = gate.ask(inner.now(), client, want, sender).map_err(|refusal| {
                inner.load.refuse(refusal);
                inner.refusals.status(refusal, gate.overload())
            });
            // It may have given up a slot.
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

    /// Room for this many bytes at once.
    pub(crate) fn take_bytes(&self, bytes: usize) -> Result<Bytes, Status> {
        let inner = &*self.inner;
        let wanted = inner.permits(bytes);
        match Arc::clone(&inner.bytes).try_acquire_many_owned(wanted) {
            Ok(permit) => Ok(Bytes { permit, counted: inner.load.reserved(bytes) }),
            Err(_) => {
                inner.load.refuse_bytes();
                Err(inner.refusals.no_bytes(inner.lock().overload()))
            }
        }
    }

    /// Room for this many bytes, as soon as there is.
    pub(crate) async fn wait_bytes(self, bytes: usize) -> Result<Bytes, Status> {
        let wanted = self.inner.permits(bytes);
        match Arc::clone(&self.inner.bytes).acquire_many_owned(wanted).await {
            Ok(permit) => Ok(Bytes { permit, counted: self.inner.load.reserved(bytes) }),
            Err(_) => Err(Status::unavailable("the server is shutting down")),
        }
    }

    /// The bytes that are taken for a request of this many: more than there are would never come.
    pub(crate) fn room_for(&self, bytes: usize) -> usize {
        bytes.min(self.inner.bytes_max)
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

    /// Gives free slots to those who wait for them.
    fn hand_on(&self, mut gate: MutexGuard<'_, Gate<oneshot::Sender<Slot>>>) {
        let inner = &*self.inner;
        let mut next = Vec::new();
        while let Some(one) = gate.next(inner.now()) {
            next.push(one);
        }
        inner.show(&gate);
        drop(gate);
        // Without the lock: a slot that nobody takes any more comes back here.
        for (tell, held) in next {
            drop(tell.send(self.slot(held)));
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

    /// A request for more than there is would wait for ever.
    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.bytes_max)).unwrap_or(u32::MAX)
    }
}

/// One slot of a server.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    held: Option<Held>,
}

impl Slot {
    /// Gives the slot back, with what the call took.
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

/// A request that waits for its slot; withdrawn when it is dropped.
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

/// Room for bytes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Bytes {
    permit: OwnedSemaphorePermit,
    counted: Counted,
}

impl Bytes {
    /// Takes so many of them, if there are.
    pub(crate) fn split(&mut self, bytes: usize) -> Option<Self> {
        Some(Self { permit: self.permit.split(bytes)?, counted: self.counted.split(bytes) })
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.permit.merge(other.permit);
        self.counted.merge(other.counted);
    }
}

pub(crate) fn too_late() -> Status {
    Status::deadline_exceeded("the call's time was spent before it could be worked on")
}
