//! Compares the shard with a plain replay of the same changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use vigie_follow::Proof;
use vigie_index::Cancellation;

use vigie_model::{
    ANSWER_BYTES_MAX, BankId, BankName, Change, ChangeKind, FeedRange, Hash, HashType, Item, ItemContent,
    ItemDraft, ItemId, Limit, LogId, MaxDistances, MemberId, Query, QueryHash, QueryMatches, SearchOptions,
    Sequence, SetDigest, ShardIdentity, UnixMillis, Variant,
};

use crate::error::SearchError;
use crate::saving::plan::StorePlan;
use crate::searching::search::search;
use crate::shard::contradiction::Contradiction;
use crate::shard::indexes::IndexPlan;
use crate::shard::state::Shard;
use crate::shard::stores::Stores;

mod fake_bank;
mod follow;
mod hops;
mod loaded;
mod members;
mod presence;
mod publication;
mod purge;
mod replay;
mod scrub;
mod service;
mod snapshot;
mod stopping;
mod unknown_types;
/// Tests of vectors in shards that also have exact hashes.
mod vectors {
    mod answers;
    mod measure;
}
/// Tests of videos: hashes that are lists of frames.
mod video {
    pub(super) mod oracle;
    pub(super) mod world;
    mod agreement;
    mod life;
    mod stills;
    mod measure;
    mod unrelated;
}

/// The allocator of `vigie`, so that memory measurements apply to its process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use replay::{Asker, Replay, Step, item_of, standing, step};

const LOG: LogId = LogId([7; 16]);

fn identity() -> ShardIdentity {
    ShardIdentity::new(0, 1).unwrap()
}

fn exact() -> Stores {
    StorePlan::new(IndexPlan::default(), None).unwrap().in_memory()
}

fn empty_shard() -> Shard {
    Shard::empty(identity(), exact())
}

fn name(text: &str) -> BankName {
    text.parse().unwrap()
}

/// Returns one of a few distinct hashes that are a few bits apart, so that many of them match each other.
fn hash(number: u8) -> Hash {
    let mut pdq = [0; 32];
    pdq[usize::from(number % 7)] = number;
    match number % 4 {
        0 => Hash::md5([number / 8; 16]),
        1 => Hash::sha256([number / 8; 32]),
        _ => Hash::pdq(pdq),
    }
}

fn content(hashes: &[u8]) -> ItemContent {
    let hashes = hashes.iter().map(|&number| hash(number)).collect();
    ItemDraft { hashes, ..ItemDraft::default() }.try_into().unwrap()
}

fn query(numbers: &[u8]) -> Query {
    let variants = Variant::ALL.into_iter().cycle();
    Query {
        hashes: numbers
            .iter()
            .zip(variants)
            .map(|(&number, variant)| QueryHash { hash: hash(number), variant })
            .collect(),
    }
}

