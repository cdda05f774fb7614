//! The surface on which scenes are painted, and its four ways to apply ink.
//!
//! Lengths are fractions of the picture's height: y is from 0 (top) to 1, x from 0 to [`Canvas::aspect`]. A
//! scene therefore looks the same at every size. Edges are smoothed: exactly in the horizontal direction, and
//! with [`LINES`] sampled lines per row in the vertical one.

use image::RgbImage;

use crate::colour::{Colour, Ink};
use crate::numbers;
use crate::shapes::Point;

/// Lines sampled within each row of pixels to smooth the edges of a shape.
const LINES: u8 = 4;

/// A picture being painted.
#[derive(Debug)]
pub(crate) struct Canvas {
    image: RgbImage,
    /// Pixels per unit of length: the picture's height.
    unit: f32,
}

impl Canvas {
    /// Returns a black canvas.
    pub(crate) fn new(width: u32, height: u32) -> Self {
        Self::over(RgbImage::new(width, height))
    }

    /// Returns a canvas for painting over a picture.
    pub(crate) fn over(image: RgbImage) -> Self {
        let unit = image.height().max(1) as f32;
        Self { image, unit }
    }

    /// Returns the picture's width as a multiple of its height.
    pub(crate) fn aspect(&self) -> f32 {
        self.image.width() as f32 / self.unit
    }

    /// Returns the finished picture.
    pub(crate) fn finish(self) -> RgbImage {
        self.image
    }

    /// Covers the whole width between two heights.
    pub(crate) fn wash(&mut self, top: f32, bottom: f32, paint: impl Fn(Point) -> Ink) {
        self.ground(|_| top, |at, _| if at.y <= bottom { paint(at) } else { CLEAR }, bottom);
    }

    /// Covers everything between a skyline and `bottom`; `paint` also gets the distance below the skyline.
    pub(crate) fn ground(
        &mut self,
        skyline: impl Fn(f32) -> f32,
        paint: impl Fn(Point, f32) -> Ink,
        bottom: f32,
    ) {
        self.ground_with(&skyline, &paint, bottom);
    }

    /// The dynamic form of the function, so that it is compiled once and not for each of some hundred paints.
    fn ground_with(&mut self, skyline: &dyn Fn(f32) -> f32, paint: &dyn Fn(Point, f32) -> Ink, bottom: f32) {
        let width = self.image.width() as usize;
        let tops: Vec<f32> = (0..width).map(|column| skyline(self.middle(column)) * self.unit).collect();
        let first = numbers::index(tops.iter().copied().fold(f32::MAX, f32::min));
        let last = numbers::index((bottom * self.unit).ceil()).min(self.image.height() as usize);
        for row in first..last {
            let y = self.middle(row);
            let edge = row as f32 + 1.0;
            let pixels = self.image.as_flat_samples_mut().samples;
            let line = &mut pixels[row * width * 3..(row + 1) * width * 3];
            for (column, (pixel, top)) in line.as_chunks_mut().0.iter_mut().zip(&tops).enumerate() {
                let coverage = (edge - top).min(1.0);
                if coverage > 0.0 {
                    let at = Point { x: (column as f32 + 0.5) / self.unit, y };
                    blend(pixel, paint(at, y - top / self.unit), coverage);
                }
            }
        }
    }

    /// Fills a closed outline. Parts that it encloses an even number of times stay clear.
    pub(crate) fn fill(&mut self, outline: &[Point], paint: impl Fn(Point) -> Ink) {
        self.fill_with(outline, &paint);
    }

    /// The dynamic form of the function, so that it is compiled once and not for each of some hundred paints.
    fn fill_with(&mut self, outline: &[Point], paint: &dyn Fn(Point) -> Ink) {
        let (width, height) = (self.image.width() as usize, self.image.height() as usize);
        let (mut top, mut bottom) = (f32::MAX, f32::MIN);
        for point in outline {
            top = top.min(point.y * self.unit);
            bottom = bottom.max(point.y * self.unit);
        }
        let mut coverage = vec![0.0_f32; width];
        let mut crossings = Vec::new();
        for row in numbers::index(top)..numbers::index(bottom.ceil()).min(height) {
            let (mut first, mut last) = (width, 0);
            for line in 0..LINES {
                let y = row as f32 + (f32::from(line) + 0.5) / f32::from(LINES);
                self.cross(outline, y, &mut crossings);
                for pair in crossings.as_chunks::<2>().0 {
                    let (from, to) = (pair[0].max(0.0), pair[1].min(width as f32));
                    if from < to {
                        first = first.min(numbers::index(from));
                        last = last.max(numbers::index(to.ceil()));
                        cover(&mut coverage, from, to);
                    }
                }
            }
            let y = self.middle(row);
            for (column, share) in coverage.iter_mut().enumerate().take(last).skip(first) {
                let share = std::mem::take(share);
                let at = Point { x: self.middle(column), y };
                let start = (row * width + column) * 3;
                if let Some(pixel) = self.image.as_flat_samples_mut().samples[start..].first_chunk_mut() {
                    blend(pixel, paint(at), share);
                }
            }
        }
    }

