//! Tests of write-back to simulated programmes: `own` is the bank, `taking` the programmes, `bed` both
//! together.

pub(crate) mod own;
mod taking;
mod bed;
pub(crate) use bed::block_on;
mod histories;
mod troubles;
mod echoes;
mod beside;
