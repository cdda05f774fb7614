//! Policies as members write them: bank rules, verdict rules and score rules, with bounds. `vigie-policy`
//! compiles the first two, and applies all.

mod bank_rule;
mod score_rule;
mod policy;
mod versions;

pub use bank_rule::BankRule;
pub use policy::{Policy, PolicyDraft, PolicyError, VerdictRule, VerdictRuleDraft};
pub use score_rule::{ScoreRule, ScoreRuleDraft, ScoreRuleField};
pub use versions::{MemberPolicies, PolicyVersion};
pub use vigie_model::{UnknownVerdict, Verdict};
