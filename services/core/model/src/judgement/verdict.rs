//! The verdict on a query's content.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A verdict on a query. Verdicts are ordered by severity, so the larger of two is the safer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Do nothing.
    Allow,
    /// Count the match.
    Log,
    /// A person must look at the content before anything else happens.
    Review,
    /// Block the content.
    Block,
    /// Block the content, and notify the contacts that the member's process names.
    Escalate,
}

/// The text is not the name of a [`Verdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a verdict is ALLOW, LOG, REVIEW, BLOCK or ESCALATE")]
pub struct UnknownVerdict;

impl Verdict {
    /// Every verdict, the mildest first.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Log, Self::Review, Self::Block, Self::Escalate];

    /// Returns the name, in capitals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Log => "LOG",
            Self::Review => "REVIEW",
            Self::Block => "BLOCK",
            Self::Escalate => "ESCALATE",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(text: &str) -> Result<Self, UnknownVerdict> {
        Self::ALL.into_iter().find(|verdict| verdict.name().eq_ignore_ascii_case(text)).ok_or(UnknownVerdict)
    }
}

/// The decision of a member's policy about one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule that gave the verdict; empty if no rule's condition was true.
    pub rule: Box<str>,
    /// The version of the policy.
    pub policy_version: u32,
    /// The verdict if everything in shadow counted; `None` if nothing is in shadow.
    pub shadow_verdict: Option<Verdict>,
    /// The reason why the rules could not decide alone; the verdict is then at least REVIEW.
    pub failure: Option<Box<str>>,
    /// The number of matches that allow-list banks removed.
    pub suppressed: u32,
    /// Whether the verdict is REVIEW only because of a classifier's score; `rule` is then the rule for it.
    pub by_score: bool,
    /// The id by which the decision can be looked up while it is recorded; `None` if it is not recorded.
    pub id: Option<[u8; 16]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_ordered_by_severity_and_read_without_regard_to_case() {
        assert!(Verdict::ALL.is_sorted());
        for verdict in Verdict::ALL {
            assert_eq!(verdict.name().parse(), Ok(verdict));
            assert_eq!(verdict.to_string().to_lowercase().parse(), Ok(verdict));
        }
        for bad in ["", "ALLOWED", " ALLOW", "0"] {
            assert_eq!(bad.parse::<Verdict>(), Err(UnknownVerdict), "{bad}");
        }
    }
}
