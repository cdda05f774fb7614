//! Abstract geometry: a quilt of quarter discs, a scatter of discs and rings, or a stack of shards.

use crate::colour::Colour;
use crate::numbers::mix;
use crate::shapes::{self, Point};
use crate::stage::Stage;

/// A background and four colours that go with it.
const SETS: [[u32; 5]; 6] = [
    [0xf3ead7, 0xd1432b, 0x1f3b5b, 0xe9a92f, 0x2b2b2b],
    [0x14213d, 0xfca311, 0xe5e5e5, 0x3f7cac, 0xd1495b],
    [0xeef1ea, 0x2a9d8f, 0xe76f51, 0x264653, 0xe9c46a],
    [0x2b1f33, 0xf25f5c, 0xffe066, 0x247ba0, 0x70c1b3],
    [0xdad7cd, 0x344e41, 0xa3b18a, 0xbc4749, 0x1b1f1d],
    [0xf8f4e3, 0x5b2a86, 0x360568, 0x9ac6c5, 0xa5e6ba],
];

pub(super) fn paint(stage: &mut Stage) {
    let set = stage.rng.pick(SETS).map(Colour::hex);
    let noise = &stage.noise;
    let ground = set[0];
    stage
        .canvas
        .wash(0.0, 1.0, |at| ground.times(mix(0.85, 1.1, noise.fractal(at.x * 3.0, at.y * 3.0, 4))).ink());
    match stage.rng.count(0, 2) {
        0 => quilt(stage, set),
        1 => discs(stage, set),
        _ => shards(stage, set),
    }
}

/// Square tiles, each with one of six figures in one of four positions.
fn quilt(stage: &mut Stage, set: [Colour; 5]) {
    let rows = stage.rng.count(3, 6);
    let side = 1.0 / rows as f32;
    let columns = crate::numbers::pixels((stage.canvas.aspect() / side).ceil());
    for row in 0..rows {
        for column in 0..columns {
            let corner = Point { x: column as f32 * side, y: row as f32 * side };
            let centre = Point { x: corner.x + side / 2.0, y: corner.y + side / 2.0 };
            let (under, over) = (stage.rng.pick(set), stage.rng.pick(set));
            tint(stage, &shapes::rectangle(corner.x, corner.y, side, side), under);
            let turn = stage.rng.count(0, 3) as f32 / 4.0;
            let half = side / 2.0;
            let figure = match stage.rng.count(0, 5) {
                0 => {
                    let mut quarter = shapes::sector(corner, side, side, 0.0, 0.25);
                    quarter.push(corner);
                    quarter
                }
                1 => shapes::ellipse(centre, half * 0.7, half * 0.7),
                2 => shapes::placed(corner, side, side, [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]).to_vec(),
                3 => shapes::sector(Point { x: centre.x, y: corner.y }, half, half, 0.0, 0.5),
                4 => shapes::rectangle(corner.x, corner.y, side, half * 0.6).to_vec(),
                _ => shapes::placed(centre, half, half, [(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)])
                    .to_vec(),
            };
            tint(stage, &shapes::turned(&figure, centre, turn), over);
        }
    }
}

/// Discs and rings that lie over one another, and a few bars.
fn discs(stage: &mut Stage, set: [Colour; 5]) {
    for _ in 0..stage.rng.count(12, 24) {
        let centre = Point { x: stage.across(), y: stage.rng.unit() };
        let colour = stage.rng.pick(set);
        let radius = stage.rng.between(0.05, 0.30);
        match stage.rng.count(0, 3) {
            0 | 1 => tint(stage, &shapes::ellipse(centre, radius, radius), colour),
            2 => {
                // One outline with two rims: the inner disc is enclosed twice, so it stays clear.
                let mut ring = shapes::ellipse(centre, radius, radius);
                ring.extend(shapes::ellipse(centre, radius * 0.6, radius * 0.6));
                tint(stage, &ring, colour);
            }
            _ => {
                let bar = shapes::rectangle(centre.x - radius * 2.0, centre.y - 0.03, radius * 4.0, 0.06);
                let turn = stage.rng.unit();
                tint(stage, &shapes::turned(&bar, centre, turn), colour);
            }
        }
    }
}

/// Long triangles from the rim of the picture, over one another.
fn shards(stage: &mut Stage, set: [Colour; 5]) {
    for _ in 0..stage.rng.count(14, 28) {
        let centre = Point { x: stage.across(), y: stage.rng.unit() };
        let (long, wide) = (stage.rng.between(0.2, 0.7), stage.rng.between(0.08, 0.3));
        let turn = stage.rng.unit();
        let corners = [(-0.5, -0.5), (0.7, stage.rng.between(-0.5, 0.5)), (-0.5, 0.5)];
        let outline = shapes::turned(&shapes::placed(centre, long, wide, corners), centre, turn);
        let colour = stage.rng.pick(set);
        tint(stage, &outline, colour);
    }
}

/// Fills with a colour that is a little uneven, as if printed from a wood block.
fn tint(stage: &mut Stage, outline: &[Point], colour: Colour) {
    let drift = stage.rng.between(0.0, 40.0);
    let noise = &stage.noise;
    stage.canvas.fill(outline, |at| {
        let worn = noise.fractal(at.x * 4.0 + drift, at.y * 4.0, 3);
        colour.times(mix(0.75, 1.2, worn)).ink()
    });
}
