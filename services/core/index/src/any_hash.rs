//! Indexes of hashes whose length and comparison are known only at run time.
//!
//! A caller with a table of hash types keeps one [`HashIndex`] for each type and needs no type parameter. The
//! implementations are [`crate::RadiusIndex`] and [`crate::EqualityIndex`], in the few widths that are
//! compiled. A batch of edits or of queries costs one virtual call, and each hit another one; a search has no
//! other overhead.
//!
//! Reading order: `shape` (the hashes that an index stores), `batch` (edits and rows as flat bytes), `index`
//! (the traits), `hamming` and `equality` (their implementations), `begin` (creates an index from a shape).

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
