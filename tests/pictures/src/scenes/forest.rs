//! Firs in rows, each row darker than the one behind it, on falling ground.

use crate::colour::Colour;
use crate::numbers::mix;
use crate::props;
use crate::shapes::{self, Point};
use crate::stage::Stage;

pub(super) fn paint(stage: &mut Stage) {
    let rows = stage.rng.count(3, 5);
    let first = stage.rng.between(0.35, 0.62);
    stage.sky(first + 0.3);
    let wood = Colour::hex(stage.rng.pick([0x2f5a3c, 0x3f5a2a, 0x2a4a4a, 0x6a5a2a, 0x7a4426]));
    let snow = stage.rng.chance(0.3);
    let floor = Colour::hex(if snow { 0xeef3f6 } else { stage.rng.pick([0x6f7f4a, 0x8a7a4f, 0x5a6a45]) });
    let tilt = stage.rng.between(-0.22, 0.22);
    // A clearing opens the rows at one place.
    let (glade, opening) = (stage.across(), stage.rng.between(0.1, 0.4));
    for row in 0..rows {
        let near = (row + 1) as f32 / rows as f32;
        let haze = 0.72 * (1.0 - near);
        let relief = stage.rng.between(0.1, 0.3);
        let hill = stage.ridge(mix(first, 0.96, near), relief, 0.25);
        let middle = stage.canvas.aspect() / 2.0;
        let skyline = move |x: f32| hill(x) + (x - middle) * tilt * (1.2 - near);
        let earth = stage.light.far(floor, haze * 0.8).times(mix(0.95, 0.75, near));
        stage.land(&skyline, earth, 6.0, (mix(first, 0.96, near) + 0.5).min(1.0));
        let colour = stage.light.far(wood, haze);
        let trees = trees_in_row(stage, near);
        for _ in 0..trees {
            let x = stage.across();
            if (x - glade).abs() < opening * near {
                continue;
            }
            let height = mix(0.10, 0.62, near * near) * stage.rng.between(0.5, 1.3);
            let foot = Point { x, y: skyline(x) + stage.rng.between(0.0, 0.06) * near };
            let shade = colour.times(stage.rng.between(0.7, 1.25) * mix(1.1, 0.75, near));
            props::fir(stage, foot, height, shade);
        }
    }
    if stage.rng.chance(0.5) {
        birches(stage);
    }
}

fn trees_in_row(stage: &mut Stage, near: f32) -> u32 {
    if near < 0.5 { stage.rng.count(25, 60) } else { stage.rng.count(7, 20) }
}

/// A few birches close by, white with dark marks.
fn birches(stage: &mut Stage) {
    let (white, mark) = (stage.light.on(Colour::hex(0xf1efe6)), stage.light.on(Colour::hex(0x2a2826)));
    for _ in 0..stage.rng.count(1, 4) {
        let x = stage.across();
        let wide = stage.rng.between(0.02, 0.06);
        let lean = stage.rng.between(-0.12, 0.12);
        let outline = [
            (x - wide * 0.35 + lean, -0.05),
            (x + wide * 0.35 + lean, -0.05),
            (x + wide, 1.05),
            (x - wide, 1.05),
        ];
        let noise = &stage.noise;
        stage.canvas.fill(&outline.map(Point::from), |at| {
            let bark = noise.fractal(at.x * 18.0, at.y * 42.0, 4);
            let axis = x + lean * (1.0 - at.y);
            let round = 1.0 + (at.x - axis) / wide * 0.3;
            if bark > 0.62 { mark.ink() } else { white.times(round).ink() }
        });
        for _ in 0..stage.rng.count(2, 4) {
            let y = stage.rng.between(0.0, 0.6);
            let from = Point { x: x + lean * (1.0 - y), y };
            let side = stage.rng.side() * stage.rng.between(0.1, 0.3);
            let pull = Point { x: from.x + side * 0.5, y: y - 0.02 };
            let branch = shapes::bend(from, pull, Point { x: from.x + side, y: y - 0.2 });
            stage.canvas.stroke(&branch, wide * 0.22, mark.ink());
        }
    }
}
