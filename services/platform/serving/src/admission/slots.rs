//! The places of a server, and what a call holds of them: the shell around [`Admission`], with clock and waiting.
//!
//! A [`Place`] is given back when it is dropped, whatever happened: answered, failed, cancelled. So are bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use vigie_rpc::Priority;

use crate::admission::gate::{Admission, Asked, Held};
use crate::admission::limit::Class;
use crate::admission::refusal::Refusals;
use crate::admission::shares::Client;
use crate::config::ServingConfig;
use crate::load::{Counted, Load};

/// Bulk work that waits for a place. Each stream has one request waiting at most: it is read no further meanwhile.
const WAITING_MAX: usize = 4_096;

/// All places of one server. Clones are handles.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    admission: Mutex<Admission<oneshot::Sender<Place>>>,
    begun: Instant,
    load: Load,
    refusals: Refusals,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
}

impl Places {
    /// `message_bytes_max` is the largest message: there is always room for one.
    pub(crate) fn new(config: &ServingConfig, message_bytes_max: usize, load: Load, seed: u64) -> Self {
        let admission = Admission::new(config.aim(), WAITING_MAX, Duration::ZERO);
        load.show(admission.limit(), 0, 0);
        let bytes_max = config.bytes_in_flight_max.max(message_bytes_max).min(Semaphore::MAX_PERMITS);
        Self {
            inner: Arc::new(Inner {
                admission: Mutex::new(admission),
                begun: Instant::now(),
                load,
                refusals: Refusals::new(seed),
                bytes: Arc::new(Semaphore::new(bytes_max)),
                bytes_max,
            }),
        }
    }

    /// A place at once, or the answer of the refused call.
    pub(crate) fn take(&self, client: Client, priority: Priority) -> Result<Place, Box<Response<Body>>> {
        let inner = &*self.inner;
        let mut admission = inner.lock();
        match admission.admit(inner.now(), client, priority) {
            Ok(held) => {
                inner.show(&admission);
                drop(admission);
                inner.load.accept();
                Ok(self.place(held))
            }
            Err(refusal) => {
                let overload = admission.overload();
                drop(admission);
                inner.load.refuse(refusal);
                Err(Box::new(inner.refusals.response(refusal, overload)))
            }
        }
    }

    /// A place for bulk work, as soon as there is one and before the deadline.
    pub(crate) async fn wait(&self, client: Client, deadline: Instant) -> Result<Place, Status> {
        let (sender, receiver) = oneshot::channel();
        let asked = {
            let inner = &*self.inner;
            let mut admission = inner.lock();
            let asked = admission.ask(inner.now(), client, sender).map_err(|refusal| {
                inner.load.refuse(refusal);
                inner.refusals.status(refusal, admission.overload())
            });
            inner.show(&admission);
            asked?
        };
        let place = match asked {
            Asked::Now(held) => self.place(held),
            Asked::Later(number) => {
                let _wish = Wish { places: self, number };
                match tokio::time::timeout_at(deadline, receiver).await {
                    Ok(Ok(place)) => place,
                    Ok(Err(_)) | Err(_) => return Err(too_late()),
                }
            }
        };
        self.inner.load.accept();
        Ok(place)
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

    /// What a wish for so many bytes comes to: more than there are would never come.
    pub(crate) fn room_for(&self, bytes: usize) -> usize {
        bytes.min(self.inner.bytes_max)
    }

    fn place(&self, held: Held) -> Place {
        Place { places: self.clone(), held: Some(held) }
    }

    fn leave(&self, held: Held, took: Option<(Class, Duration)>) {
        let inner = &*self.inner;
        let mut admission = inner.lock();
        admission.leave(inner.now(), held, took);
        let mut next = Vec::new();
        while let Some(one) = admission.next(inner.now()) {
            next.push(one);
        }
        inner.show(&admission);
        drop(admission);
        // Told without the lock: a place that nobody takes any more comes back here.
        for (tell, held) in next {
            drop(tell.send(self.place(held)));
        }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Admission<oneshot::Sender<Place>>> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn show(&self, admission: &Admission<oneshot::Sender<Place>>) {
        self.load.show(admission.limit(), admission.in_flight(), admission.waiting());
    }

    /// More than there is room for would wait for ever.
    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.bytes_max)).unwrap_or(u32::MAX)
    }
}

/// One place of a server's.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    held: Option<Held>,
}

impl Place {
    /// Gives it back, and tells what the call took.
    pub(crate) fn leave(mut self, class: Class, took: Duration) {
        if let Some(held) = self.held.take() {
            self.places.leave(held, Some((class, took)));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            self.places.leave(held, None);
        }
    }
}

/// Takes the wish for a place back.
struct Wish<'a> {
    places: &'a Places,
    number: u64,
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        let mut admission = self.places.inner.lock();
        admission.give_up(self.number);
        self.places.inner.show(&admission);
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
