//! Houses along a quay, their reflections, and boats moored in front.

use crate::colour::Colour;
use crate::numbers::{mix, sine};
use crate::props;
use crate::shapes::{self, Point};
use crate::stage::Stage;

const WALLS: [u32; 9] =
    [0xd9583b, 0xf0c25a, 0xf6ead0, 0x3f7fa6, 0x8fb59a, 0xb5473c, 0x4a5560, 0xe9a27c, 0x2f5f6a];
const ROOFS: [u32; 4] = [0x8a3b2a, 0x3a3f49, 0x5a3a2e, 0xa85a3a];

pub(super) fn paint(stage: &mut Stage) {
    let quay = stage.rng.between(0.46, 0.74);
    stage.sky(quay);
    stage.sea(quay);
    let hill = stage.rng.between(0.10, 0.32);
    let skyline = stage.ridge(quay - hill, hill, 0.4);
    let wood = stage.light.far(Colour::hex(stage.rng.pick([0x4f6b47, 0x6b6a50, 0x5a6670])), 0.3);
    stage.land(skyline, wood, 6.0, quay);
    let aspect = stage.canvas.aspect();
    let mut x = stage.rng.between(-0.1, 0.12);
    let tall = stage.rng.between(0.7, 1.3);
    while x < aspect {
        let wide = stage.rng.between(0.09, 0.24);
        // Here and there the row of houses opens.
        if stage.rng.chance(0.86) {
            let height = (stage.rng.between(0.12, 0.40) * tall).min(quay - 0.06);
            house(stage, x, quay, wide, height);
        } else {
            x += stage.rng.between(0.0, 0.2);
        }
        x += wide;
    }
    let stone = stage.light.on(Colour::hex(0x77716a));
    stage.land(|_| quay, stone, 12.0, quay + 0.035);
    let wind = stage.rng.side();
    for _ in 0..stage.rng.count(2, 5) {
        let y = stage.rng.between(quay + 0.06, 0.96);
        let foot = Point { x: stage.across(), y };
        let size = (y - quay + 0.1) * stage.rng.between(0.7, 1.5);
        if stage.rng.chance(0.35) {
            props::sailing_boat(stage, foot, size, wind, 0.0);
        } else {
            fishing_boat(stage, foot, size * 0.55);
        }
    }
    let flock = Point { x: stage.across(), y: stage.rng.between(0.08, quay) };
    props::gulls(stage, flock, 0.06);
}

fn house(stage: &mut Stage, left: f32, quay: f32, wide: f32, height: f32) {
    let wall = stage.light.on(Colour::hex(stage.rng.pick(WALLS)));
    let roof = stage.light.on(Colour::hex(stage.rng.pick(ROOFS)));
    let top = quay - height;
    let noise = &stage.noise;
    let worn = |at: Point| wall.times(mix(0.85, 1.15, noise.fractal(at.x * 9.0, at.y * 9.0, 3)));
    stage.canvas.fill(&shapes::rectangle(left, top, wide, height), |at| worn(at).ink());
    let pitch = stage.rng.between(0.3, 0.8) * wide;
    let gable = if stage.rng.chance(0.5) {
        [(left, top), (left + wide * 0.5, top - pitch), (left + wide * 0.5, top - pitch), (left + wide, top)]
    } else {
        let low = pitch * 0.6;
        [
            (left - 0.008, top),
            (left + wide * 0.1, top - low),
            (left + wide * 0.9, top - low),
            (left + wide + 0.008, top),
        ]
    };
    stage.canvas.fill(&gable.map(Point::from), |_| roof.ink());
    let floors = stage.rng.count(2, 5);
    let columns = stage.rng.count(2, 4);
    let (cell, storey) = (wide / columns as f32, height / floors as f32);
    for floor in 0..floors {
        for column in 0..columns {
            let pane = stage.pane();
            let (x, y) = (left + cell * (column as f32 + 0.28), top + storey * (floor as f32 + 0.25));
            stage.canvas.fill(&shapes::rectangle(x, y, cell * 0.44, storey * 0.5), |_| pane);
        }
    }
    // The reflection: squeezed, darker, and broken by ripples.
    let depth = (height + pitch * 0.5) * 0.8;
    stage.canvas.fill(&shapes::rectangle(left, quay, wide, depth), |at| {
        let down = (at.y - quay) / depth;
        let broken = sine(at.y * 38.0 + at.x * 3.0) * 0.18 * down;
        wall.times(0.72).sheer(0.72 - down * 0.55 + broken)
    });
}

fn fishing_boat(stage: &mut Stage, foot: Point, size: f32) {
    let hull = stage.light.on(Colour::hex(stage.rng.pick(WALLS)));
    let cabin = stage.light.on(Colour::hex(0xf3efe2));
    let side = stage.rng.side() * size;
    let shade = [(-1.0, 0.1), (0.9, 0.1), (0.6, 0.45), (-0.7, 0.45)];
    let dark = stage.light.deep;
    stage.canvas.fill(&shapes::placed(foot, side, size, shade), |_| dark.sheer(0.6));
    stage.canvas.fill(
        &shapes::placed(foot, side, size, [(-0.5, -0.3), (-0.5, -0.8), (0.1, -0.8), (0.1, -0.3)]),
        |_| cabin.ink(),
    );
    let pane = stage.pane();
    stage.canvas.fill(
        &shapes::placed(foot, side, size, [(-0.4, -0.5), (-0.4, -0.7), (0.0, -0.7), (0.0, -0.5)]),
        |_| pane,
    );
    let body = [(-1.05, -0.42), (0.2, -0.32), (1.2, -0.58), (0.9, 0.12), (-0.85, 0.12)];
    stage.canvas.fill(&shapes::placed(foot, side, size, body), |at| {
        hull.times(1.15 - (at.y - foot.y + size * 0.3) / size * 0.8).ink()
    });
    let rope = stage.light.on(Colour::hex(0x2b2622)).ink();
    let mast = shapes::placed(foot, side, size, [(-0.2, -0.8), (-0.2, -1.9), (1.15, -0.55)]);
    stage.canvas.stroke(&mast, size * 0.045, rope);
}
