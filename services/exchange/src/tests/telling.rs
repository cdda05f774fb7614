//! Opinions that go out to programmes that are played: `said` is the bank, `hearing` the programmes.

pub(crate) mod said;
mod hearing;
mod histories;
mod troubles;
mod words;
mod beside;
