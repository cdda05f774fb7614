//! Ridges behind one another, and their reflection in a lake.

use crate::colour::Colour;
use crate::numbers::{mix, step};
use crate::props;
use crate::shapes::Point;
use crate::stage::Stage;

pub(super) fn paint(stage: &mut Stage) {
    let shore = stage.rng.between(0.58, 0.86);
    stage.sky(shore);
    stage.sea(shore);
    let ranges = stage.rng.count(2, 3);
    let stone = Colour::hex(stage.rng.pick([0x5a5f6e, 0x6a5a50, 0x4c5f66, 0x70606a]));
    let mut height = stage.rng.between(0.14, 0.36);
    for range in 0..ranges {
        let haze = 0.5 * (1.0 - (range + 1) as f32 / ranges as f32);
        let relief = stage.rng.between(0.3, 0.62) * (shore - height);
        let rough = stage.rng.between(0.5, 1.1);
        let peaks = peaks(stage, height, relief, rough);
        let snow = stage.rng.between(0.05, 0.30) * (shore - height + 0.2);
        massif(stage, &peaks, stone, haze, snow, shore);
        height = mix(height, shore, stage.rng.between(0.3, 0.55));
    }
    let wood = stage.light.on(Colour::hex(stage.rng.pick([0x24402f, 0x2f4a2a, 0x1f3638])));
    let side = stage.rng.side();
    let aspect = stage.canvas.aspect();
    let reach = stage.rng.between(0.25, 0.75) * aspect;
    let bank = stage.rng.between(0.84, 0.97);
    let hill = stage.ridge(0.0, 0.10, 0.5);
    let skyline = move |x: f32| {
        let inland = if side > 0.0 { aspect - x } else { x };
        bank + hill(x) + 0.4 * step(reach * 0.6, reach * 1.3, inland)
    };
    stage.land(&skyline, wood.times(1.3), 7.0, 1.0);
    for _ in 0..stage.rng.count(6, 22) {
        let from_side = stage.rng.unit() * reach;
        let x = if side > 0.0 { aspect - from_side } else { from_side };
        let foot = Point { x, y: skyline(x) + stage.rng.between(0.0, 0.1) };
        let height = stage.rng.between(0.12, 0.42);
        let colour = wood.times(stage.rng.between(0.7, 1.3));
        props::fir(stage, foot, height, colour);
    }
}

/// A skyline of single summits, each a tent of its own width, roughened.
fn peaks(stage: &mut Stage, top: f32, relief: f32, rough: f32) -> impl Fn(f32) -> f32 + use<> {
    let summits: Vec<(f32, f32, f32)> = (0..stage.rng.count(2, 4))
        .map(|_| (stage.across(), stage.rng.between(0.0, 1.0), stage.rng.between(0.35, 0.9)))
        .collect();
    let crags = stage.ridge(0.0, 0.10, rough * 2.0);
    let base = top + relief;
    stage.traced(&|x| {
        let tent = |&(at, lower, wide): &(f32, f32, f32)| {
            top + relief * lower * 0.6 + relief * ((x - at).abs() / wide) * 1.2
        };
        summits.iter().map(tent).fold(base, f32::min) + crags(x)
    })
}

/// A range: rock in facets that face the sun or not, snow above its line, and its image in the lake.
fn massif(stage: &mut Stage, peaks: &impl Fn(f32) -> f32, stone: Colour, haze: f32, snow: f32, shore: f32) {
    let light = stage.light;
    let (stone, white) = (light.far(stone, haze), light.far(Colour::hex(0xffffff), haze * 0.7));
    let from_left = stage.sun.x < stage.canvas.aspect() / 2.0;
    let noise = &stage.noise;
    let rock = |x: f32, y: f32, below: f32| {
        let facet = noise.fractal(x * 4.0 + y * 2.5, y * 2.2 - x * 1.5, 3);
        let slope = (peaks(x + 0.012) - peaks(x - 0.012)) / 0.048 + (facet - 0.5) * 5.0;
        let facing = step(-0.9, 0.9, if from_left { -slope } else { slope });
        let line = snow + (facet - 0.5) * 0.5;
        let cover = step(line + 0.02, line - 0.02, below);
        stone.times(mix(0.45, 1.35, facing)).towards(white.times(mix(0.6, 1.05, facing)), cover)
    };
    stage.canvas.ground(peaks, |at, below| rock(at.x, at.y, below).ink(), shore);
    let mirrored = |x: f32| 2.0 * shore - peaks(x);
    stage.canvas.wash(shore, 1.0, |at| {
        let ripple = noise.fractal(at.x * 6.0, at.y * 60.0, 1) - 0.5;
        let x = at.x + ripple * 0.05;
        let below = mirrored(x) - at.y;
        let there = step(-0.004, 0.004, below);
        if there <= 0.0 {
            stone.sheer(0.0)
        } else {
            rock(x, 2.0 * shore - at.y, below).times(0.7).sheer(there * 0.8)
        }
    });
}
