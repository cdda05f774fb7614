//! Drawn queries: every other one is planted near a row, the rest are fresh.

use crate::Hash;
use crate::data::draw::{Draw, Stream};
use crate::data::shape::Shape;

/// A planted query differs from its row in fewer bits than this; each number of bits is equally likely.
const FLIPS_END: u64 = 32;

/// Draws queries. Numbers 0, 2, 4 ... are random rows with 0 to 31 bits flipped: the full range of PDQ's
/// usual threshold. Numbers 1, 3, 5 ... have the same shape and are not among the rows. So the first queries,
/// however many are used, are half planted and half fresh.
pub(crate) fn draw(shape: &dyn Shape, seed: u64, rows: u32, count: u32) -> Vec<Hash> {
    (0..u64::from(count)).map(|number| draw_one(shape, seed, rows, number)).collect()
}

fn draw_one(shape: &dyn Shape, seed: u64, rows: u32, number: u64) -> Hash {
    if number % 2 == 1 {
        return shape.draw_fresh(number / 2);
    }
    let mut draw = Draw::new(seed, Stream::Query, number);
    let mut hash = shape.draw_row(draw.below(u64::from(rows)));
    let count = draw.below(FLIPS_END);
    draw.flip(&mut hash, count);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ShapeName;
    use crate::data::scan::distance;
    use crate::data::shape::shape;

    #[test]
    fn every_other_query_lies_within_31_bits_of_a_row() {
        for name in [ShapeName::Uniform, ShapeName::Pdq] {
            let shape = shape(name, 11);
            let mut rows = vec![[0; 32]; 1_000];
            shape.draw_rows(0, &mut rows);
            let queries = draw(&*shape, 11, 1_000, 200);
            let nearest = |query: &Hash| rows.iter().map(|row| distance(query, row)).min().unwrap();
            let planted: Vec<u16> = queries.iter().step_by(2).map(nearest).collect();
            assert!(planted.iter().all(|&distance| distance < 32), "{name:?}: {planted:?}");
            assert!(
                planted.iter().any(|&distance| distance < 4) && planted.iter().any(|&distance| distance > 27)
            );
            assert!(queries.iter().skip(1).step_by(2).all(|query| nearest(query) > 31), "{name:?}");
        }
    }
}
