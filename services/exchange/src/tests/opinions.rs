//! Tests of sending opinions to simulated programmes: `said` is the bank, `hearing` the programmes.

pub(crate) mod said;
mod hearing;
mod histories;
mod troubles;
mod words;
mod beside;
