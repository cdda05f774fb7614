//! Members that extract a hash from answers, and members that do not, against the rights and the answers of a
//! frontend. Only the search is replaced, by a linear scan of the list.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

mod deployment;
mod scripts;

use deployment::{Deployment, MEMBER, OWNER, SEES_HASHES};
use scripts::{Extraction, Reads, exchange, extract, extract_by_groups, picture_hash};
use tonic::Code;
use vigie_consortium::Quota;
use vigie_consortium::quotas::Sign;
use vigie_model::PdqHash;

const TRIALS: u64 = 20;

/// The distance from the hash of the copy that each script begins with.
const BEGINS_AT: u32 = 20;

fn distance(one: PdqHash, other: PdqHash) -> u32 {
    one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum()
}

/// Returns a list of one item, its hash, and the copy that a script begins with.
fn trial(seed: u64, budget: u16) -> (Deployment, PdqHash, PdqHash, SmallRng) {
    trial_at(BEGINS_AT, seed, budget)
}

/// Does the same with a copy at this distance.
fn trial_at(begins_at: u32, seed: u64, budget: u16) -> (Deployment, PdqHash, PdqHash, SmallRng) {
    let mut random = SmallRng::seed_from_u64(seed);
    let hash = picture_hash(&mut random);
    let mut copy = hash;
    while distance(copy, hash) < begins_at {
        let further = exchange(copy, &mut random);
        if distance(further, hash) > distance(copy, hash) {
            copy = further;
        }
    }
    let quota = Quota { near_queries_per_item_day: budget, ..Quota::default() };
    (Deployment::new(&[(1, hash, &[])], quota), hash, copy, random)
}

/// Runs a script in all trials. Returns each reconstruction, with its distance from the hash.
fn trials(
    begins_at: u32,
    budget: u16,
    script: impl Fn(&Deployment, PdqHash, &mut SmallRng) -> Extraction,
) -> Vec<(Extraction, u32)> {
    (0..TRIALS)
        .map(|seed| {
            let (deployment, hash, copy, mut random) = trial_at(begins_at, seed, budget);
            let extraction = script(&deployment, copy, &mut random);
            let left = distance(extraction.hash, hash);
            (extraction, left)
        })
        .collect()
}

const NO_BUDGET: u16 = u16::MAX;

/// Prints and returns the number of trials that found the hash, the mean number of queries of all trials, and
/// the least remaining distance from the hash.
fn sum_up(of: &str, trials: &[(Extraction, u32)]) -> (usize, u32, u32) {
    let found = trials.iter().filter(|(_, left)| *left == 0).count();
    let queries: u32 = trials.iter().map(|(one, _)| one.queries).sum();
    let mean = queries / u32::try_from(trials.len()).unwrap();
    let least = trials.iter().map(|(_, left)| *left).min().unwrap();
    println!("{of}: {found} of {} found, {mean} queries on average, nearest {least} bits", trials.len());
    (found, mean, least)
}

#[test]
fn without_a_budget_the_scripts_find_the_hash() {
    for (reads, at_most) in [(Reads::Distance, 300), (Reads::Bucket, 400), (Reads::Match, 400)] {
        let script = |deployment: &Deployment, copy, random: &mut SmallRng| {
            extract(deployment, copy, reads, random, false)
        };
        let done = trials(BEGINS_AT, NO_BUDGET, script);
        let (found, mean, _) = sum_up(&format!("{reads:?}, no budget"), &done);
        assert_eq!(found, done.len(), "{reads:?}");
        assert!(mean > 100 && mean < at_most, "{reads:?}: {mean}");
    }
    for begins_at in [BEGINS_AT, 10] {
        let done = trials(begins_at, NO_BUDGET, extract_by_groups);
        let (found, mean, _) = sum_up(&format!("groups from {begins_at}, no budget"), &done);
        assert!(found == done.len() && mean < 100, "{mean}");
    }
}

