//! Three shapes of rows.
//!
//! A shape is a function from a row's number to the row. A query is planted near a row by drawing that row
//! again, so no rows are stored.

mod uniform;
pub(crate) mod pdq;
mod adversarial;

use crate::Hash;
use crate::cli::ShapeName;
use crate::data::draw::Draw;

/// The source of the rows of a data file.
pub(crate) trait Shape: Send + Sync {
    /// Writes row `first`, `first + 1` and so on.
    fn draw_rows(&self, first: u64, into: &mut [Hash]);

    /// Draws hash number `index` of the fresh hashes: they have the shape of the rows and are not among them.
    /// (In a shape that repeats itself one may equal a row.)
    fn draw_fresh(&self, index: u64) -> Hash;

    /// Changes a row into a query that differs from it in `distance` bits.
    fn alter(&self, draw: &mut Draw, row: &mut Hash, distance: u16) {
        draw.flip(row, distance.into());
    }

    /// Returns one row.
    fn draw_row(&self, row: u64) -> Hash {
        let mut hash = [[0; 32]];
        self.draw_rows(row, &mut hash);
        hash[0]
    }
}

/// Numbers of fresh hashes begin here, above the numbers of all rows.
const FRESH: u64 = 1 << 40;

/// Returns the shape of that name.
pub(crate) fn shape(name: ShapeName, seed: u64) -> Box<dyn Shape> {
    match name {
        ShapeName::Uniform => Box::new(uniform::Uniform { seed }),
        ShapeName::Pdq => Box::new(pdq::Pdq::new(seed)),
        ShapeName::Adversarial => Box::new(adversarial::Adversarial::new(seed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_depend_on_seed_and_number_alone() {
        for name in [ShapeName::Uniform, ShapeName::Pdq, ShapeName::Adversarial] {
            let one = shape(name, 7);
            let mut whole = vec![[0; 32]; 1_000];
            one.draw_rows(0, &mut whole);
            let mut part = vec![[0; 32]; 100];
            shape(name, 7).draw_rows(433, &mut part);
            assert_eq!(part, whole[433..533], "{name:?}");
            assert_eq!(one.draw_row(999), whole[999], "{name:?}");
            assert_eq!(one.draw_fresh(3), shape(name, 7).draw_fresh(3), "{name:?}");
            let mut other = vec![[0; 32]; 1_000];
            shape(name, 8).draw_rows(0, &mut other);
            assert_ne!(other, whole, "{name:?}");
        }
    }
}
