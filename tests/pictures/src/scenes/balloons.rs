//! Hot-air balloons over a patchwork of fields.

use crate::colour::Colour;
use crate::numbers::{self, mix, sine, step};
use crate::props;
use crate::shapes::{self, Point};
use crate::stage::Stage;

const CLOTHS: [(u32, u32); 7] = [
    (0xd9381e, 0xfbe9c0),
    (0x1f4e8c, 0xf3c33b),
    (0x2f8f6b, 0xf5f1e0),
    (0x7a2f7f, 0xf09a3a),
    (0xf0b429, 0xc22f2f),
    (0x20303f, 0xe86f4a),
    (0xf4f0e6, 0x2a7f9f),
];
const CROPS: [u32; 7] = [0xd8b64a, 0x7fa03f, 0x4f7a35, 0xb58a4a, 0xa3bf5a, 0x8a6a45, 0x3f6a3c];

pub(super) fn paint(stage: &mut Stage) {
    let horizon = stage.rng.between(0.55, 0.82);
    stage.sky(horizon + 0.05);
    let hills = stage.ridge(horizon - 0.06, 0.22, 0.3);
    let far = stage.light.far(Colour::hex(0x55705a), 0.5);
    stage.land(hills, far, 5.0, horizon + 0.15);
    fields(stage, horizon + 0.02);
    let mut sizes: Vec<f32> = (0..stage.rng.count(3, 7)).map(|_| stage.rng.between(0.0, 1.0)).collect();
    sizes.sort_unstable_by(f32::total_cmp);
    for size in sizes {
        let radius = mix(0.04, 0.25, size * size);
        let centre = Point { x: stage.across(), y: stage.rng.between(radius, horizon * 0.85) };
        balloon(stage, centre, radius, 0.3 * (1.0 - size));
    }
}

/// Fields in perspective: strips that narrow towards the horizon, each with its crop and its furrows.
fn fields(stage: &mut Stage, top: f32) {
    let crops: Vec<Colour> = (0..64).map(|_| stage.light.on(Colour::hex(stage.rng.pick(CROPS)))).collect();
    let swell = stage.ridge(0.0, 0.08, 0.2);
    let (vanish, skew) = (stage.across(), stage.rng.between(-0.4, 0.4));
    let (wide, deep) = (stage.rng.between(0.8, 2.0), stage.rng.between(1.5, 3.5));
    let noise = &stage.noise;
    let light = stage.light;
    stage.canvas.ground(
        |x| top + swell(x),
        |at, below| {
            let away = 1.0 / (below + 0.05);
            let (u, v) =
                ((at.x - vanish) * away * 0.25 * wide + away * skew, away * 0.25 * deep + at.x * skew);
            let ((column, across), (row, along)) = (numbers::cell(u), numbers::cell(v));
            let crop = crops[across.wrapping_mul(7).wrapping_add(along.wrapping_mul(13)) % crops.len()];
            let hedge = step(0.06, 0.02, (u - column).min(v - row));
            let furrow = 1.0 + 0.16 * sine(u * 9.0) * step(0.02, 0.2, below);
            let grain = mix(0.7, 1.3, noise.fractal(at.x * 20.0, at.y * 40.0, 2));
            let earth = crop.times(furrow * grain).towards(light.on(Colour::hex(0x2a4028)), hedge * 0.8);
            earth.towards(light.horizon, (0.4 - below * 3.0).max(0.0)).ink()
        },
        1.0,
    );
    for _ in 0..stage.rng.count(3, 12) {
        let y = stage.rng.between(top + 0.06, 0.99);
        let foot = Point { x: stage.across(), y };
        let colour = stage.light.on(Colour::hex(0x2f4f2f));
        props::fir(stage, foot, 0.03 + (y - top) * 0.3, colour);
    }
}

fn balloon(stage: &mut Stage, centre: Point, radius: f32, haze: f32) {
    let (cloth, other) = stage.rng.pick(CLOTHS);
    let (cloth, other) =
        (stage.light.far(Colour::hex(cloth), haze), stage.light.far(Colour::hex(other), haze));
    let gores = stage.rng.count(3, 6) as f32;
    let banded = stage.rng.chance(0.4);
    let sun = if stage.sun.x > centre.x { 1.0 } else { -1.0 };
    let mouth = Point { x: centre.x, y: centre.y + radius * 1.5 };
    let mut outline = shapes::sector(centre, radius, radius, 0.46, 1.04);
    let [right, pull_right, lip] =
        shapes::placed(centre, radius, radius, [(0.97, 0.25), (0.7, 0.95), (0.16, 1.5)]);
    outline.extend(shapes::bend(right, pull_right, lip));
    let [lip, pull_left, left] =
        shapes::placed(centre, radius, radius, [(-0.16, 1.5), (-0.7, 0.95), (-0.97, 0.25)]);
    outline.extend(shapes::bend(lip, pull_left, left));
    stage.canvas.fill(&outline, |at| {
        let (x, y) = ((at.x - centre.x) / radius, (at.y - centre.y) / radius);
        // Gores are even around the balloon, so they crowd towards its rim.
        let girth = (1.0 - 0.42 * (y - 0.1) * (y - 0.1)).max(0.1);
        let around = (x / girth).clamp(-1.0, 1.0);
        let gore = (around * (1.0 + 0.4 * around * around) * gores + 64.5).floor() % 2.0;
        let band = (y * 3.0 + 63.5).floor() % 2.0;
        let even = if banded { band } else { gore } < 0.5;
        if even { cloth } else { other }.times(0.85 + 0.4 * sun * x - 0.15 * y).ink()
    });
    let rope = stage.light.on(Colour::hex(0x3a2c20)).ink();
    let basket = radius * 0.22;
    let low = mouth.y + radius * 0.35;
    for side in [-1.0, 1.0] {
        let line = [
            Point { x: mouth.x + side * radius * 0.15, y: mouth.y },
            Point { x: mouth.x + side * basket * 0.5, y: low },
        ];
        stage.canvas.stroke(&line, radius * 0.02, rope);
    }
    let wicker = stage.light.far(Colour::hex(0x7a5230), haze);
    stage
        .canvas
        .fill(&shapes::rectangle(mouth.x - basket / 2.0, low, basket, basket * 0.8), |_| wicker.ink());
    if stage.light.lamps() {
        stage.canvas.glow(mouth, radius * 0.9, Colour::hex(0xffd27a), 0.7);
    }
}
