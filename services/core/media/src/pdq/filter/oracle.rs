//! The reference's filter as it is described, on a full luma plane: slow, and the oracle for tests of the
//! band matrices.

use super::{Buffer, SIDE};
use crate::luma::LumaSource;
use crate::picture::{CHANNELS, Picture};

/// Computes luma, two passes of both box filters, and decimation.
pub(super) fn downsample(picture: &Picture) -> Buffer {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let pixels = picture.rgb().as_chunks::<CHANNELS>().0;
    let mut plane: Vec<f32> =
        pixels.iter().map(|&[r, g, b]| Picture::luma(&[r, g, b].map(f32::from))).collect();
    if (width, height) != (SIDE, SIDE) {
        for _ in 0..2 {
            for row in plane.chunks_exact_mut(width) {
                let filtered = boxed(row);
                row.copy_from_slice(&filtered);
            }
            for x in 0..width {
                let column: Vec<f32> = plane.iter().skip(x).step_by(width).copied().collect();
                for (y, value) in boxed(&column).into_iter().enumerate() {
                    plane[y * width + x] = value;
                }
            }
        }
    }
    let mut out = [[0.0; SIDE]; SIDE];
    for (i, row) in out.iter_mut().enumerate() {
        for (j, value) in row.iter_mut().enumerate() {
            *value = plane[place(i, height) * width + place(j, width)];
        }
    }
    out
}

/// Returns the source index of an output index.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the reference's own truncation")]
fn place(index: usize, length: usize) -> usize {
    (((index as f64 + 0.5) * length as f64) / SIDE as f64) as usize
}

/// Applies one box filter along one line: a running sum that grows, is full, and shrinks.
fn boxed(line: &[f32]) -> Vec<f32> {
    let window = line.len().div_ceil(128);
    let half = usize::midpoint(window, 2);
    let mut out = Vec::with_capacity(line.len());
    let (mut sum, mut size) = (0.0_f32, 0.0_f32);
    let (mut right, mut left) = (0, 0);
    // Samples are added; there is no output yet.
    while right < half - 1 {
        sum += line[right];
        size += 1.0;
        right += 1;
    }
    // Samples are added, and the outputs are averages of less than a window.
    while right < window {
        sum += line[right];
        size += 1.0;
        right += 1;
        out.push(sum / size);
    }
    // One sample is added and one removed.
    while right < line.len() {
        sum += line[right];
        sum -= line[left];
        right += 1;
        left += 1;
        out.push(sum / size);
    }
    // Samples are only removed.
    while out.len() < line.len() {
        sum -= line[left];
        size -= 1.0;
        left += 1;
        out.push(sum / size);
    }
    out
}
