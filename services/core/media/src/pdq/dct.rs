//! The 16 x 16 low frequencies of a 64 x 64 luma buffer, without the constant row and column.
//!
//! Source: the PDQ reference. `D` is 16 x 64 with `D[i][j] = sqrt(2/64) cos(pi/128 (i+1)(2j+1))`, and the
//! result is `D A D^t`. The sums are computed in `f32` and in index order, as in the reference, so that the
//! same buffer gives the same bits. Each inner loop runs over *independent* sums, so that the compiler can
//! use vectors without reordering any sum.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::pdq::filter::{Buffer, SIDE};

/// The number of rows and columns of the result.
pub(crate) const FREQUENCIES: usize = 16;

/// The result: the row is the vertical frequency, the column the horizontal one.
pub(crate) type Coefficients = [[f32; FREQUENCIES]; FREQUENCIES];

/// `D`, and its transpose for the second product.
struct Basis {
    rows: [[f32; SIDE]; FREQUENCIES],
    columns: [[f32; FREQUENCIES]; SIDE],
}

static BASIS: LazyLock<Basis> = LazyLock::new(Basis::new);

impl Basis {
    #[expect(clippy::cast_possible_truncation, reason = "rounded where the reference rounds")]
    fn new() -> Self {
        let mut basis = Self { rows: [[0.0; SIDE]; FREQUENCIES], columns: [[0.0; FREQUENCIES]; SIDE] };
        // The reference rounds the factor to `f32` before the product in `f64`.
        let factor = f64::from((2.0 / SIDE as f64).sqrt() as f32);
        for i in 0..FREQUENCIES {
            for j in 0..SIDE {
                let angle = PI / 2.0 / SIDE as f64 * (i + 1) as f64 * (2 * j + 1) as f64;
                let value = (factor * angle.cos()) as f32;
                basis.rows[i][j] = value;
                basis.columns[j][i] = value;
            }
        }
        basis
    }
}

/// Computes `D A D^t` of the buffer `A`.
#[must_use]
pub(crate) fn dct(buffer: &Buffer) -> Coefficients {
    let basis = &*BASIS;
    let mut result = [[0.0; FREQUENCIES]; FREQUENCIES];
    for (weights, out) in basis.rows.iter().zip(&mut result) {
        let mut row = [0.0_f32; SIDE];
        for (weight, luma) in weights.iter().zip(buffer) {
            for (sum, value) in row.iter_mut().zip(luma) {
                *sum += weight * value;
            }
        }
        for (value, weights) in row.iter().zip(&basis.columns) {
            for (sum, weight) in out.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }
    result
}
