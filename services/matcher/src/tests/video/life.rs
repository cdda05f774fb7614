//! Tests of changing videos: removed, deleted with their bank, loaded, saved and restored, audited, and of a
//! type that a replica does not know.

use std::fs;
use std::sync::atomic::AtomicBool;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_index::{Cancellation, Entry, HashEdits};
use vigie_model::{
    ANSWER_BYTES_MAX, BankId, ChangeKind, Hash, HashType, ItemId, Match, SearchOptions, Sequence, Variant,
    VideoRule, VideoRuleKind, VideoRules,
};

use super::oracle::{Asked, Sample};
use super::world::{World, plan, query_of, searched, video};
use crate::error::SearchError;
use crate::saving::manifest::Manifest;
use crate::saving::plan::StorePlan;
use crate::searching::search::search;
use crate::shard::audit::{AuditFault, Audited, audit};
use crate::shard::indexes::{IndexKey, IndexPlan, Part};
use crate::shard::state::Shard;
use crate::tests::{identity, standing};

fn hashes(random: &mut SmallRng, count: usize) -> Vec<[u8; 32]> {
    (0..count).map(|_| random.random()).collect()
}

/// Returns a bank of this number of videos with ten frames each, each item with an MD5 digest too.
fn world(items: usize) -> (World, BankId, Vec<Vec<[u8; 32]>>) {
    let mut random = SmallRng::seed_from_u64(7);
    let mut world = World::of(1);
    let bank = world.create_bank();
    let videos: Vec<Vec<[u8; 32]>> = (0..items).map(|_| hashes(&mut random, 10)).collect();
    let sample = |(hashes, at): (&Vec<[u8; 32]>, u8)| vec![video(hashes), Sample::Other(Hash::md5([at; 16]))];
    world.add(bank, videos.iter().zip(0..).map(sample).collect());
    (world, bank, videos)
}

fn asked(hashes: &[[u8; 32]]) -> Vec<(Sample, Variant)> {
    vec![(video(hashes), Variant::Original)]
}

fn found(shard: &Shard, hashes: &[[u8; 32]]) -> Vec<u64> {
    let answer = searched(shard, &asked(hashes), &SearchOptions::default());
    answer.matches.iter().map(|one| one.item.0).collect()
}

fn rows(shard: &Shard) -> Vec<usize> {
    [Part::Probe, Part::Rest].map(|part| rows_of(shard, part)).into()
}

fn rows_of(shard: &Shard, part: Part) -> usize {
    let all = shard.stores().indexes.all();
    all.iter().find(|(key, _)| *key == IndexKey::frames(part)).map_or(0, |(_, index)| index.len())
}

fn count(shard: &Shard) -> u64 {
    shard.hash_counts().iter().find(|count| count.hash_type == HashType::VPDQ).unwrap().hashes
}

#[test]
fn a_video_is_one_hash_and_goes_with_all_its_rows() {
    let (mut world, bank, videos) = world(3);
    assert_eq!((rows(&world.shards[0]), count(&world.shards[0])), (vec![9, 21], 3));
    let (first, shard) = (*world.items.keys().next().unwrap(), 0);
    assert_eq!(found(&world.shards[shard], &videos[0]), [first.0]);
    let answer = searched(&world.shards[shard], &asked(&videos[0]), &SearchOptions::default());
    assert_eq!(answer.matches[0].video.as_ref().unwrap().item.frames_matched, 10);
    world.remove(first);
    assert!(found(&world.shards[shard], &videos[0]).is_empty());
    assert_eq!((rows(&world.shards[0]), count(&world.shards[0])), (vec![6, 14], 2));
    world.audit();
    world.delete_bank(bank);
    assert!(found(&world.shards[shard], &videos[1]).is_empty());
    assert_eq!((rows(&world.shards[0]), count(&world.shards[0])), (vec![0, 0], 0));
    world.audit();
}

#[test]
fn videos_of_an_item_that_share_frames_have_each_row_once() {
    let mut random = SmallRng::seed_from_u64(3);
    let frames = hashes(&mut random, 12);
    let mut world = World::of(1);
    let bank = world.create_bank();
    // The second video begins in the middle of the first, so some of its probe frames are rest frames of the
    // first.
    let item = world.add(bank, vec![vec![video(&frames[..8]), video(&frames[4..])]])[0];
    let both: usize = rows(&world.shards[0]).iter().sum();
    assert!((12..16).contains(&both), "{both}");
    assert_eq!(count(&world.shards[0]), 2);
    world.audit();
    world.remove(item);
    assert_eq!(rows(&world.shards[0]), [0, 0]);
    world.audit();
}

