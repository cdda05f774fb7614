//! The decision of a policy, in JSON.

use serde::Serialize;
use utoipa::ToSchema;
use vigie_hashes::hex;
use vigie_model::{Decided, Verdict};

/// The decision of the policy of the caller's member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionObject {
    /// `ALLOW`, `LOG`, `REVIEW`, `BLOCK` or `ESCALATE`.
    verdict: &'static str,
    /// The rule that gave the verdict; `null` where no rule's condition held.
    rule: Option<String>,
    /// The version of the policy; 0 for one that is not stored.
    policy_version: u32,
    /// The verdict that would result if what is in shadow counted; `null` where nothing is in shadow.
    shadow_verdict: Option<&'static str>,
    /// The reason why the rules could not decide alone; the verdict is then at least `REVIEW`.
    failure: Option<String>,
    /// Matches that do not count because a bank of an allow-list matched.
    suppressed_count: u32,
    /// Whether the verdict is `REVIEW` only because of a classifier's score; `rule` is then the score's rule.
    by_score: bool,
    /// The id of the recorded decision, in hexadecimal digits; `null` where it is not recorded.
    decision_id: Option<String>,
}

impl From<&Decided> for DecisionObject {
    fn from(decided: &Decided) -> Self {
        Self {
            verdict: decided.verdict.name(),
            rule: (!decided.rule.is_empty()).then(|| decided.rule.to_string()),
            policy_version: decided.policy_version,
            shadow_verdict: decided.shadow_verdict.map(Verdict::name),
            failure: decided.failure.as_deref().map(str::to_owned),
            suppressed_count: decided.suppressed,
            by_score: decided.by_score,
            decision_id: decided.id.map(|id| hex::encode(&id)),
        }
    }
}
