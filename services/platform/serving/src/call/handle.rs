//! The call as its handler sees it: its priority and its caller, and the handler's reports about its load.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status};
use vigie_rpc::Priority;

use crate::admission::budget::{Announced, HeldBytes};
use crate::admission::gate::Want;
use crate::admission::limit::Class;
use crate::admission::shares::Client;
use crate::admission::slots::{Slot, Slots, too_late};
use crate::authorization::identity::ClientIdentity;
use crate::connection::peer::Peer;

/// A call: its priority, its caller, and its part in the load.
///
/// Every request carries one as an extension; [`Call::of`] finds it. Clones share the state.
#[derive(Debug, Clone, Default)]
pub struct Call {
    priority: Priority,
    caller: Caller,
    /// `None` outside a server, and for calls that are never refused.
    served: Option<Arc<Served>>,
}

/// The caller of a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) identity: Option<ClientIdentity>,
    pub(crate) address: Option<SocketAddr>,
}

impl Caller {
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        Self {
            client: Client::of(extensions),
            identity: extensions.get().cloned(),
            address: extensions.get::<Peer>().and_then(|peer| peer.address),
        }
    }
}

#[derive(Debug)]
struct Served {
    slots: Slots,
    client: Client,
    path: http::Uri,
    /// The request is a single message, so all of it has been read when the answer begins.
    has_one_message: bool,
    bytes: AtomicU64,
    room: Mutex<Room>,
    /// Whether the first message, or the end of the body, has arrived.
    arrived: AtomicBool,
    not_load: AtomicBool,
    /// The time that the call waited for something other than the load of the server.
    waited_nanos: AtomicU64,
}

/// The memory that is reserved for a call's body.
#[derive(Debug)]
enum Room {
    /// The answer has not begun: whatever arrives is kept. A large message stays announced until all of it
    /// has arrived.
    Kept(Option<HeldBytes>, Option<Announced>),
    /// The answer has begun, or the call has ended: the reservation is that of the messages that a stream
    /// read last.
    Given(Option<HeldBytes>),
}

/// The outcome of reserving memory for bytes that have arrived.
#[derive(Debug)]
pub(crate) enum Reserved {
    /// The memory is reserved.
    Now,
    /// The call is a stream that is being read, and has to wait for memory.
    Waits(RoomWaiter),
}

/// Waits for memory for a stream.
#[derive(Debug)]
pub(crate) struct RoomWaiter {
    slots: Slots,
    client: Client,
    bytes: usize,
    overdraws: bool,
}

impl RoomWaiter {
    /// Waits at most `within`. `RESOURCE_EXHAUSTED` if there is no memory by then.
    pub(crate) async fn wait(self, within: Duration) -> Result<HeldBytes, Status> {
        let deadline = Instant::now() + within;
        self.slots.wait_bytes(&self.client, self.bytes, self.overdraws, deadline).await
    }
}

impl Call {
    pub(crate) fn new(
        slots: Slots,
        caller: Caller,
        priority: Priority,
        path: http::Uri,
        has_one_message: bool,
    ) -> Self {
        let served = Served {
            slots,
            client: caller.client.clone(),
            path,
            has_one_message,
            bytes: AtomicU64::new(0),
            room: Mutex::new(Room::Kept(None, None)),
            arrived: AtomicBool::new(false),
            not_load: AtomicBool::new(false),
            waited_nanos: AtomicU64::new(0),
        };
        Self { priority, caller, served: Some(Arc::new(served)) }
    }

    pub(crate) const fn never_refused(caller: Caller, priority: Priority) -> Self {
        Self { priority, caller, served: None }
    }

    /// Returns the call of a request. Outside a server, as in a handler's own tests: an interactive and
    /// unbounded one.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Returns the priority that the caller gave the call.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Returns the caller's proven identity, if there is one.
    #[must_use]
    pub const fn identity(&self) -> Option<&ClientIdentity> {
        self.caller.identity.as_ref()
    }

    pub(crate) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Reports that the latency of this call is no evidence of the load, because it depends on something
    /// else.
    pub fn not_load(&self) {
        if let Some(served) = &self.served {
            served.not_load.store(true, Ordering::Relaxed);
        }
    }