#[test]
fn a_video_without_a_usable_frame_is_kept_and_never_found() {
    let mut random = SmallRng::seed_from_u64(3);
    let mut poor = video(&hashes(&mut random, 5));
    if let Sample::Video(frames) = &mut poor {
        frames.iter_mut().for_each(|frame| frame.quality = 49);
    }
    let mut world = World::of(1);
    let bank = world.create_bank();
    let item = world.add(bank, vec![vec![poor.clone()]])[0];
    let query = vec![(poor, Variant::Original)];
    assert!(world.search(&query, &SearchOptions::default()).matches.is_empty());
    assert_eq!((rows(&world.shards[0]), count(&world.shards[0])), (vec![0, 0], 1));
    let folder = tempfile::tempdir().unwrap();
    let plans = plan(folder.path());
    plans.save(&world.load(&plans)).unwrap();
    assert_eq!(count(&plans.restore(identity()).unwrap().unwrap()), 1);
    world.remove(item);
    world.audit();
}

#[test]
fn videos_are_found_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, _, videos) = world(20);
    let gone = *world.items.keys().nth(4).unwrap();
    let plans = plan(folder.path());
    let shard = world.load(&plans);
    assert_eq!((rows(&shard), count(&shard)), (vec![60, 140], 20));
    plans.save(&shard).unwrap();
    drop(shard);
    let restored = plans.restore(identity()).unwrap().unwrap();
    assert_eq!((rows(&restored), count(&restored)), (vec![60, 140], 20));
    // The shard continues: a later removal is found in both indexes.
    world.shards = vec![restored];
    world.remove(gone);
    let expected: Vec<Vec<u64>> = world.items.keys().map(|item| vec![item.0]).collect();
    let answered: Vec<Vec<u64>> = videos.iter().map(|hashes| found(&world.shards[0], hashes)).collect();
    assert!(answered[4].is_empty());
    assert!(answered.iter().filter(|items| !items.is_empty()).eq(&expected));
    assert_eq!(rows(&world.shards[0]), [57, 133]);
    world.audit();
}

#[test]
fn a_snapshot_without_videos_is_taken_by_a_version_that_knows_them_and_one_with_videos_by_one_that_does_not()
{
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::of(1);
    let bank = world.create_bank();
    world.add(bank, vec![vec![Sample::Other(Hash::md5([1; 16]))]]);
    let plans = plan(folder.path());
    plans.save(&world.load(&plans)).unwrap();
    let (manifest, _) = Manifest::read(&plans.snapshot_folder().unwrap().manifest()).unwrap();
    assert!(manifest.indexes.iter().all(|index| index.hash_type != HashType::VPDQ.number()));
    world.shards = vec![plans.restore(identity()).unwrap().unwrap()];
    let mut random = SmallRng::seed_from_u64(7);
    let frames = hashes(&mut random, 10);
    let item = world.add(bank, vec![vec![video(&frames)]])[0];
    assert_eq!(found(&world.shards[0], &frames), [item.0]);

    plans.save(&world.shards[0]).unwrap();
    let digest = world.shards[0].moment().digest;
    let (manifest, _) = Manifest::read(&plans.snapshot_folder().unwrap().manifest()).unwrap();
    let of_videos = manifest.indexes.iter().filter(|index| index.hash_type == HashType::VPDQ.number());
    // The entries have a form that versions without videos can read and skip.
    assert_eq!(of_videos.map(|index| (index.bytes, index.distance)).collect::<Vec<_>>(), [(1, 31), (2, 31)]);
    drop(plans);
    world.shards.clear();
    let lacks = [HashType::VPDQ].into_iter().collect();
    let plans = StorePlan::new(IndexPlan { lacks, ..IndexPlan::default() }, Some(folder.path())).unwrap();
    let older = plans.restore(identity()).unwrap().unwrap();
    assert_eq!((older.moment().digest, rows(&older)), (digest, vec![0, 0]));
    let never = Cancellation::never();
    let query = [query_of(&asked(&frames))];
    let refused = search(&older, &query, &SearchOptions::default(), ANSWER_BYTES_MAX, &never);
    assert_eq!(refused.unwrap_err(), SearchError::UnknownHashType(HashType::VPDQ));
    let counted = older.hash_counts().into_iter().find(|count| count.hash_type == HashType::VPDQ).unwrap();
    assert_eq!((counted.hashes, counted.is_searched), (1, false));
    world.shards = vec![older];
    world.audit();
    world.remove(item);
    world.audit();
}

