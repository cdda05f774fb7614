//! Tests of standings: the members for whom an item is left out, and the answers about it.

use std::sync::Arc;
use std::time::Instant;

use vigie_index::Cancellation;
use vigie_model::{
    ANSWER_BYTES_MAX, BankId, ChangeKind, FeedRange, Hash, HashType, ItemDraft, ItemId, Labels, Limit,
    MaxDistances, MemberId, OpinionKind, QueryMatches, SearchOptions, Standing,
};

use vigie_index::container::Container;

use super::of_banks;
use crate::saving::manifest::{Manifest, Sections};
use crate::searching::search::search;
use crate::shard::state::Shard;
use crate::tests::loaded::{bare, query_of, random_hashes};
use crate::tests::snapshot::{Log, loaded, plan};
use crate::tests::{Step, added, change, created, empty_shard, identity, item_of, range};

const OWN: MemberId = MemberId(4);
const OTHER: MemberId = MemberId(5);

fn stands(sequence: u64, item: u64, standing: Standing) -> vigie_model::Change {
    let (item, standing) = (ItemId(item), Arc::new(standing));
    change(sequence, ChangeKind::ItemStandingSet { item, bank: BankId(1), standing })
}

/// A standing in probation, contributed by one member.
fn on_probation() -> Standing {
    Standing { probation: true, contributors: [OWN].into(), ..Standing::default() }
}

fn options(member: Option<MemberId>, with_aside: bool) -> SearchOptions {
    SearchOptions { member, with_aside, ..of_banks(&[1]) }
}

/// Returns what a search for one hash finds.
fn ask(shard: &Shard, hash: &Hash, options: &SearchOptions) -> QueryMatches {
    let query = query_of(std::iter::once(hash.clone()));
    let answer = search(shard, &[query], options, ANSWER_BYTES_MAX, &Cancellation::never());
    answer.unwrap().results.remove(0)
}

fn items(result: &QueryMatches) -> Vec<u64> {
    result.matches.iter().map(|found| found.item.0).collect()
}

/// Returns a hash this many bits from zero.
fn at_distance(bits: usize) -> Hash {
    let mut bytes = [0; 32];
    (0..bits).for_each(|bit| bytes[bit / 8] |= 1 << (bit % 8));
    Hash::pdq(bytes)
}

#[test]
fn an_item_in_probation_is_found_by_its_contributor_alone() {
    let shard = empty_shard();
    let changes = vec![created(1), added(2), added(3), stands(4, 2, on_probation())];
    shard.apply(FeedRange { members_on: true, ..range(0, changes) }).unwrap();
    let hash = crate::tests::hash(2);
    let check = |member: Option<MemberId>, with_aside: bool, expected: &[(u64, Option<bool>)]| {
        let result = ask(&shard, &hash, &options(member, with_aside));
        let aside = |found: &vigie_model::Match| found.facts.as_ref().map(|facts| facts.is_aside);
        let answered: Vec<_> = result.matches.iter().map(|found| (found.item.0, aside(found))).collect();
        assert_eq!(answered, expected, "{member:?} {with_aside}");
        // The answer reports that items were left out.
        let is_there = !with_aside && expected.len() < 2;
        assert_eq!(result.set_aside, is_there, "{member:?} {with_aside}");
        assert!(!ask(&shard, &at_distance(128), &options(member, with_aside)).set_aside);
    };
    for with_aside in [false, true] {
        check(Some(OWN), with_aside, &[(2, Some(false)), (3, None)]);
    }
    for member in [Some(OTHER), Some(MemberId::HOST), None] {
        check(member, false, &[(3, None)]);
        check(member, true, &[(2, Some(true)), (3, None)]);
    }
    // The item is held for its contributor too, and then confirmed.
    let held = Standing { held_for: [OWN].into(), ..on_probation() };
    shard.apply(range(4, vec![stands(5, 2, held)])).unwrap();
    check(Some(OWN), false, &[(3, None)]);
    check(Some(OWN), true, &[(2, Some(true)), (3, None)]);
    shard.apply(range(5, vec![stands(6, 2, Standing { probation: false, ..on_probation() })])).unwrap();
    for member in [Some(OWN), Some(OTHER), None] {
        check(member, false, &[(2, Some(false)), (3, None)]);
    }
    shard.apply(range(6, vec![stands(7, 2, Standing::default())])).unwrap();
    check(None, false, &[(2, None), (3, None)]);
    assert_eq!(shard.moment().marks.standings().count(), 0);
}