fn options(banks: Vec<BankName>, radius: u16, limit: u16) -> SearchOptions {
    SearchOptions {
        banks: banks.into_iter().map(Into::into).collect(),
        max_distances: MaxDistances::default().with(HashType::PDQ, radius.into()).unwrap(),
        limit: Limit::new(limit.into()).unwrap(),
        ..SearchOptions::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_shard_answers_like_a_plain_replay_of_its_log(
        ranges in prop::collection::vec(prop::collection::vec(step(), 1..20), 1..8),
        asked in prop::collection::vec(any::<u8>(), 0..6),
        radius in 0_u16..20,
        limit in 1_u16..5,
        asker in prop::option::of(1..4_u32),
        with_aside: bool,
    ) {
        // A search that names no member is made for the host if there are no other members.
        let named = asker.map(MemberId);
        let asker = Asker { member: named.or(Some(MemberId::HOST)), with_aside };
        let options = |banks, radius, limit| SearchOptions { member: named, with_aside, ..options(banks, radius, limit) };
        let shard = empty_shard();
        let mut replay = Replay::default();
        replay.take(Step::Create).map(|change| {
            shard.apply(range(0, vec![change]))
        }).unwrap().unwrap();
        for steps in ranges {
            let after = Sequence(replay.sequence);
            let changes = steps.into_iter().filter_map(|step| replay.take(step)).collect();
            let through = Sequence(replay.sequence);
            shard.apply(FeedRange { log: LOG, after, through, head: through, head_committed: None, chain: None, changes, first_committed: None, digest: Some(replay.digest()), members_on: false }).unwrap();
            prop_assert_eq!(shard.moment().digest, replay.digest());

            let enabled: Vec<_> = replay.banks.values().filter(|(_, enabled)| *enabled).map(|(name, _)| name.clone()).collect();
            for banks in [vec![], enabled.into_iter().take(1).collect::<Vec<_>>()] {
                // There are enough queries for several passes over the index.
                let mut queries = vec![query(&asked), Query::default()];
                queries.extend((0..40).map(|number| query(&[number * 5])));
                let answer = search(&shard, &queries, &options(banks.clone(), radius, limit), ANSWER_BYTES_MAX, &Cancellation::never()).unwrap();
                prop_assert_eq!(answer.sequence, through);
                prop_assert_eq!(answer.results.len(), queries.len());
                for (asked, result) in queries.iter().zip(&answer.results) {
                    let expected = replay.search_for(asker, asked, &banks, radius);
                    let found: Vec<_> = result.matches.iter().map(|one| (one.item, one.distance, one.other_matches)).collect();
                    let shown = expected.len().min(usize::from(limit));
                    prop_assert_eq!(&found[..], &expected[..shown]);
                    prop_assert_eq!(result.limit_reached, expected.len() > shown);
                    for one in &result.matches {
                        prop_assert_eq!(&one.bank_name.name, &replay.banks[&one.bank].0);
                        prop_assert_eq!(&one.facts, &replay.facts(asker.member, one.item));
                        prop_assert_eq!(one.added_at, Some(item_of(one.item, one.bank, content(&[0])).added_at));
                    }
                }
                // The result equals cutting the complete answer, which the limited search never builds.
                let bytes = answer.results.iter().map(QueryMatches::bytes).sum::<usize>() / 2;
                let cut_one = search(&shard, &queries, &options(banks.clone(), radius, limit), bytes, &Cancellation::never()).unwrap();
                let mut expected = answer.results;
                vigie_model::answer::cut(&mut expected, bytes);
                prop_assert_eq!(cut_one.results, expected);
            }
            let living: usize = replay.items.values().map(|(_, content)| content.hashes().len()).sum();
            let counted: u64 = shard.hash_counts().iter().map(|count| count.hashes).sum();
            prop_assert_eq!(counted, u64::try_from(living).unwrap());
            prop_assert_eq!(shard.item_count(), u64::try_from(replay.items.len()).unwrap());
            let moment = shard.moment();
            let standings: BTreeMap<_, _> =
                moment.marks.standings().iter().map(|(item, standing)| (item, Arc::clone(standing))).collect();
            prop_assert_eq!(&standings, &replay.standings);
            prop_assert_eq!(moment.marks.held().sorted(), replay.held.iter().copied().collect::<Vec<_>>());
        }
    }
}

fn change(sequence: u64, kind: ChangeKind) -> Change {
    Change { sequence: Sequence(sequence), kind }
}

fn created(sequence: u64) -> Change {
    let bank = ChangeKind::BankCreated {
        bank: BankId(1),
        owner: vigie_model::MemberId::HOST,
        name: name("known"),
        created_at: UnixMillis(0),
    };
    change(sequence, bank)
}

fn added(sequence: u64) -> Change {
    let (id, bank) = (ItemId(sequence), BankId(1));
    change(
        sequence,
        ChangeKind::ItemAdded(Item {
            id,
            bank,
            added_at: UnixMillis(0),
            contributor: vigie_model::MemberId::HOST,
            content: content(&[2]),
        }),
    )
}

fn range(after: u64, changes: Vec<Change>) -> FeedRange {
    let through = changes.last().map_or(Sequence(after), |change| change.sequence);
    FeedRange {
        log: LOG,
        after: Sequence(after),
        through,
        head: through,
        head_committed: None,
        chain: None,
        changes,
        first_committed: None,
        digest: None,
        members_on: false,
    }
}

#[test]
fn a_contradicting_change_is_noticed() {
    let removed =
        |sequence, item| change(sequence, ChangeKind::ItemRemoved { item: ItemId(item), bank: BankId(1) });
    let check = |changes: Vec<Change>, expected: Contradiction| {
        let shard = empty_shard();
        shard.apply(range(0, vec![created(1), added(2)])).unwrap();
        assert_eq!(shard.apply(range(2, changes)), Err(expected));
    };
    let held = |sequence, item, held| {
        let kind = ChangeKind::ItemHeldSet { item: ItemId(item), bank: BankId(1), held };
        change(sequence, kind)
    };
    check(vec![removed(3, 99)], Contradiction::NoSuchItem(Sequence(3)));
    let stands = |sequence, item| {
        let (item, standing) = (ItemId(item), standing(1));
        change(sequence, ChangeKind::ItemStandingSet { item, bank: BankId(1), standing })
    };
    check(vec![held(3, 99, true)], Contradiction::NoSuchItem(Sequence(3)));
    check(vec![stands(3, 99)], Contradiction::NoSuchItem(Sequence(3)));
    check(vec![removed(3, 2), stands(4, 2)], Contradiction::NoSuchItem(Sequence(4)));
    check(vec![removed(3, 2), held(4, 2, true)], Contradiction::NoSuchItem(Sequence(4)));
    check(vec![removed(3, 2), removed(4, 2)], Contradiction::NoSuchItem(Sequence(4)));
    check(vec![created(3)], Contradiction::BankTwice(Sequence(3)));
    check(
        vec![change(3, ChangeKind::BankEnabledSet { bank: BankId(9), enabled: true })],
        Contradiction::NoSuchBank(Sequence(3)),
    );
    check(
        vec![change(3, ChangeKind::BankDeleted { bank: BankId(1) }), added(4)],
        Contradiction::NoSuchBank(Sequence(4)),
    );
}

#[test]
fn another_digest_than_the_banks_is_a_contradiction() {
    let own = SetDigest::of_item(ItemId(2), content(&[2]).hashes());
    let check = |digest: Option<SetDigest>, expected: Result<Proof, Contradiction>| {
        let shard = empty_shard();
        shard.apply(range(0, vec![created(1), added(2)])).unwrap();
        assert_eq!(shard.apply(FeedRange { digest, ..range(2, vec![]) }), expected);
    };
    check(None, Ok(Proof::None));
    check(Some(own), Ok(Proof::Equal));
    let bank = SetDigest { hashes: own.hashes + 1, ..own };
    check(Some(bank), Err(Contradiction::Digest { sequence: Sequence(2), own, bank }));
}

#[test]
fn a_gap_in_the_feed_is_never_stepped_over() {
    let shard = empty_shard();
    let gap = Contradiction::Gap { after: Sequence(4), applied: Sequence(0) };
    assert_eq!(shard.apply(range(4, vec![])), Err(gap));
    assert_eq!(shard.applied(), Sequence(0));
}

#[test]
fn another_log_is_never_taken_for_the_one_that_was_followed() {
    let shard = empty_shard();
    shard.apply(range(0, vec![created(1)])).unwrap();
    let named = LogId([8; 16]);
    let foreign = FeedRange { log: named, ..range(1, vec![added(2)]) };
    assert_eq!(shard.apply(foreign), Err(Contradiction::OtherLog { named }));
}

/// A hash that is banked at every sequence must be found at every moment, whatever happens to its items.
#[test]
fn a_hash_that_is_always_banked_is_always_found() {
    let shard = std::sync::Arc::new(empty_shard());
    let bank_of = |sequence: u64| BankId(u32::try_from(sequence).unwrap());
    shard.apply(range(0, vec![created(1), added(2)])).unwrap();
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (shard, done) = (std::sync::Arc::clone(&shard), std::sync::Arc::clone(&done));
            std::thread::spawn(move || {
                let queries = vec![query(&[2]); 40];
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let answer = search(
                        &shard,
                        &queries,
                        &options(vec![], 0, 1),
                        ANSWER_BYTES_MAX,
                        &Cancellation::never(),
                    )
                    .unwrap();
                    assert!(
                        answer.results.iter().all(|one| one.matches.len() == 1),
                        "missed as of {}",
                        answer.sequence
                    );
                }
            })
        })
        .collect();
    // The same hash is added to a new bank. Then the old bank is deleted or disabled, or its item is removed.
    let mut sequence = 2;
    let mut held = (BankId(1), ItemId(2));
    for round in 0..2_000 {
        let bank = bank_of(sequence + 1);
        let created = ChangeKind::BankCreated {
            bank,
            owner: vigie_model::MemberId::HOST,
            name: name(&format!("b{sequence}")),
            created_at: UnixMillis(0),
        };
        let item = Item {
            id: ItemId(sequence + 2),
            bank,
            added_at: UnixMillis(0),
            contributor: vigie_model::MemberId::HOST,
            content: content(&[2]),
        };
        let gone = match round % 3 {
            0 => ChangeKind::BankDeleted { bank: held.0 },
            1 => ChangeKind::BankEnabledSet { bank: held.0, enabled: false },
            _ => ChangeKind::ItemRemoved { item: held.1, bank: held.0 },
        };
        let next = (bank, item.id);
        let changes = [created, ChangeKind::ItemAdded(item), gone];
        let changes: Vec<_> =
            changes.into_iter().zip(sequence + 1..).map(|(kind, at)| change(at, kind)).collect();
        // The changes come in one range or in three.
        if round % 2 == 0 {
            shard.apply(range(sequence, changes)).unwrap();
        } else {
            for (one, after) in changes.into_iter().zip(sequence..) {
                shard.apply(range(after, vec![one])).unwrap();
            }
        }
        (sequence, held) = (sequence + 3, next);
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn an_item_of_another_shard_is_refused() {
    let other = ShardIdentity::new(1, 2).unwrap();
    let foreign = (2..).find(|&item| other.holds(ItemId(item))).unwrap();
    let shard = Shard::empty(ShardIdentity::new(0, 2).unwrap(), exact());
    let refused = shard.apply(range(0, vec![created(1), added(foreign)]));
    assert_eq!(refused, Err(Contradiction::OtherShard(Sequence(foreign))));
}

#[test]
fn unknown_and_disabled_banks_give_different_errors() {
    let shard = empty_shard();
    let disabled = ChangeKind::BankEnabledSet { bank: BankId(1), enabled: false };
    shard.apply(range(0, vec![created(1), added(2), change(3, disabled)])).unwrap();
    let check = |banks: &[&str]| {
        let banks = banks.iter().map(|text| name(text)).collect();
        search(&shard, &[query(&[2])], &options(banks, 0, 1), ANSWER_BYTES_MAX, &Cancellation::never())
    };
    let sequence = Sequence(3);
    assert_eq!(
        check(&["other"]).unwrap_err(),
        SearchError::UnknownBank { name: name("other").into(), sequence }
    );
    assert_eq!(check(&["known"]).unwrap_err(), SearchError::DisabledBank(name("known").into()));
    assert!(check(&[]).unwrap().results[0].matches.is_empty());
}
