//! Compares a search of a set of banks with the search of a deployment that has only those banks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use vigie_index::Cancellation;
use vigie_model::{
    ANSWER_BYTES_MAX, BankId, BankSet, Change, ChangeKind, FeedRange, Hash, HashTypeSet, Item, ItemId, Match,
    Query, QueryMatches, SearchOptions, Sequence, ShardAnswer, ShardIdentity, UnixMillis, hash_types,
};

use super::of_banks;
use crate::searching::search::search;
use crate::shard::state::Shard;
use crate::tests::loaded::{bare, query_of, random_hashes};
use crate::tests::{Replay, Step, added, change, created, empty_shard, exact, name, options, query, range};

/// The shards of a deployment, without a coordinator.
struct Deployment(Vec<Shard>);

impl Deployment {
    fn new(shard_count: u32) -> Self {
        let shard = |shard| Shard::empty(ShardIdentity::new(shard, shard_count).unwrap(), exact());
        Self((0..shard_count).map(shard).collect())
    }

    fn apply(&self, after: Sequence, through: Sequence, changes: &[Change]) {
        for shard in &self.0 {
            let identity = shard.identity();
            let is_own = |change: &&Change| {
                let partition = change.kind.partition();
                partition.is_none_or(|one| identity.shard_count().shard_of(one) == identity.shard())
            };
            let changes = changes.iter().filter(is_own).cloned().collect();
            shard.apply(FeedRange { after, through, head: through, ..range(0, changes) }).unwrap();
        }
    }

    /// Returns the merged answers, and the number of hashes that were searched.
    fn search(&self, queries: &[Query], options: &SearchOptions) -> (Vec<QueryMatches>, u64) {
        let answer =
            |shard| search(shard, queries, options, ANSWER_BYTES_MAX, &Cancellation::never()).unwrap();
        let answers: Vec<ShardAnswer> = self.0.iter().map(answer).collect();
        let searched = answers.iter().map(|answer| answer.hashes_searched).sum();
        let mut merged = vec![QueryMatches::default(); queries.len()];
        for (at, result) in merged.iter_mut().enumerate() {
            for part in answers.iter().map(|answer| &answer.results[at]) {
                result.matches.extend(part.matches.iter().cloned());
                result.limit_reached |= part.limit_reached;
            }
            result.matches.sort_by(Match::answer_order);
            result.limit_reached |= result.matches.len() > options.limit.get();
            result.matches.truncate(options.limit.get());
        }
        (merged, searched)
    }
}

/// The mapping of ids and sequences from the whole deployment to the one that has only the banks of a set.
struct Renaming {
    set: Arc<BankSet>,
    banks: BTreeMap<BankId, BankId>,
    items: BTreeMap<ItemId, ItemId>,
    sequence: u64,
}

impl Renaming {
    fn new(set: Arc<BankSet>) -> Self {
        Self { set, banks: BTreeMap::new(), items: BTreeMap::new(), sequence: 0 }
    }

    /// Returns the change with the ids of the smaller deployment; `None` if it does not have the change.
    fn change(&mut self, change: &Change) -> Option<Change> {
        let bank = match &change.kind {
            ChangeKind::BankCreated { bank, .. }
            | ChangeKind::BankRenamed { bank, .. }
            | ChangeKind::BankEnabledSet { bank, .. }
            | ChangeKind::BankDeleted { bank }
            | ChangeKind::ItemAdded(Item { bank, .. })
            | ChangeKind::ItemRemoved { bank, .. }
            | ChangeKind::ItemHeldSet { bank, .. }
            | ChangeKind::ItemStandingSet { bank, .. } => *bank,
        };
        if !self.set.contains(bank) {
            return None;
        }
        self.sequence += 1;
        let next = BankId(u32::try_from(self.banks.len()).unwrap() + 1);
        let renamed = *self.banks.entry(bank).or_insert(next);
        let kind = match change.kind.clone() {
            ChangeKind::BankCreated { owner, name, created_at, .. } => {
                ChangeKind::BankCreated { bank: renamed, owner, name, created_at }
            }
            ChangeKind::BankRenamed { name, .. } => ChangeKind::BankRenamed { bank: renamed, name },
            ChangeKind::BankEnabledSet { enabled, .. } => {
                ChangeKind::BankEnabledSet { bank: renamed, enabled }
            }
            ChangeKind::BankDeleted { .. } => ChangeKind::BankDeleted { bank: renamed },
            ChangeKind::ItemAdded(item) => {
                let id = ItemId(self.sequence);
                self.items.insert(item.id, id);
                ChangeKind::ItemAdded(Item { id, bank: renamed, ..item })
            }
            ChangeKind::ItemRemoved { item, .. } => {
                ChangeKind::ItemRemoved { item: self.items[&item], bank: renamed }
            }
            ChangeKind::ItemHeldSet { item, held, .. } => {
                ChangeKind::ItemHeldSet { item: self.items[&item], bank: renamed, held }
            }
            ChangeKind::ItemStandingSet { item, standing, .. } => {
                ChangeKind::ItemStandingSet { item: self.items[&item], bank: renamed, standing }
            }
        };
        Some(Change { sequence: Sequence(self.sequence), kind })
    }

