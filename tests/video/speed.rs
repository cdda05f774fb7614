//! Processor time of hashing one clip, for a comparison with PyPI's `vpdq`.

use std::time::Instant;
use std::{env, fs};

use vigie_media::video::Sampling;

use crate::studio::Studio;

/// Returns the processor time of this process and of the children that it has waited for, in seconds.
fn used() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<f64> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_ascii_whitespace()
        .skip(11)
        .take(4)
        .map(|ticks| ticks.parse().unwrap())
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a hundred")]
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    fields.iter().sum::<f64>() / per_second
}

/// `VIGIE_CLIP` names a file; without it, a clip of 20 seconds is drawn.
#[test]
#[ignore = "a measurement"]
fn processor_time_of_one_clip() {
    let Some(studio) = Studio::open() else { return };
    let clip = env::var_os("VIGIE_CLIP").map_or_else(
        || {
            studio.make(
                "-f lavfi -i testsrc2=size=640x360:rate=25:duration=20 -c:v mpeg4 -q:v 3 -threads 1 a.mp4",
            )
        },
        |path| fs::read(path).unwrap(),
    );
    for (name, sampling) in [
        ("one a second, by count", Sampling::ByCount(1.0)),
        ("one a second, by time", Sampling::QUERY),
        ("five a second, by count", Sampling::ByCount(0.2)),
        ("every frame", Sampling::ByCount(0.0)),
        ("dense", Sampling::Dense),
    ] {
        for _ in 0..5 {
            let (before, begun) = (used(), Instant::now());
            let video = studio.hash(&clip, sampling).unwrap();
            let (used, passed) = (used() - before, begun.elapsed().as_secs_f64());
            println!("{name}: {} frames, {used:.2} s of processor, {passed:.2} s", video.frames.len());
        }
    }
}
