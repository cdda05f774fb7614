//! Classifiers that an operator supplies: the inputs and outputs of models, and measurements of their
//! quality.
//!
//! The crate is pure: its inputs are pictures, conversations and tensors; its outputs are tensors, scores and
//! thresholds. It has no files, network or clock, and runs no model. Engines run models on a [`Tensor`].
//!
//! Always true:
//!
//! - **A score is never a verdict.** No type of this crate contains a verdict.
//! - **An input is computed from its declaration alone**: the same picture or conversation and the same
//!   declaration give the same tensor.
//! - **No rate is claimed that the sample does not support**: intervals are exact, and a threshold is refused
//!   with the size that would do.
//! - **The text of a conversation is in no debug output and in no error message.**
//!
//! Reading order:
//!
//! - [`fault`]: the faults of something that an operator declares; [`name`]: names and digests;
//! - [`tensor`]: the data exchanged with engines;
//! - [`conversation`] and [`preprocessing`]: `picture`, `image`, `form`, `resize` and `join`;
//! - [`histogram`] and [`drift`]; [`calibration`]: how well a model separates the classes; [`threshold`]:
//!   thresholds by rate;
//! - [`scores`]: `taxonomy`, `output`, `read`, `scored`; [`card`]: the complete description of one model.

pub mod fault;
pub mod name;
pub mod tensor;
pub mod conversation;
pub mod preprocessing;
pub mod histogram;
pub mod drift;
pub mod calibration;
pub mod threshold;
pub mod scores;
pub mod card;

pub use calibration::{Calibration, ClassTable, Estimate, Label, Sample};
pub use card::{Content, Kind, Mode, ModelCard, ModelCardDraft, State};
pub use conversation::{Conversation, ConversationDraft, ConversationError, Message};
pub use drift::{Drift, Stability};
pub use fault::{Fault, Faults};
pub use histogram::Histogram;
pub use name::{Name, Sha256};
pub use preprocessing::{ConversationInput, ImageInput, InputError, PictureForm, RgbPicture, RgbView};
pub use scores::{Output, ScoreError, Scored, Scores};
pub use tensor::{Tensor, TensorData, TensorError};
pub use threshold::{ChooseError, Chosen, Rate, choose};