#[test]
fn within_the_default_budget_no_script_finds_the_hash() {
    for reads in [Reads::Distance, Reads::Bucket, Reads::Match] {
        // A script that takes repetitions for answers, and one that stops at the first repetition.
        for stops in [false, true] {
            let script = |deployment: &Deployment, copy, random: &mut SmallRng| {
                extract(deployment, copy, reads, random, stops)
            };
            let done = trials(BEGINS_AT, 0, script);
            let (found, _, least) = sum_up(&format!("{reads:?}, stops {stops}"), &done);
            assert_eq!(found, 0, "{reads:?}");
            // 32 of the queries that finding 20 bits takes, apart from luck.
            assert!(least >= BEGINS_AT / 2, "{reads:?}: {least}");
            let most = done.iter().map(|(one, _)| one.answered).max();
            assert!(!stops || most <= Some(32), "{reads:?}: {most:?}");
        }
    }
    for begins_at in [BEGINS_AT, 10] {
        let done = trials(begins_at, 0, extract_by_groups);
        let (found, _, least) = sum_up(&format!("groups from {begins_at}, default budget"), &done);
        assert!(found == 0 && least > 0, "{least}");
    }
}

#[test]
fn extraction_raises_the_alarm_of_positions() {
    for reads in [Reads::Distance, Reads::Bucket, Reads::Match] {
        for seed in 0..TRIALS {
            for stops in [false, true] {
                let (deployment, _, copy, mut random) = trial(seed, 0);
                extract(&deployment, copy, reads, &mut random, stops);
                let both = BTreeMap::from([("NearBudget", 1), ("Positions", 1)]);
                assert_eq!(deployment.alarms(), both, "{reads:?}, stops {stops}");
            }
        }
    }
    for begins_at in [BEGINS_AT, 10] {
        for seed in 0..TRIALS {
            let (deployment, _, copy, mut random) = trial_at(begins_at, seed, 0);
            extract_by_groups(&deployment, copy, &mut random);
            let both = BTreeMap::from([("NearBudget", 1), ("Positions", 1)]);
            assert_eq!(deployment.alarms(), both, "groups from {begins_at}");
        }
    }
}

