//! Converts the tensors that a model returns to a score for each class.
//!
//! Reading order: `taxonomy` (the classes of programmes), `output` (the declaration), `read` (from tensors to
//! scores), `scored` (the form of answers).

mod taxonomy;
mod output;
mod read;
mod scored;

pub use output::{Activation, Output, OutputClass, OutputClassDraft, OutputDraft};
pub use read::{ScoreError, Scores};
pub use scored::{ExpectedRate, Scored};
pub use taxonomy::{TaxonomyClass, TaxonomyClassError};
