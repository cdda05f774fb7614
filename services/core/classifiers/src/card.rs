//! Model cards: the description of a model, its approval, and the way in which it is run.
//!
//! Reading order: `draft` (the JSON form), `drawn` and `test_vector`, `checked` (from a draft to a card),
//! `model_card`.

mod draft;
mod drawn;
mod test_vector;
mod checked;
mod model_card;
#[cfg(test)]
mod tests;

pub use draft::{
    ExpectedScore, InputDraft, InputForm, Kind, Mode, ModelCardDraft, State, TestInput, TestVectorDraft,
    ThresholdDraft,
};
pub use model_card::{ModelCard, Source, ThresholdError};
pub use test_vector::{Content, TestMismatch, TestVector};
