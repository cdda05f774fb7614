//! The way to one service: searches that wait for it share its next call.
//!
//! A service is sent a few calls at once. While they are out, further searches queue; when one comes back, what has
//! queued and is alike goes out together as the next ("natural batching"). Where there is little to do nothing ever
//! waits; where there is much, the cost of a call is shared by many. Small interactive searches go before bulk, but
//! bulk has a turn now and then. Where the oldest has queued for some time what queues goes out of turn: the calls that are
//! out may be stuck.
//!
//! Searches share a call only where that changes no answer: with the same options, asking for the same hash types, which
//! an answer counts, and with about as much time left, for the call gets the time of the one that has least: what is
//! answered in part is so at the end of that time. A search whose caller has gone, or whose time is up, is never sent; a call that nobody waits
//! for any more is cancelled on the wire.
//!
//! In traces a shared call is under one of its searches, one that is chosen if there is any, and is linked to the others; each of
//! those has a span that is linked to it.

mod queue;

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use tonic::Code;
use vigie_model::{HashType, Priority, Query, SearchOptions, Sequence};
use vigie_telemetry::names;
use vigie_telemetry::trace::{self, Context, Span};

use queue::{Pending, Queue};

/// Searches that queue for one service; servers limit their calls below it.
const QUEUED_MAX: usize = 8_192;
/// Searches that wait in one service for a change to come.
const WAITING_MAX: usize = 256;
/// How long a search queues for its turn. Longer than most calls take.
const PATIENCE: Duration = Duration::from_millis(5);
/// Of the time that one search has left another may have so much less or more and share its call: an eighth.
const TIME_SHARE: u32 = 8;
/// With those that go out of turn, at most so many times the calls that are out at once.
const OUT_OF_TURN: usize = 8;

/// A search.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What is looked for.
    pub queries: Arc<[Query]>,
    /// How.
    pub options: Arc<SearchOptions>,
    /// How urgent it is.
    pub priority: Priority,
    /// When there has to be an answer.
    pub deadline: Instant,
    /// Which types its hashes are of, which an answer counts.
    hash_types: [bool; HashType::ALL.len()],
    /// Where in a trace it is made.
    context: Option<Context>,
}

impl Ask {
    /// A search, in the trace of what runs now.
    #[must_use]
    pub fn new(
        queries: Arc<[Query]>,
        options: Arc<SearchOptions>,
        priority: Priority,
        deadline: Instant,
    ) -> Self {
        let hash_types = HashType::ALL.map(|hash_type| {
            let mut hashes = queries.iter().flat_map(|query| &query.hashes);
            hashes.any(|one| one.hash.hash_type() == hash_type)
        });
        Self { queries, options, priority, deadline, hash_types, context: trace::current() }
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(&self, options: Arc<SearchOptions>) -> Self {
        Self { options, ..self.clone() }
    }

    /// The same as a part of this span's work.
    #[must_use]
    pub fn under(&self, span: &Span) -> Self {
        Self { context: span.context().cloned(), ..self.clone() }
    }

    /// Whether an answer to both is an answer to each.
    fn shares_with(&self, other: &Self, now: Instant) -> bool {
        let (one, another) =
            (self.deadline.saturating_duration_since(now), other.deadline.saturating_duration_since(now));
        self.hash_types == other.hash_types
            && one.abs_diff(another) <= one / TIME_SHARE
            && (Arc::ptr_eq(&self.options, &other.options) || self.options == other.options)
    }
}

/// Makes the calls of a [`Lane`].
pub trait Carry: Debug + Send + Sync + 'static {
    /// The answer to a search.
    type Answer: Debug + Send + 'static;
    /// Why there is none.
    type Error: Debug + Send + 'static;

    /// Searches for the queries of all `asks`, of which there is one at least and which are alike, in one call.
    /// Dropping the future withdraws it.
    fn carry(
        &self,
        asks: &[Ask],
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;

    /// What each of several asks, which have so many queries, gets of the outcome of their call.
    fn share_out(
        &self,
        outcome: Result<Self::Answer, Self::Error>,
        query_counts: &[usize],
    ) -> Vec<Result<Self::Answer, Self::Error>>;

    /// Whether the call may have failed for what one of its queries is, so that the others should not suffer for it.
    fn may_be_of_one(&self, error: &Self::Error) -> bool;

    /// The error of a search that was not sent.
    fn refused(&self, code: Code, message: &str) -> Self::Error;
}

/// How calls of a [`Lane`] are made up.
#[derive(Debug, Clone, Copy)]
pub struct LaneLimits {
    /// Calls that are out at once.
    pub calls: usize,
    /// Queries that one shared call holds.
    pub queries: usize,
}

/// What a [`Lane`] has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LaneTraffic {
    /// Searches that wait for a call.
    pub queued: usize,
    /// Calls that are out; those that wait for a change to come are not counted.
    pub calls: usize,
}

/// See the module. A handle that is cheap to clone.
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
    /// For searches that wait for a change: they are no work, and must not keep others from it.
    waits: Semaphore,
}

/// What comes of a search in time.
type Reply<C> = Result<<C as Carry>::Answer, <C as Carry>::Error>;

/// How a search gets to its service.
enum Way<'a, C: Carry> {
    /// By a call of its own, now.
    Now(Place<'a, C>),
    /// By one that others share, later.
    Shared(oneshot::Receiver<Reply<C>>),
}

impl<C: Carry> Lane<C> {
    /// A lane to where `carrier` calls.
    #[must_use]
    pub fn new(carrier: C, limits: LaneLimits) -> Self {
        Self(Arc::new(Shared {
            carrier,
            limits,
            queue: Mutex::new(Queue::default()),
            waits: Semaphore::new(WAITING_MAX),
        }))
    }