#[test]
fn what_a_purge_leaves_of_a_removed_video_is_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut world, _, videos) = world(40);
    let plans = plan(folder.path());
    world.shards = vec![world.load(&plans)];
    plans.save(&world.shards[0]).unwrap();
    let holds = |hashes: &[[u8; 32]]| {
        let mut permuted = hashes.to_vec();
        vigie_index::measuring::permute(&mut permuted);
        let files = crate::tests::snapshot::files_below(folder.path()).into_iter();
        let files: Vec<u8> = files.flat_map(|file| fs::read(file).unwrap()).collect();
        let all = hashes.iter().chain(&permuted);
        all.filter(|hash| memchr::memmem::find(&files, &hash[..]).is_some()).count()
    };
    // The hashes are in the records as they are, and in an index with another order of bits.
    assert_eq!(holds(&videos[3]), 20);
    world.remove(*world.items.keys().nth(3).unwrap());
    assert!(world.shards[0].clear_removed(&AtomicBool::new(false)).unwrap());
    plans.save(&world.shards[0]).unwrap();
    assert_eq!((holds(&videos[3]), holds(&videos[4])), (0, 20));
}

#[test]
fn an_audit_finds_a_frame_that_is_missing_or_under_another_bank() {
    for part in [Part::Probe, Part::Rest] {
        for is_moved in [false, true] {
            let (mut world, bank, videos) = world(5);
            let all = world.shards[0].stores().indexes.all();
            let (_, index) = all.iter().find(|(key, _)| *key == IndexKey::frames(part)).unwrap();
            let (item, at) = (*world.items.keys().nth(2).unwrap(), if part == Part::Probe { 0 } else { 9 });
            let mut edits = HashEdits::new(32);
            if is_moved {
                edits.insert(&videos[2][at], Entry { item, bank: BankId(77) });
            } else {
                edits.remove(&videos[2][at], item);
            }
            assert_eq!(index.apply(&edits), usize::from(!is_moved));
            // The present moment is unchanged; the next one shows the fault.
            world.add(bank, vec![vec![Sample::Other(Hash::md5([99; 16]))]]);
            let fault = audit(&world.shards[0], &mut |_| true).unwrap_err();
            assert!(matches!(
                (fault, is_moved),
                (AuditFault::Digest { .. }, false) | (AuditFault::Banks, true)
            ));
        }
    }
    let (world, ..) = world(5);
    assert_eq!(audit(&world.shards[0], &mut |_| false), Ok(Audited::Open));
}

#[test]
fn held_and_set_aside_videos_are_left_out_as_other_items_are() {
    let (mut world, bank, videos) = world(2);
    let items: Vec<ItemId> = world.items.keys().copied().collect();
    let shard = &world.shards[0];
    let after = world.sequence;
    let set = |kind| {
        let changes = vec![crate::tests::change(after + 1, kind)];
        shard.apply(crate::tests::range(after, changes)).unwrap();
    };
    let options = SearchOptions::default();
    // The first item is in probation, for all members except its contributors.
    set(ChangeKind::ItemStandingSet { item: items[0], bank, standing: standing(3) });
    let answer = searched(shard, &asked(&videos[0]), &options);
    assert!(answer.matches.is_empty() && answer.set_aside);
    assert!(!searched(shard, &asked(&videos[1]), &options).set_aside, "it does not match");
    let with_aside = SearchOptions { with_aside: true, ..options.clone() };
    assert_eq!(searched(shard, &asked(&videos[0]), &with_aside).matches.len(), 1);
    world.sequence += 1;
    let after = world.sequence;
    let held = ChangeKind::ItemHeldSet { item: items[1], bank, held: true };
    let changes = vec![crate::tests::change(after + 1, held)];
    world.shards[0].apply(crate::tests::range(after, changes)).unwrap();
    let answer = searched(&world.shards[0], &asked(&videos[1]), &options);
    assert!(answer.matches.is_empty() && !answer.set_aside);
    assert_eq!(world.shards[0].applied(), Sequence(after + 1));
}

