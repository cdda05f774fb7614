//! Conversations: the input of models for texts.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Messages in their order, with the language if it is known, within bounds. The debug output shows no text.
///
/// The errors of a JSON parser may quote a value of the wrong type, and so a text of a message. Code that
/// parses conversations must not log these errors.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ConversationDraft", into = "ConversationDraft")]
pub struct Conversation {
    messages: Box<[Message]>,
    language: Option<Box<str>>,
}

/// A conversation before it is checked. The debug output shows no text.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationDraft {
    /// The messages, the oldest first.
    pub messages: Vec<Message>,
    /// The language as a tag of BCP 47, such as `de` or `pt-BR`; `None` if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// A message of a conversation. The debug output shows no text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The author's role in the conversation, such as `adult`, `child`, `a`: never a name of a person.
    pub role: String,
    /// The time at which the message was sent, in milliseconds since 1970, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// The text; may be empty.
    pub text: String,
}

/// The draft is not a valid [`Conversation`]. Indices of messages start at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConversationError {
    /// No message, or too many.
    #[error("messages: a conversation has 1 to {max} messages, not {0}", max = Conversation::MESSAGES_MAX)]
    Messages(usize),
    /// A role is empty, too long, or has a control character.
    #[error("messages[{0}].role: a role is 1 to {max} bytes without control characters", max = Conversation::ROLE_LEN_MAX)]
    Role(usize),
    /// A message is too long.
    #[error("messages[{message}].text: a message has at most {max} bytes, not {bytes}", max = Conversation::MESSAGE_BYTES_MAX)]
    Text {
        /// The index of the message.
        message: usize,
        /// The length of its text, in bytes.
        bytes: usize,
    },
    /// All messages together are too long.
    #[error("messages: a conversation has at most {max} bytes of text, not {0}", max = Conversation::BYTES_MAX)]
    Bytes(usize),
    /// The language does not have the form of a tag.
    #[error("language: a language is a tag such as de or pt-BR, of at most {max} bytes", max = Conversation::LANGUAGE_LEN_MAX)]
    Language,
}

impl Conversation {
    /// The largest number of messages.
    pub const MESSAGES_MAX: usize = 500;
    /// The longest role, in bytes.
    pub const ROLE_LEN_MAX: usize = 32;
    /// The longest message, in bytes: 8 KiB.
    pub const MESSAGE_BYTES_MAX: usize = 8 << 10;
    /// The largest size of all texts together, in bytes: 64 KiB.
    pub const BYTES_MAX: usize = 64 << 10;
    /// The longest language tag, in bytes: the length that RFC 5646 requires implementations to support.
    pub const LANGUAGE_LEN_MAX: usize = 35;

    /// Returns the messages, the oldest first; at least one.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Returns the language tag; `None` if unknown.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// Returns the size of all texts together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.messages.iter().map(|message| message.text.len()).sum()
    }
}

impl TryFrom<ConversationDraft> for Conversation {
    type Error = ConversationError;

    fn try_from(draft: ConversationDraft) -> Result<Self, ConversationError> {
        let count = draft.messages.len();
        if !(1..=Self::MESSAGES_MAX).contains(&count) {
            return Err(ConversationError::Messages(count));
        }
        for (number, message) in draft.messages.iter().enumerate() {
            let is_role = (1..=Self::ROLE_LEN_MAX).contains(&message.role.len());
            if !is_role || message.role.chars().any(char::is_control) {
                return Err(ConversationError::Role(number));
            }
            if message.text.len() > Self::MESSAGE_BYTES_MAX {
                return Err(ConversationError::Text { message: number, bytes: message.text.len() });
            }
        }
        if draft.language.as_deref().is_some_and(|tag| !is_language(tag)) {
            return Err(ConversationError::Language);
        }
        let checked =
            Self { messages: draft.messages.into(), language: draft.language.map(String::into_boxed_str) };
        match checked.bytes() {
            ..=Self::BYTES_MAX => Ok(checked),
            bytes => Err(ConversationError::Bytes(bytes)),
        }
    }
}

impl From<Conversation> for ConversationDraft {
    fn from(checked: Conversation) -> Self {
        Self { messages: checked.messages.into_vec(), language: checked.language.map(String::from) }
    }
}

