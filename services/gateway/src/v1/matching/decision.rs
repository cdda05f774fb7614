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
    /// The rule that gave it; `null` where no rule's condition held.
    rule: Option<String>,
    /// The version of the policy; 0 for one that is not stored.
    policy_version: u32,
    /// The verdict that would result if what is in shadow counted; `null` where nothing is in shadow.
    shadow_verdict: Option<&'static str>,
    /// Why the rules could not decide alone: the verdict is `REVIEW` at least.
    failure: Option<String>,
    /// Matches that banks of an allow-list took away.
    suppressed_count: u32,
    /// The verdict is `REVIEW` because of a classifier's score alone; `rule` is the rule for it.
    by_score: bool,
    /// The id by which the decision is found again, in hexadecimal digits; `null` where it is not recorded.
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
