//! The replicas of each shard, from the descriptions of the matchers.
//!
//! Pure: it takes each matcher's latest description and returns which matchers to ask. Matchers with the same
//! `shard_count` form a set. One whole set is in use at a time, so every item is searched once, and matchers
//! with another count are not asked. A set is complete if each of its shards has a ready replica. The table
//! changes to another set only if that set is complete, and either the set in use is not, or the
//! configuration prefers the other one. So the `shard_count` of a cluster can be changed at full coverage:
//! start the new set beside the old one, and stop the old one when the new one is ready.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vigie_model::{ReplicaDescription, ReplicaState, ReplicaView, Sequence, ShardCount, ShardId, Topology};
use vigie_net::balance::LoadView;

/// The latest report about a matcher.
#[derive(Debug, Clone)]
enum Word {
    /// The matcher has not been asked yet.
    None,
    /// The matcher's last description.
    Said(ReplicaDescription),
    /// The matcher does not answer. `reason` is why; `before` is its last description, if it ever answered.
    Silent { reason: String, before: Option<ReplicaDescription> },
}

/// The latest report about every matcher, and the `shard_count` of the set in use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    words: BTreeMap<Arc<str>, Word>,
    /// The shard count whose set is used as soon as it is complete.
    wanted: Option<ShardCount>,
    shard_count: Option<ShardCount>,
}

impl Table {
    /// Returns a table without matchers. It uses the set of `wanted` shards as soon as that set is complete.
    pub(crate) fn new(wanted: Option<ShardCount>) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Adds a matcher that has not been asked yet.
    pub(crate) fn add(&mut self, endpoint: Arc<str>) {
        self.words.entry(endpoint).or_insert(Word::None);
    }

    /// Removes a matcher, and chooses the set in use again.
    pub(crate) fn remove(&mut self, endpoint: &str) {
        self.words.remove(endpoint);
        self.shard_count = self.chosen_count();
    }

    /// Returns whether every matcher has been heard or found silent at least once.
    pub(crate) fn is_complete(&self) -> bool {
        self.words.values().all(|word| !matches!(word, Word::None))
    }

    /// Records a matcher's description, or the reason why it is silent.
    pub(crate) fn observe(&mut self, endpoint: &str, said: Result<ReplicaDescription, String>) {
        let Some(word) = self.words.get_mut(endpoint) else { return };
        let before = match std::mem::replace(word, Word::None) {
            Word::Said(description) => Some(description),
            Word::Silent { before, .. } => before,
            Word::None => None,
        };
        *word = match said {
            Ok(description) => Word::Said(description),
            Err(reason) => Word::Silent { reason, before },
        };
        self.shard_count = self.chosen_count();
    }

    /// Chooses the set to use, by its shard count. A complete set is chosen first: the preferred one, then
    /// the one in use, then the one with the most matchers. If no set is complete, the set in use stays while
    /// any matcher reports its count, or while no matcher reports any. Otherwise the count that most matchers
    /// report is chosen, and the smaller one in a tie. A silent matcher has no vote: it may never return.
    fn chosen_count(&self) -> Option<ShardCount> {
        let mut votes: BTreeMap<ShardCount, usize> = BTreeMap::new();
        for word in self.words.values() {
            if let Word::Said(description) = word {
                *votes.entry(description.identity.shard_count()).or_default() += 1;
            }
        }
        let most = |among: &dyn Fn(&ShardCount) -> bool| {
            let counts = votes.iter().filter(|(count, _)| among(count));
            counts.max_by_key(|&(count, votes)| (*votes, std::cmp::Reverse(*count))).map(|(count, _)| *count)
        };
        let is_complete = |count: &ShardCount| self.is_set_complete(*count);
        let in_use = self.shard_count;
        self.wanted
            .filter(is_complete)
            .or(in_use.filter(is_complete))
            .or_else(|| most(&is_complete))
            .or(in_use.filter(|count| votes.is_empty() || votes.contains_key(count)))
            .or_else(|| most(&|_| true))
    }

    /// Returns whether each shard of the set has a ready replica.
    fn is_set_complete(&self, count: ShardCount) -> bool {
        let ready: BTreeSet<ShardId> = self
            .words
            .values()
            .filter_map(ready)
            .filter(|said| said.identity.shard_count() == count)
            .map(|said| said.identity.shard())
            .collect();
        ready.len() == usize::from(count.get())
    }

    /// Returns the shard count of the set in use, or `None` before any matcher has been heard.
    pub(crate) const fn shard_count(&self) -> Option<ShardCount> {
        self.shard_count
    }

    /// Returns the ready replicas of a shard, with their descriptions.
    pub(crate) fn ready(&self, shard: ShardId) -> impl Iterator<Item = (&Arc<str>, &ReplicaDescription)> {
        self.words.iter().filter_map(move |(endpoint, word)| {
            let said = ready(word).filter(|said| self.serves(said, shard))?;
            Some((endpoint, said))
        })
    }

