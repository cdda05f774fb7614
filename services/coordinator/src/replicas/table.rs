//! The replicas of each group of shards, from the descriptions of the matchers.
//!
//! Pure: it takes each matcher's latest description and returns which matchers to ask. Matchers with the same
//! `shard_count` form a set. One whole set is in use at a time, and of its groups of shards those of one
//! tiling ([`vigie_model::tiling`]), so every item is searched once. Matchers with another count are not
//! asked, nor are those of another group. A set is complete if each of its shards has a ready replica in a
//! group of the tiling. The table changes to another set only if that set is complete, and either the set in
//! use is not, or the configuration prefers the other one. So the `shard_count` of a cluster can be changed
//! at full coverage: start the new set beside the old one, and stop the old one when the new one is ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use vigie_model::tiling::{Tile, tiling};
use vigie_model::{
    ReplicaDescription, ReplicaState, ReplicaView, Sequence, ShardCount, ShardGroup, Topology,
};
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

/// The part of a report on which the choice of the set and of its groups depends.
#[derive(Debug, PartialEq, Eq)]
struct Standing {
    shards: Option<ShardGroup>,
    is_heard: bool,
    is_ready: bool,
}

impl Standing {
    fn of(word: &Word) -> Self {
        let said = latest(word);
        Self {
            shards: said.map(|said| said.shards),
            is_heard: matches!(word, Word::Said(_)),
            is_ready: said.is_some_and(|said| said.unready_reason.is_none()),
        }
    }
}

