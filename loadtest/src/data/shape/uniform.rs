//! Independent random bits: no row is near another.

use super::{FRESH, Shape};
use crate::Hash;
use crate::data::draw::{Draw, Stream};

pub(super) struct Uniform {
    pub(super) seed: u64,
}

impl Shape for Uniform {
    fn draw_rows(&self, first: u64, into: &mut [Hash]) {
        for (row, hash) in (first..).zip(into) {
            *hash = Draw::new(self.seed, Stream::Original, row).hash();
        }
    }

    fn draw_fresh(&self, index: u64) -> Hash {
        Draw::new(self.seed, Stream::Original, FRESH + index).hash()
    }
}
