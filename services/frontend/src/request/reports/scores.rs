//! Uses of classifiers, collected for the bank, which keeps the statistics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{CallError, CountedScores, IdempotencyKey, StatisticsClient};
use vigie_model::MemberId;

use super::reporter::Source;
use crate::request::classifying::said::Said;

/// The most counts that are kept; further ones are dropped. The bound is more members times classes than a
/// deployment uses in some seconds.
const COUNTS_MAX: usize = 20_000;

/// The key of a count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Of {
    member: MemberId,
    model: Box<str>,
    version: u32,
    class: Box<str>,
}

/// Counts of one class.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    scored: u64,
    above: u64,
    reviews: u64,
    unavailable: u64,
}

/// The counted uses that have not been taken yet. They hold no score.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scores(Arc<Mutex<HashMap<Of, Numbers>>>);

impl Scores {
    /// Counts the outcomes of the classifiers for one content of a member.
    pub(crate) fn count(&self, member: MemberId, said: &Said) {
        // No code that holds this lock can panic between two changes.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for used in said.uses() {
            let (model, class) = (used.model.into(), used.class.as_str().into());
            let of = Of { member, model, version: used.version, class };
            if held.len() >= COUNTS_MAX && !held.contains_key(&of) {
                continue;
            }
            let numbers = held.entry(of).or_default();
            match used.is_above {
                Some(is_above) => {
                    numbers.scored += 1;
                    numbers.above += u64::from(is_above);
                    numbers.reviews += u64::from(used.is_review);
                }
                None => numbers.unavailable += 1,
            }
        }
    }
}

#[cfg(test)]
impl Scores {
    /// Takes the counts of the next report.
    pub(crate) fn taken(&self) -> Vec<CountedScores> {
        let mut taken = self.take();
        taken.sort_by(|one, other| (&one.model, &one.class).cmp(&(&other.model, &other.class)));
        taken
    }
}

impl Source for Scores {
    type Report = CountedScores;
    type Client = StatisticsClient;

    const EVERY: Duration = Duration::from_secs(5);
    const REPORTS_MAX: usize = 1_000;
    const WHAT: &'static str = "uses of classifiers";

    fn take(&self) -> Vec<CountedScores> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let counted = |(of, numbers): (Of, Numbers)| {
            let Of { member, model, version, class } = of;
            let Numbers { scored, above, reviews, unavailable } = numbers;
            CountedScores { member, model, version, class, scored, above, reviews, unavailable }
        };
        taken.into_iter().map(counted).collect()
    }

    async fn send(
        client: &StatisticsClient,
        scores: &[CountedScores],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), CallError> {
        client.record_matches(&[], &[], scores, key, deadline).await
    }
}
