//! Tests that frames of videos answer images and images answer videos, only in the banks that are named for
//! it.

use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_index::Cancellation;
use vigie_model::{BankId, BankSet, Hash, HashType, Match, SearchOptions, Stills, Variant};
use vigie_vectors::HnswConfig;

use super::oracle::Sample;
use super::world::{World, query_of, searched, video};
use crate::searching::search::search;
use crate::shard::indexes::IndexPlan;
use crate::shard::pdq::PdqEngine;

struct Known {
    world: World,
    /// Each bank has an item with a video, and then one with an image.
    banks: [BankId; 2],
    frames: Vec<[u8; 32]>,
    image: [u8; 32],
}

/// Returns two banks that both have the same video, with ten frames of a second each, and the same image.
fn known() -> Known {
    known_in(World::of(1))
}

/// Puts the banks of [`known`] into an empty world.
fn known_in(mut world: World) -> Known {
    let mut random = SmallRng::seed_from_u64(11);
    let banks = [world.create_bank(), world.create_bank()];
    let frames: Vec<[u8; 32]> = (0..10).map(|_| random.random()).collect();
    let image: [u8; 32] = random.random();
    for bank in banks {
        world.add(bank, vec![vec![video(&frames)], vec![Sample::Other(Hash::pdq(image))]]);
    }
    Known { world, banks, frames, image }
}

fn near(hash: [u8; 32], bits: usize) -> [u8; 32] {
    let mut near = hash;
    (0..bits).for_each(|bit| near[bit] ^= 1);
    near
}

fn set(banks: &[BankId]) -> Option<Arc<BankSet>> {
    Some(Arc::new(banks.iter().copied().collect()))
}

impl Known {
    fn ask(&self, asked: Sample, variant: Variant, stills: Stills) -> Vec<Match> {
        let options = SearchOptions { stills, ..SearchOptions::default() };
        searched(&self.world.shards[0], &[(asked, variant)], &options).matches
    }
}

#[test]
fn a_still_of_a_known_video_matches_where_a_bank_says_so() {
    let known = known();
    for (second, bits) in [(0, 0), (7, 9), (9, 31)] {
        let still = || Sample::Other(Hash::pdq(near(known.frames[second], bits)));
        assert!(known.ask(still(), Variant::Original, Stills::default()).is_empty(), "unasked");
        let wrong_way = Stills { images_of: set(&known.banks), ..Stills::default() };
        assert!(known.ask(still(), Variant::Original, wrong_way).is_empty());
        let stills = Stills { frames_of: set(&known.banks[1..]), ..Stills::default() };
        let matches = known.ask(still(), Variant::FlipX, stills);
        let [one] = &matches[..] else { panic!("{matches:?}") };
        assert_eq!((one.bank, one.hash_type, one.distance.0 as usize), (known.banks[1], HashType::PDQ, bits));
        assert_eq!((one.variant, one.video.as_ref(), one.other_matches), (Variant::FlipX, None, 0));
        assert_eq!(one.item_time_ms, Some(u32::try_from(second).unwrap() * 1_000));
    }
    let far = Sample::Other(Hash::pdq(near(known.frames[3], 32)));
    let stills = Stills { frames_of: set(&known.banks), ..Stills::default() };
    assert!(known.ask(far, Variant::Original, stills.clone()).is_empty());
    // A match of an image has no frame time, although the bank's frames may answer too.
    let matches = known.ask(Sample::Other(Hash::pdq(known.image)), Variant::Original, stills);
    assert_eq!(matches.iter().map(|one| one.item_time_ms).collect::<Vec<_>>(), [None, None]);
}

#[test]
fn a_video_with_a_known_picture_matches_where_a_bank_says_so() {
    let known = known();
    let mut random = SmallRng::seed_from_u64(12);
    let mut frames: Vec<[u8; 32]> = (0..10).map(|_| random.random()).collect();
    frames[6] = near(known.image, 20);
    assert!(known.ask(video(&frames), Variant::Original, Stills::default()).is_empty());
    let stills = Stills { images_of: set(&known.banks[..1]), ..Stills::default() };
    let matches = known.ask(video(&frames), Variant::Rotate90, stills.clone());
    let [one] = &matches[..] else { panic!("{matches:?}") };
    assert_eq!((one.bank, one.hash_type, one.distance.0), (known.banks[0], HashType::PDQ, 20));
    assert_eq!((one.variant, one.item_time_ms, one.video.as_ref()), (Variant::Rotate90, None, None));
    // The video itself still matches by its rules.
    let matches = known.ask(video(&known.frames), Variant::Original, stills);
    assert!(matches.len() == 2 && matches.iter().all(|one| one.video.is_some()));
}

#[test]
fn images_that_are_searched_approximately_make_the_answer_approximate_unless_it_is_exact() {
    let hnsw = HnswConfig { list_rows_build: 100, scan_rows_per_ef: 0, ..HnswConfig::default() };
    let plan = IndexPlan { pdq_engine: PdqEngine::Hnsw, hnsw, ..IndexPlan::default() };
    let mut known = known_in(World::with_plan(1, &plan));
    let mut random = SmallRng::seed_from_u64(13);
    let bank = known.banks[0];
    let images: Vec<[u8; 32]> = (0..400).map(|_| random.random()).collect();
    known.world.add(bank, images.iter().map(|image| vec![Sample::Other(Hash::pdq(*image))]).collect());
    for (with_images, exact) in [(false, false), (true, false), (true, true)] {
        let images_of = if with_images { set(&[bank]) } else { None };
        let stills = Stills { images_of, ..Stills::default() };
        let options = SearchOptions { stills, exact, ..SearchOptions::default() };
        let mut found = 0;
        for ten in images.chunks(10).take(10) {
            let frames: Vec<[u8; 32]> = ten.iter().map(|image| near(*image, 30)).collect();
            let queries = [query_of(&[(video(&frames), Variant::Original)])];
            let never = Cancellation::never();
            let answer = search(&known.world.shards[0], &queries, &options, usize::MAX, &never).unwrap();
            assert_eq!(answer.approximate.contains(&HashType::VPDQ), with_images && !exact);
            let matches = &answer.results[0].matches;
            assert!(matches.iter().all(|one| one.exact == exact), "{matches:?}");
            found += matches.len();
        }
        let expected = if exact { 100..=100 } else { 0..=100 };
        assert!(expected.contains(&found), "{found} with {with_images}");
    }
}
