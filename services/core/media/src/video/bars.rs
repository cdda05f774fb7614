//! The black bars that all sampled frames of a video have.
//!
//! A line belongs to a bar if its mean brightness is below [`DARK_MAX`] in every frame. The mean is used
//! because coding changes the lines of a bar beside the picture, and because text in a bar is not part of the
//! picture. A single frame may be dark at its edges; edges that are dark in the whole video are bars.

use std::ops::Range;

use crate::luma::LumaSource;
use crate::pdq::filter::Window;
use crate::picture::CHANNELS;

use super::frame::{Inner, RgbFrame};

/// The limit of a bar line's mean brightness, of 255. Black is 0 in RGB, and its coding adds some.
const DARK_MAX: u32 = 16;

/// The smallest part of a side that bars may leave, as a divisor of the side.
const INNER_SHARE_MIN: usize = 4;

/// Bars of less than this part of a side are ignored, because they change a hash by few bits. A divisor of
/// the side.
const BAR_SHARE_MIN: usize = 64;

/// The bars of the frames observed so far.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    /// `None` if all frames were black, which gives no information.
    seen: Option<Seen>,
}

#[derive(Debug, Clone)]
struct Seen {
    whole: Window,
    inner: Window,
}

impl Bars {
    /// Adds the next frame. All frames have the same size.
    pub fn observe(&mut self, frame: &RgbFrame<'_>) {
        let whole = Window::whole(frame);
        let before = match &self.seen {
            Some(seen) if seen.whole == whole => seen.inner.clone(),
            Some(_) => return,
            // All frames were black, so a bar may be anywhere.
            None => Window { columns: whole.columns.end..0, rows: whole.rows.end..0 },
        };
        let (width, height) = (whole.columns.end, whole.rows.end);
        let row_is_dark = |row: &usize| row_sum(frame, *row) < u64::from(DARK_MAX) * width as u64;
        let top = (0..before.rows.start).take_while(row_is_dark).count();
        if top == height {
            return;
        }
        let bottom = (before.rows.end..height).rev().take_while(row_is_dark).count();
        let rows = top..height - bottom;
        let dark = |columns: Range<usize>| -> Vec<bool> {
            let dark_max = u64::from(DARK_MAX) * rows.len() as u64;
            column_sums(frame, &columns, &rows).into_iter().map(|sum| sum < dark_max).collect()
        };
        let left = dark(0..before.columns.start).iter().take_while(|&&dark| dark).count();
        let right = dark(before.columns.end..width).iter().rev().take_while(|&&dark| dark).count();
        let columns = left..width.saturating_sub(right).max(left);
        self.seen = Some(Seen { whole, inner: Window { columns, rows } });
    }

    /// Returns the area within the bars; `None` if there are no bars worth removing, or they leave too
    /// little.
    #[must_use]
    pub fn inner(&self) -> Option<Inner> {
        let Seen { whole, inner } = self.seen.as_ref()?;
        let inner = Window {
            columns: without(&whole.columns, &inner.columns)?,
            rows: without(&whole.rows, &inner.rows)?,
        };
        (inner != *whole).then_some(Inner(inner))
    }
}

/// Returns the part of a side that bars leave: all of it if they are thin; `None` if the rest is too small.
fn without(side: &Range<usize>, inner: &Range<usize>) -> Option<Range<usize>> {
    if inner.len() * INNER_SHARE_MIN < side.len() {
        return None;
    }
    let is_thin = (side.len() - inner.len()) * BAR_SHARE_MIN < side.len();
    Some(if is_thin { side.clone() } else { inner.clone() })
}

/// Returns the brightness of a pixel as a whole number.
fn brightness(pixel: &[u8]) -> u32 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    (77 * red + 150 * green + 29 * blue) >> 8
}

fn row_sum(frame: &RgbFrame<'_>, row: usize) -> u64 {
    let stride = frame.stride();
    let pixels = frame.samples()[row * stride..(row + 1) * stride].chunks_exact(CHANNELS);
    pixels.map(|pixel| u64::from(brightness(pixel))).sum()
}

