//! Compares searches for videos with the oracle, on several shards, while items are added and removed.

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng};
use vigie_model::{
    Frame, Hash, HashType, ItemId, Limit, MaxDistances, Percent, SearchOptions, Variant, VideoRule,
    VideoRuleKind, VideoRules,
};

use super::oracle::{Asked, Expected, Sample, threatexchange};
use super::world::World;

/// A generator of cases whose frames match: near, equal, repeated, of poor quality, and of any duration.
struct Draw {
    random: SmallRng,
    pool: Vec<[u8; 32]>,
}

impl Draw {
    fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let pool = (0..random.random_range(2..14)).map(|_| random.random()).collect();
        Self { random, pool }
    }

    /// Returns a hash that is some bits away from one of the pool.
    fn pdq(&mut self) -> [u8; 32] {
        let mut pdq = *self.pool.choose(&mut self.random).unwrap();
        let flips = *[0, 0, 1, 8, 15, 16, 20, 31, 32].choose(&mut self.random).unwrap();
        for _ in 0..flips {
            let bit = self.random.random_range(0..256);
            pdq[bit / 8] ^= 1 << (bit % 8);
        }
        pdq
    }

    fn video(&mut self) -> Sample {
        let (mut frames, mut time_ms) = (Vec::new(), self.random.random_range(0..5_000));
        let steps = [[1_000; 4], [0, 40, 250, 9_000], [0; 4]];
        let steps = steps[[0, 0, 0, 1, 1, 1, 1, 2][self.random.random_range(0..8)]];
        let poor = [0, 10, 90][self.random.random_range(0..3)];
        let count_max = [3, 9, 40][self.random.random_range(0..3)];
        for _ in 0..self.random.random_range(1..count_max) {
            let quality = if self.random.random_range(0..100) < poor { 49 } else { 50 };
            frames.push(Frame { pdq: self.pdq(), quality, time_ms });
            time_ms += steps.choose(&mut self.random).unwrap();
        }
        Sample::Video(frames)
    }

    fn other(&mut self) -> Sample {
        let byte = self.random.random_range(0..4);
        Sample::Other(if self.random.random() { Hash::md5([byte; 16]) } else { Hash::sha256([byte; 32]) })
    }

    /// Returns one or more hashes, each once.
    fn samples(&mut self, videos_max: usize) -> Vec<Sample> {
        let mut samples: Vec<Sample> = Vec::new();
        for _ in 0..self.random.random_range(1..=videos_max) {
            samples.push(self.video());
        }
        for _ in 0..self.random.random_range(0..3) {
            samples.push(self.other());
        }
        let mut once: Vec<Sample> = Vec::new();
        for sample in samples {
            if once.iter().all(|other| other.hash() != sample.hash()) {
                once.push(sample);
            }
        }
        once
    }

    fn query(&mut self) -> Vec<(Sample, Variant)> {
        let videos_max = [1, 2, 8][self.random.random_range(0..3)];
        self.samples(videos_max).into_iter().zip(Variant::ALL.into_iter().cycle()).collect()
    }

    /// Returns a query with a part of an item's video, and other frames around it.
    fn query_of(&mut self, items: &[Vec<Sample>]) -> Vec<(Sample, Variant)> {
        let videos: Vec<&Vec<Frame>> = items
            .iter()
            .flatten()
            .filter_map(|sample| match sample {
                Sample::Video(frames) => Some(frames),
                Sample::Other(_) => None,
            })
            .collect();
        let Some(frames) = videos.choose(&mut self.random) else { return self.query() };
        let from = self.random.random_range(0..frames.len());
        let mut part = frames[from..self.random.random_range(from..frames.len()) + 1].to_vec();
        let mut time_ms = part.last().unwrap().time_ms;
        for _ in 0..self.random.random_range(0..4) {
            time_ms += self.random.random_range(0..2_000);
            part.push(Frame { pdq: self.random.random(), quality: 90, time_ms });
        }
        vec![(Sample::Video(part), Variant::Original)]
    }

    fn rules(&mut self) -> Vec<VideoRule> {
        let share = |random: &mut SmallRng| {
            let usual = *[0, 0, 1, 30, 50, 79, 80, 81, 100].choose(random).unwrap();
            Percent::new(if random.random() { usual } else { random.random_range(0..=100) }).unwrap()
        };
        let mut rules = Vec::new();
        for kind in VideoRuleKind::ALL {
            let (query_share, item_share) = (share(&mut self.random), share(&mut self.random));
            let frames_min = self.random.random_range(1..5);
            let is_asked = self.random.random_range(0..3) > 0;
            rules.push(match self.random.random_range(0..3) {
                _ if !is_asked => continue,
                0 => VideoRule::usual(kind),
                _ if query_share.get() + item_share.get() == 0 => continue,
                _ => VideoRule { kind, query_share, item_share, frames_min },
            });
        }
        if rules.is_empty() { VideoRules::default().iter().copied().collect() } else { rules }
    }
}

