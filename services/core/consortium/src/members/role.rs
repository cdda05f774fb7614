//! Roles: the permissions of a principal, for all banks.

use crate::flags::{Flag, Flags};

/// A role. Roles are additive and none includes another: a principal that needs two has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Searches.
    Matcher,
    /// Adds items and removes those of its member; reads hashes that the member may read; searches.
    Contributor,
    /// Reads items; searches.
    Reviewer,
    /// Manages its member's principals, banks, grants and charters.
    Administrator,
    /// Reads the member's settings and audit; as a principal of the host, those of all members.
    Auditor,
    /// Manages members and quotas; reads no hash and no item. Only for principals of the host.
    Operator,
}

/// A set of at least one role.
pub type Roles = Flags<Role>;

impl Flag for Role {
    const ALL: &'static [Self] = &[
        Self::Matcher,
        Self::Contributor,
        Self::Reviewer,
        Self::Administrator,
        Self::Auditor,
        Self::Operator,
    ];

    fn index(self) -> u8 {
        self as u8
    }

    fn name(self) -> &'static str {
        match self {
            Self::Matcher => "matcher",
            Self::Contributor => "contributor",
            Self::Reviewer => "reviewer",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
        }
    }
}
