//! A town on a river: blocks and towers in rows, their windows lit at night, and a bridge.

use crate::colour::Colour;
use crate::numbers::{mix, sine};
use crate::shapes::{self, Point};
use crate::stage::Stage;

const STONES: [u32; 6] = [0x8d8478, 0xb58a6a, 0x6f7b86, 0xa9a193, 0x5a5e68, 0x94584a];

pub(super) fn paint(stage: &mut Stage) {
    let shore = stage.rng.between(0.62, 0.88);
    stage.sky(shore);
    stage.sea(shore);
    let rows = stage.rng.count(2, 3);
    // The town is highest at one point along the river, and lower with distance from it.
    let centre = stage.across();
    let breadth = stage.rng.between(0.5, 1.4);
    for row in 0..rows {
        let haze = 0.55 * (1.0 - (row + 1) as f32 / rows as f32);
        let mut x = stage.rng.between(-0.1, 0.0);
        while x < stage.canvas.aspect() {
            let wide = stage.rng.between(0.06, 0.20);
            let central = 1.0 / (1.0 + (x - centre) * (x - centre) / (breadth * breadth) * 2.5);
            let reach = mix(0.8, 0.42, row as f32 / rows as f32) * shore;
            let height = reach * central * stage.rng.between(0.25, 1.0) + 0.05;
            block(stage, Point { x, y: shore }, wide, height, haze);
            x += wide * stage.rng.between(0.8, 1.5);
        }
    }
    if stage.rng.chance(0.6) {
        bridge(stage, shore);
    }
}

fn block(stage: &mut Stage, foot: Point, wide: f32, height: f32, haze: f32) {
    let stone =
        stage.light.far(Colour::hex(stage.rng.pick(STONES)), haze).times(stage.rng.between(0.6, 1.25));
    let top = foot.y - height;
    let lit = if stage.sun.x < foot.x { 1.0 } else { -1.0 };
    let shade = |at: Point| stone.times(1.0 - lit * ((at.x - foot.x) / wide - 0.5) * 0.35).ink();
    let crown = stage.rng.count(0, 5);
    let middle = foot.x + wide / 2.0;
    let hat = match crown {
        0 => [(-0.5, 0.0), (-0.02, -1.3), (0.02, -1.3), (0.5, 0.0)],
        1 => [(-0.5, 0.0), (0.5, -0.5), (0.5, 0.0), (0.5, 0.0)],
        2 => [(-0.35, 0.0), (-0.35, -0.3), (0.35, -0.3), (0.35, 0.0)],
        _ => [(-0.54, 0.0), (-0.54, -0.05), (0.54, -0.05), (0.54, 0.0)],
    };
    stage.canvas.fill(&shapes::placed(Point { x: middle, y: top + 0.001 }, wide, wide, hat), shade);
    if crown == 3 {
        stage.canvas.fill(&shapes::ellipse(Point { x: middle, y: top }, wide * 0.4, wide * 0.45), shade);
    }
    stage.canvas.fill(&shapes::rectangle(foot.x, top, wide, height), shade);
    let columns = stage.rng.count(2, 5);
    let cell = wide / columns as f32;
    let storey = cell * stage.rng.between(0.9, 1.5);
    let mut y = top + storey * 0.4;
    while y + storey < foot.y {
        for column in 0..columns {
            let pane = stage.pane();
            let colour = pane.colour.towards(stage.light.horizon, haze * 0.6);
            let x = foot.x + cell * (column as f32 + 0.25);
            stage.canvas.fill(&shapes::rectangle(x, y, cell * 0.5, storey * 0.55), |_| colour.ink());
        }
        y += storey;
    }
    let depth = (height * 0.6).min(1.0 - foot.y);
    let glint = if stage.light.lamps() { stone.towards(Colour::hex(0xffd77a), 0.45) } else { stone };
    stage.canvas.fill(&shapes::rectangle(foot.x, foot.y, wide, depth), |at| {
        let down = (at.y - foot.y) / depth.max(0.001);
        glint.times(0.8).sheer((0.6 - down * 0.6) * (1.0 + 0.5 * sine(at.y * 45.0 + at.x * 2.0)))
    });
}

/// Arches from bank to bank, in front of the town.
fn bridge(stage: &mut Stage, shore: f32) {
    let stone = stage.light.on(Colour::hex(stage.rng.pick([0x6a5f55, 0x8a8478, 0x53463f])));
    let deck = shore + stage.rng.between(-0.06, 0.02);
    let spans = stage.rng.count(2, 5);
    let wide = stage.canvas.aspect() / spans as f32;
    let shift = stage.rng.between(-0.5, 0.5) * wide;
    let (rise, thick) = (stage.rng.between(0.07, 0.14), 0.035);
    let mut outline = vec![Point { x: -1.0, y: deck }, Point { x: stage.canvas.aspect() + 1.0, y: deck }];
    for span in (0..spans + 2).rev() {
        let centre = Point { x: (span as f32 - 0.5) * wide + shift, y: deck + thick + rise };
        let (right, left) = (centre.x + wide * 0.42, centre.x - wide * 0.42);
        outline.push(Point { x: right, y: deck + thick + rise + 0.06 });
        outline.extend(shapes::sector(centre, wide * 0.42, rise, 0.0, -0.5));
        outline.push(Point { x: left, y: deck + thick + rise + 0.06 });
    }
    let noise = &stage.noise;
    stage
        .canvas
        .fill(&outline, |at| stone.times(mix(0.6, 1.3, noise.fractal(at.x * 15.0, at.y * 25.0, 4))).ink());
    for lamp in 0..spans * 2 {
        let x = (lamp as f32 * 0.5) * wide + shift * 0.5;
        let post = [Point { x, y: deck }, Point { x, y: deck - 0.06 }];
        stage.canvas.stroke(&post, 0.006, stone.times(0.5).ink());
        if stage.light.lamps() {
            stage.canvas.glow(post[1], 0.05, Colour::hex(0xffe2a0), 0.9);
        }
    }
}
