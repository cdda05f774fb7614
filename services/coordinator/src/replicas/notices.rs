//! The log lines about matchers. Each change that an operator must know is logged once, with its reason.
//!
//! Pure: it compares the table with what was logged before.

use std::collections::{BTreeMap, BTreeSet};

use vigie_model::{ReplicaState, ShardCount, ShardId};

use crate::replicas::table::Table;

/// A log line about a shard or a matcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A shard that was served has no ready replica any more, so answers lack it.
    ShardLost { shard: ShardId, reason: String },
    /// A shard has never been served yet.
    ShardNotYet { shard: ShardId, reason: String },
    /// A shard has a ready replica.
    ShardServed { shard: ShardId },
    /// A matcher reports another shard count than the set in use, and is not asked.
    Refused { endpoint: String, reason: String },
    /// A matcher that was ready does not answer, or is not ready.
    ReplicaLost { endpoint: String, reason: String },
    /// A matcher that was logged as refused or lost is ready.
    ReplicaBack { endpoint: String },
}

impl Notice {
    /// Writes the log line.
    pub(crate) fn log(&self) {
        match self {
            Self::ShardLost { shard, reason } => {
                tracing::warn!(%shard, reason, "lost a shard: it has no ready replica");
            }
            Self::ShardNotYet { shard, reason } => {
                tracing::info!(%shard, reason, "a shard has no ready replica yet");
            }
            Self::ShardServed { shard } => tracing::info!(%shard, "a shard has a ready replica"),
            Self::Refused { endpoint, reason } => tracing::warn!(endpoint, reason, "refused a matcher"),
            Self::ReplicaLost { endpoint, reason } => {
                tracing::warn!(endpoint, reason, "lost a replica: it is not asked");
            }
            Self::ReplicaBack { endpoint } => tracing::info!(endpoint, "a replica is ready again"),
        }
    }
}

/// The states that have been logged.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    count: Option<ShardCount>,
    /// The shards of that count, and whether each was served when it was last logged.
    shards: BTreeMap<ShardId, bool>,
    /// The matchers that have been ready at some time.
    once_ready: BTreeSet<String>,
    /// The matchers that were last logged as refused or lost, with the state that was logged.
    logged: BTreeMap<String, ReplicaState>,
}

impl Notices {
    /// Returns the changes since the last call.
    pub(crate) fn take(&mut self, table: &Table) -> Vec<Notice> {
        let mut notices = self.of_shards(table);
        notices.extend(self.of_replicas(table));
        notices
    }

    fn of_shards(&mut self, table: &Table) -> Vec<Notice> {
        if self.count != table.shard_count() {
            (self.count, self.shards) = (table.shard_count(), BTreeMap::new());
        }
        let mut notices = Vec::new();
        let groups = table.groups().iter();
        let mut shards: Vec<_> =
            groups.flat_map(|&group| group.shards().map(move |one| (one, group))).collect();
        shards.sort_unstable();
        for (shard, group) in shards {
            let is_served = table.ready(group).next().is_some();
            let reason = || table.why_none(group);
            match (self.shards.insert(shard, is_served), is_served) {
                (Some(true), false) => notices.push(Notice::ShardLost { shard, reason: reason() }),
                (None, false) => notices.push(Notice::ShardNotYet { shard, reason: reason() }),
                (Some(false), true) => notices.push(Notice::ShardServed { shard }),
                (None, true) | (Some(true), true) | (Some(false), false) => {}
            }
        }
        notices
    }

