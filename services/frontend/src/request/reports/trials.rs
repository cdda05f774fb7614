//! Verdicts of trial versions, counted beside the answered verdicts and collected for the bank.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{CallError, CountedTrial, IdempotencyKey, StatisticsClient};
use vigie_model::{Decided, MemberId, Verdict};

use super::reporter::Source;

/// The key of a count: member, version, answered verdict, and the version's verdict. Members are few, each
/// has one trial version, and there are five verdicts, so the number of keys is bounded.
type Of = (MemberId, u32, Verdict, Verdict);

/// The counted decisions that have not been taken yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trials(Arc<Mutex<HashMap<Of, u64>>>);

impl Trials {
    /// Counts the verdict of a member's trial version beside a decision.
    pub(crate) fn count(&self, member: MemberId, decided: &Decided, trial: &Decided) {
        // No code that holds this lock can panic between two changes.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held.entry((member, trial.policy_version, decided.verdict, trial.verdict)).or_default() += 1;
    }
}

impl Source for Trials {
    type Report = CountedTrial;
    type Client = StatisticsClient;

    const EVERY: Duration = Duration::from_secs(5);
    const REPORTS_MAX: usize = 1_000;
    const WHAT: &'static str = "verdicts of versions that are tried";

    fn take(&self) -> Vec<CountedTrial> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let counted = |((member, version, verdict, trial), decisions)| CountedTrial {
            member,
            version,
            verdict,
            trial,
            decisions,
        };
        taken.into_iter().map(counted).collect()
    }

    async fn send(
        client: &StatisticsClient,
        trials: &[CountedTrial],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), CallError> {
        client.record_matches(&[], trials, &[], key, deadline).await
    }
}