    /// Returns the replicas of a shard that were ready at their last description and have been silent since.
    pub(crate) fn silent(&self, shard: ShardId) -> impl Iterator<Item = (&Arc<str>, &ReplicaDescription)> {
        self.words.iter().filter_map(move |(endpoint, word)| match word {
            Word::Silent { before: Some(said), .. }
                if said.unready_reason.is_none() && self.serves(said, shard) =>
            {
                Some((endpoint, said))
            }
            Word::Said(_) | Word::Silent { .. } | Word::None => None,
        })
    }

    fn serves(&self, description: &ReplicaDescription, shard: ShardId) -> bool {
        Some(description.identity.shard_count()) == self.shard_count && description.identity.shard() == shard
    }

    /// Returns the reasons why a shard has no ready replica, as text.
    pub(crate) fn why_none(&self, shard: ShardId) -> String {
        let serves = |word: &&Word| latest(word).is_some_and(|said| self.serves(said, shard));
        let reasons: Vec<String> =
            self.words.values().filter(serves).filter_map(|word| self.reason(word)).collect();
        if reasons.is_empty() { "no matcher serves it".to_owned() } else { reasons.join("; ") }
    }

    /// Returns the number of hashes that the shard was last known to hold: the largest number that one of its
    /// replicas reported, 0 if none did.
    pub(crate) fn hashes_known(&self, shard: ShardId) -> u64 {
        let known = |description: &&ReplicaDescription| self.serves(description, shard);
        let counts = self.words.values().filter_map(latest).filter(known).map(ReplicaDescription::hash_count);
        counts.max().unwrap_or(0)
    }

    /// Returns the topology for people. `load_of` gives the load of the matcher at an endpoint.
    pub(crate) fn topology(&self, load_of: impl Fn(&str) -> Option<LoadView>) -> Topology {
        let view = |(endpoint, word): (&Arc<str>, &Word)| {
            let description = latest(word);
            let load = load_of(endpoint);
            ReplicaView {
                endpoint: endpoint.to_string(),
                state: self.state(word),
                identity: description.map(|one| one.identity),
                sequence: description.map_or(Sequence::ZERO, |one| one.sequence),
                head: description.map_or(Sequence::ZERO, |one| one.head),
                items: description.map_or(0, |one| one.items),
                hashes: description.map_or(0, ReplicaDescription::hash_count),
                hash_counts: description.map_or(Vec::new(), |one| one.hashes.clone()),
                reason: self.reason(word).unwrap_or_default(),
                memory_bytes: description.map_or(0, |one| one.memory_bytes),
                process_id: description.map_or(0, |one| one.process_id),
                latency_us: load
                    .map_or(0, |load| u64::try_from(load.latency.as_micros()).unwrap_or(u64::MAX)),
                in_flight: load.map_or(0, |load| load.in_flight),
                ejected: load.is_some_and(|load| load.is_left_out),
            }
        };
        let mut replicas: Vec<ReplicaView> = self.words.iter().map(view).collect();
        replicas.sort_by_key(|view| {
            let shard =
                view.identity.map_or((u16::MAX, u16::MAX), |one| (one.shard().0, one.shard_count().get()));
            (shard, view.endpoint.clone())
        });
        Topology { shard_count: self.shard_count, replicas }
    }

    fn state(&self, word: &Word) -> ReplicaState {
        match word {
            Word::None | Word::Silent { .. } => ReplicaState::Unreachable,
            Word::Said(said) if Some(said.identity.shard_count()) != self.shard_count => {
                ReplicaState::Refused
            }
            Word::Said(said) if said.unready_reason.is_some() => ReplicaState::NotReady,
            Word::Said(_) => ReplicaState::Ready,
        }
    }

    fn reason(&self, word: &Word) -> Option<String> {
        match (word, self.state(word)) {
            (Word::None, _) => Some("not asked yet".to_owned()),
            (Word::Silent { reason, .. }, _) => Some(reason.clone()),
            (Word::Said(said), ReplicaState::Refused) => {
                let (theirs, ours) =
                    (said.identity.shard_count().get(), self.shard_count.map_or(0, ShardCount::get));
                let state = said.unready_reason.as_deref().unwrap_or("ready");
                Some(format!("says shard_count {theirs}, and the set of {ours} is in use; {state}"))
            }
            (Word::Said(said), _) => said.unready_reason.clone(),
        }
    }
}

/// Returns the description of a matcher that is ready, and `None` for any other.
fn ready(word: &Word) -> Option<&ReplicaDescription> {
    match word {
        Word::Said(said) if said.unready_reason.is_none() => Some(said),
        Word::Said(_) | Word::Silent { .. } | Word::None => None,
    }
}

