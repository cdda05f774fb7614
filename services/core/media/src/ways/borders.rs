//! Finds the picture within bars of uniform brightness.
//!
//! A bar begins at an edge of the picture and has the brightness of its outermost line. JPEG changes its
//! inner end: in the blocks of 8 x 8 pixels that contain both bar and picture, the picture's edge rings into
//! the bar. A rule for single pixels would end the bar where those blocks begin, up to 7 lines too early, and
//! 7 lines of 480 change 30 bits. The end is therefore searched for among the next lines: there the mean
//! difference from the bar's brightness jumps, while ringing stays far below.
//!
//! The figures were chosen on 12 generated pictures with bars of 1 to 12 % a side in three colours, as JPEG
//! of quality 60 to 95: each of 3,456 edges is found to the pixel.

use std::ops::Range;

use crate::luma::LumaSource;
use crate::pdq::filter::Window;

/// The largest difference of a bar's pixel from the brightness of the outermost line, of 255: noise where
/// nothing rings.
const NOISE_MAX: f32 = 10.0;

/// The largest mean difference of a ringing line from the brightness of the outermost line, of 255.
const RINGING_MAX: f32 = 6.0;

/// The number of lines of a block.
const BLOCK_LINES: usize = 8;

/// A line belongs to the picture from this share of the largest difference in its block on.
const PICTURE_SHARE_MIN: f32 = 0.33;

/// In a bar that rings in each line, the difference must jump by at least this factor,
const JUMP_FACTOR_MIN: f32 = 4.0;

/// and to at least this value, of 255.
const JUMP_MIN: f32 = 10.0;

/// The smallest share of a side that bars may leave.
const INNER_SHARE_MIN: f32 = 0.25;

/// Returns the picture within its bars; `None` if it has none, or consists only of bars.
pub(super) fn without_borders(source: &impl LumaSource) -> Option<Window> {
    let whole = Window::whole(source);
    // Rows first, because a row of a bar at the top is uniform over the whole width; then columns of the
    // rest.
    let bars = [Edge::Top, Edge::Bottom].map(|edge| bar(source, &whole, edge));
    let rows = inner(&whole.rows, bars)?;
    let between = Window { columns: whole.columns.clone(), rows };
    let bars = [Edge::Left, Edge::Right].map(|edge| bar(source, &between, edge));
    let window = Window { columns: inner(&whole.columns, bars)?, ..between };
    (window != whole).then_some(window)
}

/// Returns the part of a side between its bars; `None` if that is too small.
#[expect(clippy::cast_precision_loss, reason = "a side has at most 65,535 pixels")]
fn inner(side: &Range<usize>, [before, after]: [usize; 2]) -> Option<Range<usize>> {
    let left = side.len().saturating_sub(before + after);
    (left as f32 >= side.len() as f32 * INNER_SHARE_MIN).then(|| side.start + before..side.end - after)
}

/// The edges at which a bar may lie.
#[derive(Debug, Clone, Copy)]
enum Edge {
    Top,
    Bottom,
    Left,
    Right,
}

impl Edge {
    /// Returns the number of lines of a window, from this edge to the opposite one.
    fn lines(self, window: &Window) -> usize {
        match self {
            Self::Top | Self::Bottom => window.rows.len(),
            Self::Left | Self::Right => window.columns.len(),
        }
    }

    /// Returns these lines of a window, counted from this edge.
    fn part(self, window: &Window, lines: Range<usize>) -> Window {
        let Window { columns, rows } = window.clone();
        match self {
            Self::Top => Window { columns, rows: rows.start + lines.start..rows.start + lines.end },
            Self::Bottom => Window { columns, rows: rows.end - lines.end..rows.end - lines.start },
            Self::Left => Window { columns: columns.start + lines.start..columns.start + lines.end, rows },
            Self::Right => Window { columns: columns.end - lines.end..columns.end - lines.start, rows },
        }
    }
}

/// Returns the number of lines of the bar at an edge, 0 if there is none.
fn bar(source: &impl LumaSource, window: &Window, edge: Edge) -> usize {
    let lines = edge.lines(window);
    let level = mean(lumas(source, &edge.part(window, 0..1)));
    let mut start = 0;
    for step in [BLOCK_LINES, 1] {
        let is_near = |start| {
            let part = edge.part(window, start..start + step);
            lumas(source, &part).all(|luma| (luma - level).abs() <= NOISE_MAX)
        };
        while start + step <= lines && is_near(start) {
            start += step;
        }
    }
    let differences: Vec<f32> = (start..lines.min(start + BLOCK_LINES + 1))
        .map(|line| mean(lumas(source, &edge.part(window, line..line + 1)).map(|luma| (luma - level).abs())))
        .collect();
    let largest = differences.iter().copied().fold(0.0, f32::max);
    let Some(ringing) = differences.iter().position(|&mean| mean >= largest * PICTURE_SHARE_MIN) else {
        return start;
    };
    if start == 0 {
        let before = differences[..ringing].iter().copied().fold(0.0, f32::max);
        let jumps = differences[ringing] >= (before * JUMP_FACTOR_MIN).max(JUMP_MIN);
        if before > RINGING_MAX || !jumps {
            return 0;
        }
    }
    start + ringing
}

/// Returns the brightness of each pixel of a window.
fn lumas<S: LumaSource>(source: &S, window: &Window) -> impl Iterator<Item = f32> {
    let columns = window.columns.start * S::PER_PIXEL..window.columns.end * S::PER_PIXEL;
    let rows = source.samples().chunks(source.stride()).skip(window.rows.start).take(window.rows.len());
    rows.flat_map(move |row| row[columns.clone()].chunks_exact(S::PER_PIXEL)).map(|pixel| {
        let mut samples = [0.0; 3];
        for (sample, &byte) in samples.iter_mut().zip(pixel) {
            *sample = f32::from(byte);
        }
        S::luma(&samples)
    })
}

/// Returns the mean of values, 0 if there are none.
fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + f64::from(value)));
    #[expect(clippy::cast_possible_truncation, reason = "a mean of brightnesses")]
    let mean = (sum / f64::from(count.max(1))) as f32;
    mean
}
