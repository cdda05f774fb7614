//! Measures the time of a search for a video, and the memory of a frame: TESTING.md has the command.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_index::Cancellation;
use vigie_model::change::Cursor;
use vigie_model::{
    ANSWER_BYTES_MAX, Bank, BankId, Hash, ItemId, MatchRatio, MemberId, Query, QueryHash, SearchOptions,
    Sequence, UnixMillis, Variant,
};

use super::oracle::Sample;
use super::world::{item, plan, video};
use crate::searching::search::search;
use crate::shard::loading::Loading;
use crate::shard::state::Shard;
use crate::shard::stores::Stores;
use crate::tests::{LOG, exact, identity, name};

const FRAMES: usize = 60;
/// The number of searches of each kind.
const SEARCHES: u64 = 400;

/// Returns random frames of a video, one for each second.
fn frames(number: u64) -> Vec<[u8; 32]> {
    let mut random = SmallRng::seed_from_u64(number);
    (0..FRAMES).map(|_| random.random()).collect()
}

/// Returns the same frames with some bits flipped in each.
fn altered(number: u64, bits: usize) -> Vec<[u8; 32]> {
    let mut random = SmallRng::seed_from_u64(!number);
    let mut frames = frames(number);
    for frame in &mut frames {
        for _ in 0..bits {
            let bit = random.random_range(0..256);
            frame[bit / 8] ^= 1 << (bit % 8);
        }
    }
    frames
}

fn loaded(videos: u64, stores: Stores) -> Shard {
    let bank = Bank {
        id: BankId(1),
        owner: MemberId::HOST,
        name: name("known"),
        enabled: true,
        created_at: UnixMillis(0),
        item_count: 0,
        hash_count: 0,
        match_ratio: MatchRatio::ALWAYS,
    };
    let cursor = Cursor { log: LOG, sequence: Sequence(videos), chain: None };
    let mut loading = Loading::begin(identity(), stores, cursor, vec![bank], false);
    let numbers: Vec<u64> = (1..=videos).collect();
    for some in numbers.chunks(500) {
        let items = some.iter().map(|id| item(ItemId(*id), BankId(1), &[video(&frames(*id))]));
        loading.take(items.collect(), &[], vec![]).unwrap();
    }
    loading.finish(Sequence(videos)).unwrap()
}

/// Returns the resident bytes of the process.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<u64>().unwrap() * 1_024
}

/// Returns the median and the 99th percentile of searches, and the number of those that found their item.
fn measure(shard: &Shard, asked: impl Fn(u64) -> (Vec<[u8; 32]>, Option<u64>)) -> (Duration, Duration, u64) {
    let (mut times, mut found) = (Vec::new(), 0);
    for number in 0..SEARCHES {
        let (frames, expected) = asked(number);
        let Sample::Video(frames) = video(&frames) else { unreachable!() };
        let hash = Hash::of_frames(&frames).unwrap();
        let query = [Query { hashes: vec![QueryHash { hash, variant: Variant::Original }] }];
        let begun = Instant::now();
        let answer =
            search(shard, &query, &SearchOptions::default(), ANSWER_BYTES_MAX, &Cancellation::never());
        times.push(begun.elapsed());
        let matches: Vec<u64> = answer.unwrap().results[0].matches.iter().map(|one| one.item.0).collect();
        assert_eq!(matches, Vec::from_iter(expected));
        found += u64::from(expected.is_some());
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100], found)
}

/// Returns the bytes of the files of indexes and records in memory.
fn accounted(shard: &Shard) -> usize {
    shard.memory().iter().map(ExactSizeIterator::len).sum()
}

/// Uses `VIGIE_VIDEOS` videos, 100,000 by default. With `VIGIE_VIDEOS_FOLDER` they are saved there, and the
/// next run restores them. Its memory is then that of a matcher after a restart, without what loading leaves
/// in the allocator.
#[test]
#[ignore = "a measurement, for a release build and an idle machine"]
fn what_a_search_for_a_video_takes() {
    let videos = std::env::var("VIGIE_VIDEOS").map_or(100_000, |videos| videos.parse().unwrap());
    let before = resident();
    let begun = Instant::now();
    let plan = std::env::var("VIGIE_VIDEOS_FOLDER").ok().map(|folder| plan(folder.as_ref()));
    let restored = plan.as_ref().and_then(|plan| plan.restore(identity()).unwrap());
    let is_restored = restored.is_some();
    let shard = restored
        .unwrap_or_else(|| loaded(videos, plan.as_ref().map_or_else(exact, |plan| plan.begin().unwrap())));
    let (took, bytes) = (begun.elapsed(), resident() - before);
    if let Some(plan) = plan.filter(|_| !is_restored) {
        plan.save(&shard).unwrap();
    }
    let a_frame = |bytes: f64| bytes / (videos * FRAMES as u64) as f64;
    println!(
        "{videos} videos of {FRAMES} frames, {} in {took:.1?}: {:.1} bytes a frame in the process, {:.1} of them in files of indexes and \
         records",
        if is_restored { "restored" } else { "loaded" },
        a_frame(bytes as f64),
        a_frame(accounted(&shard) as f64),
    );
    for (key, index) in shard.stores().indexes.all() {
        println!("  {}: {} rows", key.folder(), index.len());
    }
    let related = |number: u64| 1 + number * (videos / SEARCHES).max(1) % videos;
    for (what, (median, p99, found)) in [
        ("unrelated", measure(&shard, |number| (frames(u64::MAX - number), None))),
        (
            "the same with 20 bits off",
            measure(&shard, |number| (altered(related(number), 20), Some(related(number)))),
        ),
    ] {
        println!("{what}: median {median:.2?}, p99 {p99:.2?}; {found} of {SEARCHES} have a match");
    }
}
