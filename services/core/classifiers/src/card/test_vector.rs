//! Test vectors: inputs with known scores.

use thiserror::Error;
use vigie_hashes::hex;

use super::draft::{ExpectedScore, Kind, TestInput, TestVectorDraft};
use super::drawn::drawn;
use crate::conversation::Conversation;
use crate::fault::Findings;
use crate::name::Name;
use crate::preprocessing::RgbPicture;
use crate::scores::{Output, Scores};

/// A content that a model scores. The debug output shows no content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A picture.
    Picture(RgbPicture),
    /// A conversation.
    Conversation(Conversation),
}

impl Content {
    /// Returns the kind of the content.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Picture(_) => Kind::Image,
            Self::Conversation(_) => Kind::Conversation,
        }
    }
}

/// An input with known scores. It detects changes of the preprocessing or the model: an engine runs it before
/// it serves the model.
#[derive(Debug, Clone, PartialEq)]
pub struct TestVector {
    content: Content,
    expected: Box<[(Name, f32)]>,
}

/// The model or its preprocessing is not the one of the card.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("the test vector has the score {expected} for {class}; the model gives {}", got.map_or("none".into(), |got| got.to_string()))]
pub struct TestMismatch {
    /// The class.
    pub class: Name,
    /// The score of the card.
    pub expected: f32,
    /// The score of the model.
    pub got: Option<f32>,
}

impl TestVector {
    /// The largest difference between a score and the expected one.
    pub const TOLERANCE: f32 = 1e-4;
    /// The largest size of the pixels in a card, in bytes: 64 KiB.
    pub const PIXEL_BYTES_MAX: usize = 64 << 10;
    /// The longest side of a generated picture, in pixels.
    pub const DRAWN_SIDE_MAX: u32 = 1024;
    /// The largest size of the texts of a conversation in a card, in bytes: 8 KiB.
    pub const CONVERSATION_BYTES_MAX: usize = 8 << 10;

    /// Returns the input.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// Returns the expected score of each class.
    pub fn expected(&self) -> impl Iterator<Item = (&Name, f32)> {
        self.expected.iter().map(|(class, score)| (class, *score))
    }

    /// Compares the scores with the expected ones, and returns the first class that differs.
    pub fn check(&self, scores: &Scores) -> Result<(), TestMismatch> {
        let is_met = |class: &Name, expected: f32| {
            scores.of(class).is_some_and(|got| (got - expected).abs() <= Self::TOLERANCE)
        };
        match self.expected().find(|(class, expected)| !is_met(class, *expected)) {
            None => Ok(()),
            Some((class, expected)) => {
                Err(TestMismatch { class: class.clone(), expected, got: scores.of(class) })
            }
        }
    }

    /// Returns the test vector of a draft, and adds its faults to the findings; `None` if there are any.
    pub(super) fn find(
        draft: &TestVectorDraft,
        kind: Kind,
        output: &Output,
        findings: &mut Findings,
    ) -> Option<Self> {
        let content = content(&draft.input).map_err(|problem| findings.add("input", problem)).ok();
        if let Some(content) = &content {
            findings.expect(content.kind() == kind, "input", || "it is no input of the model's kind".into());
        }
        let score = |class: &Name| draft.expected.iter().find(|expected| expected.class == class.as_str());
        let is_class = |expected: &ExpectedScore| {
            output.classes().iter().any(|class| class.name.as_str() == expected.class)
        };
        let is_whole = draft.expected.len() == output.classes().len()
            && output.classes().iter().all(|class| score(&class.name).is_some())
            && draft.expected.iter().all(is_class);
        findings.expect(is_whole, "expected", || "each class of the output has one score".into());
        let is_score = |expected: &ExpectedScore| (0.0..=1.0).contains(&expected.score);
        findings.expect(draft.expected.iter().all(is_score), "expected", || "a score is from 0 to 1".into());
        let expected =
            output.classes().iter().filter_map(|class| Some((class.name.clone(), score(&class.name)?.score)));
        Some(Self { content: content?, expected: expected.collect() })
    }
}

/// Returns the content of a test input.
fn content(input: &TestInput) -> Result<Content, String> {
    match input {
        TestInput::Drawn { seed, width, height } => {
            if [width, height].into_iter().any(|side| *side > TestVector::DRAWN_SIDE_MAX) {
                return Err(format!(
                    "a drawn picture has at most {} pixels a side",
                    TestVector::DRAWN_SIDE_MAX
                ));
            }
            drawn(*seed, *width, *height).map(Content::Picture).map_err(|error| error.to_string())
        }
        TestInput::Pixels { width, height, rgb } => {
            if rgb.len() > 2 * TestVector::PIXEL_BYTES_MAX {
                return Err(format!(
                    "the pixels of a card have at most {} bytes",
                    TestVector::PIXEL_BYTES_MAX
                ));
            }
            let pixels = hex::decode(rgb).ok_or("the pixels are no hexadecimal digits")?;
            let picture = RgbPicture::new(*width, *height, pixels);
            picture.map(Content::Picture).map_err(|error| error.to_string())
        }
        TestInput::Conversation(draft) => {
            let conversation = Conversation::try_from(draft.clone()).map_err(|error| error.to_string())?;
            if conversation.bytes() > TestVector::CONVERSATION_BYTES_MAX {
                return Err(format!(
                    "the conversation of a card has at most {} bytes",
                    TestVector::CONVERSATION_BYTES_MAX
                ));
            }
            Ok(Content::Conversation(conversation))
        }
    }
}
