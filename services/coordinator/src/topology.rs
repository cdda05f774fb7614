//! Who serves which shard, from what the matchers say of themselves.
//!
//! [`Table`] is the pure part: it takes each matcher's latest word and says whom to ask. [`watch()`] is the shell: it
//! asks every matcher at an interval and publishes the table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, MissedTickBehavior};
use vigie_clients::MatcherClient;
use vigie_model::{ReplicaDescription, ReplicaState, ReplicaView, Sequence, ShardCount, ShardId, Topology};
use vigie_serving::Shutdown;

/// A matcher's latest word.
#[derive(Debug, Clone)]
enum Word {
    /// It has not been asked yet.
    None,
    /// It said this.
    Said(ReplicaDescription),
    /// It does not answer, because of this; what it said before, if it ever did.
    Silent { reason: String, before: Option<ReplicaDescription> },
}

/// Every matcher's latest word, and the `shard_count` that they agree on.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    words: Vec<Word>,
    shard_count: Option<ShardCount>,
}

impl Table {
    pub(crate) fn new(endpoint_count: usize) -> Self {
        Self { words: vec![Word::None; endpoint_count], shard_count: None }
    }

    /// Whether every matcher has been heard or found silent once.
    pub(crate) fn is_complete(&self) -> bool {
        self.words.iter().all(|word| !matches!(word, Word::None))
    }

    /// Takes in what came of asking one matcher.
    pub(crate) fn observe(&mut self, endpoint: usize, said: Result<ReplicaDescription, String>) {
        let before = match &self.words[endpoint] {
            Word::Said(description) => Some(description.clone()),
            Word::Silent { before, .. } => before.clone(),
            Word::None => None,
        };
        self.words[endpoint] = match said {
            Ok(description) => Word::Said(description),
            Err(reason) => Word::Silent { reason, before },
        };
        self.shard_count = self.agreed_count();
    }

    /// The count that was agreed on stays while any matcher says it, or none says anything; then the one that most say,
    /// or the smaller. A matcher that has fallen silent has no vote: it may never come back.
    fn agreed_count(&self) -> Option<ShardCount> {
        let mut votes: BTreeMap<ShardCount, usize> = BTreeMap::new();
        for word in &self.words {
            if let Word::Said(description) = word {
                *votes.entry(description.identity.shard_count()).or_default() += 1;
            }
        }
        let kept = self.shard_count.filter(|count| votes.is_empty() || votes.contains_key(count));
        kept.or_else(|| {
            votes
                .iter()
                .max_by_key(|&(count, votes)| (*votes, std::cmp::Reverse(*count)))
                .map(|(count, _)| *count)
        })
    }

    /// The count of shards, once a matcher has been heard.
    pub(crate) const fn shard_count(&self) -> Option<ShardCount> {
        self.shard_count
    }

    /// The endpoints of the ready replicas of a shard.
    pub(crate) fn ready(&self, shard: ShardId) -> Vec<usize> {
        let serves = |endpoint: &usize| {
            matches!(&self.words[*endpoint], Word::Said(description)
                if description.unready_reason.is_none() && self.serves(description, shard))
        };
        (0..self.words.len()).filter(serves).collect()
    }

    /// The endpoints of the replicas of a shard that were ready when they were last heard, and have been silent since.
    pub(crate) fn silent(&self, shard: ShardId) -> Vec<usize> {
        let served = |endpoint: &usize| {
            matches!(&self.words[*endpoint], Word::Silent { before: Some(description), .. }
                if self.serves(description, shard))
        };
        (0..self.words.len()).filter(served).collect()
    }

    fn serves(&self, description: &ReplicaDescription, shard: ShardId) -> bool {
        Some(description.identity.shard_count()) == self.shard_count && description.identity.shard() == shard
    }

    /// Why a shard has no ready replica.
    pub(crate) fn why_none(&self, shard: ShardId) -> String {
        let reasons: Vec<String> = (0..self.words.len())
            .filter(|&endpoint| {
                latest(&self.words[endpoint]).is_some_and(|description| self.serves(description, shard))
            })
            .filter_map(|endpoint| self.reason(endpoint))
            .collect();
        if reasons.is_empty() { "no matcher serves it".to_owned() } else { reasons.join("; ") }
    }

    /// Hashes that a shard was last known to hold.
    pub(crate) fn hashes_known(&self, shard: ShardId) -> u64 {
        let known = |description: &&ReplicaDescription| self.serves(description, shard);
        let counts = self.words.iter().filter_map(latest).filter(known).map(ReplicaDescription::hash_count);
        counts.max().unwrap_or(0)
    }

    /// The topology for people.
    pub(crate) fn topology(&self, endpoints: &[String]) -> Topology {
        let view = |(endpoint, address): (usize, &String)| {
            let description = latest(&self.words[endpoint]);
            ReplicaView {
                endpoint: address.clone(),
                state: self.state(endpoint),
                identity: description.map(|one| one.identity),
                sequence: description.map_or(Sequence::ZERO, |one| one.sequence),
                head: description.map_or(Sequence::ZERO, |one| one.head),
                items: description.map_or(0, |one| one.items),
                hashes: description.map_or(0, ReplicaDescription::hash_count),
                hash_counts: description.map_or(Vec::new(), |one| one.hashes.clone()),
                reason: self.reason(endpoint).unwrap_or_default(),
                memory_bytes: description.map_or(0, |one| one.memory_bytes),
                latency_us: 0,
                in_flight: 0,
                ejected: false,
            }
        };
        let mut replicas: Vec<ReplicaView> = endpoints.iter().enumerate().map(view).collect();
        replicas.sort_by_key(|view| {
            let shard =
                view.identity.map_or((u16::MAX, u16::MAX), |one| (one.shard().0, one.shard_count().get()));
            (shard, view.endpoint.clone())
        });
        Topology { shard_count: self.shard_count, replicas }
    }