    fn of_replicas(&mut self, table: &Table) -> Vec<Notice> {
        let replicas = table.topology(|_| None).replicas;
        let named: BTreeSet<&String> = replicas.iter().map(|replica| &replica.endpoint).collect();
        self.logged.retain(|endpoint, _| named.contains(endpoint));
        self.once_ready.retain(|endpoint| named.contains(endpoint));
        let mut notices = Vec::new();
        for replica in replicas {
            let (endpoint, reason, state) = (replica.endpoint, replica.reason, replica.state);
            match state {
                ReplicaState::Ready => {
                    if self.logged.remove(&endpoint).is_some() {
                        notices.push(Notice::ReplicaBack { endpoint: endpoint.clone() });
                    }
                    self.once_ready.insert(endpoint);
                }
                ReplicaState::Refused => {
                    if self.logged.insert(endpoint.clone(), state) != Some(ReplicaState::Refused) {
                        notices.push(Notice::Refused { endpoint, reason });
                    }
                }
                ReplicaState::NotReady | ReplicaState::Unreachable => {
                    // A matcher that has never been ready is starting; the notice about its shard gives the
                    // reason.
                    if self.once_ready.contains(&endpoint) && !self.logged.contains_key(&endpoint) {
                        self.logged.insert(endpoint.clone(), state);
                        notices.push(Notice::ReplicaLost { endpoint, reason });
                    }
                }
            }
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{ReplicaDescription, ShardGroup};

    use super::*;
    use crate::tests::descriptions::{says, says_of};

    /// Checks which lines are logged for this description, and that the same description logs nothing again.
    fn hear(
        table: &mut Table,
        notices: &mut Notices,
        endpoint: &str,
        said: Result<ReplicaDescription, String>,
    ) -> Vec<Notice> {
        table.observe(endpoint, said.clone());
        let taken = notices.take(table);
        table.observe(endpoint, said);
        assert_eq!(notices.take(table), [], "{taken:?} was logged twice");
        taken
    }

    #[test]
    fn a_lost_shard_and_a_refused_matcher_are_logged_once_and_so_is_their_return() {
        let (mut table, mut notices) = (Table::new(None), Notices::default());
        ["a", "b", "c"].into_iter().for_each(|endpoint| table.add(endpoint.into()));
        let (zero, one) = (ShardId(0), ShardId(1));
        let mut hear = |endpoint: &str, said| hear(&mut table, &mut notices, endpoint, said);
        let loading = Notice::ShardNotYet { shard: zero, reason: "loading".to_owned() };
        let missing = Notice::ShardNotYet { shard: one, reason: "no matcher serves it".to_owned() };
        assert_eq!(hear("a", says(0, 2, Some("loading"))), [loading, missing]);
        assert_eq!(hear("a", says(0, 2, None)), [Notice::ShardServed { shard: zero }]);
        assert_eq!(hear("b", says(1, 2, None)), [Notice::ShardServed { shard: one }]);

        let (endpoint, reason) = ("b".to_owned(), "the connection broke".to_owned());
        let lost = [
            Notice::ShardLost { shard: one, reason: reason.clone() },
            Notice::ReplicaLost { endpoint: endpoint.clone(), reason: reason.clone() },
        ];
        assert_eq!(hear("b", Err(reason)), lost);
        assert_eq!(hear("b", Err("still away".to_owned())), []);
        let back = [Notice::ShardServed { shard: one }, Notice::ReplicaBack { endpoint }];
        assert_eq!(hear("b", says(1, 2, None)), back);

        let refused = hear("c", says(0, 3, None));
        let [Notice::Refused { endpoint, reason }] = &refused[..] else { panic!("{refused:?}") };
        assert!(endpoint == "c" && reason.contains("shard_count 3"), "{reason}");
        assert_eq!(hear("c", says(0, 2, None)), [Notice::ReplicaBack { endpoint: "c".to_owned() }]);
        // A shard with another replica is not lost.
        let draining = hear("a", says(0, 2, Some("draining")));
        let reason = "draining".to_owned();
        assert_eq!(draining, [Notice::ReplicaLost { endpoint: "a".to_owned(), reason }]);
    }

    #[test]
    fn each_shard_of_a_lost_group_is_named_and_none_that_another_group_serves() {
        let (mut table, mut notices) = (Table::new(None), Notices::default());
        ["pair", "one", "three", "zero"].into_iter().for_each(|endpoint| table.add(endpoint.into()));
        let mut hear = |endpoint: &str, said| hear(&mut table, &mut notices, endpoint, said);
        let pair = ShardGroup::new(0, 4, 2).unwrap();
        hear("one", says(1, 4, None));
        hear("three", says(3, 4, None));
        let (zero, two) = (ShardId(0), ShardId(2));
        let served = [Notice::ShardServed { shard: zero }, Notice::ShardServed { shard: two }];
        assert_eq!(hear("pair", says_of(pair, None)), served);
        let (endpoint, reason) = ("pair".to_owned(), "it broke".to_owned());
        let lost = |shard| Notice::ShardLost { shard, reason: reason.clone() };
        let replica = Notice::ReplicaLost { endpoint: endpoint.clone(), reason: reason.clone() };
        assert_eq!(hear("pair", Err(reason.clone())), [lost(zero), lost(two), replica.clone()]);
        assert_eq!(hear("zero", says(0, 4, None)), [Notice::ShardServed { shard: zero }]);
        let back = [Notice::ShardServed { shard: two }, Notice::ReplicaBack { endpoint }];
        assert_eq!(hear("pair", says_of(pair, None)), back);
        assert_eq!(hear("pair", Err(reason.clone())), [lost(two), replica]);
    }
}
