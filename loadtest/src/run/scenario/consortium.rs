//! The members of a consortium as which a run asks.

use serde::{Deserialize, Serialize};

/// The members that a run makes in a cluster of its own, and asks as: each connection is one member's, in turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ConsortiumPlan {
    /// Members that search, 1 to 64. The banks are the host's, and shared with them.
    pub(crate) members: u16,
    /// How many of them have a policy, whose verdicts are judged with the answers.
    pub(crate) policies: u16,
    /// Opinions a second that they put on items of the data, 0 for none. They change no set of matches.
    pub(crate) opinions: f64,
}

impl Default for ConsortiumPlan {
    fn default() -> Self {
        Self { members: 4, policies: 2, opinions: 20.0 }
    }
}

impl ConsortiumPlan {
    /// What is wrong with the values.
    pub(super) fn mistakes(&self, connections: u32) -> impl Iterator<Item = String> {
        let checks = [
            ((1..=64).contains(&self.members), "consortium.members: must be 1 to 64"),
            (self.policies <= self.members, "consortium.policies: are those of its members"),
            ((0.0..=10_000.0).contains(&self.opinions), "consortium.opinions: are 0 to 10000 a second"),
            (
                connections >= self.members.into(),
                "drive.connections: each member of the consortium needs at least one",
            ),
        ];
        checks.into_iter().filter(|(holds, _)| !holds).map(|(_, mistake)| mistake.to_owned())
    }
}
