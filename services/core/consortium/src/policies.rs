//! Policies as members write them: bank rules and verdict rules, bounded. `vigie-policy` compiles and applies them.

mod bank_rule;
mod policy;
mod versions;

pub use bank_rule::BankRule;
pub use policy::{Policy, PolicyDraft, PolicyError, VerdictRule, VerdictRuleDraft};
pub use versions::{MemberPolicies, PolicyVersion};
pub use vigie_model::{UnknownVerdict, Verdict};
