//! Counts of matches and verdicts, collected for the bank, which keeps the statistics.
//!
//! A search is not worth a transaction: it is counted here, with others of the same member, bank, class and
//! verdict, and reported some seconds later. The unsent counts of a frontend that is killed are lost; a
//! frontend that stops sends its remaining counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{CallError, CountedMatches, IdempotencyKey, StatisticsClient};
use vigie_model::{BankId, Match, Matched, MemberId, Verdict};

use super::reporter::Source;

/// The most counts of one report.
const REPORT_COUNTS_MAX: usize = 1_000;
/// The most counts that are kept. Beyond it, matches are counted without their class, and then not at all.
const COUNTS_MAX: usize = 20_000;

/// The key of a count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Of {
    member: MemberId,
    /// `None` for verdicts.
    bank: Option<BankId>,
    class: Box<str>,
    verdict: Option<Verdict>,
}

/// The counts of one key.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    exact: u64,
    near: u64,
    decisions: u64,
}

/// The counted matches and verdicts that have not been taken yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded(Arc<Mutex<HashMap<Of, Numbers>>>);

impl Recorded {
    /// Counts the matches and the verdict of one content of a member.
    pub(crate) fn count(&self, member: MemberId, matched: &Matched) {
        let verdict = matched.decision.as_ref().map(|decision| decision.verdict);
        if verdict.is_none() && matched.found.matches.is_empty() {
            return;
        }
        // No code that holds this lock can panic between two changes.
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
}

impl Source for Recorded {
    type Report = CountedMatches;
    type Client = StatisticsClient;

    const EVERY: Duration = Duration::from_secs(5);
    const REPORTS_MAX: usize = REPORT_COUNTS_MAX;
    const WHAT: &'static str = "counts of matches";

    fn take(&self) -> Vec<CountedMatches> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let counted = |(of, numbers): (Of, Numbers)| {
            let Of { member, bank, class, verdict } = of;
            let Numbers { exact, near, decisions } = numbers;
            CountedMatches { member, bank, class, verdict, exact, near, decisions }
        };
        taken.into_iter().map(counted).collect()
    }

    async fn send(
        client: &StatisticsClient,
        counts: &[CountedMatches],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), CallError> {
        client.record_matches(counts, &[], &[], key, deadline).await
    }
}

/// Returns the first class of a matched item.
fn class_of(found: &Match) -> Box<str> {
    let classes = found.facts.as_ref().map(|facts| &facts.classes);
    classes.and_then(|classes| classes.first().cloned()).unwrap_or_default()
}