#[test]
fn probes_of_single_bits_are_refused_by_their_weight() {
    let (deployment, _, copy, _) = trial(1, 0);
    for bit in 0..256 {
        let mut probe = copy;
        probe[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(deployment.ask(MEMBER, probe).unwrap_err().code(), Code::InvalidArgument);
    }
    assert!(deployment.alarms().is_empty());
}

#[test]
fn ten_thousand_honest_copies_match_and_raise_no_alarm_of_positions() {
    let mut random = SmallRng::seed_from_u64(7);
    let hash = picture_hash(&mut random);
    // Twelve set bits and twelve unset bits, all of them near the median.
    let bits = |is_set: bool| {
        let is_it = move |bit: &usize| (hash[bit / 8] >> (bit % 8) & 1 == 1) == is_set;
        (0..256).filter(is_it).take(12).collect::<Vec<usize>>()
    };
    let unstable: Vec<(usize, usize)> = bits(true).into_iter().zip(bits(false)).collect();
    let deployment = Deployment::new(&[(1, hash, &[])], Quota::default());
    let mut spent = 0;
    for _ in 0..10_000 {
        let mut copy = hash;
        for (one, other) in unstable.iter().filter(|_| random.random_bool(0.5)) {
            copy[one / 8] ^= 1 << (one % 8);
            copy[other / 8] ^= 1 << (other % 8);
        }
        let answer = deployment.ask(MEMBER, copy).unwrap();
        assert!(answer.distance.is_some(), "a copy has no match");
        spent += usize::from(answer.is_repeated);
    }
    // Only the metric counts this sign.
    assert_eq!(deployment.alarms(), BTreeMap::from([("NearBudget", 1)]));
    assert!(spent > 9_000, "{spent}");
    // The answer for another picture is true.
    assert_eq!(deployment.ask(MEMBER, picture_hash(&mut random)).unwrap().distance, None);
}

#[test]
fn members_who_read_the_hashes_have_no_budget() {
    for member in [OWNER, SEES_HASHES] {
        let (deployment, hash, copy, mut random) = trial(3, 4);
        for _ in 0..50 {
            let query = exchange(copy, &mut random);
            let answer = deployment.ask(member, query).unwrap();
            assert_eq!(answer.distance, Some(distance(query, hash)));
        }
        assert!(deployment.alarms().is_empty());
    }
}

#[test]
fn many_hashes_in_one_call_or_one_content_count_each() {
    let (deployment, _, copy, mut random) = trial(4, 0);
    let probes: Vec<PdqHash> = (0..200).map(|_| exchange(copy, &mut random)).collect();
    let answers =
        deployment.ask_all(MEMBER, &probes.iter().map(|one| vec![*one]).collect::<Vec<_>>()).unwrap();
    let answered = |answer: &&deployment::Answered| !answer.is_repeated;
    assert!(answers.iter().filter(answered).count() <= 34, "200 probes, few of them equal");
    assert!(answers.iter().all(|answer| answer.distance.is_some()));

    let (deployment, ..) = trial(4, 0);
    let contents: Vec<Vec<PdqHash>> = probes.chunks(25).map(<[PdqHash]>::to_vec).collect();
    let answers = deployment.ask_all(MEMBER, &contents).unwrap();
    let repeated: Vec<bool> = answers.iter().map(|answer| answer.is_repeated).collect();
    assert_eq!(repeated, [false, true, true, true, true, true, true, true]);
    assert!(answers.iter().all(|answer| answer.distance.is_some()));
}

#[test]
fn an_item_that_was_removed_is_not_repeated() {
    let (mut deployment, _, copy, mut random) = trial(5, 8);
    let last = (0..60).map(|_| deployment.ask(MEMBER, exchange(copy, &mut random)).unwrap()).last().unwrap();
    assert!(last.is_repeated && last.distance.is_some());
    deployment.remove(1);
    let answer = deployment.ask(MEMBER, exchange(copy, &mut random)).unwrap();
    assert_eq!((answer.distance, answer.is_repeated), (None, false));
}

#[test]
fn a_canary_is_shown_to_its_owner_alone() {
    let mut random = SmallRng::seed_from_u64(9);
    let (canary, picture) = (picture_hash(&mut random), picture_hash(&mut random));
    let list = [(1, canary, &["vigie:canary", "x"][..]), (2, picture, &["x"][..])];
    let deployment = Deployment::new(&list, Quota::default());
    assert_eq!(deployment.ask(OWNER, canary).unwrap().distance, Some(0));
    assert!(deployment.alarms().is_empty());
    for (member, query) in [(MEMBER, canary), (MEMBER, exchange(canary, &mut random)), (SEES_HASHES, canary)]
    {
        assert_eq!(deployment.ask(member, query).unwrap().distance, None);
    }
    // One alarm for each member.
    assert_eq!(deployment.alarms(), BTreeMap::from([("Canary", 2)]));
    assert_eq!(deployment.ask(MEMBER, picture).unwrap().distance, Some(0));
    assert_eq!(deployment.last_alarm(), Some((SEES_HASHES, 1, Sign::Canary)));
}

#[test]
fn a_canary_that_is_a_video_is_shown_to_its_owner_alone() {
    let mut random = SmallRng::seed_from_u64(10);
    let mut frames = || (0..4).map(|_| picture_hash(&mut random)).collect::<Vec<_>>();
    let (canary, film) = (frames(), frames());
    let mut deployment = Deployment::new(&[], Quota::default());
    deployment.add_video(1, &canary, &["vigie:canary", "x"]);
    deployment.add_video(2, &film, &["x"]);
    assert_eq!(deployment.ask_video(OWNER, &canary).unwrap().distance, Some(0));
    assert!(deployment.alarms().is_empty());
    let part = [film[0], exchange(canary[3], &mut random)];
    for (member, query) in [(MEMBER, &canary[..]), (MEMBER, &part[1..]), (SEES_HASHES, &canary)] {
        assert_eq!(deployment.ask_video(member, query).unwrap().distance, None);
    }
    assert_eq!(deployment.alarms(), BTreeMap::from([("Canary", 2)]));
    assert_eq!(deployment.last_alarm(), Some((SEES_HASHES, 1, Sign::Canary)));
    // Other matches of the same answer are kept.
    assert_eq!(deployment.ask_video(MEMBER, &part).unwrap().distance, Some(0));
}