/// Whether a text has the form of a language tag: subtags of 1 to 8 letters and digits, the first of 2 to 8
/// letters. The registry of subtags is not consulted.
fn is_language(tag: &str) -> bool {
    let is_subtag =
        |text: &str| (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let first = tag.split('-').next().unwrap_or_default();
    tag.len() <= Conversation::LANGUAGE_LEN_MAX
        && first.len() >= 2
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
        && tag.split('-').all(is_subtag)
}

/// Shows only counts.
impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conversation({} messages, {} bytes)", self.messages.len(), self.bytes())
    }
}

/// Shows only counts.
impl fmt::Debug for ConversationDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConversationDraft({} messages)", self.messages.len())
    }
}

/// Shows only the length.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({} bytes)", self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: &str, text: &str) -> Message {
        Message { role: role.into(), at: None, text: text.into() }
    }

    fn check(messages: Vec<Message>, language: Option<&str>) -> Result<Conversation, ConversationError> {
        ConversationDraft { messages, language: language.map(Into::into) }.try_into()
    }

    #[test]
    fn bounds_are_exact() {
        let full = vec![message("a", &"x".repeat(Conversation::MESSAGE_BYTES_MAX)); 8];
        assert_eq!(check(full.clone(), None).unwrap().bytes(), Conversation::BYTES_MAX);
        let over = [full, vec![message("a", "x")]].concat();
        assert_eq!(check(over, None), Err(ConversationError::Bytes(Conversation::BYTES_MAX + 1)));
        assert!(check(vec![message("a", ""); 500], None).is_ok());
        assert_eq!(check(vec![message("a", ""); 501], None), Err(ConversationError::Messages(501)));
        assert_eq!(check(vec![], None), Err(ConversationError::Messages(0)));
        let long = message("a", &"x".repeat(8193));
        assert_eq!(
            check(vec![message("a", ""), long], None),
            Err(ConversationError::Text { message: 1, bytes: 8193 })
        );
        assert!(check(vec![message(&"r".repeat(32), "")], None).is_ok());
        for role in ["", "a\nb", &"r".repeat(33)] {
            assert_eq!(check(vec![message(role, "")], None), Err(ConversationError::Role(0)), "{role:?}");
        }
    }

    #[test]
    fn languages_have_the_form_of_tags() {
        for tag in ["de", "pt-BR", "zh-Hant-TW", "sl-rozaj-biske-1994", "en-x-private"] {
            assert_eq!(check(vec![message("a", "")], Some(tag)).unwrap().language(), Some(tag));
        }
        for tag in
            ["", "d", "d3", "de_DE", "de-", "-de", "deutschsprachig", "de-de-de-de-de-de-de-de-de-de-de-de-d"]
        {
            assert_eq!(check(vec![message("a", "")], Some(tag)), Err(ConversationError::Language), "{tag:?}");
        }
    }

    #[test]
    fn no_text_is_in_debug_output_or_in_errors() {
        let draft = ConversationDraft { messages: vec![message("victim", "secret")], language: None };
        let conversation = Conversation::try_from(draft.clone()).unwrap();
        let shown = format!("{conversation:?} {draft:?} {:?}", conversation.messages());
        assert_eq!(
            shown,
            "Conversation(1 messages, 6 bytes) ConversationDraft(1 messages) [Message(6 bytes)]"
        );
        let refused =
            check(vec![message("secret\n", &"secret".repeat(2000))], Some("secret secret")).unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("secret"));
    }

    #[test]
    fn the_json_form_reads_back_and_is_checked() {
        let text =
            r#"{"messages":[{"role":"a","at":7,"text":"hi"},{"role":"b","text":"ho"}],"language":"de"}"#;
        let read: Conversation = serde_json::from_str(text).unwrap();
        assert_eq!(read.messages()[0].at, Some(7));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert!(serde_json::from_str::<Conversation>(r#"{"messages":[]}"#).is_err());
        assert!(
            serde_json::from_str::<Conversation>(r#"{"messages":[{"role":"a","text":"","who":"x"}]}"#)
                .is_err()
        );
    }
}