    /// Reports that the call waits for something other than the load until the guard is dropped: for example,
    /// until a sequence is reached.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        Waiting { call: self.clone(), since: Instant::now() }
    }

    /// Takes a slot for one piece of bulk work of this call's stream, and memory for `bytes`. Waits until
    /// `deadline`, and then fails with `DEADLINE_EXCEEDED`; the work must not be begun then.
    pub async fn enter(&self, bytes: usize, deadline: Instant) -> Result<Work, Status> {
        let taken = self.served.as_ref().and_then(|served| served.take_room(bytes));
        self.enter_with(taken, bytes, deadline).await
    }

    /// Takes a slot as [`Call::enter`] does, for work on messages after which the stream was read further. It
    /// reserves its own memory, and leaves the reservation of the message that is being read.
    pub async fn enter_apart(&self, bytes: usize, deadline: Instant) -> Result<Work, Status> {
        self.enter_with(None, bytes, deadline).await
    }

    async fn enter_with(
        &self,
        taken: Option<HeldBytes>,
        bytes: usize,
        deadline: Instant,
    ) -> Result<Work, Status> {
        if Instant::now() >= deadline {
            return Err(too_late());
        }
        let Some(served) = &self.served else {
            return Ok(Work { call: self.clone(), held: None, bytes, begun: Instant::now() });
        };
        let room = match taken {
            Some(room) => room,
            // The call holds no slot while it waits for memory.
            None => {
                let bytes = served.slots.countable(bytes);
                served
                    .slots
                    .wait_bytes(&served.client, bytes, false, deadline)
                    .await
                    .map_err(|_| too_late())?
            }
        };
        let slot = served.slots.wait(served.client.clone(), Want::ONE, deadline).await?;
        let begun = Instant::now();
        // Queued work whose deadline has passed is never begun.
        if begun >= deadline {
            return Err(too_late());
        }
        Ok(Work { call: self.clone(), held: Some((slot, room)), bytes, begun })
    }

    /// Takes the slots of a call that costs as much as `slots` calls. With more than one, the call is bulk
    /// work from now on: it gives up the slot that it has, and waits for all of them until `deadline`.
    /// `DEADLINE_EXCEEDED` if it did not get them by then. The latency of such a call is no evidence of the
    /// load; its handler [reports that](Self::not_load).
    pub async fn weigh(&self, slots: usize, deadline: Instant) -> Result<Weight, Status> {
        let Some(served) = self.served.as_ref().filter(|_| slots > 1) else { return Ok(Weight::default()) };
        let want = Want { slots, has_one: true };
        Ok(Weight { _more: Some(served.slots.wait(served.client.clone(), want, deadline).await?) })
    }

    /// Releases memory when the answer has begun, or will not begin: the kept part of the body has been read
    /// or is dropped. A stream's reservation is released when the stream is read further.
    pub(crate) fn give_room(&self) {
        let Some(served) = &self.served else { return };
        let mut room = served.room();
        let kept = match &mut *room {
            Room::Kept(kept, announced) => (kept.take(), announced.take()),
            Room::Given(_) => return,
        };
        let (reading, dropped) = if served.has_one_message { (None, kept) } else { (kept.0, (None, kept.1)) };
        *room = Room::Given(reading);
        drop(room);
        drop(dropped);
    }

    /// Notes that a message of this length begins. Refused if the client has announced more than can arrive.
    pub(crate) fn announce(&self, bytes: usize) -> Result<(), Status> {
        let Some(served) = &self.served else { return Ok(()) };
        let mut room = served.room();
        if let Room::Kept(_, announced) = &mut *room {
            let more = served.slots.announce_bytes(&served.client, bytes)?;
            let former = announced.replace(more);
            drop(room);
            drop(former);
        }
        Ok(())
    }

    /// Adds the bytes of messages that begin to the size of the call.
    pub(crate) fn grow(&self, bytes: usize) {
        if let Some(served) = &self.served {
            served.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// Reserves memory for bytes that have arrived. Refused if there is none and the answer has not begun.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Reserved, Status> {
        let Some(served) = &self.served else { return Ok(Reserved::Now) };
        let mut room = served.room();
        match &mut *room {
            Room::Kept(kept, _) => {
                let more = served.slots.take_bytes(&served.client, bytes)?;
                match kept {
                    Some(kept) => kept.merge(more),
                    None => *kept = Some(more),
                }
                Ok(Reserved::Now)
            }
            Room::Given(reading) => Ok(Reserved::Waits(RoomWaiter {
                slots: served.slots.clone(),
                client: served.client.clone(),
                bytes: served.slots.countable(bytes),
                overdraws: reading.as_ref().is_some_and(HeldBytes::is_overdrawn),
            })),
        }
    }

    /// Counts the call as one that was ended because its body arrived too slowly.
    pub(crate) fn end_slow(&self) {
        if let Some(served) = &self.served {
            served.slots.end_slow();
        }
    }

    /// Adds memory that a stream has waited for to the reservation of what it reads.
    pub(crate) fn has_room(&self, more: HeldBytes) {
        let Some(served) = &self.served else { return };
        if let Room::Given(reading) = &mut *served.room() {
            match reading {
                Some(reading) => reading.merge(more),
                None => *reading = Some(more),
            }
        }
    }

    /// Releases the part of a stream's reservation that no work has taken over, because the stream is read
    /// further. Returns false if the answer has not begun, or if the call has no bounds.
    pub(crate) fn read_on(&self) -> bool {
        let Some(served) = &self.served else { return false };
        let unused = match &mut *served.room() {
            Room::Given(reading) => reading.take(),
            Room::Kept(..) => return false,
        };
        drop(unused);
        true
    }

    pub(crate) fn arrive(&self) {
        if let Some(served) = &self.served {
            served.arrived.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn waited(&self, time: Duration) {
        if let Some(served) = &self.served {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            served.waited_nanos.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// Returns the class of this call, and its part of `elapsed` without waiting, if that is evidence of the
    /// load.
    ///
    /// A call that failed did not do the work of its class, so it is no evidence. A call that exceeded its
    /// deadline is.
    pub(crate) fn took(&self, code: Code, elapsed: Duration) -> Option<(Class, Duration)> {
        let served = self.served.as_ref()?;
        // A call whose deadline passed before it had arrived was slow itself.
        let never_came = code == Code::DeadlineExceeded && !served.arrived.load(Ordering::Relaxed);
        if !is_evidence(code) || never_came || served.not_load.load(Ordering::Relaxed) {
            return None;
        }
        let waited = Duration::from_nanos(served.waited_nanos.load(Ordering::Relaxed));
        let bytes = served.bytes.load(Ordering::Relaxed);
        Some((class(served.path.path(), bytes, false), elapsed.saturating_sub(waited)))
    }
}

impl Served {
    /// Takes `bytes` from the reservation of the messages that were read last. If it is smaller than that,
    /// all of it is released.
    fn take_room(&self, bytes: usize) -> Option<HeldBytes> {
        let mut room = self.room();
        let Room::Given(reading) = &mut *room else { return None };
        let taken = reading.as_mut()?.split(self.slots.countable(bytes));
        let too_little = if taken.is_none() { reading.take() } else { None };
        drop(room);
        drop(too_little);
        taken
    }

    fn room(&self) -> std::sync::MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn is_evidence(code: Code) -> bool {
    matches!(code, Code::Ok | Code::DeadlineExceeded)
}

/// Returns a class made of the method and the order of magnitude of the size, in powers of four. Two methods
/// with the same hash count as one, which does no harm.
fn class(path: &str, bytes: u64, of_stream: bool) -> Class {
    let magnitude = (u64::BITS - bytes.leading_zeros()).div_ceil(2);
    // FNV-1a (Fowler, Noll and Vo): paths are short.
    let hash =
        path.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Class((hash << 7) ^ (u32::from(of_stream) << 6) ^ magnitude)
}

/// The slots of a call that costs as much as several, until this is dropped.
#[derive(Debug, Default)]
pub struct Weight {
    _more: Option<Slot>,
}

/// The guard of [`Call::waiting`].
#[derive(Debug)]
pub struct Waiting {
    call: Call,
    since: Instant,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.call.waited(self.since.elapsed());
    }
}

/// A piece of work that has a slot, until it is dropped.
#[derive(Debug)]
pub struct Work {
    call: Call,
    held: Option<(Slot, HeldBytes)>,
    bytes: usize,
    begun: Instant,
}

impl Work {
    /// Ends the work with this outcome. The time that it took is evidence of the load.
    pub fn end<T>(mut self, outcome: &Result<T, Status>) {
        let code = outcome.as_ref().err().map_or(Code::Ok, Status::code);
        let (Some((slot, _room)), Some(served)) = (self.held.take(), &self.call.served) else { return };
        if is_evidence(code) && !served.not_load.load(Ordering::Relaxed) {
            let bytes = u64::try_from(self.bytes).unwrap_or(u64::MAX);
            slot.leave(class(served.path.path(), bytes, true), self.begun.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_differ_by_method_and_order_of_magnitude() {
        let sizes = [0, 1, 4, 16, 1_000, 100_000, 20_000_000];
        let paths = ["/vigie.matching.v1.MatchService/Match", "/vigie.matching.v1.MatchService/Hash"];
        let classes: std::collections::HashSet<_> = paths
            .iter()
            .flat_map(|path| sizes.map(|size| [class(path, size, false), class(path, size, true)]))
            .flatten()
            .collect();
        assert_eq!(classes.len(), 2 * 2 * sizes.len());
        assert_eq!(class(paths[0], 1_025, false), class(paths[0], 4_000, false));
    }

    #[tokio::test(start_paused = true)]
    async fn outside_a_server_a_call_is_unbounded() {
        let call = Call::of(&tonic::Request::new(()));
        assert_eq!(call.priority(), Priority::Interactive);
        let soon = Instant::now() + Duration::from_secs(1);
        call.enter(usize::MAX, soon).await.unwrap().end(&Ok(()));
        assert_eq!(call.enter(1, Instant::now()).await.unwrap_err().code(), Code::DeadlineExceeded);
    }
}