    fn results(&self, mut results: Vec<QueryMatches>) -> Vec<QueryMatches> {
        for found in results.iter_mut().flat_map(|result| &mut result.matches) {
            (found.item, found.bank) = (self.items[&found.item], self.banks[&found.bank]);
        }
        results
    }
}

/// Returns a step of any kind; most of them add items.
fn step(random: &mut SmallRng) -> Step {
    let number = random.random();
    match random.random_range(0..20) {
        0 => Step::Create,
        1 => Step::Rename(number),
        2 => Step::Enable(number, false),
        3 => Step::Enable(number, true),
        4 => Step::Delete(number),
        5..8 => Step::Remove(number),
        8 => Step::Hold(number, true),
        9 => Step::Hold(number, false),
        10 | 11 => Step::Stand(number, random.random()),
        _ => Step::Add(number, (0..random.random_range(1..4)).map(|_| random.random()).collect()),
    }
}

/// Returns the number of hashes of these types in the banks of the set that exist and are enabled, by the
/// plain replay.
fn hashes_of(replay: &Replay, set: &BankSet, asked: &HashTypeSet) -> u64 {
    let is_searched = |bank: &BankId| set.contains(*bank) && replay.banks[bank].1;
    let searched = replay.items.values().filter(|(bank, _)| is_searched(bank));
    let hashes = searched.flat_map(|(_, content)| content.hashes());
    hashes.filter(|hash| asked.contains(hash.hash_type())).count() as u64
}

/// Runs one sequence of changes that is drawn from a seed, with searches of several sets between its ranges.
/// The banks' ids are the sequences of their creation, so a set of small numbers has banks that exist, are
/// deleted, disabled or renamed, or do not exist yet. Returns the number of items that were found.
fn trial(seed: u64) -> usize {
    let mut count = 0_usize;
    let random = &mut SmallRng::seed_from_u64(seed);
    let shard_count = random.random_range(1..4);
    let (whole, mut replay) = (Deployment::new(shard_count), Replay::default());
    let mut few: Vec<(Deployment, Renaming)> = (0..4)
        .map(|number| {
            let share = f64::from(number) / 3.0;
            let some = (1..200).filter(|_| random.random_bool(share)).chain((number > 1).then_some(70_000));
            let set = some.map(BankId).collect::<BankSet>();
            (Deployment::new(random.random_range(1..4)), Renaming::new(Arc::new(set)))
        })
        .collect();
    for round in 0..random.random_range(2..8) {
        let mut steps: Vec<Step> = (0..random.random_range(1..25)).map(|_| step(random)).collect();
        if round == 0 {
            steps.splice(0..0, [Step::Create, Step::Create, Step::Create]);
        }
        let after = Sequence(replay.sequence);
        let changes: Vec<Change> = steps.into_iter().filter_map(|step| replay.take(step)).collect();
        whole.apply(after, Sequence(replay.sequence), &changes);

        let (radius, limit) = (random.random_range(0..20), random.random_range(1..6));
        let mut queries = vec![Query::default()];
        for _ in 0..random.random_range(1..20) {
            let numbers: Vec<u8> = (0..random.random_range(1..5)).map(|_| random.random()).collect();
            queries.push(query(&numbers));
        }
        let asked = hash_types(&queries);
        for (deployment, renaming) in &mut few {
            let after = Sequence(renaming.sequence);
            let changes: Vec<Change> = changes.iter().filter_map(|change| renaming.change(change)).collect();
            deployment.apply(after, Sequence(renaming.sequence), &changes);

            // Each search has its own copy of the set, as if it came from the wire.
            let bank_set = Some(Arc::new(BankSet::clone(&renaming.set)));
            let of_set = SearchOptions { bank_set, ..options(vec![], radius, limit) };
            let (found, searched) = whole.search(&queries, &of_set);
            let (expected, counted) = deployment.search(&queries, &options(vec![], radius, limit));
            count += found.iter().map(|result| result.matches.len()).sum::<usize>();
            assert_eq!(renaming.results(found), expected, "seed {seed}, round {round}");
            assert_eq!(searched, counted, "seed {seed}, round {round}");
            assert_eq!(searched, hashes_of(&replay, &renaming.set, &asked), "seed {seed}, round {round}");
        }
    }
    count
}

