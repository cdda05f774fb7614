//! The way to one matcher: searches that wait for it share its next call.
//!
//! A matcher is sent a few calls at once. While they are out, further searches queue; when one comes back, what has
//! queued and is alike goes out together as the next ("natural batching"). Where there is little to do nothing ever
//! waits; where there is much, the cost of a call is shared by many. Small interactive searches go before bulk, but
//! bulk has a turn now and then.
//!
//! Searches share a call only where that changes no answer: with the same options, and asking for the same hash types,
//! which an answer counts. A search whose caller has gone, or whose time is up, is never sent; a call that nobody waits
//! for any more is cancelled on the wire.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use vigie_clients::{CallError, Code, MatcherClient, Priority};
use vigie_model::{HashType, Query, SearchOptions, Sequence, ShardAnswer};

/// One in so many calls is bulk's, if there is any, however much else there is.
const BULK_TURN: u64 = 8;
/// Searches that queue for one matcher; servers limit their calls below it.
const QUEUED_MAX: usize = 8_192;
/// Searches that wait in one matcher for a change to come.
const WAITING_MAX: usize = 256;

/// A search of one shard.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) queries: Arc<[Query]>,
    /// With the `min_sequence` that the matcher has to wait for: none, where it is known to have come that far.
    pub(crate) options: Arc<SearchOptions>,
    pub(crate) priority: Priority,
    pub(crate) deadline: Instant,
}

impl Ask {
    /// Whether an answer to both is an answer to each.
    fn shares_with(&self, other: &Self) -> bool {
        (Arc::ptr_eq(&self.options, &other.options) || self.options == other.options)
            && self.hash_types() == other.hash_types()
    }

    fn hash_types(&self) -> [bool; HashType::ALL.len()] {
        HashType::ALL.map(|hash_type| {
            let mut hashes = self.queries.iter().flat_map(|query| &query.hashes);
            hashes.any(|one| one.hash.hash_type() == hash_type)
        })
    }
}

/// An ask that queues.
#[derive(Debug)]
struct Pending {
    ask: Ask,
    reply: oneshot::Sender<Result<ShardAnswer, CallError>>,
    /// It shares no call: what it asks for may be what broke the last one.
    alone: bool,
}

impl Pending {
    fn is_wanted(&self, now: Instant) -> bool {
        !self.reply.is_closed() && self.ask.deadline > now
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Lane(Arc<Shared>);

/// How calls of a [`Lane`] are made up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneLimits {
    /// Calls that are out at once.
    pub(crate) calls: usize,
    /// Queries that one shared call holds.
    pub(crate) queries: usize,
}

#[derive(Debug)]
struct Shared {
    client: ArcSwap<MatcherClient>,
    limits: LaneLimits,
    queue: Mutex<Queue>,
    /// For searches that wait for a change: they are no work, and must not keep others from it.
    waits: Semaphore,
}

#[derive(Debug, Default)]
struct Queue {
    interactive: VecDeque<Pending>,
    bulk: VecDeque<Pending>,
    /// Calls that are out.
    out: usize,
    turns: u64,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.interactive.is_empty() && self.bulk.is_empty()
    }

    fn len(&self) -> usize {
        self.interactive.len() + self.bulk.len()
    }

    fn of(&mut self, priority: Priority) -> &mut VecDeque<Pending> {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Bulk => &mut self.bulk,
        }
    }

    /// The asks of the next call; none where nobody waits.
    fn next(&mut self, queries_max: usize, now: Instant) -> Vec<Pending> {
        self.turns += 1;
        let bulk_first = self.turns.is_multiple_of(BULK_TURN);
        let order = [Priority::Interactive, Priority::Bulk];
        let order = if bulk_first { [order[1], order[0]] } else { order };
        order
            .into_iter()
            .map(|priority| take_alike(self.of(priority), queries_max, now))
            .find(|taken| !taken.is_empty())
            .unwrap_or_default()
    }
}

/// Takes the oldest ask that somebody waits for, and those that can share its call, in order.
fn take_alike(queue: &mut VecDeque<Pending>, queries_max: usize, now: Instant) -> Vec<Pending> {
    let first = loop {
        match queue.pop_front() {
            None => return Vec::new(),
            Some(pending) if pending.is_wanted(now) => break pending,
            Some(_) => {}
        }
    };
    let limit = first.ask.options.limit.get();
    let queries_max = queries_max.min(Query::BATCH_MAX).min(Query::ANSWERS_MAX / limit);
    let mut count = first.ask.queries.len();
    let mut taken = vec![first];
    if taken[0].alone {
        return taken;
    }
    let mut left = VecDeque::with_capacity(queue.len());
    for pending in queue.drain(..) {
        if !pending.is_wanted(now) {
            continue;
        }
        let fits = count + pending.ask.queries.len() <= queries_max;
        if fits && !pending.alone && taken[0].ask.shares_with(&pending.ask) {
            count += pending.ask.queries.len();
            taken.push(pending);
        } else {
            left.push_back(pending);
        }
    }
    *queue = left;
    taken
}

impl Lane {
    pub(crate) fn new(client: MatcherClient, limits: LaneLimits) -> Self {
        Self(Arc::new(Shared {
            client: ArcSwap::from_pointee(client),
            limits,
            queue: Mutex::new(Queue::default()),
            waits: Semaphore::new(WAITING_MAX),
        }))
    }

