//! Under water: shafts of light, weed and coral, fish in shoals.

use crate::colour::Colour;
use crate::numbers::{mix, sine, step};
use crate::shapes::{self, Point};
use crate::stage::Stage;

const WATERS: [(u32, u32); 4] =
    [(0x9fe3e0, 0x0a3556), (0x7fd0e8, 0x0b2a5a), (0xb5e8c8, 0x0c4a4a), (0x6fa8d8, 0x071a3a)];
const CORALS: [u32; 6] = [0xe8604a, 0xf0a04a, 0xd85a8a, 0x9a5ab0, 0xe8d070, 0xf4e4d8];
const FISH: [(u32, u32); 6] = [
    (0xf58a1f, 0xfdf6e8),
    (0xf7d038, 0x20242c),
    (0x2f6fd8, 0xf7d038),
    (0xe8e8f0, 0x3a3a4a),
    (0xd83a3a, 0xf8e0c8),
    (0x20283a, 0x7fd8e8),
];

pub(super) fn paint(stage: &mut Stage) {
    let (bright, deep) = stage.rng.pick(WATERS);
    let (bright, deep) = (Colour::hex(bright), Colour::hex(deep));
    let source = Point { x: stage.across(), y: stage.rng.between(-0.7, -0.15) };
    let (shafts, turn) = (stage.rng.between(4.0, 10.0), stage.rng.between(0.0, 40.0));
    let noise = &stage.noise;
    stage.canvas.wash(0.0, 1.0, |at| {
        let (x, y) = (at.x - source.x, at.y - source.y);
        let away = (x * x + y * y).sqrt();
        let ray = noise.fractal(x / y.max(0.05) * shafts * 0.6 + turn, 0.5, 2);
        let murk = noise.fractal(at.x * 2.5 + turn, at.y * 2.5, 3);
        let share = step(0.1, 1.5, away * 0.8 + (murk - 0.5) * 0.9 - (ray - 0.5) * 0.9);
        bright.towards(deep, share).ink()
    });
    for layer in 0..3_u8 {
        let near = f32::from(layer + 1) / 3.0;
        let floor = bed(stage, near, deep);
        for _ in 0..stage.rng.count(3, 7) {
            let x = stage.across();
            let foot = Point { x, y: floor(x) + 0.03 };
            let colour = Colour::hex(stage.rng.pick(CORALS)).towards(deep, 0.65 * (1.0 - near) + 0.1);
            let size = mix(0.10, 0.28, near) * stage.rng.between(0.5, 1.4);
            match stage.rng.count(0, 2) {
                0 => weed(stage, foot, size * 1.9, Colour::hex(0x3f8a4a).towards(deep, 0.8 - near * 0.7)),
                1 => fan(stage, foot, size, colour),
                _ => boulder(stage, foot, size * 0.7, colour),
            }
        }
        shoal(stage, near, deep);
    }
    for _ in 0..stage.rng.count(5, 25) {
        let at = Point { x: stage.across(), y: stage.rng.unit() };
        let size = stage.rng.between(0.004, 0.018);
        stage.canvas.fill(&shapes::ellipse(at, size, size), |_| Colour::hex(0xe8fbff).sheer(0.4));
    }
}

fn bed(stage: &mut Stage, near: f32, deep: Colour) -> impl Fn(f32) -> f32 + use<> {
    let tilt = stage.rng.between(-0.35, 0.35);
    let middle = stage.canvas.aspect() / 2.0;
    let hill = stage.ridge(mix(0.66, 1.0, near), mix(0.5, 0.3, near), 0.6);
    let floor = move |x: f32| hill(x) + (x - middle) * tilt;
    let sand = Colour::hex(stage.rng.pick([0xd8c49a, 0x9a8a80, 0x7a6a70])).towards(deep, 0.85 - near * 0.5);
    stage.land(&floor, sand, 7.0, 1.0);
    floor
}

