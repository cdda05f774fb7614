//! The versions of a member's policy: the one that decides, and one that is tried in parallel.

use std::sync::Arc;

use super::policy::Policy;

/// A version of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// The version number: 1, 2, 3 and so on, for each member.
    pub version: u32,
    /// The rules.
    pub policy: Arc<Policy>,
}

/// The policies of a member. A member without a policy gets no verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberPolicies {
    /// The largest version number that the member has used.
    pub used: u32,
    /// The version that decides.
    pub current: Option<PolicyVersion>,
    /// A version whose verdicts are counted beside those of the current one, but decide nothing.
    pub trial: Option<PolicyVersion>,
}

impl MemberPolicies {
    /// Whether the member has never had a policy.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the policies with a new version, which becomes the current or the trial version.
    #[must_use]
    pub fn with(&self, policy: Arc<Policy>, is_trial: bool) -> Self {
        let version = PolicyVersion { version: self.used.saturating_add(1), policy };
        let mut policies = Self { used: version.version, ..self.clone() };
        if is_trial {
            policies.trial = Some(version);
        } else {
            policies.current = Some(version);
            policies.trial = None;
        }
        policies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_up_and_one_that_decides_ends_a_trial() {
        let first = MemberPolicies::default().with(Arc::default(), false);
        let tried = first.with(Arc::default(), true);
        assert_eq!(tried.current.as_ref().map(|one| one.version), Some(1));
        assert_eq!(tried.trial.as_ref().map(|one| one.version), Some(2));
        let next = tried.with(Arc::default(), false);
        assert_eq!((next.current.map(|one| one.version), next.trial, next.used), (Some(3), None, 3));
        assert!(MemberPolicies::default().is_none() && !first.is_none());
    }
}
