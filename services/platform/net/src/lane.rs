//! Carries searches to one service: searches that wait for it share its next call.
//!
//! A service gets only a few calls at once. While they are out, further searches queue; when one returns, the
//! queued searches that are alike go out together as the next call ("natural batching"). With little load, no
//! search waits. On a busy service, many searches share the cost of a call, and its calls begin at intervals
//! (`pace`). Interactive searches go before bulk, but every eighth call is for bulk. If the oldest search has
//! queued for some time, a further call is made out of turn: the calls that are out may be stuck.
//!
//! A service of this process answers before another search arrives, so its calls would not be shared. A lane
//! that gathers ([`LaneLimits::gathers`]) therefore delays each call until the tasks that are ready now have
//! run: their searches share it.
//!
//! Searches share a call only where that changes no answer: they are alike ([`Search::is_alike`]), and their
//! deadlines are similar, because a shared call uses the shortest deadline of its searches. A search whose
//! caller has gone, or whose deadline has passed, is never sent; a call that no caller waits for is cancelled
//! on the wire.
//!
//! A costly search ([`Search::is_costly`]) shares no call, and waits only for others of its kind: otherwise
//! it would take the calls from quick searches.
//!
//! In traces a shared call is a child of one of its searches, a sampled one if there is any, and is linked to
//! the others; each of those has a span that is linked to the call.

mod carry;
mod pace;
mod queue;

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Code;
use vigie_telemetry::trace::{self, Span};

pub use carry::{Carry, Reply, Search};
use pace::Load;
use queue::{Pending, Queue};

/// The most searches that queue for one service. Servers limit their calls to fewer.
const QUEUED_MAX: usize = 8_192;
/// The most searches that wait in one service for a change.
const WAITING_MAX: usize = 256;
/// The longest time that a call which gathers searches keeps another from beginning.
const GATHERING_MAX: Duration = Duration::from_micros(200);
/// The time in the queue after which a search goes out of turn. Longer than most calls take.
const PATIENCE: Duration = Duration::from_millis(5);
/// The limit of calls in flight including those out of turn, as a multiple of the limit of calls.
const OUT_OF_TURN: usize = 8;

/// Attribute of the span of a shared call: the number of searches that share it.
const SEARCHES: &str = "vigie.searches";
/// Attribute of the span of a search: the milliseconds that it waited for its call.
const QUEUED_MS: &str = "vigie.queued_ms";

/// The limits of a [`Lane`].
#[derive(Debug, Clone, Copy)]
pub struct LaneLimits {
    /// The most calls in flight at once.
    pub calls: usize,
    /// The most queries of a shared call.
    pub queries: usize,
    /// Whether a call first waits for the tasks that are ready. For callers that read their requests in tasks
    /// of this runtime.
    pub gathers: bool,
}

/// The load of a [`Lane`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneTraffic {
    /// The number of searches that wait for a call.
    pub queued: usize,
    /// The number of calls in flight, without those that wait for a change.
    pub calls: usize,
}

/// The calls to one service, with a queue of searches. Clones share the state.
#[derive(Debug)]
pub struct Lane<C: Carry>(Arc<Shared<C>>);

impl<C: Carry> Clone for Lane<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Shared<C: Carry> {
    carrier: C,
    limits: LaneLimits,
    queue: Mutex<Queue<C>>,
    /// Limits the searches that wait for a change. They are no work, and must not keep others from it.
    waits: Semaphore,
    /// Limits costly searches to half of the number of other calls.
    costly: Semaphore,
}

/// The decision about how a search is sent.
enum Way<'a, C: Carry> {
    /// At once, in its own call.
    Now(Slot<'a, C>),
    /// Later, in a call that others share.
    Shared(oneshot::Receiver<Reply<C>>),
}

impl<C: Carry> Lane<C> {
    /// Returns a lane to the service that `carrier` calls.
    #[must_use]
    pub fn new(carrier: C, limits: LaneLimits) -> Self {
        Self(Arc::new(Shared {
            carrier,
            limits,
            queue: Mutex::new(Queue::default()),
            waits: Semaphore::new(WAITING_MAX),
            costly: Semaphore::new((limits.calls / 2).clamp(1, Semaphore::MAX_PERMITS)),
        }))
    }

    /// Returns the load at this moment.
    #[must_use]
    pub fn traffic(&self) -> LaneTraffic {
        let queue = self.0.queue();
        LaneTraffic { queued: queue.len(), calls: queue.out }
    }

    /// Returns until when a caller may gather searches before it passes them on as one: until then they would
    /// only queue here. `None` if they should be passed on at once.
    #[must_use]
    pub fn gather_until(&self) -> Option<Instant> {
        self.0.queue().pace.gather_until(Instant::now())
    }

    /// Returns the maker of the calls.
    #[must_use]
    pub fn carrier(&self) -> &C {
        &self.0.carrier
    }