#[test]
fn an_item_that_is_held_is_answered_to_nobody_whatever_its_standing() {
    let shard = empty_shard();
    let held = ChangeKind::ItemHeldSet { item: ItemId(2), bank: BankId(1), held: true };
    let changes = vec![created(1), added(2), stands(3, 2, on_probation()), change(4, held)];
    shard.apply(range(0, changes)).unwrap();
    for (member, with_aside) in [(Some(OWN), false), (Some(OWN), true), (None, true)] {
        let result = ask(&shard, &crate::tests::hash(2), &options(member, with_aside));
        assert_eq!(items(&result), [0; 0]);
    }
}

#[test]
fn without_members_a_search_is_the_hosts() {
    let shard = empty_shard();
    let of_host = Standing { contributors: [MemberId::HOST].into(), ..on_probation() };
    let changes = vec![created(1), added(2), stands(3, 2, of_host)];
    shard.apply(range(0, changes)).unwrap();
    let hash = crate::tests::hash(2);
    assert_eq!(items(&ask(&shard, &hash, &SearchOptions::default())), [2]);
    shard.apply(FeedRange { members_on: true, ..range(3, vec![]) }).unwrap();
    assert_eq!(items(&ask(&shard, &hash, &options(None, false))), [0; 0]);
    assert_eq!(items(&ask(&shard, &hash, &options(Some(MemberId::HOST), false))), [2]);
}

#[test]
fn items_in_probation_push_no_match_out_of_another_members_answer() {
    const CROWD: u64 = 2_000;
    let shard = empty_shard();
    let item = |id: u64, hash| {
        let content = bare(vec![hash]);
        change(id, ChangeKind::ItemAdded(item_of(ItemId(id), BankId(1), content)))
    };
    let mut changes = vec![created(1)];
    changes.extend((2..2 + CROWD).map(|id| item(id, at_distance(usize::try_from(id % 5).unwrap()))));
    let known = 2 + CROWD;
    changes.push(item(known, at_distance(20)));
    changes.extend((2..2 + CROWD).zip(known + 1..).map(|(id, at)| stands(at, id, on_probation())));
    shard.apply(FeedRange { members_on: true, ..range(0, changes) }).unwrap();
    let asked = |member, with_aside| {
        let limit = Limit::new(10).unwrap();
        let max_distances = MaxDistances::default().with(HashType::PDQ, 31).unwrap();
        SearchOptions { limit, max_distances, ..options(member, with_aside) }
    };
    for member in [Some(OTHER), None] {
        let result = ask(&shard, &at_distance(0), &asked(member, false));
        assert_eq!((items(&result), result.limit_reached), (vec![known], false));
    }
    for asked in [asked(Some(OWN), false), asked(Some(OTHER), true)] {
        let result = ask(&shard, &at_distance(0), &asked);
        assert_eq!((result.matches.len(), result.limit_reached), (10, true));
        assert!(result.matches.iter().all(|found| found.distance.0 == 0));
    }
    // All items share one standing.
    let moment = shard.moment();
    let distinct: std::collections::HashSet<_> =
        moment.marks.standings().iter().map(|(_, standing)| Arc::as_ptr(standing)).collect();
    assert_eq!((moment.marks.standings().count() as u64, distinct.len()), (CROWD, 1));
}

#[test]
fn opinions_change_the_facts_of_matches_and_nothing_else() {
    let shard = empty_shard();
    let mut changes = vec![created(1)];
    changes.extend((2..30).map(added));
    shard.apply(range(0, changes)).unwrap();
    let hash = crate::tests::hash(2);
    let limited = |member| {
        let limit = Limit::new(20).unwrap();
        SearchOptions { limit, ..options(Some(member), false) }
    };
    let before = ask(&shard, &hash, &limited(OWN));
    let kinds = OpinionKind::ALL.into_iter().cycle();
    let given = (2..30).step_by(3).zip(kinds).zip(30..).map(|((item, kind), at)| {
        let (opinions, dispute_open) = ([(OWN, kind)].into(), item % 2 == 0);
        stands(at, item, Standing { opinions, dispute_open, ..Standing::default() })
    });
    shard.apply(range(29, given.collect())).unwrap();
    for member in [OWN, OTHER, MemberId::HOST] {
        let mut after = ask(&shard, &hash, &limited(member));
        let facts: Vec<_> = after.matches.iter_mut().filter_map(|found| found.facts.take()).collect();
        assert_eq!(facts.len(), 7);
        for (facts, kind) in facts.iter().zip(OpinionKind::ALL.into_iter().cycle()) {
            assert_eq!(facts.mine, Some(kind).filter(|_| member == OWN));
            assert_eq!(facts.positives + facts.negatives + facts.seen, 1);
            assert!(!facts.is_aside);
        }
        assert_eq!(after, before);
    }
}