    /// How much there is to do now.
    #[must_use]
    pub fn traffic(&self) -> LaneTraffic {
        let queue = self.0.queue();
        LaneTraffic { queued: queue.len(), calls: queue.out }
    }

    /// What makes the calls.
    #[must_use]
    pub fn carrier(&self) -> &C {
        &self.0.carrier
    }

    /// Searches, by a call of its own where there is room for one, or else by one that is shared. Dropping the future
    /// withdraws the search.
    ///
    /// `RESOURCE_EXHAUSTED`: too many queue. `DEADLINE_EXCEEDED`: its turn did not come, or no answer did.
    pub async fn search(&self, ask: Ask) -> Reply<C> {
        let (shared, one) = (&self.0, std::slice::from_ref(&ask));
        if ask.options.min_sequence > Sequence::ZERO {
            let Ok(_waits) = shared.waits.try_acquire() else {
                let text = "too many searches wait for a change that has not come yet";
                return Err(shared.carrier.refused(Code::ResourceExhausted, text));
            };
            return shared.carry(one, ask.deadline).await;
        }
        match shared.begin(&ask)? {
            Way::Now(_place) => shared.carry(one, ask.deadline).await,
            Way::Shared(answer) => shared.wait(answer, ask.deadline).await,
        }
    }
}

impl<C: Carry> Shared<C> {
    fn queue(&self) -> MutexGuard<'_, Queue<C>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin<'a>(self: &'a Arc<Self>, ask: &Ask) -> Result<Way<'a, C>, C::Error> {
        let mut queue = self.queue();
        let has_room = queue.out < self.limits.calls;
        if has_room && queue.is_empty() {
            queue.out += 1;
            return Ok(Way::Now(Place(self)));
        }
        let now = Instant::now();
        if queue.len() >= QUEUED_MAX {
            queue.sweep(now);
        }
        if queue.len() >= QUEUED_MAX {
            return Err(self.carrier.refused(Code::ResourceExhausted, "too many searches wait for it"));
        }
        let (reply, answer) = oneshot::channel();
        queue.put(Pending { ask: ask.clone(), reply, since: now, alone: false });
        if has_room {
            // What queues is left of a call that broke.
            queue.out += 1;
            tokio::spawn(Arc::clone(self).work_off());
        }
        Ok(Way::Shared(answer))
    }

    /// Waits for an answer by a call that others make.
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

    /// Makes one call more, if something has queued for too long.
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
                let _place = Place(&shared);
                shared.call_for(batch).await;
            });
        }
    }

    /// Makes calls for what queues until nobody waits; it has one of the places for calls.
    async fn work_off(self: Arc<Self>) {
        let place = Place(&self);
        loop {
            let batch = self.queue().next(self.limits.queries, Instant::now());
            if batch.is_empty() {
                break;
            }
            self.call_for(batch).await;
            if self.queue().out > self.limits.calls {
                break;
            }
        }
        drop(place);
    }

    /// Makes a call of its own for one search.
    async fn carry(&self, one: &[Ask], deadline: Instant) -> Reply<C> {
        let context = one.first().and_then(|ask| ask.context.clone());
        trace::scope(context, self.carrier.carry(one, deadline)).await
    }

    async fn call_for(&self, mut batch: Vec<Pending<C>>) {
        let asks: Vec<Ask> = batch.iter().map(|pending| pending.ask.clone()).collect();
        let deadline = asks.iter().map(|ask| ask.deadline).min().unwrap_or_else(Instant::now);
        // It ends before anybody is answered.
        let spans = shared_spans(&batch, Instant::now());
        let call =
            trace::scope(spans.first().and_then(Span::context).cloned(), self.carrier.carry(&asks, deadline));
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
            // They have waited for long, and go first.
            for pending in batch.into_iter().rev() {
                queue.put_back(Pending { alone: true, ..pending });
            }
            return;
        }
        let parts = if batch.len() == 1 {
            vec![outcome]
        } else {
            let query_counts: Vec<usize> = asks.iter().map(|ask| ask.queries.len()).collect();
            self.carrier.share_out(outcome, &query_counts)
        };
        for (pending, part) in batch.into_iter().zip(parts) {
            // Its caller may have gone.
            let _ = pending.reply.send(part);
        }
    }
}

/// The spans of a call that begins now: one under each search, the one that the call is under first.
fn shared_spans<C: Carry>(batch: &[Pending<C>], now: Instant) -> Vec<Span> {
    let contexts = batch.iter().filter_map(|pending| Some((pending.ask.context.as_ref()?, pending.since)));
    let mut contexts: Vec<_> = contexts.collect();
    if let Some(chosen) = contexts.iter().position(|(context, _)| context.is_chosen()) {
        contexts.swap(0, chosen);
    }
    let mut spans: Vec<Span> = Vec::with_capacity(contexts.len());
    for (context, since) in contexts {
        let mut span = context.child("shared call");
        let queued = now.saturating_duration_since(since).as_secs_f64() * 1e3;
        span.set(names::vigie::QUEUED_MS, queued);
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
        call.set(names::vigie::SEARCHES, i64::try_from(batch.len()).unwrap_or(i64::MAX));
    }
    spans
}

/// Ends when every reply has lost its receiver.
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

/// A place for a call. Given back, it goes to those who queue, unless it was one out of turn.
#[derive(Debug)]
struct Place<'a, C: Carry>(&'a Arc<Shared<C>>);

impl<C: Carry> Drop for Place<'_, C> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        // Without a runtime the process is ending, and nobody waits.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !queue.is_empty() && queue.out <= self.0.limits.calls => {
                runtime.spawn(Arc::clone(self.0).work_off());
            }
            Ok(_) | Err(_) => queue.out -= 1,
        }
    }
}

#[cfg(test)]
mod tests;
