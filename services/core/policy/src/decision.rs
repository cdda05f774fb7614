//! The decision of a policy about a query.

use vigie_model::{Decided, Verdict};

/// The outcome of a policy for one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The verdict. At least REVIEW if [`Self::failure`] is set.
    pub verdict: Verdict,
    /// The rule that gave the verdict, or failed; empty if none applied.
    pub rule: Box<str>,
    /// The verdict if rules, banks and matches in shadow also counted; `None` if nothing is in shadow.
    pub shadow_verdict: Option<Verdict>,
    /// The reason why the rules could not decide alone. It contains no value of a match.
    pub failure: Option<Box<str>>,
    /// Indices of the matches that counted, the nearest first.
    pub counted: Vec<usize>,
    /// The number of matches that an allow-list bank suppressed.
    pub suppressed_count: usize,
}

impl Decision {
    /// Returns the decision in the form of an answer, with this version of the policy. It has no id yet.
    #[must_use]
    pub fn decided(self, policy_version: u32) -> Decided {
        /// The longest text of a failure, in bytes: a person reads it in an answer.
        const FAILURE_LEN_MAX: usize = 256;
        let cut = |text: Box<str>| {
            let end = text.floor_char_boundary(FAILURE_LEN_MAX.min(text.len()));
            text[..end].into()
        };
        Decided {
            verdict: self.verdict,
            rule: self.rule,
            policy_version,
            shadow_verdict: self.shadow_verdict,
            failure: self.failure.map(cut),
            suppressed: u32::try_from(self.suppressed_count).unwrap_or(u32::MAX),
            id: None,
            by_score: false,
        }
    }
}
