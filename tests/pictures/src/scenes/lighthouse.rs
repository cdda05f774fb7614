//! A lighthouse on its headland, the sea around it.

use crate::colour::Colour;
use crate::numbers::{mix, step};
use crate::props;
use crate::shapes::{self, Point};
use crate::stage::Stage;

/// Pairs of stripes: paint and ground.
const PAINTS: [(u32, u32); 5] = [
    (0xc8321f, 0xfaf6ec),
    (0x202a38, 0xf4f1e6),
    (0xf8f6ee, 0xf8f6ee),
    (0x2d5d8f, 0xf6f2e4),
    (0xd98a1f, 0xf7f0dc),
];

pub(super) fn paint(stage: &mut Stage) {
    let horizon = stage.rng.between(0.42, 0.74);
    stage.sky(horizon);
    stage.sea(horizon);
    for _ in 0..stage.rng.count(0, 3) {
        let foot = Point { x: stage.across(), y: horizon + stage.rng.between(0.01, 0.06) };
        let (size, wind) = (stage.rng.between(0.05, 0.13), stage.rng.side());
        props::sailing_boat(stage, foot, size, wind, 0.25);
    }
    let side = stage.rng.side();
    let aspect = stage.canvas.aspect();
    // Distances are measured from the headland's own side of the picture.
    let inland = |x: f32| if side > 0.0 { aspect - x } else { x };
    let reach = stage.rng.between(0.35, 0.85) * aspect;
    let crest = stage.rng.between(0.40, 0.72);
    let cape = stage.ridge(0.0, 0.16, 0.8);
    let skyline = |x: f32| crest + cape(x) + 1.2 * step(reach * 0.5, reach * 1.25, inland(x));
    let stone = Colour::hex(stage.rng.pick([0x6f6a5c, 0x8a7a63, 0x55606a, 0x7b5f4c]));
    let stone = stage.light.on(stone);
    let grain = stage.rng.between(4.0, 9.0);
    stage.land(skyline, stone, grain, 1.0);
    let turf = stage.light.on(Colour::hex(stage.rng.pick([0x5f8a3c, 0x7f9a4a, 0x4a7040])));
    let noise = &stage.noise;
    stage.canvas.ground(
        skyline,
        |at, below| {
            let edge = 0.03 + 0.12 * noise.fractal(at.x * 7.0, at.y * 3.0, 3);
            let blade = noise.fractal(at.x * 30.0, at.y * 18.0, 2);
            turf.times(mix(0.5, 1.5, blade)).sheer(step(edge + 0.02, edge - 0.02, below))
        },
        1.0,
    );
    let from_side = reach * stage.rng.between(0.15, 0.55);
    let x = if side > 0.0 { aspect - from_side } else { from_side };
    let foot = Point { x, y: skyline(x) + 0.03 };
    let height = stage.rng.between(0.30, 0.62).min(foot.y - 0.03);
    cottage(stage, Point { x: x + side * height * 0.28, y: foot.y + 0.01 }, height * 0.2);
    tower(stage, foot, height);
    for _ in 0..stage.rng.count(2, 5) {
        let y = stage.rng.between(horizon + 0.08, 0.97);
        let from_side = stage.rng.between(reach * 0.9, aspect * 1.05);
        let at = Point { x: if side > 0.0 { aspect - from_side } else { from_side }, y };
        let size = (y - horizon) * stage.rng.between(0.08, 0.34);
        props::rock(stage, at, size, stone);
    }
    let flock = Point { x: stage.across(), y: stage.rng.between(0.15, horizon) };
    let span = stage.rng.between(0.03, 0.1);
    props::gulls(stage, flock, span);
}

fn tower(stage: &mut Stage, foot: Point, height: f32) {
    let (paint, ground) = stage.rng.pick(PAINTS);
    let (paint, ground) = (stage.light.on(Colour::hex(paint)), stage.light.on(Colour::hex(ground)));
    let stripes = stage.rng.count(3, 7) as f32;
    let wide = height * stage.rng.between(0.10, 0.15);
    let lamp = Point { x: foot.x, y: foot.y - height * 0.92 };
    if stage.light.lamps() {
        let glare = Colour::hex(0xfff3c4);
        let swing = stage.rng.between(-0.06, 0.06);
        for turn in [0.0, 0.5] {
            let beam = [(0.0, -0.004), (2.4, -0.17), (2.4, 0.17), (0.0, 0.004)];
            let outline = shapes::turned(&shapes::placed(lamp, 1.0, 1.0, beam), lamp, turn + swing);
            stage.canvas.fill(&outline, |at| glare.sheer(0.62 / (1.0 + 1.6 * (at.x - lamp.x).abs())));
        }
        stage.canvas.glow(lamp, height * 0.5, glare, 0.8);
    }
    let body = [(-1.0, 0.0), (-0.62, -0.84), (0.62, -0.84), (1.0, 0.0)];
    stage.canvas.fill(&shapes::placed(foot, wide, height, body), |at| {
        let band = ((foot.y - at.y) / (height * 0.84) * stripes).floor() % 2.0;
        let round = (at.x - foot.x) / wide;
        if band < 0.5 { paint } else { ground }.times(0.85 + 0.35 * round).ink()
    });
    let iron = stage.light.on(Colour::hex(0x22262c));
    let glass =
        if stage.light.lamps() { Colour::hex(0xfff6cf) } else { stage.light.on(Colour::hex(0xbfd8dd)) };
    let lantern = [(-0.42, -0.86), (-0.42, -0.95), (0.42, -0.95), (0.42, -0.86)];
    stage.canvas.fill(&shapes::placed(foot, wide, height, lantern), |_| glass.ink());
    let gallery = [(-0.85, -0.83), (-0.85, -0.86), (0.85, -0.86), (0.85, -0.83)];
    stage.canvas.fill(&shapes::placed(foot, wide, height, gallery), |_| iron.ink());
    let dome = [(-0.52, -0.945), (-0.3, -0.985), (0.0, -1.02), (0.3, -0.985), (0.52, -0.945)];
    stage.canvas.fill(&shapes::placed(foot, wide, height, dome), |_| paint.times(0.8).ink());
    for step in 0..3_u8 {
        let y = foot.y - height * (0.2 + 0.2 * f32::from(step));
        let pane = stage.pane();
        stage.canvas.fill(&shapes::rectangle(foot.x - wide * 0.1, y, wide * 0.2, height * 0.04), |_| pane);
    }
}

/// The keeper's cottage.
fn cottage(stage: &mut Stage, foot: Point, size: f32) {
    let wall = stage.light.on(Colour::hex(0xf2ecdc));
    let roof = stage.light.on(Colour::hex(stage.rng.pick([0xa8442e, 0x3c4652, 0x7d4a33])));
    stage.canvas.fill(
        &shapes::placed(foot, size, size, [(-1.0, 0.4), (-1.0, -0.6), (1.0, -0.6), (1.0, 0.4)]),
        |_| wall.ink(),
    );
    let gable = [(-1.15, -0.55), (-0.8, -1.2), (0.8, -1.2), (1.15, -0.55)];
    stage.canvas.fill(&shapes::placed(foot, size, size, gable), |_| roof.ink());
    for x in [-0.6, -0.1, 0.4] {
        let pane = stage.pane();
        stage.canvas.fill(
            &shapes::rectangle(foot.x + x * size, foot.y - size * 0.4, size * 0.25, size * 0.35),
            |_| pane,
        );
    }
}
