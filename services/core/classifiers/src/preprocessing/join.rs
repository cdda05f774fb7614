//! Converts a conversation to a text, and to a tensor.

use serde::{Deserialize, Serialize};

use super::InputError;
use crate::conversation::{Conversation, Message};
use crate::fault::{Faults, Findings};
use crate::tensor::{Tensor, TensorData};

/// The conversion of a conversation to the tensor of a model: messages are formatted with a template, joined,
/// cut to a length and encoded.
///
/// The author of a message can imitate the template's text. A model that must distinguish the authors needs
/// the template that was used in its training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationInput {
    /// The form of the tensor.
    pub form: ConversationForm,
    /// The template of a message: `{text}` once and `{role}` at most once, such as `{role}: {text}`. No other
    /// braces.
    pub message: String,
    /// The separator between two messages.
    pub between: String,
    /// The largest size of the joined text in bytes, and the length of the tensor of
    /// [`ConversationForm::Utf8Bytes`].
    pub bytes_max: u32,
    /// The end at which a longer text is cut.
    pub drop_first: DropFirst,
}

/// The conversion of a joined text to a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ConversationForm {
    /// The UTF-8 bytes as numbers, padded at the end: `[1, bytes_max]`.
    Utf8Bytes {
        /// The number that fills the tensor after the last byte.
        pad: i32,
        /// The type of the numbers.
        element: Whole,
    },
    /// The relative frequency of each byte value: `[1, 256]` of F32; zeros for an empty text.
    ByteCounts,
    /// The text itself: `[1, 1]`, for models of external servers.
    Text,
}

/// The type of elements that contain integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whole {
    /// 32-bit integers.
    I32,
    /// 64-bit integers.
    I64,
    /// 32-bit floating-point numbers.
    F32,
}

/// The end at which a text that is too long is cut, at a boundary of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropFirst {
    /// Cuts the beginning and keeps the newest text.
    Oldest,
    /// Cuts the end and keeps the oldest text.
    Newest,
}

/// The text of a conversation as a model reads it. The debug output shows no text.
#[derive(Clone, PartialEq, Eq)]
pub struct Joined {
    /// The text.
    pub text: String,
    /// The number of bytes that were cut.
    pub dropped_bytes: usize,
}

impl ConversationInput {
    /// The longest `message` and the longest `between`, in bytes.
    pub const TEMPLATE_LEN_MAX: usize = 64;
    /// The longest joined text, in bytes: 64 KiB.
    pub const BYTES_MAX: u32 = 64 << 10;
    /// The range of the padding number: 256 is the first number above all bytes, and -1 the last below.
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

    /// Returns the text of a conversation as the model reads it.
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

    /// Returns the tensor of a conversation, with the name `name`.
    pub fn tensor(&self, name: &str, conversation: &Conversation) -> Result<Tensor, InputError> {
        let text = self.join(conversation)?.text;
        let (width, data) = match self.form {
            ConversationForm::Utf8Bytes { pad, element } => {
                let bytes = text.bytes().map(i32::from).chain(std::iter::repeat(pad)).take(self.length());
                // A 32-bit float represents -1 to 256 exactly.
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

    /// Formats a message with the template. Markers in the message itself are not replaced.
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

/// Returns the relative frequency of each byte value.
fn shares(bytes: &[u8]) -> Vec<f32> {
    let mut counts = [0_u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let total: u32 = counts.iter().sum();
    // Both are at most 65,536, which a 32-bit float represents exactly.
    counts.iter().map(|count| if total == 0 { 0.0 } else { *count as f32 / total as f32 }).collect()
}

/// Shows only lengths.
impl std::fmt::Debug for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Joined({} bytes, {} dropped)", self.text.len(), self.dropped_bytes)
    }
}