    fn state(&self, endpoint: usize) -> ReplicaState {
        match &self.words[endpoint] {
            Word::None | Word::Silent { .. } => ReplicaState::Unreachable,
            Word::Said(said) if Some(said.identity.shard_count()) != self.shard_count => {
                ReplicaState::Refused
            }
            Word::Said(said) if said.unready_reason.is_some() => ReplicaState::NotReady,
            Word::Said(_) => ReplicaState::Ready,
        }
    }

    fn reason(&self, endpoint: usize) -> Option<String> {
        match (&self.words[endpoint], self.state(endpoint)) {
            (Word::None, _) => Some("not asked yet".to_owned()),
            (Word::Silent { reason, .. }, _) => Some(reason.clone()),
            (Word::Said(said), ReplicaState::Refused) => {
                let (theirs, ours) =
                    (said.identity.shard_count().get(), self.shard_count.map_or(0, ShardCount::get));
                Some(format!("says shard_count {theirs}; the others say {ours}"))
            }
            (Word::Said(said), _) => said.unready_reason.clone(),
        }
    }
}

fn latest(word: &Word) -> Option<&ReplicaDescription> {
    match word {
        Word::None => None,
        Word::Said(description) => Some(description),
        Word::Silent { before, .. } => before.as_ref(),
    }
}

/// Asks every matcher who it is, again and again, and publishes what they say, until `shutdown`.
pub(crate) async fn watch(
    clients: Arc<[MatcherClient]>,
    table: Arc<ArcSwap<Table>>,
    interval: Duration,
    patience: Duration,
    shutdown: Shutdown,
) {
    let ask_all = futures::future::join_all((0..clients.len()).map(|endpoint| {
        let (client, table) = (clients[endpoint].clone(), Arc::clone(&table));
        async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let said =
                    client.describe(Instant::now() + patience).await.map_err(|error| error.to_string());
                // One writer at a time: these loops run inside one task.
                let mut next = Table::clone(&table.load());
                next.observe(endpoint, said);
                table.store(Arc::new(next));
            }
        }
    }));
    tokio::select! {
        () = shutdown.cancelled() => {}
        _ = ask_all => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigie_model::{SetDigest, ShardIdentity};

    fn says(shard: u32, shard_count: u32, unready: Option<&str>) -> Result<ReplicaDescription, String> {
        Ok(ReplicaDescription {
            identity: ShardIdentity::new(shard, shard_count).unwrap(),
            sequence: Sequence(5),
            head: Sequence(6),
            unready_reason: unready.map(str::to_owned),
            items: 1,
            hashes: vec![],
            digest: SetDigest::EMPTY,
            memory_bytes: 0,
        })
    }

    #[test]
    fn only_ready_replicas_are_asked() {
        let mut table = Table::new(4);
        table.observe(0, says(0, 2, None));
        table.observe(1, says(0, 2, Some("loading")));
        table.observe(2, says(1, 2, None));
        assert!(!table.is_complete());
        table.observe(3, Err("refused".into()));
        assert!(table.is_complete());
        assert_eq!(table.ready(ShardId(0)), [0]);
        assert_eq!(table.ready(ShardId(1)), [2]);

        table.observe(2, Err("gone".into()));
        assert!(table.ready(ShardId(1)).is_empty());
        assert_eq!(table.why_none(ShardId(1)), "gone");
        assert_eq!(table.shard_count().unwrap().get(), 2, "a silent shard is still a shard");
    }

    #[test]
    fn a_mixed_shard_count_is_refused() {
        let mut table = Table::new(3);
        table.observe(0, says(0, 2, None));
        table.observe(1, says(0, 3, None));
        table.observe(2, says(1, 3, None));
        assert_eq!(table.shard_count().unwrap().get(), 2, "the count that was agreed on first stays");
        assert!(table.ready(ShardId(1)).is_empty());
        let topology = table.topology(&["a".into(), "b".into(), "c".into()]);
        let states: Vec<_> =
            topology.replicas.iter().map(|view| (view.endpoint.as_str(), view.state)).collect();
        let refused = ReplicaState::Refused;
        assert_eq!(states, [("a", ReplicaState::Ready), ("b", refused), ("c", refused)]);

        table.observe(0, Err("gone for good".into()));
        assert_eq!(table.shard_count().unwrap().get(), 3, "nobody says 2 any more");
        assert_eq!(table.ready(ShardId(1)), [2]);
    }

    #[test]
    fn a_replica_that_fell_silent_is_the_last_resort() {
        let mut table = Table::new(2);
        table.observe(0, says(0, 1, None));
        table.observe(1, Err("never heard".into()));
        table.observe(0, Err("too busy to say".into()));
        assert!(table.ready(ShardId(0)).is_empty());
        assert_eq!(table.silent(ShardId(0)), [0]);
        assert_eq!(table.shard_count().unwrap().get(), 1, "where nobody says anything, the count stays");
    }

    #[test]
    fn a_shard_that_nobody_serves_is_told() {
        let mut table = Table::new(1);
        table.observe(0, says(0, 2, None));
        assert_eq!(table.why_none(ShardId(1)), "no matcher serves it");
    }
}