#[test]
fn a_match_has_the_labels_that_replaced_others() {
    let shard = empty_shard();
    let labelled = |id: u64, labels: &[&str]| {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let draft = ItemDraft { hashes: vec![crate::tests::hash(2)], labels, ..ItemDraft::default() };
        change(id, ChangeKind::ItemAdded(item_of(ItemId(id), BankId(1), draft.try_into().unwrap())))
    };
    shard.apply(range(0, vec![created(1), labelled(2, &["a", "b"]), labelled(3, &["c"])])).unwrap();
    let labels = |shard: &Shard| {
        let found = ask(shard, &crate::tests::hash(2), &options(Some(OTHER), false));
        found.matches.into_iter().map(|found| found.labels.join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(labels(&shard), ["a b", "c"]);
    let of = |labels: &[&str]| {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>();
        Standing { labels: Some(Labels::try_from(labels).unwrap()), ..Standing::default() }
    };
    shard.apply(range(3, vec![stands(4, 2, of(&["new"]))])).unwrap();
    assert_eq!(labels(&shard), ["new", "c"]);
    shard.apply(range(4, vec![stands(5, 3, of(&[])), stands(6, 2, of(&["a", "b", "c"]))])).unwrap();
    assert_eq!(labels(&shard), ["a b c", ""]);
    // Other changes of the standing do not change the item's labels.
    let disputed = Standing { dispute_open: true, ..of(&["a", "b", "c"]) };
    shard.apply(range(6, vec![stands(7, 2, disputed)])).unwrap();
    assert_eq!(labels(&shard), ["a b c", ""]);
}

#[test]
fn a_snapshot_keeps_standings_and_without_any_is_of_the_form_before_them() {
    for has_standings in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let plans = plan(folder.path());
        let mut log = Log::default();
        log.take([Step::Create]);
        log.take((0..20).map(|number| Step::Add(0, vec![number])));
        // A standing that was given and taken away leaves nothing behind.
        log.take([Step::Stand(3, 1), Step::Stand(3, 0)]);
        if has_standings {
            log.take((0..20).map(|number| Step::Stand(number, number % 4)));
        }
        let shard = loaded(&plans, &log);
        plans.save(&shard).unwrap();
        drop(shard);
        let path = folder.path().join("manifest");
        let sections = |number| Container::open(&path).unwrap().section(number).is_some();
        assert_eq!([1, 2, 3, 4].map(sections), [true, true, has_standings, false]);
        let restored = plans.restore(identity()).unwrap().unwrap();
        log.bring_up(&restored);
        assert_eq!(restored.moment().marks.standings().count(), if has_standings { 15 } else { 0 });
        drop(restored);

        // Without the section, the manifest is in the form that a version without standings reads.
        let (manifest, beside) = Manifest::read(&path).unwrap();
        manifest.write(&path, &Sections { standings: Vec::new(), ..beside }).unwrap();
        match plans.restore(identity()) {
            Ok(restored) => assert!(restored.is_some() && !has_standings),
            Err(error) => assert!(has_standings && error.to_string().contains("digests"), "{error}"),
        }
    }
}

/// Measures searches for a hash that few items have, and for one that 200,000 items have, if no item has a
/// standing, one has, all have, and all are set aside: `cargo test --release -p vigie-matcher
/// what_standings_cost -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn what_standings_cost_a_search() {
    const ITEMS: u64 = 200_000;
    let disputed = || Standing { dispute_open: true, ..Standing::default() };
    let cases: [(&str, u64, Standing); 4] = [
        ("none", 0, Standing::default()),
        ("one other", 1, disputed()),
        ("all", ITEMS, disputed()),
        ("all, aside", ITEMS, on_probation()),
    ];
    for (what, count, standing) in cases {
        let shard = empty_shard();
        let item = |(id, hash): (u64, [u8; 32])| {
            // Half of the items have different hashes, and the other half have one common hash.
            let hash = if id.is_multiple_of(2) { at_distance(0) } else { Hash::pdq(hash) };
            change(id, ChangeKind::ItemAdded(item_of(ItemId(id), BankId(1), bare(vec![hash]))))
        };
        let mut changes = vec![created(1)];
        changes.extend((2..).zip(random_hashes(1)).take(usize::try_from(2 * ITEMS).unwrap()).map(item));
        let after = 1 + 2 * ITEMS;
        changes.extend((0..count).map(|at| stands(after + 1 + at, 2 + 2 * at, standing.clone())));
        shard.apply(range(0, changes)).unwrap();
        let time = |hash: &Hash, searches: u32| {
            let options = SearchOptions { limit: Limit::new(10).unwrap(), ..options(Some(OTHER), false) };
            let round = |_| {
                let begun = Instant::now();
                (0..searches).for_each(|_| drop(ask(&shard, hash, &options)));
                begun.elapsed() / searches
            };
            (0..7).map(round).min().unwrap()
        };
        let own = Hash::pdq(random_hashes(1).nth(1).unwrap());
        println!("{what:>12}: few {:?}, many {:?}", time(&own, 20_000), time(&at_distance(0), 10));
    }
}