fn latest(word: &Word) -> Option<&ReplicaDescription> {
    match word {
        Word::None => None,
        Word::Said(description) => Some(description),
        Word::Silent { before, .. } => before.as_ref(),
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
            process_id: 0,
        })
    }

    fn table(endpoints: &[&str]) -> Table {
        let mut table = Table::new(None);
        endpoints.iter().for_each(|endpoint| table.add((*endpoint).into()));
        table
    }

    fn ready_of(table: &Table, shard: u16) -> Vec<&str> {
        table.ready(ShardId(shard)).map(|(endpoint, _)| &**endpoint).collect()
    }

    fn count(table: &Table) -> u16 {
        table.shard_count().map_or(0, ShardCount::get)
    }

    #[test]
    fn only_ready_replicas_are_asked() {
        let mut table = table(&["a", "b", "c", "d"]);
        table.observe("a", says(0, 2, None));
        table.observe("b", says(0, 2, Some("loading")));
        table.observe("c", says(1, 2, None));
        assert!(!table.is_complete());
        table.observe("d", Err("refused".into()));
        assert!(table.is_complete());
        assert_eq!(ready_of(&table, 0), ["a"]);
        assert_eq!(ready_of(&table, 1), ["c"]);

        table.observe("c", Err("gone".into()));
        assert!(ready_of(&table, 1).is_empty());
        assert_eq!(table.why_none(ShardId(1)), "gone");
        assert_eq!(count(&table), 2, "a silent shard is still a shard");
    }

    #[test]
    fn a_mixed_shard_count_is_refused() {
        let mut table = table(&["a", "b", "c"]);
        table.observe("a", says(0, 2, None));
        table.observe("b", says(0, 3, None));
        table.observe("c", says(1, 3, None));
        assert_eq!(count(&table), 2, "the count that was agreed on first stays");
        assert!(ready_of(&table, 1).is_empty());
        let topology = table.topology(|_| None);
        let states: Vec<_> =
            topology.replicas.iter().map(|view| (view.endpoint.as_str(), view.state)).collect();
        let refused = ReplicaState::Refused;
        assert_eq!(states, [("a", ReplicaState::Ready), ("b", refused), ("c", refused)]);

        table.observe("a", Err("gone for good".into()));
        assert_eq!(count(&table), 3, "nobody says 2 any more");
        assert_eq!(ready_of(&table, 1), ["c"]);
    }

    #[test]
    fn another_set_is_used_when_it_is_complete_and_the_one_in_use_is_not() {
        let mut table = table(&["a", "b", "c", "d", "e"]);
        table.observe("a", says(0, 2, None));
        table.observe("b", says(1, 2, None));
        for (endpoint, shard) in [("c", 0), ("d", 1)] {
            table.observe(endpoint, says(shard, 3, None));
        }
        table.observe("a", says(0, 2, Some("draining")));
        assert_eq!(count(&table), 2, "the new set is not complete");
        table.observe("a", says(0, 2, None));
        table.observe("e", says(2, 3, None));
        assert_eq!(count(&table), 2, "the set in use is complete");
        table.observe("a", says(0, 2, Some("draining")));
        assert_eq!(count(&table), 3);
        table.observe("a", says(0, 2, None));
        assert_eq!(count(&table), 3, "and it stays");
    }

    #[test]
    fn the_set_that_is_wanted_is_used_as_soon_as_it_is_complete() {
        let mut table = Table::new(Some(ShardCount::new(1).unwrap()));
        ["a", "b", "c"].into_iter().for_each(|endpoint| table.add(endpoint.into()));
        table.observe("a", says(0, 2, None));
        table.observe("b", says(1, 2, None));
        table.observe("c", says(0, 1, Some("loading")));
        assert_eq!(count(&table), 2);
        table.observe("c", says(0, 1, None));
        assert_eq!(count(&table), 1);
        table.observe("c", Err("gone".into()));
        assert_eq!(count(&table), 2);
    }

    #[test]
    fn a_replica_that_fell_silent_is_the_last_resort() {
        let mut table = table(&["a", "b"]);
        table.observe("a", says(0, 1, None));
        table.observe("b", Err("never heard".into()));
        table.observe("a", Err("too busy to say".into()));
        assert!(ready_of(&table, 0).is_empty());
        let silent: Vec<_> = table.silent(ShardId(0)).map(|(endpoint, _)| &**endpoint).collect();
        assert_eq!(silent, ["a"]);
        assert_eq!(count(&table), 1, "where nobody says anything, the count stays");

        table.observe("a", says(0, 1, Some("draining")));
        table.observe("a", Err("gone".into()));
        assert_eq!(table.silent(ShardId(0)).count(), 0, "it was not ready when it was last heard");
    }

    #[test]
    fn a_matcher_that_is_removed_is_forgotten() {
        let mut table = table(&["a", "b"]);
        table.observe("a", says(0, 2, None));
        table.observe("b", says(0, 3, None));
        table.remove("a");
        assert_eq!(count(&table), 3);
        table.observe("a", says(0, 2, None));
        assert_eq!(table.topology(|_| None).replicas.len(), 1);
    }

    #[test]
    fn a_shard_that_nobody_serves_is_reported() {
        let mut table = table(&["a"]);
        table.observe("a", says(0, 2, None));
        assert_eq!(table.why_none(ShardId(1)), "no matcher serves it");
    }
}
