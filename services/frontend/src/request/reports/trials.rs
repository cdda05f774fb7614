//! Verdicts of versions that members try, beside those that were answered, on their way to the bank.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{CallError, CountedTrial, IdempotencyKey, StatisticsClient};
use vigie_model::{Decided, MemberId, Verdict};

use super::reporter::Source;

/// Which decisions are counted together: of a member and a version, what was answered, and what the version
/// says. Members are few, each tries one version, and verdicts are five, so their number is bounded.
type Of = (MemberId, u32, Verdict, Verdict);

/// Decisions that have been counted and not been taken yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trials(Arc<Mutex<HashMap<Of, u64>>>);

impl Trials {
    /// Counts what the version that a member tries says beside a decision.
    pub(crate) fn count(&self, member: MemberId, decided: &Decided, trial: &Decided) {
        // Nothing in there panics half way.
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
