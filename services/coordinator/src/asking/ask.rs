//! Asks one shard: one of its replicas, and another where the first is slow or lost.
//!
//! The replica is the cheaper of two ([`vigie_net::balance`]). If it has not answered when 95 % of the shard's searches
//! would have been, another one is asked beside it ("hedged requests", Dean and Barroso, The Tail at Scale, 2013). The
//! first success wins, and the other search is withdrawn. A replica that cannot be reached or refuses is replaced by
//! another once. Both kinds of extra calls come out of one budget.

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

use crate::asking::merge::ShardRefusal;
use crate::asking::metrics::CallMetrics;
use crate::replicas::replica::{Replica, options_for};
use crate::replicas::view::{Candidate, Shard};

/// On a span: the shard that is searched.
const SHARD: &str = "vigie.shard";
/// On a span: which of the calls to a shard's replicas gave the answer, from 0.
const ANSWERED_BY: &str = "vigie.answered_by";

/// When another replica is asked, as far as that is configured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hedging {
    /// Never before this.
    pub(crate) after_min: Duration,
    /// While the shard's latencies are not known yet.
    pub(crate) after_first: Duration,
}

/// How long a replica is waited for that is no longer heard of: it may only be too busy to say that it lives.
const SILENT_PATIENCE: Duration = Duration::from_millis(250);

/// The replicas that are being asked.
struct Attempts<'a> {
    running: FuturesUnordered<Attempt<'a>>,
    /// Each replica that was asked, in order, since when, and whether it has ended.
    asked: Vec<(&'a Replica, Instant, bool)>,
}

/// Which attempt, and how it ended.
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

    /// The next that ends; for ever pending where none runs.
    async fn next(&mut self) -> (usize, Result<ShardAnswer, CallError>) {
        match self.running.next().await {
            Some((number, ended)) => {
                self.asked[number].2 = true;
                (number, ended)
            }
            None => std::future::pending().await,
        }
    }

    /// A replica has answered: those that were asked before it and have not are slow.
    fn answered_by(&self, winner: usize, now: Instant) {
        for (replica, begun, _) in self.asked[..winner].iter().filter(|(.., has_ended)| !has_ended) {
            if let Some(turn) = replica.load.outrun(*begun, now) {
                turn.log(&replica.endpoint, "another replica was asked later and answered sooner");
            }
        }
    }
}

impl Shard {
    /// Searches the shard until the deadline of `ask`, as a part of its trace.
    pub(crate) async fn search(
        &self,
        ask: Ask,
        hedging: Hedging,
        metrics: &CallMetrics,
    ) -> Result<ShardAnswer, ShardRefusal> {
        let mut span = trace::child("search a shard");
        span.set(SHARD, i64::from(self.identity.shard().0));
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
    ) -> Result<ShardAnswer, ShardRefusal> {
        let begun = Instant::now();
        self.record.budget.pay_in();
        let (mut untried, ask) = self.candidates(ask, begun);
        let Some(first) = untried.take_cheapest(begun) else {
            let message = self.lacking(&ask).unwrap_or_else(|| self.why_none.clone());
            return Err(ShardRefusal { code: Code::Unavailable, message });
        };
        let mut attempts = Attempts::new();
        let ask = ask.under(span);
        attempts.begin(first, &ask);
        // What waits for a change to come, or is much work, says nothing of how quick a replica is. Another one would do much work
        // a second time.
        let is_costly = ask.is_costly();
        let waits = is_costly || ask.options.min_sequence > first.sequence;
        let known = self.record.latencies.p95().filter(|_| !waits);
        let hedge_after = known.unwrap_or(hedging.after_first).max(hedging.after_min);
        let mut hedge_at = Some(begun + hedge_after).filter(|_| !is_costly && !untried.is_empty());
        let mut may_retry = true;
        // Every attempt ends by the deadline.
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
            // Where there is no other replica, the same one is worth another call if only the connection was lost.
            let other = untried.take_cheapest(Instant::now()).or(lost_connection.then_some(first));
            match other {
                // A replica that does not know a hash type has done no work, and each is asked once: no budget is needed.
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

    /// The replicas that may be asked, among those that can search every hash type of `ask`: those that have come far
    /// enough, then the others that are ready; where none is, those that may only be too busy to report that they are.
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

    /// Why no replica can be asked, if that is for a hash type that none of the ready ones knows.
    fn lacking(&self, ask: &Ask) -> Option<String> {
        let mut known = self.ready.iter().chain(&self.silent);
        let hash_type = known.find_map(|candidate| candidate.lacks(ask.hash_types()))?;
        Some(format!(
            "none of its replicas can search hashes of type {}: their versions do not know it",
            hash_type.number()
        ))
    }

    /// A matcher that has changed its shard since it was last heard, or counts otherwise, or has gone back, has not
    /// answered for this one.
    fn check(&self, answer: ShardAnswer, ask: &Ask) -> Result<ShardAnswer, ShardRefusal> {
        let unavailable = |message| Err(ShardRefusal { code: Code::Unavailable, message });
        if answer.identity != self.identity || answer.results.len() != ask.queries.len() {
            let (count, identity) = (answer.results.len(), answer.identity);
            return unavailable(format!("its matcher answered {count} queries as shard {identity}"));
        }
        if answer.sequence < ask.options.min_sequence {
            return unavailable(format!("its matcher answered as of {} only", answer.sequence));
        }
        Ok(answer)
    }
}

/// Replicas that have not been asked: some first, and the others when those have all been.
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

fn refusal(error: &CallError) -> ShardRefusal {
    // The caller gets what the matcher says of a bank as it is.
    let of_a_bank = matches!(error.code(), Code::NotFound | Code::FailedPrecondition);
    let message = if of_a_bank { error.message().to_owned() } else { error.to_string() };
    ShardRefusal { code: error.code(), message }
}
