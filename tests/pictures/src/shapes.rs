//! Points, and the outlines made of them.

use crate::numbers::{cosine, mix, sine};

/// Number of sides of the polygon that represents an ellipse: even a large one looks round.
const ROUND: u16 = 72;

/// A point of the canvas, in units of the picture's height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f32,
    pub(crate) y: f32,
}

impl From<(f32, f32)> for Point {
    fn from((x, y): (f32, f32)) -> Self {
        Self { x, y }
    }
}

/// Returns a rectangle from its left and top edges, its width and height.
pub(crate) fn rectangle(left: f32, top: f32, width: f32, height: f32) -> [Point; 4] {
    let (right, bottom) = (left + width, top + height);
    [(left, top), (right, top), (right, bottom), (left, bottom)].map(Point::from)
}

/// Returns an ellipse from its centre and half axes.
pub(crate) fn ellipse(centre: Point, across: f32, down: f32) -> Vec<Point> {
    sector(centre, across, down, 0.0, 1.0)
}

/// Returns the part of an ellipse's rim between two angles in turns; 0 is to the right, and angles grow
/// clockwise.
pub(crate) fn sector(centre: Point, across: f32, down: f32, from: f32, to: f32) -> Vec<Point> {
    (0..=ROUND)
        .map(|side| {
            let angle = mix(from, to, f32::from(side) / f32::from(ROUND));
            Point { x: centre.x + across * cosine(angle), y: centre.y + down * sine(angle) }
        })
        .collect()
}

/// Returns an outline from corners relative to an origin, scaled, and mirrored where `across` is negative.
pub(crate) fn placed<const N: usize>(
    origin: Point,
    across: f32,
    down: f32,
    corners: [(f32, f32); N],
) -> [Point; N] {
    corners.map(|(x, y)| Point { x: origin.x + x * across, y: origin.y + y * down })
}

/// Returns the outline turned around a point, by an angle in turns.
pub(crate) fn turned(outline: &[Point], around: Point, turns: f32) -> Vec<Point> {
    let (cos, sin) = (cosine(turns), sine(turns));
    outline
        .iter()
        .map(|point| {
            let (x, y) = (point.x - around.x, point.y - around.y);
            Point { x: around.x + x * cos - y * sin, y: around.y + x * sin + y * cos }
        })
        .collect()
}

/// Returns a curve from start to end, drawn towards a third point between them.
pub(crate) fn bend(start: Point, pull: Point, end: Point) -> Vec<Point> {
    (0..=16_u8)
        .map(|step| {
            let share = f32::from(step) / 16.0;
            let lerp = |a: f32, b: f32, c: f32| mix(mix(a, b, share), mix(b, c, share), share);
            Point { x: lerp(start.x, pull.x, end.x), y: lerp(start.y, pull.y, end.y) }
        })
        .collect()
}