    /// The matcher's client as it is now.
    pub(crate) fn client(&self) -> Arc<MatcherClient> {
        self.0.client.load_full()
    }

    /// Goes on with another connection.
    pub(crate) fn reconnect(&self, client: MatcherClient) {
        self.0.client.store(Arc::new(client));
    }

    /// Searches, by a call of its own where there is room for one, or else by one that is shared. Dropping the future
    /// withdraws the search.
    pub(crate) async fn search(&self, ask: Ask) -> Result<ShardAnswer, CallError> {
        if ask.options.min_sequence > Sequence::ZERO {
            let Ok(_waits) = self.0.waits.try_acquire() else {
                let text = "too many searches wait for a change that has not come yet";
                return Err(self.0.refused(Code::ResourceExhausted, text));
            };
            return self.0.call(&[&ask], ask.deadline).await;
        }
        let waiting = {
            let mut queue = self.0.queue();
            let has_room = queue.out < self.0.limits.calls;
            if has_room && queue.is_empty() {
                queue.out += 1;
                None
            } else if queue.len() >= QUEUED_MAX {
                return Err(self.0.refused(Code::ResourceExhausted, "too many searches wait for it"));
            } else {
                let (reply, answer) = oneshot::channel();
                let deadline = ask.deadline;
                queue.of(ask.priority).push_back(Pending { ask: ask.clone(), reply, alone: false });
                if has_room {
                    // What queues is left of a call that broke.
                    queue.out += 1;
                    tokio::spawn(Arc::clone(&self.0).work_off());
                }
                Some((answer, deadline))
            }
        };
        match waiting {
            None => {
                let _place = Place(&self.0);
                self.0.call(&[&ask], ask.deadline).await
            }
            Some((answer, deadline)) => match tokio::time::timeout_at(deadline, answer).await {
                Ok(Ok(answered)) => answered,
                Ok(Err(_)) | Err(_) => {
                    Err(self.0.refused(Code::DeadlineExceeded, "no answer within the deadline"))
                }
            },
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, code: Code, message: &str) -> CallError {
        self.client.load().refused(code, message)
    }

    async fn call(&self, asks: &[&Ask], deadline: Instant) -> Result<ShardAnswer, CallError> {
        let client = self.client.load_full();
        let queries = asks.iter().flat_map(|ask| ask.queries.iter());
        client.search(queries, &asks[0].options, asks[0].priority, deadline).await
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
        }
        drop(place);
    }

    async fn call_for(&self, mut batch: Vec<Pending>) {
        let asks: Vec<Ask> = batch.iter().map(|pending| pending.ask.clone()).collect();
        let asks: Vec<&Ask> = asks.iter().collect();
        let deadline = asks.iter().map(|ask| ask.deadline).max().unwrap_or_else(Instant::now);
        let answered = tokio::select! {
            answered = self.call(&asks, deadline) => answered,
            // The call is dropped with its future, which cancels it on the wire.
            () = all_gone(&mut batch) => return,
        };
        match answered {
            Ok(answer) => self.share_out(answer, batch),
            // One of the queries may have broken the search; the others are not to suffer for it.
            Err(error) if batch.len() > 1 && matches!(error.code(), Code::Internal | Code::Unknown) => {
                let mut queue = self.queue();
                for mut pending in batch {
                    pending.alone = true;
                    queue.of(pending.ask.priority).push_back(pending);
                }
            }
            Err(error) => {
                for pending in batch {
                    // Its caller may have gone.
                    let _ = pending.reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Gives each ask its part of a shared answer.
    fn share_out(&self, answer: ShardAnswer, batch: Vec<Pending>) {
        let asked: usize = batch.iter().map(|pending| pending.ask.queries.len()).sum();
        let is_complete = answer.results.len() == asked;
        let ShardAnswer { identity, sequence, hashes_searched, results, approximate } = answer;
        let mut results = results.into_iter();
        for pending in batch {
            let part = results.by_ref().take(pending.ask.queries.len()).collect();
            let approximate = approximate.clone();
            let part = ShardAnswer { identity, sequence, hashes_searched, results: part, approximate };
            let answered = if is_complete {
                Ok(part)
            } else {
                Err(self.refused(Code::Internal, "it answered other queries than were asked"))
            };
            // Its caller may have gone.
            let _ = pending.reply.send(answered);
        }
    }
}

/// Ends when every reply has lost its receiver.
async fn all_gone(batch: &mut [Pending]) {
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

/// A place for a call. Given back, it goes to those who queue.
struct Place<'a>(&'a Arc<Shared>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        // Without a runtime the process is ending, and nobody waits.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !queue.is_empty() => {
                runtime.spawn(Arc::clone(self.0).work_off());
            }
            Ok(_) | Err(_) => queue.out -= 1,
        }
    }
}

/// The options of an ask to a matcher that has come as far as `reached`.
pub(crate) fn options_for(options: &Arc<SearchOptions>, reached: Sequence) -> Arc<SearchOptions> {
    if options.min_sequence == Sequence::ZERO || options.min_sequence > reached {
        return Arc::clone(options);
    }
    Arc::new(SearchOptions { min_sequence: Sequence::ZERO, ..SearchOptions::clone(options) })
}
