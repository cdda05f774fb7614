//! Rules of the repository, and files beside the code that have to agree with it.

mod rules;
pub(crate) mod chart;
mod compose;