    /// Adds light around a point, fading to nothing at `radius`.
    pub(crate) fn glow(&mut self, centre: Point, radius: f32, colour: Colour, strength: f32) {
        let fade = |at: Point| {
            let (x, y) = (at.x - centre.x, at.y - centre.y);
            let share = (1.0 - (x * x + y * y) / (radius * radius)).max(0.0);
            colour.sheer(strength * share * share)
        };
        let (left, right) = (centre.x - radius, centre.x + radius);
        let (top, bottom) = (centre.y - radius, centre.y + radius);
        let square = [(left, top), (right, top), (right, bottom), (left, bottom)].map(Point::from);
        self.fill(&square, fade);
    }

    /// Draws a line of even thickness through the points.
    pub(crate) fn stroke(&mut self, points: &[Point], thickness: f32, ink: Ink) {
        for pair in points.windows(2) {
            let (x, y) = (pair[1].x - pair[0].x, pair[1].y - pair[0].y);
            let length = (x * x + y * y).sqrt().max(1e-6);
            let (across, down) = (-y / length * thickness / 2.0, x / length * thickness / 2.0);
            let corner = |at: Point, side: f32| Point { x: at.x + across * side, y: at.y + down * side };
            let outline =
                [corner(pair[0], 1.0), corner(pair[1], 1.0), corner(pair[1], -1.0), corner(pair[0], -1.0)];
            self.fill(&outline, |_| ink);
        }
    }

    /// Calls a function on every pixel, with its column and row.
    pub(crate) fn retouch(&mut self, touch: impl Fn(&mut [u8; 3], u32, u32)) {
        for (column, row, pixel) in self.image.enumerate_pixels_mut() {
            touch(&mut pixel.0, column, row);
        }
    }

    /// Returns the middle of a row or column, in units of length.
    fn middle(&self, pixel: usize) -> f32 {
        (pixel as f32 + 0.5) / self.unit
    }

    /// Finds the points at which the outline crosses a horizontal line, in pixels from the left, sorted.
    fn cross(&self, outline: &[Point], y: f32, crossings: &mut Vec<f32>) {
        crossings.clear();
        let Some(mut before) = outline.last() else { return };
        for point in outline {
            let (y0, y1) = (before.y * self.unit, point.y * self.unit);
            if (y0 <= y) != (y1 <= y) {
                let share = (y - y0) / (y1 - y0);
                crossings.push(numbers::mix(before.x, point.x, share) * self.unit);
            }
            before = point;
        }
        crossings.sort_unstable_by(f32::total_cmp);
    }
}

const CLEAR: Ink = Ink { colour: Colour::hex(0), opacity: 0.0 };

/// Adds one line's span, in pixels, to the coverage of a row.
fn cover(coverage: &mut [f32], from: f32, to: f32) {
    let weight = 1.0 / f32::from(LINES);
    let (first, last) = (numbers::index(from), numbers::index(to));
    if first == last {
        coverage[first] += (to - from) * weight;
        return;
    }
    coverage[first] += (first as f32 + 1.0 - from) * weight;
    for share in &mut coverage[first + 1..last] {
        *share += weight;
    }
    if let Some(share) = coverage.get_mut(last) {
        *share += (to - last as f32) * weight;
    }
}

fn blend(pixel: &mut [u8; 3], ink: Ink, coverage: f32) {
    let share = ink.opacity * coverage.min(1.0);
    if share >= 1.0 {
        *pixel = [ink.colour.red, ink.colour.green, ink.colour.blue].map(numbers::byte);
        return;
    }
    if share <= 0.0 {
        return;
    }
    let over =
        |under: u8, level: f32| numbers::byte(numbers::mix(f32::from(under), level.clamp(0.0, 255.0), share));
    *pixel =
        [over(pixel[0], ink.colour.red), over(pixel[1], ink.colour.green), over(pixel[2], ink.colour.blue)];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shapes;

    const WHITE: Colour = Colour::hex(0xff_ffff);

    fn sum(canvas: Canvas) -> u64 {
        canvas.finish().pixels().map(|pixel| u64::from(pixel.0[0])).sum()
    }

    #[test]
    fn a_filled_disc_has_the_area_of_a_disc() {
        let mut canvas = Canvas::new(300, 200);
        canvas.fill(&shapes::ellipse(Point { x: 0.75, y: 0.5 }, 0.4, 0.4), |_| WHITE.ink());
        let area = sum(canvas) as f32 / 255.0;
        let truth = std::f32::consts::PI * 80.0 * 80.0;
        assert!((area / truth - 1.0).abs() < 0.01, "{area} against {truth}");
    }

    #[test]
    fn shapes_that_leave_the_canvas_are_cut() {
        let mut canvas = Canvas::new(40, 20);
        canvas.fill(&shapes::rectangle(-9.0, -9.0, 20.0, 20.0), |_| WHITE.ink());
        assert_eq!(sum(canvas), 255 * 40 * 20);
    }

    #[test]
    fn ground_reaches_from_its_skyline_to_its_bottom() {
        let mut canvas = Canvas::new(10, 100);
        canvas.ground(|_| 0.25, |_, _| WHITE.ink(), 0.75);
        assert_eq!(sum(canvas), 255 * 10 * 50);
    }
}