/// `VIGIE_SEEDS` sets another number of seeds than 200, and `VIGIE_SEED` tries one seed only.
#[test]
fn a_search_of_a_set_is_that_of_a_deployment_with_its_banks_alone() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("VIGIE_SEED") {
        Some(seed) => println!("{} items found", trial(seed)),
        None => {
            let seeds = number("VIGIE_SEEDS").unwrap_or(200);
            let count: usize = (0..seeds).map(trial).sum();
            assert!(count as u64 > 20 * seeds, "{count} items found: too few to prove anything");
        }
    }
}

/// Checks the counts while items are added and removed, and while sets are searched for the first time.
#[test]
fn hashes_are_counted_right_after_searches_and_changes_at_once() {
    let shard = Arc::new(empty_shard());
    shard.apply(range(0, vec![created(1)])).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    // Each set has the one bank, and another one that never exists.
    let of_set = |other: u32| {
        let set = [1, other].map(BankId).into_iter().collect();
        SearchOptions { bank_set: Some(Arc::new(set)), ..options(vec![], 0, 1) }
    };
    let searched = |shard: &Shard, options: &SearchOptions| {
        let answer = search(shard, &[query(&[2])], options, ANSWER_BYTES_MAX, &Cancellation::never());
        answer.unwrap().hashes_searched
    };
    let readers: Vec<_> = (0..2_u64)
        .map(|seed| {
            let (shard, done) = (Arc::clone(&shard), Arc::clone(&done));
            thread::spawn(move || {
                let mut random = SmallRng::seed_from_u64(seed);
                while !done.load(Ordering::Relaxed) {
                    searched(&shard, &of_set(random.random_range(2..400)));
                    searched(&shard, &options(vec![], 0, 1));
                }
            })
        })
        .collect();
    let mut living = Vec::new();
    for sequence in 2..3_000 {
        let kind = if sequence % 3 == 0 {
            let item = living.remove(living.len() / 2);
            ChangeKind::ItemRemoved { item, bank: BankId(1) }
        } else {
            living.push(ItemId(sequence));
            added(sequence).kind
        };
        shard.apply(range(sequence - 1, vec![change(sequence, kind)])).unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
    let expected = living.len() as u64;
    assert_eq!(searched(&shard, &options(vec![], 0, 1)), expected);
    let wrong: BTreeSet<u32> =
        (2..400).filter(|other| searched(&shard, &of_set(*other)) != expected).collect();
    assert_eq!(wrong, BTreeSet::new());
}

/// Returns the mean time of a search for one hash that is found, the best of five rounds.
fn time_of(shard: &Shard, hash: &Hash, options: &SearchOptions) -> Duration {
    const SEARCHES: u32 = 20_000;
    let queries = [query_of(std::iter::once(hash.clone()))];
    let round = |_| {
        let begun = Instant::now();
        for _ in 0..SEARCHES {
            let answer = search(shard, &queries, options, ANSWER_BYTES_MAX, &Cancellation::never()).unwrap();
            assert_eq!(answer.results[0].matches.len(), 1);
        }
        begun.elapsed() / SEARCHES
    };
    (0..5).map(round).min().unwrap()
}

/// Measures a search of a set of banks and of all banks, in deployments with the same 200,000 hashes in more
/// banks or fewer: `cargo test --release -p vigie-matcher search_of_a_set_takes -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn a_search_of_a_set_takes_no_longer_where_there_are_more_banks() {
    let hashes: Vec<Hash> = random_hashes(1).take(200_000).map(Hash::pdq).collect();
    for (banks, seen) in [(20, 20), (2_000, 20), (2_000, 2_000), (50_000, 20), (50_000, 50_000)] {
        let bank = |at: u32| {
            let (bank, name) = (BankId(at + 1), name(&format!("bank-{at}")));
            ChangeKind::BankCreated {
                bank,
                owner: vigie_model::MemberId::HOST,
                name,
                created_at: UnixMillis(0),
            }
        };
        let item = |(hash, at): (&Hash, u32)| {
            let (id, bank) = (ItemId((banks + at + 1).into()), BankId(at % banks + 1));
            let content = bare(vec![hash.clone()]);
            ChangeKind::ItemAdded(Item {
                id,
                bank,
                added_at: UnixMillis(0),
                contributor: vigie_model::MemberId::HOST,
                content,
            })
        };
        let kinds = (0..banks).map(bank).chain(hashes.iter().zip(0..).map(item));
        let shard = empty_shard();
        shard.apply(range(0, kinds.zip(1..).map(|(kind, at)| change(at, kind)).collect())).unwrap();
        // The ids are far apart, so that few share a word of the filter.
        let set: Vec<u32> = (0..seen).map(|at| 1 + at * (banks / seen)).collect();
        let all = time_of(&shard, &hashes[0], &SearchOptions::default());
        let of_set = time_of(&shard, &hashes[0], &of_banks(&set));
        println!("{banks:>6} banks: all {all:?}; a set of {seen}: {of_set:?}");
    }
}