    /// Searches, in its own call if one is free, otherwise in a shared one. Dropping the future withdraws the
    /// search.
    ///
    /// `RESOURCE_EXHAUSTED` if too many searches queue. `DEADLINE_EXCEEDED` if it got no call, or no answer,
    /// in time.
    pub async fn search(&self, search: C::Search) -> Reply<C> {
        let (shared, one) = (&self.0, std::slice::from_ref(&search));
        if search.waits_for_change() {
            let Ok(_waits) = shared.waits.try_acquire() else {
                let text = "too many searches wait for a change that has not come yet";
                return Err(shared.carrier.refused(Code::ResourceExhausted, text));
            };
            return shared.carry(one, search.deadline()).await;
        }
        if search.is_costly() {
            let Ok(Ok(_costly)) = timeout_at(search.deadline(), shared.costly.acquire()).await else {
                let text = "too many costly searches are ahead of it";
                return Err(shared.carrier.refused(Code::DeadlineExceeded, text));
            };
            return shared.carry(one, search.deadline()).await;
        }
        match shared.begin(&search)? {
            Way::Now(_slot) => shared.carry(one, search.deadline()).await,
            Way::Shared(answer) => shared.wait(answer, search.deadline()).await,
        }
    }
}

impl<C: Carry> Shared<C> {
    fn queue(&self) -> MutexGuard<'_, Queue<C>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin<'a>(self: &'a Arc<Self>, search: &C::Search) -> Result<Way<'a, C>, C::Error> {
        let now = Instant::now();
        let mut queue = self.queue();
        let has_room = queue.out < self.limits.calls;
        // A search with little time left does not wait with others for the end of an interval.
        let is_free = queue.is_empty() || self.due(&queue, now).is_some();
        let goes_alone = has_room && is_free && !self.limits.gathers;
        if goes_alone && queue.pace.due(now, search.deadline(), now).is_none() {
            let beside = queue.out;
            queue.pace.note_call(Load::of([search]), beside, now, now);
            queue.out += 1;
            return Ok(Way::Now(Slot(self)));
        }
        if queue.len() >= QUEUED_MAX {
            queue.sweep(now);
        }
        if queue.len() >= QUEUED_MAX {
            return Err(self.carrier.refused(Code::ResourceExhausted, "too many searches wait for it"));
        }
        let (reply, answer) = oneshot::channel();
        queue.put(Pending { search: search.clone(), reply, since: now, alone: false });
        if has_room {
            self.go_on(&mut queue, now);
        }
        Ok(Way::Shared(answer))
    }

    /// Returns when the queued searches may go; `None` for at once. A lane that gathers uses no intervals.
    fn due(&self, queue: &Queue<C>, now: Instant) -> Option<Instant> {
        if self.limits.gathers { None } else { queue.due(self.limits.queries, now) }
    }

    /// Begins to make calls for a queue for which a call is free, or schedules that for the end of the
    /// interval.
    fn go_on(self: &Arc<Self>, queue: &mut Queue<C>, now: Instant) {
        // A gathering call waits for the other tasks of its thread, which may take long.
        if queue.gathering_since.is_some_and(|since| now < since + GATHERING_MAX) {
            return;
        }
        let Some(due) = self.due(queue, now) else {
            queue.out += 1;
            queue.gathering_since = self.limits.gathers.then_some(now);
            tokio::spawn(Arc::clone(self).work_off());
            return;
        };
        if !queue.is_timed {
            queue.is_timed = true;
            let shared = Arc::clone(self);
            tokio::spawn(async move {
                sleep_until(due).await;
                let mut queue = shared.queue();
                queue.is_timed = false;
                if !queue.is_empty() && queue.out < shared.limits.calls {
                    shared.go_on(&mut queue, Instant::now());
                }
            });
        }
    }

    /// Waits for the answer of a shared call.
    async fn wait(self: &Arc<Self>, mut answer: oneshot::Receiver<Reply<C>>, deadline: Instant) -> Reply<C> {
        loop {
            let now = Instant::now();
            match timeout_at(deadline.min(now + PATIENCE), &mut answer).await {
                Ok(Ok(answered)) => return answered,
                Err(_) if Instant::now() < deadline => self.go_out_of_turn(),
                Ok(Err(_)) | Err(_) => {
                    return Err(self
                        .carrier
                        .refused(Code::DeadlineExceeded, "no answer within the deadline"));
                }
            }
        }
    }

    /// Makes one more call, if a search has queued for too long.
    fn go_out_of_turn(self: &Arc<Self>) {
        let mut queue = self.queue();
        if queue.out >= self.limits.calls.saturating_mul(OUT_OF_TURN) {
            return;
        }
        let now = Instant::now();
        let batch = queue.overdue(self.limits.queries, now, PATIENCE);
        if !batch.is_empty() {
            queue.out += 1;
            let shared = Arc::clone(self);
            tokio::spawn(async move {
                let _slot = Slot(&shared);
                shared.call_for(batch).await;
            });
        }
    }

    /// Makes calls for the queue until it is empty, in one of the slots.
    async fn work_off(self: Arc<Self>) {
        let slot = Slot(&self);
        loop {
            if self.limits.gathers {
                self.queue().gathering_since = Some(Instant::now());
                tokio::task::yield_now().await;
            }
            let Some(batch) = self.next_batch() else { break };
            self.call_for(batch).await;
            if self.queue().out > self.limits.calls {
                break;
            }
        }
        drop(slot);
    }

    /// Returns the searches of the next call, if it is due. The rest goes in another call, if one is free.
    fn next_batch(self: &Arc<Self>) -> Option<Vec<Pending<C>>> {
        let now = Instant::now();
        let mut queue = self.queue();
        queue.gathering_since = None;
        if self.due(&queue, now).is_some() {
            return None;
        }
        let batch = queue.next(self.limits.queries, now);
        if batch.is_empty() {
            return None;
        }
        if !queue.is_empty() && queue.out < self.limits.calls {
            self.go_on(&mut queue, now);
        }
        Some(batch)
    }

    /// Makes a call for one search alone.
    async fn carry(&self, one: &[C::Search], deadline: Instant) -> Reply<C> {
        let context = one.first().and_then(|search| search.context().cloned());
        trace::scope(context, self.carrier.carry(one, deadline)).await
    }

    async fn call_for(&self, mut batch: Vec<Pending<C>>) {
        let searches: Vec<C::Search> = batch.iter().map(|pending| pending.search.clone()).collect();
        let deadline = searches.iter().map(Search::deadline).min().unwrap_or_else(Instant::now);
        // The spans end before any search is answered.
        let spans = shared_spans(&batch, Instant::now());
        let call = trace::scope(
            spans.first().and_then(Span::context).cloned(),
            self.carrier.carry(&searches, deadline),
        );
        let outcome = tokio::select! {
            outcome = call => outcome,
            // The call is dropped with its future, which cancels it on the wire.
            () = all_gone(&mut batch) => return,
        };
        drop(spans);
        if let Err(error) = &outcome
            && batch.len() > 1
            && self.carrier.may_be_of_one(error)
        {
            let mut queue = self.queue();
            // These searches have waited for long, and go first.
            for pending in batch.into_iter().rev() {
                queue.put_back(Pending { alone: true, ..pending });
            }
            return;
        }
        let parts = if batch.len() == 1 {
            vec![outcome]
        } else {
            let query_counts: Vec<usize> = searches.iter().map(Search::query_count).collect();
            self.carrier.share_out(outcome, &query_counts)
        };
        for (pending, part) in batch.into_iter().zip(parts) {
            // The caller may have gone.
            let _ = pending.reply.send(part);
        }
    }
}

/// Returns the spans of a call that begins now: one for each search. The first is the parent of the call.
fn shared_spans<C: Carry>(batch: &[Pending<C>], now: Instant) -> Vec<Span> {
    let contexts = batch.iter().filter_map(|pending| Some((pending.search.context()?, pending.since)));
    let mut contexts: Vec<_> = contexts.collect();
    if let Some(chosen) = contexts.iter().position(|(context, _)| context.is_chosen()) {
        contexts.swap(0, chosen);
    }
    let mut spans: Vec<Span> = Vec::with_capacity(contexts.len());
    for (context, since) in contexts {
        let mut span = context.child("shared call");
        let queued = now.saturating_duration_since(since).as_secs_f64() * 1e3;
        span.set(QUEUED_MS, queued);
        if let Some(call) = spans.first_mut() {
            if let Some(other) = span.context() {
                call.link(other);
            }
            if let Some(call) = call.context() {
                span.link(call);
            }
        }
        spans.push(span);
    }
    if let Some(call) = spans.first_mut() {
        call.set(SEARCHES, i64::try_from(batch.len()).unwrap_or(i64::MAX));
    }
    spans
}

/// Completes when every reply has lost its receiver.
async fn all_gone<C: Carry>(batch: &mut [Pending<C>]) {
    let mut gone = 0;
    poll_fn(|context| {
        while let Some(pending) = batch.get_mut(gone) {
            match pending.reply.poll_closed(context) {
                Poll::Ready(()) => gone += 1,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    })
    .await;
}

/// A slot for a call. When it is dropped, the queue gets it, unless its call was out of turn.
#[derive(Debug)]
struct Slot<'a, C: Carry>(&'a Arc<Shared<C>>);

impl<C: Carry> Drop for Slot<'_, C> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        // Without a runtime the process is ending, and no search waits.
        match tokio::runtime::Handle::try_current() {
            Ok(_) if !queue.is_empty() && queue.out <= self.0.limits.calls => {
                queue.out -= 1;
                self.0.go_on(&mut queue, Instant::now());
            }
            Ok(_) | Err(_) => queue.out -= 1,
        }
    }
}

#[cfg(test)]
mod tests;