/// The latest report about every matcher, and the `shard_count` of the set in use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    words: BTreeMap<Arc<str>, Word>,
    /// The shard count whose set is used as soon as it is complete.
    wanted: Option<ShardCount>,
    shard_count: Option<ShardCount>,
    /// The groups of the set in use that are asked. They are disjoint, and have every shard.
    groups: Vec<ShardGroup>,
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
        self.choose();
    }

    /// Returns whether every matcher has been heard or found silent at least once.
    pub(crate) fn is_complete(&self) -> bool {
        self.words.values().all(|word| !matches!(word, Word::None))
    }

    /// Records a matcher's description, or the reason why it is silent.
    pub(crate) fn observe(&mut self, endpoint: &str, said: Result<ReplicaDescription, String>) {
        let Some(word) = self.words.get_mut(endpoint) else { return };
        let standing = Standing::of(word);
        let before = match std::mem::replace(word, Word::None) {
            Word::Said(description) => Some(description),
            Word::Silent { before, .. } => before,
            Word::None => None,
        };
        *word = match said {
            Ok(description) => Word::Said(description),
            Err(reason) => Word::Silent { reason, before },
        };
        // Nearly all descriptions only report progress.
        if Standing::of(word) != standing {
            self.choose();
        }
    }

    /// Chooses the set and the groups to use.
    fn choose(&mut self) {
        self.shard_count = self.chosen_count();
        let tiles = self.shard_count.map_or(Vec::new(), |count| self.tiles(count));
        self.groups = tiles.into_iter().map(|tile| tile.group).collect();
    }

    /// Divides the shards of a set into groups: preferably those with a ready replica, then those with a
    /// silent one that was ready, then all others.
    fn tiles(&self, count: ShardCount) -> Vec<Tile> {
        let mut ranks = vec![Vec::new(); 3];
        for word in self.words.values() {
            if let Some(said) = latest(word).filter(|said| said.shards.shard_count() == count) {
                let rank = if ready(word).is_some() { 0 } else { 2 - usize::from(was_ready(word)) };
                ranks[rank].push(said.shards);
            }
        }
        tiling(count, &ranks)
    }

    /// Chooses the set to use, by its shard count. A complete set is chosen first: the preferred one, then
    /// the one in use, then the one with the most matchers. If no set is complete, the set in use stays while
    /// any matcher reports its count, or while no matcher reports any. Otherwise the count that most matchers
    /// report is chosen, and the smaller one in a tie. A silent matcher has no vote: it may never return.
    fn chosen_count(&self) -> Option<ShardCount> {
        let mut votes: BTreeMap<ShardCount, usize> = BTreeMap::new();
        for word in self.words.values() {
            if let Word::Said(description) = word {
                *votes.entry(description.shards.shard_count()).or_default() += 1;
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

    /// Returns whether each shard of the set has a ready replica in a group that would be asked.
    fn is_set_complete(&self, count: ShardCount) -> bool {
        self.tiles(count).iter().all(|tile| tile.rank == Some(0))
    }

    /// Returns the shard count of the set in use, or `None` before any matcher has been heard.
    pub(crate) const fn shard_count(&self) -> Option<ShardCount> {
        self.shard_count
    }

    /// Returns the groups of the set in use, by their first shards. They are disjoint, and have every shard.
    pub(crate) fn groups(&self) -> &[ShardGroup] {
        &self.groups
    }

    /// Returns the ready replicas of a group, with their descriptions.
    pub(crate) fn ready(&self, group: ShardGroup) -> impl Iterator<Item = (&Arc<str>, &ReplicaDescription)> {
        self.words.iter().filter_map(move |(endpoint, word)| {
            let said = ready(word).filter(|said| said.shards == group)?;
            Some((endpoint, said))
        })
    }

    /// Returns the replicas of a group that were ready at their last description and have been silent since.
    pub(crate) fn silent(&self, group: ShardGroup) -> impl Iterator<Item = (&Arc<str>, &ReplicaDescription)> {
        self.words.iter().filter_map(move |(endpoint, word)| {
            let said = latest(word).filter(|said| was_ready(word) && said.shards == group)?;
            Some((endpoint, said))
        })
    }

    /// Returns the reasons why a group has no ready replica, as text.
    pub(crate) fn why_none(&self, group: ShardGroup) -> String {
        let serves = |said: &ReplicaDescription| {
            said.shards.shard_count() == group.shard_count() && said.shards.overlaps(group)
        };
        let serving = || self.words.values().filter(|word| latest(word).is_some_and(serves));
        let reasons: Vec<String> = serving().filter_map(|word| self.reason(word)).collect();
        if !reasons.is_empty() {
            return reasons.join("; ");
        }
        // A ready replica whose group is not asked shares shards with a group that is.
        match serving().find_map(ready) {
            Some(said) => {
                format!("only a matcher of the shards {} serves it, which overlap others", said.shards)
            }
            None => "no matcher serves it".to_owned(),
        }
    }

    /// Returns the number of hashes that the group was last known to hold: the largest number that one of its
    /// replicas reported, or else its share of what a larger group holds; 0 if nothing is known.
    pub(crate) fn hashes_known(&self, group: ShardGroup) -> u64 {
        let knows = |said: &&ReplicaDescription| {
            said.shards.shard_count() == group.shard_count() && said.shards.includes(group)
        };
        let share = |said: &ReplicaDescription| {
            let hashes = said.hash_count() * u64::from(group.size()) / u64::from(said.shards.size());
            (said.shards == group, hashes)
        };
        let known = self.words.values().filter_map(latest).filter(knows).map(share);
        known.max().map_or(0, |(_, hashes)| hashes)
    }

    /// Returns the topology for people. `load_of` gives the load of the matcher at an endpoint.
    pub(crate) fn topology(&self, load_of: impl Fn(&str) -> Option<LoadView>) -> Topology {
        let view = |(endpoint, word): (&Arc<str>, &Word)| {
            let description = latest(word);
            let load = load_of(endpoint);
            ReplicaView {
                endpoint: endpoint.to_string(),
                state: self.state(word),
                shards: description.map(|one| one.shards),
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
                view.shards.map_or((u16::MAX, u16::MAX), |one| (one.first().0, one.shard_count().get()));
            (shard, view.endpoint.clone())
        });
        Topology { shard_count: self.shard_count, replicas }
    }

    fn state(&self, word: &Word) -> ReplicaState {
        match word {
            Word::None | Word::Silent { .. } => ReplicaState::Unreachable,
            Word::Said(said) if Some(said.shards.shard_count()) != self.shard_count => ReplicaState::Refused,
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
                    (said.shards.shard_count().get(), self.shard_count.map_or(0, ShardCount::get));
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

/// Returns whether a matcher was ready at its last description and has been silent since.
fn was_ready(word: &Word) -> bool {
    matches!(word, Word::Silent { before: Some(said), .. } if said.unready_reason.is_none())
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
    use crate::tests::descriptions::{says, says_of};
    use vigie_model::{HashCount, HashType};

    fn table(endpoints: &[&str]) -> Table {
        let mut table = Table::new(None);
        endpoints.iter().for_each(|endpoint| table.add((*endpoint).into()));
        table
    }

    /// Returns the only group of the table with this shard.
    fn group_of(table: &Table, shard: u16) -> ShardGroup {
        let has = |group: &&ShardGroup| group.shards().any(|one| one.0 == shard);
        let groups: Vec<_> = table.groups().iter().filter(has).collect();
        let [group] = groups[..] else { panic!("shard {shard} is in {groups:?}") };
        *group
    }

    fn ready_of(table: &Table, shard: u16) -> Vec<&str> {
        table.ready(group_of(table, shard)).map(|(endpoint, _)| &**endpoint).collect()
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
        assert_eq!(table.why_none(group_of(&table, 1)), "gone");
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
        let silent: Vec<_> = table.silent(group_of(&table, 0)).map(|(endpoint, _)| &**endpoint).collect();
        assert_eq!(silent, ["a"]);
        assert_eq!(count(&table), 1, "where nobody says anything, the count stays");

        table.observe("a", says(0, 1, Some("draining")));
        table.observe("a", Err("gone".into()));
        assert_eq!(table.silent(group_of(&table, 0)).count(), 0, "it was not ready when it was last heard");
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
        assert_eq!(table.why_none(group_of(&table, 1)), "no matcher serves it");
    }

    #[test]
    fn each_shard_is_in_one_group_whatever_groups_the_matchers_serve() {
        let pair = ShardGroup::new(0, 4, 2).unwrap();
        let mut table = table(&["pair", "one", "three", "zero", "two"]);
        table.observe("one", says(1, 4, None));
        table.observe("three", says(3, 4, None));
        table.observe("pair", says_of(pair, Some("loading")));
        assert_eq!(table.groups().len(), 3);
        assert_eq!((group_of(&table, 2), table.why_none(pair)), (pair, "loading".to_owned()));
        let with_hashes = |said: Result<ReplicaDescription, String>, hashes| {
            let count =
                HashCount { hash_type: HashType::PDQ, hashes, is_searched: true, exact: true, recall: None };
            said.map(|said| ReplicaDescription { hashes: vec![count], ..said })
        };
        table.observe("pair", with_hashes(says_of(pair, None), 30));
        table.observe("zero", with_hashes(says(0, 4, None), 14));
        assert_eq!(ready_of(&table, 0), ["pair"], "one call for two shards");
        assert_eq!(ready_of(&table, 2), ["pair"]);

        // A ready replica of one shard is preferred to the silent one of both.
        table.observe("pair", Err("gone".into()));
        assert_eq!((ready_of(&table, 0), ready_of(&table, 2)), (vec!["zero"], vec![]));
        let two = group_of(&table, 2);
        assert_eq!((table.why_none(two), table.hashes_known(two)), ("gone".to_owned(), 15));
        table.observe("two", with_hashes(says(2, 4, None), 13));
        assert_eq!((ready_of(&table, 2), table.hashes_known(two)), (vec!["two"], 13));
        table.observe("zero", Err("gone".into()));
        table.observe("two", Err("gone".into()));
        assert_eq!(group_of(&table, 2), pair, "of silent ones, the largest group");
        assert_eq!(table.silent(pair).count(), 1);
        table.observe("pair", says_of(pair, None));
        assert_eq!(ready_of(&table, 2), ["pair"]);
    }

    #[test]
    fn a_set_of_overlapping_groups_is_complete_only_by_disjoint_ones() {
        let mut table = table(&["a", "b", "c", "d", "e"]);
        for (endpoint, first, size) in [("a", 0, 3), ("b", 1, 2), ("c", 5, 1)] {
            table.observe(endpoint, says_of(ShardGroup::new(first, 6, size).unwrap(), None));
        }
        // {0, 2, 4} and {1, 4} overlap, so shard 1 or the shards 0 and 2 are left out.
        assert_eq!(count(&table), 6);
        assert!(!table.is_set_complete(ShardCount::new(6).unwrap()));
        let one = table.why_none(group_of(&table, 1));
        assert_eq!(one, "only a matcher of the shards 1 and 4 of 6 serves it, which overlap others");
        for (endpoint, shard) in [("d", 1), ("e", 3)] {
            table.observe(endpoint, says(shard, 6, None));
        }
        assert!(table.is_set_complete(ShardCount::new(6).unwrap()));
    }
}
