//! Objects of more than one scene: sailing boats, gulls, firs, rocks.

use crate::colour::Colour;
use crate::numbers::mix;
use crate::shapes::{self, Point};
use crate::stage::Stage;

/// Colours of sails and hulls.
const SAILS: [u32; 6] = [0xfdfbf2, 0xf6efe0, 0xc8402f, 0xe8a33a, 0x2f4f7f, 0xf4f4f4];
const HULLS: [u32; 5] = [0x7a2a22, 0x24344d, 0xf0ece0, 0x2f5a4a, 0x1d1d22];

/// Paints a sailing boat with its waterline at `foot`; `size` is the height of its mast, `wind` the side to
/// which its sails fill.
pub(crate) fn sailing_boat(stage: &mut Stage, foot: Point, size: f32, wind: f32, haze: f32) {
    let sail = stage.light.far(Colour::hex(stage.rng.pick(SAILS)), haze);
    let jib = stage.light.far(Colour::hex(stage.rng.pick(SAILS)), haze);
    let hull = stage.light.far(Colour::hex(stage.rng.pick(HULLS)), haze);
    let heel = wind * stage.rng.between(0.0, 0.035);
    let across = size * wind;
    let mut part = |corners: Vec<Point>, colour: Colour, shade: f32| {
        let outline = shapes::turned(&corners, foot, heel);
        stage.canvas.fill(&outline, |at| {
            let side = ((at.x - foot.x) / across).clamp(-0.5, 0.5);
            colour.times(1.0 + side * shade).ink()
        });
    };
    let mut main = shapes::placed(foot, across, size, [(0.02, -1.0), (0.02, -0.13)]).to_vec();
    let [boom, belly, peak] =
        shapes::placed(foot, across, size, [(0.50, -0.15), (0.36, -0.62), (0.02, -1.0)]);
    main.extend(shapes::bend(boom, belly, peak));
    part(main, sail, -0.7);
    let [tack, luff, head] =
        shapes::placed(foot, across, size, [(-0.36, -0.12), (-0.22, -0.42), (-0.02, -0.86)]);
    let mut fore = shapes::bend(tack, luff, head);
    fore.push(Point { x: foot.x - across * 0.02, y: foot.y - size * 0.16 });
    part(fore, jib, -0.7);
    let mast = [(-0.012, -1.04), (0.012, -1.04), (0.012, -0.05), (-0.012, -0.05)];
    part(shapes::placed(foot, across, size, mast).to_vec(), Colour::hex(0x2a2018), 0.0);
    let hull_shape = [(-0.46, -0.11), (0.48, -0.10), (0.38, 0.0), (0.30, 0.03), (-0.30, 0.03)];
    part(shapes::placed(foot, across, size, hull_shape).to_vec(), hull, 0.5);
    let reflection = [(-0.30, 0.03), (0.34, 0.03), (0.16, 0.55), (-0.02, 0.7), (-0.12, 0.4)];
    let outline = shapes::placed(foot, across, size, reflection);
    stage.canvas.fill(&outline, |at| sail.sheer(0.34 * (1.0 - (at.y - foot.y) / (size * 0.75))));
}

/// Paints some gulls around a point.
pub(crate) fn gulls(stage: &mut Stage, around: Point, span: f32) {
    for _ in 0..stage.rng.count(3, 8) {
        let size = stage.rng.between(0.25, 1.0) * span;
        let at = Point {
            x: around.x + stage.rng.between(-3.0, 3.0) * span,
            y: around.y + stage.rng.between(-2.0, 2.0) * span,
        };
        let dip = stage.rng.between(0.1, 0.45);
        let ink = stage.light.on(Colour::hex(if stage.light.lamps() { 0x20242c } else { 0xfdfdfd })).ink();
        for side in [-1.0, 1.0] {
            let wing = |x: f32, y: f32| Point { x: at.x + x * size * side, y: at.y + y * size };
            let mut outline = shapes::bend(at, wing(0.3, -0.5), wing(0.75, -dip));
            outline.extend(shapes::bend(wing(0.75, -dip), wing(0.3, -0.3), wing(0.0, 0.12)));
            stage.canvas.fill(&outline, |_| ink);
        }
    }
}

/// Paints a fir with its trunk at `foot`.
pub(crate) fn fir(stage: &mut Stage, foot: Point, height: f32, colour: Colour) {
    let trunk = shapes::rectangle(foot.x - height * 0.02, foot.y - height * 0.2, height * 0.04, height * 0.2);
    stage.canvas.fill(&trunk, |_| colour.times(0.6).ink());
    let tiers = stage.rng.count(4, 7);
    let slim = stage.rng.between(0.20, 0.34);
    for tier in 0..tiers {
        let share = tier as f32 / tiers as f32;
        let low = foot.y - height * mix(0.1, 0.86, share);
        let wide = height * slim * mix(1.0, 0.3, share);
        let tip = low - height * mix(0.34, 0.2, share);
        let left = low + stage.rng.between(-0.02, 0.03) * height;
        let right = low + stage.rng.between(-0.02, 0.03) * height;
        let outline =
            [(foot.x, tip), (foot.x + wide, right), (foot.x, low - height * 0.03), (foot.x - wide, left)];
        stage.canvas.fill(&outline.map(Point::from), |at| {
            colour.times(if at.x < foot.x { 0.75 } else { 1.15 }).ink()
        });
    }
}

/// Paints a rock in water at `foot`, with surf around it.
pub(crate) fn rock(stage: &mut Stage, foot: Point, size: f32, colour: Colour) {
    let surf = stage.light.on(Colour::hex(0xf4f8f6));
    let sides = 11_u8;
    let mut outline = Vec::new();
    for side in 0..=sides {
        let angle = 0.5 + 0.5 * f32::from(side) / f32::from(sides);
        let reach = size * stage.rng.between(0.65, 1.15);
        let rim = shapes::sector(foot, reach, reach * 0.8, angle, angle);
        outline.extend(rim.first());
    }
    stage.canvas.fill(&shapes::ellipse(foot, size * 1.35, size * 0.16), |_| surf.sheer(0.75));
    let noise = &stage.noise;
    stage.canvas.fill(&outline, |at| {
        let grain = noise.fractal(at.x * 14.0, at.y * 22.0, 4);
        let lit = (at.x - foot.x) / size * 0.3;
        colour.times(mix(0.4, 1.5, grain) + lit).ink()
    });
    stage.canvas.fill(&shapes::ellipse(foot, size * 1.1, size * 0.08), |_| surf.sheer(0.85));
}
