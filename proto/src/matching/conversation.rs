//! Conversations, and raw scores. No error repeats a text of a conversation.

use vigie_classifiers::conversation::Message;
use vigie_classifiers::{Conversation, ConversationDraft};

use super::classification::score;
use crate::invalid::{Invalid, check_len, each};
use crate::pb::classifier::v1 as pb;

impl From<&Conversation> for pb::Conversation {
    fn from(conversation: &Conversation) -> Self {
        let message = |message: &Message| pb::ConversationMessage {
            role: message.role.clone(),
            sent_unix_ms: message.at,
            text: message.text.clone(),
        };
        Self {
            messages: conversation.messages().iter().map(message).collect(),
            language: conversation.language().unwrap_or_default().to_owned(),
        }
    }
}

impl TryFrom<pb::Conversation> for Conversation {
    type Error = Invalid;

    fn try_from(message: pb::Conversation) -> Result<Self, Invalid> {
        let pb::Conversation { messages, language } = message;
        check_len("messages", messages.len(), 1, Self::MESSAGES_MAX)?;
        let read = |message: pb::ConversationMessage| {
            let pb::ConversationMessage { role, sent_unix_ms, text } = message;
            Message { role, at: sent_unix_ms, text }
        };
        let messages = messages.into_iter().map(read).collect();
        let language = (!language.is_empty()).then_some(language);
        Self::try_from(ConversationDraft { messages, language }).map_err(|error| {
            // The error begins with its field, and contains no text of the conversation.
            let text = error.to_string();
            let (field, reason) = text.split_once(": ").unwrap_or(("", &text));
            Invalid::new(field, reason)
        })
    }
}

/// Reads the raw scores of a model: the name of each class with its score from 0 to 1.
pub fn raw_scores(message: pb::RawScores) -> Result<Vec<(String, f32)>, Invalid> {
    check_len("scores", message.scores.len(), 1, vigie_model::Classification::CLASSES_MAX)?;
    each("scores", message.scores, |raw| Ok((raw.class, score("score", raw.score)?)))
}

/// Returns the raw scores of a model as a message.
#[must_use]
pub fn raw_scores_to_wire<'a>(scores: impl IntoIterator<Item = (&'a str, f32)>) -> pb::RawScores {
    let raw = |(class, score): (&str, f32)| pb::RawScore { class: class.to_owned(), score };
    pb::RawScores { scores: scores.into_iter().map(raw).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: &str, text: &str) -> pb::ConversationMessage {
        pb::ConversationMessage { role: role.into(), sent_unix_ms: Some(7), text: text.into() }
    }

    #[test]
    fn conversations_survive_the_wire_and_faults_are_named_without_a_text() {
        let mut sent = pb::Conversation {
            messages: vec![message("adult", "hi"), message("child", "ho")],
            language: "de".into(),
        };
        let read = Conversation::try_from(sent.clone()).unwrap();
        assert_eq!(pb::Conversation::from(&read), sent);
        sent.language = "secret secret".into();
        let refused = Conversation::try_from(sent.clone()).unwrap_err();
        assert_eq!(refused.field, "language");
        sent.messages[1].text = "secret".repeat(2_000);
        let refused = Conversation::try_from(sent.clone()).unwrap_err();
        assert_eq!(refused.field, "messages[1].text");
        assert!(!refused.to_string().contains("secret"));
        sent.messages = vec![message("a", ""); 501];
        assert_eq!(Conversation::try_from(sent).unwrap_err().field, "messages");
        let none = pb::Conversation::default();
        assert_eq!(Conversation::try_from(none).unwrap_err().field, "messages");
    }

    #[test]
    fn raw_scores_are_numbers_from_0_to_1() {
        let wire = |number| raw_scores_to_wire([("a", 0.5), ("b", number)]);
        assert_eq!(raw_scores(wire(1.0)).unwrap(), [("a".to_owned(), 0.5), ("b".to_owned(), 1.0)]);
        for wrong in [f32::NAN, f32::INFINITY, -0.1, 1.1] {
            assert_eq!(raw_scores(wire(wrong)).unwrap_err().field, "scores[1].score");
        }
        assert_eq!(raw_scores(pb::RawScores::default()).unwrap_err().field, "scores");
    }
}
