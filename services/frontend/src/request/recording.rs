//! Counts of matches and verdicts on their way to the bank, which keeps the statistics.
//!
//! A search is not worth a transaction of its own: it is counted here, with others of the same member, bank, class and verdict, and reported
//! some seconds later. A frontend that is killed in between has counted for nothing; one that stops reports what is left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use vigie_clients::{CountedMatches, EndpointError, IdempotencyKey, Network, StatisticsClient};
use vigie_model::{BankId, Match, Matched, MemberId, Verdict};

/// How long a match waits until it is reported.
const EVERY: Duration = Duration::from_secs(5);
/// How long a report may take.
const REPORT_MAX: Duration = Duration::from_secs(3);
/// Counts of one report.
const REPORT_COUNTS_MAX: usize = 1_000;
/// Counts that are kept; what comes beyond is counted without its class, and then not at all.
const COUNTS_MAX: usize = 20_000;

/// What a count is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Of {
    member: MemberId,
    /// `None` for verdicts.
    bank: Option<BankId>,
    class: Box<str>,
    verdict: Option<Verdict>,
}

/// Counts of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    exact: u64,
    near: u64,
    decisions: u64,
}

/// Matches and verdicts that have been counted and not been taken yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded(Arc<Mutex<HashMap<Of, Numbers>>>);

impl Recorded {
    /// Counts the matches and the verdict of one content of a member.
    pub(super) fn count(&self, member: MemberId, matched: &Matched) {
        let verdict = matched.decision.as_ref().map(|decision| decision.verdict);
        if verdict.is_none() && matched.found.matches.is_empty() {
            return;
        }
        // Nothing in there panics half way.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut add = |of: Of, add: fn(&mut Numbers)| {
            let has_room = held.len() < COUNTS_MAX || held.contains_key(&of);
            let of = if has_room { of } else { Of { class: Box::default(), ..of } };
            if has_room || held.contains_key(&of) {
                add(held.entry(of).or_default());
            }
        };
        if verdict.is_some() {
            let of = Of { member, bank: None, class: Box::default(), verdict };
            add(of, |numbers| numbers.decisions += 1);
        }
        for found in &matched.found.matches {
            let of = Of { member, bank: Some(found.bank), class: class_of(found), verdict };
            if found.distance.0 == 0 {
                add(of, |numbers| numbers.exact += 1);
            } else {
                add(of, |numbers| numbers.near += 1);
            }
        }
    }

    fn take(&self) -> Vec<CountedMatches> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let counted = |(of, numbers): (Of, Numbers)| {
            let Of { member, bank, class, verdict } = of;
            let Numbers { exact, near, decisions } = numbers;
            CountedMatches { member, bank, class, verdict, exact, near, decisions }
        };
        taken.into_iter().map(counted).collect()
    }
}

/// The first class of a matched item.
fn class_of(found: &Match) -> Box<str> {
    let classes = found.facts.as_ref().map(|facts| &facts.classes);
    classes.and_then(|classes| classes.first().cloned()).unwrap_or_default()
}

/// Reports of one frontend.
#[derive(Debug)]
pub(crate) struct Recorder {
    recorded: Recorded,
    /// `None` for a frontend that knows no bank.
    bank: Option<StatisticsClient>,
    /// Reports that the bank has not confirmed. Each keeps its key: one that was counted without a word is not counted twice.
    pending: Vec<(IdempotencyKey, Vec<CountedMatches>)>,
    is_lost: bool,
}

impl Recorder {
    /// Reports to the banks at these endpoints; to nobody where there are none.
    pub(crate) fn new(
        recorded: Recorded,
        banks: &[String],
        network: &Network,
    ) -> Result<Self, EndpointError> {
        let bank = (!banks.is_empty()).then(|| StatisticsClient::among(banks, network)).transpose()?;
        Ok(Self { recorded, bank, pending: Vec::new(), is_lost: false })
    }

    /// Reports again and again, for as long as it is polled.
    pub(crate) async fn run(&mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.report(Instant::now() + REPORT_MAX).await;
        }
    }

    /// Reports what is left, once.
    pub(crate) async fn finish(&mut self) {
        self.report(Instant::now() + REPORT_MAX).await;
        if !self.pending.is_empty() {
            tracing::warn!("matches were not reported to the statistics before the end");
        }
    }

    async fn report(&mut self, deadline: Instant) {
        // While a report is pending, newer counts wait within their own bound.
        if self.pending.is_empty() {
            let counts = self.recorded.take();
            let reports =
                counts.chunks(REPORT_COUNTS_MAX).map(|counts| (IdempotencyKey::random(), counts.to_vec()));
            self.pending.extend(reports);
        }
        let Some(bank) = &self.bank else { return self.pending.clear() };
        while let Some((key, counts)) = self.pending.last() {
            match bank.record_matches(counts, key.clone(), deadline).await {
                Ok(()) => {
                    self.pending.pop();
                    self.is_lost = false;
                }
                // A bank of an older version counts none of it, and what it will never take must not keep the rest back.
                Err(error) if matches!(error.code(), Code::InvalidArgument | Code::Unimplemented) => {
                    tracing::warn!(%error, counts = counts.len(), "the bank refuses counts of matches, which are dropped");
                    self.pending.pop();
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_lost, true) {
                        tracing::warn!(%error, "matches cannot be reported to the statistics; they are kept and reported later");
                    }
                    return;
                }
            }
        }
    }
}
