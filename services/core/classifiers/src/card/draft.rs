//! A card before it is checked, in its JSON form.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;
use crate::conversation::ConversationDraft;
use crate::preprocessing::{ConversationInput, ImageInput};
use crate::scores::OutputDraft;
use crate::threshold::Rate;

/// A card before it is checked: the JSON form of a [`super::ModelCard`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCardDraft {
    /// The name, 1 to 64 of `a-z 0-9 - _`.
    pub name: String,
    /// The version, from 1 on. A changed card has a higher version.
    pub version: u32,
    /// The SHA-256 of the model's file, as 64 hexadecimal digits. Either this or `server_version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The version that an external server must name for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_version: Option<String>,
    /// The input of the model.
    pub input: InputDraft,
    /// The output of the model.
    pub output: OutputDraft,
    /// The licence of the model.
    pub licence: String,
    /// The person or body that approved the use of the model.
    pub approved_by: String,
    /// The time of the approval, in milliseconds since 1970, UTC.
    pub approved_at: u64,
    /// Further information for a person; may be empty.
    #[serde(default)]
    pub note: String,
    /// An input with known scores, which detects changes of the preprocessing or the model.
    pub test_vector: TestVectorDraft,
    /// Whether scores are returned to callers.
    #[serde(default)]
    pub mode: Mode,
    /// Whether the model is used.
    #[serde(default)]
    pub state: State,
    /// The measurement of how well the model separates the classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// The thresholds of classes. Each must be the calibration's threshold for its rate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thresholds: Vec<ThresholdDraft>,
}

/// The input of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputDraft {
    /// The tensor's name in the model.
    pub tensor: String,
    /// The kind of content, and its conversion to the tensor.
    pub form: InputForm,
}

/// The kind of content of an input, and its conversion to the tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputForm {
    /// A picture.
    Image(ImageInput),
    /// A conversation.
    Conversation(ConversationInput),
}

/// The kind of content that a model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Pictures.
    Image,
    /// Conversations.
    Conversation,
}

impl InputForm {
    /// Returns the kind of content that the model reads.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Image(_) => Kind::Image,
            Self::Conversation(_) => Kind::Conversation,
        }
    }
}

/// Whether scores are returned to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Scores are counted but not returned to callers. Every model starts in this mode.
    #[default]
    Shadow,
    /// Scores are returned. This requires a threshold, and so a calibration.
    Active,
}

/// Whether a model is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The model is run.
    #[default]
    InUse,
    /// The model is not run any more. The card stays, because answers refer to it.
    Retired,
}

/// An input with known scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestVectorDraft {
    /// The input.
    pub input: TestInput,
    /// The score of each class.
    pub expected: Vec<ExpectedScore>,
}

/// The input of a test vector. It must not be content from a person or a platform, because cards have many
/// readers. The debug output shows no content.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TestInput {
    /// A generated picture. It consists of blocks of 8 x 8 pixels; blocks at the right and the bottom edge
    /// are cut off.
    ///
    /// `SplitMix64`, with the seed as its initial state, draws a number for each block, row by row. The
    /// lowest byte of that number is the block's red, the next byte its green, and the third byte its blue.
    /// Then 4 ((x + 2 y) mod 8) is added to each byte of each pixel, modulo 256; x and y are the pixel's
    /// column and row, counted from 0 at the top left.
    Drawn {
        /// The seed.
        seed: u32,
        /// The width, 1 to 1024 pixels.
        width: u32,
        /// The height, 1 to 1024 pixels.
        height: u32,
    },
    /// A picture.
    Pixels {
        /// The width.
        width: u32,
        /// The height.
        height: u32,
        /// Red, green and blue of each pixel as hexadecimal digits, row by row: at most 64 KiB.
        rgb: String,
    },
    /// A conversation.
    Conversation(ConversationDraft),
}

/// Shows only sizes.
impl fmt::Debug for TestInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drawn { seed, width, height } => write!(f, "Drawn({width} x {height} of {seed})"),
            Self::Pixels { width, height, .. } => write!(f, "Pixels({width} x {height})"),
            Self::Conversation(draft) => draft.fmt(f),
        }
    }
}

/// The score that a test vector expects for a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedScore {
    /// The class.
    pub class: String,
    /// The expected score; the tolerance is 1e-4.
    pub score: f32,
}

/// The threshold of a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdDraft {
    /// The class.
    pub class: String,
    /// The requested false-positive rate.
    pub rate: Rate,
    /// The threshold of the calibration for that rate.
    pub threshold: f32,
}