/// Compares answers with the oracle at some moments of a random history. Returns the number of items that
/// were answered.
fn check(seed: u64) -> usize {
    let mut draw = Draw::new(seed);
    let mut world = World::of(draw.random.random_range(1..4));
    let banks = [world.create_bank(), world.create_bank()];
    let mut answered = 0;
    for _ in 0..3 {
        let count = draw.random.random_range(1..7);
        let items: Vec<Vec<Sample>> = (0..count).map(|_| draw.samples(3)).collect();
        let bank = banks[draw.random.random_range(0..2)];
        world.add(bank, items.clone());
        for _ in 0..draw.random.random_range(0..3) {
            let there: Vec<ItemId> = world.items.keys().copied().collect();
            if let Some(item) = there.choose(&mut draw.random) {
                world.remove(*item);
            }
        }
        for _ in 0..3 {
            let query = if draw.random.random() { draw.query() } else { draw.query_of(&items) };
            let rules = draw.rules();
            let radius = *[31, 31, 0, 15, 40].choose(&mut draw.random).unwrap();
            let limit = *[100, 100, 1, 3].choose(&mut draw.random).unwrap();
            let options = SearchOptions {
                video_rules: VideoRules::new(rules.clone()).unwrap(),
                max_distances: MaxDistances::default().with(HashType::VPDQ, radius).unwrap(),
                limit: Limit::new(limit).unwrap(),
                ..SearchOptions::default()
            };
            let mut expected = Asked { query: &query, rules: &rules, radius }.answer(&world.items);
            let answer = world.search(&query, &options);
            let limit = usize::try_from(limit).unwrap();
            assert_eq!(answer.limit_reached, expected.len() > limit, "seed {seed}");
            assert_eq!(answer.common_frames, 0);
            expected.truncate(limit);
            let found: Vec<Expected> = answer
                .matches
                .into_iter()
                .map(|one| Expected {
                    item: one.item,
                    hash_type: one.hash_type,
                    distance: one.distance,
                    variant: one.variant,
                    other_matches: one.other_matches,
                    video: one.video.map(|video| (video.query, video.item, video.rules.iter().collect())),
                })
                .collect();
            assert_eq!(found, expected, "seed {seed}");
            check_threatexchange(&world, &query, seed);
            answered += expected.len();
        }
        world.audit();
    }
    answered
}

/// Compares the rule that is named after threatexchange with threatexchange's result.
fn check_threatexchange(world: &World, query: &[(Sample, Variant)], seed: u64) {
    let (Sample::Video(asked), variant) = &query[0] else { return };
    let expected: Vec<ItemId> = world
        .items
        .iter()
        .filter(|(_, (_, held))| {
            held.iter().any(|one| matches!(one, Sample::Video(held) if threatexchange(asked, held)))
        })
        .map(|(item, _)| *item)
        .collect();
    let rule = VideoRule::usual(VideoRuleKind::ThreatExchange);
    let video_rules = VideoRules::new([rule]).unwrap();
    let options = SearchOptions { video_rules, ..SearchOptions::default() };
    let only = [(Sample::Video(asked.clone()), *variant)];
    let mut found: Vec<ItemId> =
        world.search(&only, &options).matches.into_iter().map(|one| one.item).collect();
    found.sort_unstable();
    assert_eq!(found, expected, "seed {seed}");
}

/// Checks the cases of these seeds. Most of them must find something.
fn check_many(seeds: std::ops::Range<u64>) {
    let cases = seeds.end - seeds.start;
    let answered: usize = seeds.map(check).sum();
    assert!(answered as u64 > cases, "{answered} items in {cases} cases");
}

#[test]
fn videos_are_answered_as_by_comparing_everything() {
    check_many(0..60);
}

/// Runs the same for `VIGIE_VIDEO_CASES` cases, 1,000 by default.
#[test]
#[ignore = "a minute: see TESTING.md"]
fn videos_are_answered_as_by_comparing_everything_in_many_cases() {
    let cases = std::env::var("VIGIE_VIDEO_CASES").map_or(1_000, |cases| cases.parse().unwrap());
    check_many(1_000_000..1_000_000 + cases);
}
