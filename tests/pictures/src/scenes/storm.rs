//! A heavy sea: great waves one behind another, and a ship among them.

use crate::colour::Colour;
use crate::light::Hour;
use crate::numbers::{mix, sine, step};
use crate::shapes::{self, Point};
use crate::stage::Stage;

pub(super) fn paint(stage: &mut Stage) {
    let horizon = stage.rng.between(0.30, 0.55);
    stage.sky(horizon + 0.3);
    if matches!(stage.light.hour, Hour::Grey | Hour::Night) && stage.rng.chance(0.7) {
        let x = stage.across();
        lightning(stage, Point { x, y: 0.0 }, horizon + 0.1);
    }
    let waves = stage.rng.count(4, 5);
    let ship = stage.rng.count(1, waves - 2);
    for wave in 0..waves {
        let near = (wave + 1) as f32 / waves as f32;
        let rest = mix(horizon, 0.92, near * near * 0.6 + near * 0.4) - 0.04;
        billow(stage, rest, near);
        if wave + 1 == ship {
            let foot = Point { x: stage.canvas.aspect() * stage.rng.between(0.15, 0.85), y: rest - 0.02 };
            let size = mix(0.16, 0.5, near) * stage.rng.between(0.8, 1.3);
            steamer(stage, foot, size);
        }
    }
}

/// A wave across the picture: a dark wall under a bright crest, streaked with foam.
fn billow(stage: &mut Stage, rest: f32, near: f32) {
    let height = mix(0.05, 0.20, near) * stage.rng.between(0.8, 1.5);
    let (length, phase) = (stage.rng.between(0.5, 1.1) / mix(0.5, 1.2, near), stage.rng.unit());
    let lean = stage.rng.side() * stage.rng.between(0.06, 0.14);
    let chop = stage.ridge(0.0, height * 0.5, 0.9);
    let crest = move |x: f32| {
        let turn = x / length + phase;
        // Adding the wave to its own phase tilts it: a steep face and a long back.
        rest - height * (sine(turn + lean * sine(turn)) * 0.7 + 0.3) + chop(x)
    };
    let light = stage.light;
    let noise = &stage.noise;
    let streaks = mix(9.0, 3.5, near);
    let drift = phase * 40.0;
    stage.canvas.ground(
        crest,
        |at, below| {
            let streak =
                noise.fractal(at.x * streaks + below * 9.0 + drift, below * streaks * 3.0 - at.x * 2.0, 3);
            let lip = step(0.05 * near + 0.02, 0.0, below - (streak - 0.5) * 0.1 * near);
            let lace = step(0.56, 0.66, streak) * (1.0 - below * 3.0).max(0.15);
            let face = light
                .crest
                .towards(light.deep, step(0.0, 0.16 * near + 0.05, below))
                .times(0.6 + streak * 0.7);
            face.towards(light.on(Colour::hex(0xfafdfc)), (lip * 0.85 + lace * 0.7).min(1.0)).ink()
        },
        // Everything deeper is behind the next wave.
        (rest + 0.4).min(1.0),
    );
}

fn steamer(stage: &mut Stage, foot: Point, size: f32) {
    let pitch = stage.rng.between(-0.05, 0.05);
    let side = stage.rng.side() * size;
    let hull = stage.light.on(Colour::hex(stage.rng.pick([0x26262c, 0x6a2420, 0x24405a])));
    let house = stage.light.on(Colour::hex(0xf2eee2));
    let funnel = stage.light.on(Colour::hex(stage.rng.pick([0xd8531f, 0x2a2a2e, 0xe0b030])));
    let smoke = stage.light.cloud.towards(Colour::hex(0x303236), 0.5);
    let from = Point { x: foot.x - side * 0.1, y: foot.y - size * 0.75 };
    for puff in 0..9_u8 {
        let away = f32::from(puff) / 9.0;
        let at = Point {
            x: from.x - side * away * 1.3 + stage.rng.between(-0.03, 0.03) * size,
            y: from.y - size * (away * 0.35 + stage.rng.between(-0.05, 0.05)),
        };
        stage.canvas.glow(at, size * mix(0.10, 0.34, away), smoke, 0.8 - away * 0.4);
    }
    let mut part = |corners: [(f32, f32); 4], colour: Colour| {
        let outline = shapes::turned(&shapes::placed(foot, side, size, corners), foot, pitch);
        stage.canvas.fill(&outline, |_| colour.ink());
    };
    part([(-0.18, -0.4), (-0.18, -0.74), (-0.04, -0.74), (-0.04, -0.4)], funnel);
    part([(0.3, -0.2), (0.32, -0.95), (0.34, -0.95), (0.35, -0.2)], hull.times(0.8));
    part([(-0.4, -0.18), (-0.38, -0.45), (0.2, -0.45), (0.24, -0.18)], house);
    part([(-0.72, -0.24), (0.9, -0.32), (0.66, 0.16), (-0.62, 0.16)], hull);
    part([(-0.7, -0.24), (0.9, -0.32), (0.87, -0.27), (-0.7, -0.20)], house);
    for window in 0..5_u8 {
        let pane = stage.pane();
        let at = Point { x: foot.x + side * (-0.32 + 0.11 * f32::from(window)), y: foot.y - size * 0.32 };
        let outline = shapes::turned(&shapes::ellipse(at, size * 0.03, size * 0.03), foot, pitch);
        stage.canvas.fill(&outline, |_| pane);
    }
}

fn lightning(stage: &mut Stage, from: Point, to: f32) {
    let mut bolt = vec![from];
    let (mut x, mut y) = (from.x, from.y);
    while y < to {
        x += stage.rng.between(-0.07, 0.07);
        y += stage.rng.between(0.03, 0.09);
        bolt.push(Point { x, y });
    }
    stage.canvas.glow(Point { x: from.x, y: to * 0.4 }, 0.5, Colour::hex(0xe8ecff), 0.5);
    stage.canvas.stroke(&bolt, 0.010, Colour::hex(0xffffff).ink());
}
