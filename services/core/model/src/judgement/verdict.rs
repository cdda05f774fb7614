//! What is to happen with a query's content.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A verdict on a query. Ordered by severity, so the larger of two is the safer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Nothing is to happen.
    Allow,
    /// Something matched; count it.
    Log,
    /// A person has to look before anything happens.
    Review,
    /// Stop it.
    Block,
    /// Stop it, and notify those whom the member's process names.
    Escalate,
}

/// The text names no [`Verdict`].
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
    /// The rule that gave it; empty where no rule's condition held.
    pub rule: Box<str>,
    /// The version of the policy.
    pub policy_version: u32,
    /// What the verdict would be if what is in shadow counted; `None` where nothing is.
    pub shadow_verdict: Option<Verdict>,
    /// Why the rules could not decide alone; then the verdict is REVIEW at least.
    pub failure: Option<Box<str>>,
    /// Matches that banks of an allow-list took away.
    pub suppressed: u32,
    /// The verdict is REVIEW because of a classifier's score alone; `rule` is the rule for it.
    pub by_score: bool,
    /// The id by which the decision is found again while it is recorded; `None` where it is not.
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