#[test]
fn a_file_that_is_known_by_its_digest_and_as_a_video_is_answered_once() {
    let (world, _, videos) = world(3);
    let item = *world.items.keys().nth(1).unwrap();
    let other = hashes(&mut SmallRng::seed_from_u64(1), 90);
    let digest = (Sample::Other(Hash::md5([1; 16])), Variant::Original);
    // The known part is a tenth of the query, and it is a complete item.
    let longer = [&videos[1][..], &other].concat();
    let query = vec![(video(&longer), Variant::FlipX), digest.clone()];
    let one = |answer: Vec<Match>| {
        assert_eq!(answer.iter().map(|one| one.item).collect::<Vec<_>>(), [item]);
        answer.into_iter().next().unwrap()
    };
    let both = one(world.search(&query, &SearchOptions::default()).matches);
    assert_eq!((both.hash_type, both.distance.0, both.other_matches), (HashType::MD5, 0, 1));
    let evidence = *both.video.unwrap();
    assert_eq!((evidence.query.permille(), evidence.item.permille()), (100, 1_000));
    assert!(evidence.rules.iter().eq([VideoRuleKind::ContainsKnown]));
    let alone = one(world.search(&query[..1], &SearchOptions::default()).matches);
    assert_eq!((alone.hash_type, alone.variant, alone.other_matches), (HashType::VPDQ, Variant::FlipX, 0));
    assert_eq!(alone.video.as_deref(), Some(&evidence));
    let digest = one(world.search(&[digest], &SearchOptions::default()).matches);
    assert_eq!((digest.hash_type, digest.video), (HashType::MD5, None));
}

/// Tests a logo that is in more videos than are looked at for one frame.
#[test]
fn common_frames_are_replaced_and_reported_where_that_is_not_enough() {
    const LOGO: [u8; 32] = [0x5a; 32];
    let mut random = SmallRng::seed_from_u64(11);
    let mut world = World::of(1);
    let bank = world.create_bank();
    let own = hashes(&mut random, 10);
    // Each video begins with a long logo, and then has its own frames.
    let of = |logo: &[[u8; 32]], own: &[[u8; 32]]| {
        let mut sample = video(&[logo, own].concat());
        if let Sample::Video(frames) = &mut sample {
            frames.iter_mut().skip(1).for_each(|frame| frame.time_ms += 1_000);
        }
        sample
    };
    let mut items: Vec<Vec<Sample>> =
        (0..10_100).map(|_| vec![of(&[LOGO], &hashes(&mut random, 1))]).collect();
    items[7_000] = vec![of(&[LOGO], &own)];
    world.add(bank, items);
    let shown = |rules: &[VideoRule], sample: Sample| {
        let video_rules = VideoRules::new(rules.to_vec()).unwrap();
        let options = SearchOptions { video_rules, ..SearchOptions::default() };
        let answer = world.search(&[(sample, Variant::Original)], &options);
        let items: Vec<u64> = answer.matches.iter().map(|one| one.item.0).collect();
        (items, answer.common_frames)
    };
    let item = 7_000 + 2;
    let clip = VideoRule::usual(VideoRuleKind::ClipOfKnown);
    // The logo has two of 12 seconds. Other frames are searched instead, and the logo is only compared.
    let (found, common) = shown(&[clip], of(&[LOGO], &own));
    assert_eq!((found, common), (vec![item], 0));
    let answer = world.search(&[(of(&[LOGO], &own), Variant::Original)], &SearchOptions::default());
    assert_eq!(answer.matches[0].video.as_ref().unwrap().query.frames_matched, 11);
    // An item that is part of a longer upload might match by its logo alone.
    assert_eq!(answer.common_frames, 1);
    assert_eq!(answer.matches[0].item.0, item);
    // The logo has two of three seconds. Items that show only the logo are missed.
    let (found, common) = shown(&[clip], of(&[LOGO], &own[..1]));
    assert_eq!((found, common), (vec![item], 0));
    let half = VideoRule { query_share: vigie_model::Percent::new(50).unwrap(), frames_min: 1, ..clip };
    let (found, common) = shown(&[half], of(&[LOGO], &own[..1]));
    assert_eq!((found, common), (vec![item], 1));
    let rules = [half];
    let query = [(of(&[LOGO], &own[..1]), Variant::Original)];
    let all = Asked { query: &query, rules: &rules, radius: 31 }.answer(&world.items);
    assert_eq!(all.len(), 10_100, "the answer says that there may be more");
}

#[test]
fn a_search_that_is_cancelled_has_no_answer() {
    let (world, _, videos) = world(3);
    let cancelled = Cancellation::at(std::time::Instant::now());
    let query = [query_of(&asked(&videos[0]))];
    let answer = search(&world.shards[0], &query, &SearchOptions::default(), ANSWER_BYTES_MAX, &cancelled);
    assert_eq!(answer.unwrap_err(), SearchError::OutOfTime);
}
