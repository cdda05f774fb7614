//! From a conversation to a text, and to a tensor.

use serde::{Deserialize, Serialize};

use super::InputError;
use crate::conversation::{Conversation, Message};
use crate::fault::{Faults, Findings};
use crate::tensor::{Tensor, TensorData};

/// How a conversation becomes the tensor of a model: messages are written by a template, joined, cut to a
/// length and encoded.
///
/// The author of a message can write whatever the template writes. A model that must know who wrote what
/// needs a template that its training had too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationInput {
    /// How the text becomes a tensor.
    pub form: ConversationForm,
    /// How a message is written: `{text}` once and `{role}` at most once, such as `{role}: {text}`. No other
    /// braces.
    pub message: String,
    /// Stands between two messages.
    pub between: String,
    /// The most bytes of the joined text, and the length of the tensor of [`ConversationForm::Utf8Bytes`].
    pub bytes_max: u32,
    /// The end at which a longer text is cut.
    pub drop_first: DropFirst,
}

/// How a joined text becomes a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ConversationForm {
    /// Its bytes in UTF-8 as numbers, padded at the end: `[1, bytes_max]`.
    Utf8Bytes {
        /// The number after the last byte.
        pad: i32,
        /// The type of the numbers.
        element: Whole,
    },
    /// How often each byte occurs, divided by the number of bytes: `[1, 256]` of F32; zeros for an empty
    /// text.
    ByteCounts,
    /// The text itself: `[1, 1]`, for models of external servers.
    Text,
}

/// The type of elements that are whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whole {
    /// Whole numbers of 32 bits.
    I32,
    /// Whole numbers of 64 bits.
    I64,
    /// Numbers of 32 bits with a binary point.
    F32,
}

/// The end at which a text that is too long is cut, at a boundary of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropFirst {
    /// The beginning: what was written last is kept.
    Oldest,
    /// The end: what was written first is kept.
    Newest,
}

/// The text of a conversation as a model reads it. Its debug output shows no text.
#[derive(Clone, PartialEq, Eq)]
pub struct Joined {
    /// The text.
    pub text: String,
    /// Bytes of the joined messages that were cut away.
    pub dropped_bytes: usize,
}

impl ConversationInput {
    /// Bytes of `message` and of `between`.
    pub const TEMPLATE_LEN_MAX: usize = 64;
    /// The most bytes of a joined text: 64 KiB.
    pub const BYTES_MAX: u32 = 64 << 10;
    /// The least and the largest pad: 256 is the first number that is no byte, and -1 the last before.
    pub const PAD: std::ops::RangeInclusive<i32> = -1..=256;

    /// Checks the bounds.
    pub fn check(&self) -> Result<(), Faults> {
        let mut findings = Findings::default();
        self.find(&mut findings);
        findings.finish()
    }

    pub(crate) fn find(&self, findings: &mut Findings) {
        if let ConversationForm::Utf8Bytes { pad, .. } = self.form {
            findings.expect(Self::PAD.contains(&pad), "form.pad", || {
                format!("{pad} is not from {} to {}", Self::PAD.start(), Self::PAD.end())
            });
        }
        findings.expect(self.message.len() <= Self::TEMPLATE_LEN_MAX, "message", || {
            format!("a template has at most {} bytes, not {}", Self::TEMPLATE_LEN_MAX, self.message.len())
        });
        let texts = self.message.matches("{text}").count();
        findings.expect(texts == 1, "message", || format!("{{text}} occurs once, not {texts} times"));
        let roles = self.message.matches("{role}").count();
        findings.expect(roles <= 1, "message", || format!("{{role}} occurs at most once, not {roles} times"));
        let rest = self.message.replace("{text}", "").replace("{role}", "");
        findings
            .expect(!rest.contains(['{', '}']), "message", || "braces are only in {role} and {text}".into());
        findings.expect(self.between.len() <= Self::TEMPLATE_LEN_MAX, "between", || {
            format!("a separator has at most {} bytes, not {}", Self::TEMPLATE_LEN_MAX, self.between.len())
        });
        findings.expect((1..=Self::BYTES_MAX).contains(&self.bytes_max), "bytes_max", || {
            format!("{} is not from 1 to {}", self.bytes_max, Self::BYTES_MAX)
        });
    }

    /// The text of a conversation as the model reads it.
    pub fn join(&self, conversation: &Conversation) -> Result<Joined, InputError> {
        self.check().map_err(InputError::Declared)?;
        let written = conversation.messages().iter().map(|message| self.write(message));
        let mut text = written.collect::<Vec<_>>().join(&self.between);
        let whole = text.len();
        let bytes_max = self.length();
        if whole > bytes_max {
            match self.drop_first {
                DropFirst::Oldest => drop(text.drain(..text.ceil_char_boundary(whole - bytes_max))),
                DropFirst::Newest => text.truncate(text.floor_char_boundary(bytes_max)),
            }
        }
        let dropped_bytes = whole - text.len();
        Ok(Joined { text, dropped_bytes })
    }

    /// The tensor of a conversation, as `name`.
    pub fn tensor(&self, name: &str, conversation: &Conversation) -> Result<Tensor, InputError> {
        let text = self.join(conversation)?.text;
        let (width, data) = match self.form {
            ConversationForm::Utf8Bytes { pad, element } => {
                let bytes = text.bytes().map(i32::from).chain(std::iter::repeat(pad)).take(self.length());
                // -1 to 256: 32 bits with a binary point hold them exactly.
                let data = match element {
                    Whole::I32 => TensorData::I32(bytes.collect()),
                    Whole::I64 => TensorData::I64(bytes.map(i64::from).collect()),
                    Whole::F32 => TensorData::F32(bytes.map(|value| value as f32).collect()),
                };
                (self.length(), data)
            }
            ConversationForm::ByteCounts => (256, TensorData::F32(shares(text.as_bytes()))),
            ConversationForm::Text => (1, TensorData::Text(vec![text])),
        };
        Tensor::new(name, &[1, width], data).map_err(InputError::Tensor)
    }

    /// The message by the template. Markers in the message itself are left as they are.
    fn write(&self, message: &Message) -> String {
        let put_role = |part: &str| part.replacen("{role}", &message.role, 1);
        match self.message.split_once("{text}") {
            Some((before, after)) => [put_role(before), message.text.clone(), put_role(after)].concat(),
            None => String::new(),
        }
    }

    fn length(&self) -> usize {
        usize::try_from(self.bytes_max).unwrap_or(usize::MAX)
    }
}

/// How often each byte occurs, divided by their number.
fn shares(bytes: &[u8]) -> Vec<f32> {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let total: u32 = counts.iter().sum();
    // Both are at most 65,536, which 32 bits with a binary point hold exactly.
    counts.iter().map(|count| if total == 0 { 0.0 } else { *count as f32 / total as f32 }).collect()
}

/// Lengths alone.
impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Joined({} bytes, {} dropped)", self.text.len(), self.dropped_bytes)
    }
}
