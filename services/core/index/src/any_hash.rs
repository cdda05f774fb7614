//! Indexes of hashes whose length and comparison are known only at run time.
//!
//! A caller with a table of hash types keeps a [`HashIndex`] for each of them and needs no type parameter. Behind it stand
//! [`crate::RadiusIndex`] and [`crate::EqualityIndex`] of the few widths that are compiled. A batch of edits or of queries
//! costs one virtual call, and each hit another; nothing else is added to a search.
//!
//! Reading order: `shape` (which hashes an index holds), `batch` (edits and rows as flat bytes), `index` (the traits),
//! `hamming` and `equality` (their implementations), `begin` (from a shape to an index).

pub(crate) mod shape;
mod batch;
mod index;
mod hamming;
mod equality;
mod begin;

pub use batch::{HashEdit, HashEdits, HashRows};
pub use index::{HashIndex, HashSnapshot, Within};
pub use shape::{EQUALITY_BYTES_MAX, EQUALITY_BYTES_MIN, HAMMING_BYTES, HashShape, UnsupportedShape};

#[cfg(test)]
mod tests;
