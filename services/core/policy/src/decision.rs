//! What a policy decides about a query.

use vigie_consortium::Verdict;

/// The outcome of a policy for one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The verdict. At least REVIEW if [`Self::failure`] is set.
    pub verdict: Verdict,
    /// The rule that gave the verdict, or failed; empty if none held.
    pub rule: Box<str>,
    /// What the verdict would be if rules, banks and matches in shadow counted; `None` where nothing is in shadow.
    pub shadow_verdict: Option<Verdict>,
    /// Why the rules could not decide alone. Names no value of a match.
    pub failure: Option<Box<str>>,
    /// Indices of the matches that counted, the nearest first.
    pub counted: Vec<usize>,
    /// Matches that an allow-list bank took away.
    pub suppressed_count: usize,
}
