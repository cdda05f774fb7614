//! The members of a consortium in whose names a run sends requests.

use serde::{Deserialize, Serialize};

/// The members that a run creates in its own cluster. Connections are assigned to members in rotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConsortiumPlan {
    /// Number of members that search, 1 to 64. The banks belong to the host, which shares them with the
    /// members.
    pub(crate) members: u16,
    /// Number of members with a policy. Its verdicts are judged with the answers.
    pub(crate) policies: u16,
    /// Opinions per second that the members record on items of the data, 0 for none. They do not change the
    /// matches.
    pub(crate) opinions: f64,
}

impl Default for ConsortiumPlan {
    fn default() -> Self {
        Self { members: 4, policies: 2, opinions: 20.0 }
    }
}

impl ConsortiumPlan {
    /// Returns the mistakes in the values.
    pub(super) fn mistakes(&self, connections: u32) -> impl Iterator<Item = String> {
        let checks = [
            ((1..=64).contains(&self.members), "consortium.members: must be 1 to 64"),
            (self.policies <= self.members, "consortium.policies: must be at most consortium.members"),
            ((0.0..=10_000.0).contains(&self.opinions), "consortium.opinions: must be 0 to 10000 per second"),
            (connections >= self.members.into(), "drive.connections: must be at least consortium.members"),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, mistake)| mistake.to_owned())
    }
}
