//! Compares unrelated clips, each with all others.

use std::thread;

use vigie_media::{Picture, pdq};
use vigie_model::{Frame, SearchOptions, Variant};

use super::oracle::Sample;
use super::world::World;

/// The number of pictures of a clip; the camera moves over each.
const SCENES: u64 = 2;
/// The number of frames of each picture, half a second apart.
const FRAMES: u32 = 4;
/// The sizes of a drawn picture, and of the part that the camera shows.
const DRAWN_PX: u32 = 128;
const SHOWN_PX: u32 = 96;

/// Returns the clip with this number. No other clip shows its pictures.
fn clip(number: u64) -> Sample {
    let mut frames = Vec::new();
    for scene in 0..SCENES {
        let drawn = vigie_pictures::draw(number * SCENES + scene, DRAWN_PX, DRAWN_PX);
        for step in 0..FRAMES {
            let left = step * (DRAWN_PX - SHOWN_PX) / (FRAMES - 1);
            let row = |y: u32| {
                let begin = 3 * (y * DRAWN_PX + left) as usize;
                &drawn.as_raw()[begin..begin + 3 * SHOWN_PX as usize]
            };
            let shown: Vec<u8> = (0..SHOWN_PX).flat_map(row).copied().collect();
            let hashes = pdq(&Picture::from_rgb(SHOWN_PX, SHOWN_PX, shown).unwrap());
            let time_ms = 500 * u32::try_from(frames.len()).unwrap();
            frames.push(Frame { pdq: hashes.pdq[0], quality: hashes.quality.get(), time_ms });
        }
    }
    Sample::Video(frames)
}

fn clips(count: u64) -> Vec<Sample> {
    let threads = thread::available_parallelism().map_or(1, usize::from) as u64;
    let part = |thread: u64| thread * count / threads..(thread + 1) * count / threads;
    thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || part(thread).map(clip).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    })
}

/// Checks that each clip finds itself and nothing else.
fn check(count: u64) {
    let clips = clips(count);
    let usable = clips.iter().filter(|clip| {
        matches!(clip, Sample::Video(frames) if frames.iter().filter(|frame| frame.is_usable()).count() >= 4)
    });
    let usable = usable.count() as u64;
    assert!(usable * 100 >= count * 95, "{usable} of {count} clips have frames to compare");
    let mut world = World::of(1);
    let bank = world.create_bank();
    let mut items = Vec::new();
    for some in clips.chunks(1_000) {
        items.extend(world.add(bank, some.iter().map(|clip| vec![clip.clone()]).collect()));
    }
    let (mut found, mut wrong) = (0, Vec::new());
    for (clip, item) in clips.iter().zip(items) {
        let answer = world.search(&[(clip.clone(), Variant::Original)], &SearchOptions::default());
        assert_eq!(answer.common_frames, 0);
        for one in answer.matches {
            if one.item == item {
                found += 1;
            } else {
                wrong.push((item, one.item, one.video));
            }
        }
    }
    println!(
        "{count} clips, {usable} of them with 4 frames to compare: {found} found, {} wrong",
        wrong.len()
    );
    assert!(found >= usable && wrong.is_empty(), "{found} of {usable} found; {wrong:?}");
}

#[test]
fn unrelated_clips_do_not_match() {
    check(250);
}

#[test]
#[ignore = "some minutes: see TESTING.md"]
fn ten_thousand_unrelated_clips_do_not_match() {
    check(10_000);
}
