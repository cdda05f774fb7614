//! Searches one group of shards through one of its replicas, and through another one if the first is slow or
//! lost.
//!
//! The first replica is the cheaper of two candidates ([`vigie_net::balance`]). If it has not answered within
//! the 95th percentile of the shard's search latencies, another replica is asked as well ("hedged requests",
//! Dean and Barroso, The Tail at Scale, 2013). The first success wins, and the other search is cancelled. A
//! replica that cannot be reached or that refuses is replaced by another one, once. Hedges and retries are
//! taken from one budget.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::Instant;
use vigie_clients::Ask;
use vigie_clients::{CallError, Code};
use vigie_model::ShardAnswer;
use vigie_net::balance::choose;
use vigie_net::lane::Search as _;
use vigie_rpc::code::retryable;
use vigie_telemetry::trace::{self, Span};

use crate::asking::merge::GroupRefusal;
use crate::asking::metrics::CallMetrics;
use crate::replicas::replica::{Replica, options_for};
use crate::replicas::view::{Candidate, Group};

/// Span attribute: the shard that is searched; the first one of a group.
const SHARD: &str = "vigie.shard";
/// Span attribute: the number of the call that gave the answer, counted from 0 over the calls to the shard's
/// replicas.
const ANSWERED_BY: &str = "vigie.answered_by";

/// The configured delays before a hedge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hedging {
    /// The shortest delay.
    pub(crate) after_min: Duration,
    /// The delay while the 95th percentile of the shard's latencies is not known yet.
    pub(crate) after_first: Duration,
}

/// The longest call to a replica that no longer sends descriptions. It may only be too busy to send them.
const SILENT_PATIENCE: Duration = Duration::from_millis(250);

/// The calls to replicas of one group for one search.
struct Attempts<'a> {
    running: FuturesUnordered<Attempt<'a>>,
    /// Each replica that was asked, in order: when its call began, and whether that call has ended.
    asked: Vec<(&'a Replica, Instant, bool)>,
}

/// A call to a replica, which returns its number and its result.
type Attempt<'a> = Pin<Box<dyn Future<Output = (usize, Result<ShardAnswer, CallError>)> + Send + 'a>>;

impl<'a> Attempts<'a> {
    fn new() -> Self {
        Self { running: FuturesUnordered::new(), asked: Vec::with_capacity(2) }
    }

    fn begin(&mut self, candidate: &'a Candidate, ask: &Ask) {
        let options = options_for(&ask.options, candidate.sequence);
        let ask = ask.with_options(options);
        let (number, replica) = (self.asked.len(), &*candidate.replica);
        self.asked.push((replica, Instant::now(), false));
        self.running.push(Box::pin(async move { (number, replica.search(ask).await) }));
    }

    /// Returns the next call that ends. Stays pending forever if no call is running.
    async fn next(&mut self) -> (usize, Result<ShardAnswer, CallError>) {
        match self.running.next().await {
            Some((number, ended)) => {
                self.asked[number].2 = true;
                (number, ended)
            }
            None => std::future::pending().await,
        }
    }

    /// Records that the call `winner` has answered. Replicas whose calls began earlier and are still running
    /// count as slow.
    fn answered_by(&self, winner: usize, now: Instant) {
        for (replica, begun, _) in self.asked[..winner].iter().filter(|(.., has_ended)| !has_ended) {
            if let Some(turn) = replica.load.outrun(*begun, now) {
                turn.log(&replica.endpoint, "another replica was asked later and answered sooner");
            }
        }
    }
}

impl Group {
    /// Searches the shards until the deadline of `ask`, in a child span of its trace.
    pub(crate) async fn search(
        &self,
        ask: Ask,
        hedging: Hedging,
        metrics: &CallMetrics,
    ) -> Result<ShardAnswer, GroupRefusal> {
        let mut span = trace::child("search a shard");
        span.set(SHARD, i64::from(self.shards.first().0));
        let searched = self.search_in(&mut span, ask, hedging, metrics).await;
        span.ended_with(searched.as_ref().map_or_else(|refusal| refusal.code, |_| Code::Ok));
        searched
    }