fn column_sums(frame: &RgbFrame<'_>, columns: &Range<usize>, rows: &Range<usize>) -> Vec<u64> {
    let mut sums = vec![0_u64; columns.len()];
    if columns.is_empty() {
        return sums;
    }
    for row in frame.samples().chunks_exact(frame.stride()).take(rows.end).skip(rows.start) {
        let pixels = row[columns.start * CHANNELS..columns.end * CHANNELS].chunks_exact(CHANNELS);
        for (sum, pixel) in sums.iter_mut().zip(pixels) {
            *sum += u64::from(brightness(pixel));
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: u32 = 160;
    const HEIGHT: u32 = 120;

    /// Returns a generated picture in this part of a black frame.
    fn bordered(number: u64, columns: Range<u32>, rows: Range<u32>) -> Vec<u8> {
        let (width, height) = (columns.end - columns.start, rows.end - rows.start);
        let picture = vigie_pictures::draw(number, width, height);
        let mut rgb = vec![3; RgbFrame::bytes(WIDTH, HEIGHT).unwrap()];
        for (x, y, pixel) in picture.enumerate_pixels() {
            let at = ((y + rows.start) * WIDTH + x + columns.start) as usize * CHANNELS;
            rgb[at..at + CHANNELS].copy_from_slice(&pixel.0);
        }
        rgb
    }

    fn inner(frames: &[Vec<u8>]) -> Option<Inner> {
        let mut bars = Bars::default();
        for rgb in frames {
            bars.observe(&RgbFrame::new(WIDTH, HEIGHT, rgb).unwrap());
        }
        bars.inner()
    }

    fn window(columns: Range<usize>, rows: Range<usize>) -> Option<Inner> {
        Some(Inner(Window { columns, rows }))
    }

    #[test]
    fn bars_are_what_all_frames_have() {
        let letterbox = bordered(1, 0..WIDTH, 20..100);
        let pillarbox = bordered(2, 30..130, 0..HEIGHT);
        let (both, narrower) = (bordered(3, 20..140, 10..110), bordered(4, 40..120, 30..90));
        let black = vec![0; letterbox.len()];
        assert_eq!(inner(std::slice::from_ref(&letterbox)), window(0..160, 20..100));
        assert_eq!(inner(std::slice::from_ref(&pillarbox)), window(30..130, 0..120));
        assert_eq!(inner(&[both.clone(), narrower.clone()]), window(20..140, 10..110));
        assert_eq!(inner(&[narrower, both]), window(20..140, 10..110));
        assert_eq!(inner(&[letterbox.clone(), pillarbox]), None, "together they fill the frame");
        assert_eq!(inner(&[black.clone(), letterbox, black.clone()]), window(0..160, 20..100));
        assert_eq!(inner(&[black]), None);
        assert_eq!(inner(&[]), None);
    }

    #[test]
    fn bars_that_leave_little_or_take_little_are_none() {
        assert_eq!(inner(&[bordered(5, 0..WIDTH, 50..70)]), None, "a sixth of the height");
        assert_eq!(inner(&[bordered(6, 0..WIDTH, 1..HEIGHT)]), None, "one line");
        assert_eq!(inner(&[bordered(7, 1..WIDTH, 15..105)]), window(0..160, 15..105), "one column, two bars");
    }

    #[test]
    fn what_lies_within_bars_has_the_hash_of_the_picture_alone() {
        let rgb = bordered(8, 0..WIDTH, 20..100);
        let inner = inner(std::slice::from_ref(&rgb)).unwrap();
        let frame = RgbFrame::new(WIDTH, HEIGHT, &rgb).unwrap();
        let alone = vigie_pictures::draw(8, WIDTH, 80);
        let alone = RgbFrame::new(WIDTH, 80, alone.as_raw()).unwrap();
        let whole = Inner(Window::whole(&alone));
        assert!(frame.hashes_within(&inner) == alone.hashes_within(&whole));
        assert!(frame.hashes() != alone.hashes());
    }
}