fn weed(stage: &mut Stage, foot: Point, height: f32, colour: Colour) {
    for _ in 0..stage.rng.count(3, 7) {
        let (lean, phase) = (stage.rng.between(-0.25, 0.25) * height, stage.rng.unit());
        let tall = height * stage.rng.between(0.5, 1.1);
        let wide = height * stage.rng.between(0.025, 0.05);
        let blade = |share: f32, side: f32| Point {
            x: foot.x
                + lean * share
                + sine(phase + share) * height * 0.07
                + side * wide * (1.0 - share * share),
            y: foot.y - tall * share,
        };
        let up = (0..=20_u8).map(|step| blade(f32::from(step) / 20.0, -1.0));
        let down = (0..=20_u8).rev().map(|step| blade(f32::from(step) / 20.0, 1.0));
        let outline: Vec<Point> = up.chain(down).collect();
        let shade = colour.times(stage.rng.between(0.7, 1.4));
        stage.canvas.fill(&outline, |_| shade.ink());
    }
}

/// A coral that branches in one plane.
fn fan(stage: &mut Stage, foot: Point, size: f32, colour: Colour) {
    let mut branches = vec![(foot, -0.25_f32, size * 0.4, size * 0.12)];
    while let Some((from, angle, length, thick)) = branches.pop() {
        let tip = shapes::sector(from, length, length, angle, angle);
        let to = tip.first().copied().unwrap_or(from);
        stage.canvas.stroke(&[from, to], thick, colour.ink());
        stage.canvas.fill(&shapes::ellipse(to, thick * 0.5, thick * 0.5), |_| colour.ink());
        if length > size * 0.12 {
            for side in [-1.0, 1.0] {
                let spread = angle + side * stage.rng.between(0.04, 0.11);
                branches.push((to, spread, length * stage.rng.between(0.65, 0.85), thick * 0.72));
            }
        }
    }
}

/// A round coral with a grain of its own.
fn boulder(stage: &mut Stage, foot: Point, size: f32, colour: Colour) {
    let noise = &stage.noise;
    stage.canvas.fill(&shapes::ellipse(foot, size, size * 0.8), |at| {
        let groove = noise.fractal(at.x * 30.0, at.y * 30.0, 2);
        let lit = 1.0 - (at.y - foot.y + size * 0.4) / size * 0.5;
        colour.times(lit * mix(0.6, 1.3, step(0.35, 0.65, groove))).ink()
    });
}

fn shoal(stage: &mut Stage, near: f32, deep: Colour) {
    let (body, mark) = stage.rng.pick(FISH);
    let haze = 0.5 * (1.0 - near);
    let (body, mark) = (Colour::hex(body).towards(deep, haze), Colour::hex(mark).towards(deep, haze));
    let centre = Point { x: stage.across(), y: stage.rng.between(0.15, 0.75) };
    let side = stage.rng.side();
    let few = stage.rng.chance(0.4);
    let fish = if few { stage.rng.count(1, 2) } else { stage.rng.count(5, 14) };
    for _ in 0..fish {
        let size = near * if few { stage.rng.between(0.12, 0.26) } else { stage.rng.between(0.04, 0.08) };
        let at = Point {
            x: centre.x + stage.rng.between(-0.4, 0.4),
            y: centre.y + stage.rng.between(-0.16, 0.16),
        };
        swimmer(stage, at, size, side, body, mark);
    }
}

fn swimmer(stage: &mut Stage, at: Point, size: f32, side: f32, body: Colour, mark: Colour) {
    let across = size * side;
    let tail = [(-0.75, 0.0), (-1.4, -0.45), (-1.2, 0.0), (-1.4, 0.45)];
    stage.canvas.fill(&shapes::placed(at, across, size, tail), |_| mark.ink());
    let fin = [(-0.4, -0.3), (-0.1, -0.8), (0.5, -0.35), (0.0, 0.0)];
    stage.canvas.fill(&shapes::placed(at, across, size, fin), |_| mark.towards(body, 0.4).ink());
    stage.canvas.fill(&shapes::ellipse(at, size, size * 0.52), |point| {
        let x = (point.x - at.x) / across;
        let stripe = step(0.30, 0.26, (x - 0.35).abs() * 2.0).max(step(0.30, 0.26, (x + 0.3).abs() * 2.4));
        let round = 1.0 - (point.y - at.y) / size * 0.6;
        body.towards(mark, stripe).times(round).ink()
    });
    let eye = Point { x: at.x + across * 0.68, y: at.y - size * 0.1 };
    stage.canvas.fill(&shapes::ellipse(eye, size * 0.1, size * 0.1), |_| Colour::hex(0xffffff).ink());
    stage.canvas.fill(&shapes::ellipse(eye, size * 0.055, size * 0.055), |_| Colour::hex(0x101014).ink());
}