    async fn search_in(
        &self,
        span: &mut Span,
        ask: Ask,
        hedging: Hedging,
        metrics: &CallMetrics,
    ) -> Result<ShardAnswer, GroupRefusal> {
        let begun = Instant::now();
        self.record.budget.pay_in();
        let (mut untried, ask) = self.candidates(ask, begun);
        let Some(first) = untried.take_cheapest(begun) else {
            let message = self.lacking(&ask).unwrap_or_else(|| self.why_none.clone());
            return Err(GroupRefusal { code: Code::Unavailable, message });
        };
        let mut attempts = Attempts::new();
        let ask = ask.under(span);
        attempts.begin(first, &ask);
        // A search that waits for a change, or that is costly, is no measure of a replica's speed. A hedge
        // would repeat the costly work.
        let is_costly = ask.is_costly();
        let waits = is_costly || ask.options.min_sequence > first.sequence;
        let known = self.record.latencies.p95().filter(|_| !waits);
        let hedge_after = known.unwrap_or(hedging.after_first).max(hedging.after_min);
        let mut hedge_at = Some(begun + hedge_after).filter(|_| !is_costly && !untried.is_empty());
        let mut may_retry = true;
        // Every call ends by the deadline, so the loop does too.
        loop {
            let hedge = async {
                match hedge_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let (number, ended) = tokio::select! {
                biased;
                ended = attempts.next() => ended,
                () = hedge => {
                    hedge_at = None;
                    if !untried.is_empty()
                        && self.record.budget.take_hedge()
                        && let Some(other) = untried.take_cheapest(Instant::now())
                    {
                        metrics.hedges.inc();
                        span.event("hedge");
                        attempts.begin(other, &ask);
                    }
                    continue;
                }
            };
            let lost_connection = ended.as_ref().is_err_and(CallError::is_of_the_connection);
            let checked = ended.map_err(|error| refusal(&error)).and_then(|answer| self.check(answer, &ask));
            let refusal = match checked {
                Ok(answer) => {
                    let now = Instant::now();
                    span.set(ANSWERED_BY, i64::try_from(number).unwrap_or(i64::MAX));
                    if !waits {
                        attempts.answered_by(number, now);
                        self.record.latencies.observe(now - begun);
                    }
                    return Ok(answer);
                }
                Err(refusal) => refusal,
            };
            if !attempts.running.is_empty() {
                continue;
            }
            // If there is no other replica, the same replica is asked again, but only if just the connection
            // was lost.
            let other = untried.take_cheapest(Instant::now()).or(lost_connection.then_some(first));
            match other {
                // A replica that does not know a hash type has done no work, and each replica is asked once,
                // so this needs no budget.
                Some(other) if refusal.code == Code::Unimplemented => attempts.begin(other, &ask),
                Some(other) if may_retry && retryable(refusal.code) && self.record.budget.take_retry() => {
                    may_retry = false;
                    metrics.retries.inc();
                    span.event("retry");
                    attempts.begin(other, &ask);
                }
                Some(_) | None => return Err(refusal),
            }
        }
    }

    /// Returns the replicas that may be asked, from those that can search every hash type of `ask`. First
    /// come the ready replicas that have reached the wanted sequence, then the other ready ones. If no
    /// replica is ready, it returns those that may only be too busy to send a description, and shortens the
    /// deadline of `ask`.
    fn candidates(&self, mut ask: Ask, now: Instant) -> (Untried<'_>, Ask) {
        let wanted = ask.options.min_sequence;
        let is_able = |candidate: &&Candidate| candidate.lacks(ask.hash_types()).is_none();
        if !self.ready.is_empty() {
            let able = self.ready.iter().filter(is_able);
            let (first, then): (Vec<_>, Vec<_>) = able.partition(|candidate| candidate.sequence >= wanted);
            if !(first.is_empty() && then.is_empty()) {
                return (Untried { first, then }, ask);
            }
        }
        let may_live =
            |candidate: &&Candidate| is_able(candidate) && !candidate.replica.load.view(now).is_left_out;
        let first = self.silent.iter().filter(may_live).collect();
        ask.deadline = ask.deadline.min(now + SILENT_PATIENCE);
        (Untried { first, then: Vec::new() }, ask)
    }

    /// Returns the reason why no replica can be asked, if the cause is a hash type that a replica does not
    /// know.
    fn lacking(&self, ask: &Ask) -> Option<String> {
        let mut known = self.ready.iter().chain(&self.silent);
        let hash_type = known.find_map(|candidate| candidate.lacks(ask.hash_types()))?;
        Some(format!(
            "none of its replicas can search hashes of type {}: their versions do not know it",
            hash_type.number()
        ))
    }

    /// Checks that the answer is for these shards. An answer does not count if the matcher has changed its
    /// shards since its last description, answers another number of queries, or has an older sequence than
    /// was asked for.
    fn check(&self, answer: ShardAnswer, ask: &Ask) -> Result<ShardAnswer, GroupRefusal> {
        let unavailable = |message| Err(GroupRefusal { code: Code::Unavailable, message });
        if answer.shards != self.shards || answer.results.len() != ask.queries.len() {
            let (count, shards) = (answer.results.len(), answer.shards);
            return unavailable(format!("its matcher answered {count} queries as shard {shards}"));
        }
        if answer.sequence < ask.options.min_sequence {
            return unavailable(format!("its matcher answered as of {} only", answer.sequence));
        }
        Ok(answer)
    }
}

/// Replicas that have not been asked. Those in `then` are used only after all in `first`.
struct Untried<'a> {
    first: Vec<&'a Candidate>,
    then: Vec<&'a Candidate>,
}

impl<'a> Untried<'a> {
    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.then.is_empty()
    }

    fn take_cheapest(&mut self, now: Instant) -> Option<&'a Candidate> {
        let from = if self.first.is_empty() { &mut self.then } else { &mut self.first };
        let chosen = *choose(from.iter(), |candidate| &candidate.replica.load, now)?;
        from.retain(|candidate| !std::ptr::eq(*candidate, chosen));
        Some(chosen)
    }
}

fn refusal(error: &CallError) -> GroupRefusal {
    // The caller gets a matcher's message about a bank unchanged.
    let of_a_bank = matches!(error.code(), Code::NotFound | Code::FailedPrecondition);
    let message = if of_a_bank { error.message().to_owned() } else { error.to_string() };
    GroupRefusal { code: error.code(), message }
}
