//! `/v1/conversations/score`: the classifiers' scores of a conversation. The text is never stored or logged,
//! and no problem repeats it.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_classifiers::conversation::Message;
use vigie_classifiers::{Conversation, ConversationDraft};

use super::classification::{ClassificationObject, classifiers};
use crate::problem::Problem;
use crate::v1::faults::at_most;
use crate::v1::request::{Call, Sent};

/// A conversation for classifiers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConversationAsked {
    /// The conversation.
    conversation: ConversationObject,
    /// The models, 1 to 16, each once.
    #[serde(deserialize_with = "at_most::<_, _, 16>")]
    #[schema(min_items = 1, max_items = 16)]
    classifiers: Vec<String>,
}

/// A conversation: at most 64 KiB of text in all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ConversationObject {
    /// The messages, the oldest first, 1 to 500.
    #[serde(deserialize_with = "at_most::<_, _, 500>")]
    #[schema(min_items = 1, max_items = 500)]
    messages: Vec<MessageObject>,
    /// The language as a tag of BCP 47, such as `de` or `pt-BR`; left out where it is not known.
    #[schema(max_length = 35)]
    language: Option<String>,
}

/// A message of a conversation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageObject {
    /// The author's role in the conversation, such as `adult` or `child`, 1 to 32 bytes; never the name of a
    /// person.
    #[schema(min_length = 1, max_length = 32)]
    role: String,
    /// When it was sent, in milliseconds since 1970; left out where that is not known.
    at: Option<u64>,
    /// The text, at most 8 KiB.
    #[schema(max_length = 8192)]
    text: String,
}

/// The scores of a conversation: likelihoods, never verdicts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScoredConversationObject {
    /// The classifications, one for each model, in the order of the request.
    classifications: Vec<ClassificationObject>,
    /// The state of the directory whose model cards were used.
    directory_sequence: u64,
}

/// Asks classifiers about a conversation
///
/// A model that is unavailable does not fail the request: its classification states it. Nothing of the
/// conversation is kept.
#[utoipa::path(
    post, path = "/conversations/score", tag = "lookups", request_body = ConversationAsked,
    responses((status = 200, description = "The scores of each classifier", body = ScoredConversationObject))
)]
pub(in crate::v1) async fn score_conversation(
    call: Call,
    sent: Sent<ConversationAsked>,
) -> Result<Json<ScoredConversationObject>, Problem> {
    let ConversationAsked { conversation, classifiers: names } = sent.asked;
    let (conversation, names) = (conversation.read()?, classifiers(names, 1)?);
    let frontends = call.caller.frontends();
    let scored = frontends.score_conversation(&conversation, &names, call.deadline()).await?;
    Ok(Json(ScoredConversationObject {
        classifications: scored.classifications.iter().map(Into::into).collect(),
        directory_sequence: scored.directory.0,
    }))
}

impl ConversationObject {
    fn read(self) -> Result<Conversation, Problem> {
        let message = |message: MessageObject| {
            let MessageObject { role, at, text } = message;
            Message { role, at, text }
        };
        let messages = self.messages.into_iter().map(message).collect();
        let draft = ConversationDraft { messages, language: self.language };
        draft.try_into().map_err(|error: vigie_classifiers::ConversationError| {
            // The error begins with its field, and contains no text of the conversation.
            let text = error.to_string();
            let (field, reason) = text.split_once(": ").unwrap_or(("messages", &text));
            Problem::field(format!("conversation.{field}"), reason)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<Conversation, Problem> {
        serde_json::from_value::<ConversationObject>(value).unwrap().read()
    }

    #[test]
    fn a_conversation_is_read_and_its_faults_are_named_without_a_text() {
        let read_one =
            read(json!({ "messages": [{ "role": "a", "at": 7, "text": "hi" }], "language": "de" }));
        let conversation = read_one.unwrap();
        assert_eq!((conversation.messages()[0].at, conversation.language()), (Some(7), Some("de")));
        let long = "secret".repeat(2_000);
        for (value, field) in [
            (json!({ "messages": [] }), "conversation.messages"),
            (json!({ "messages": [{ "role": "", "text": "secret" }] }), "conversation.messages[0].role"),
            (json!({ "messages": [{ "role": "a", "text": long }] }), "conversation.messages[0].text"),
            (
                json!({ "messages": [{ "role": "a", "text": "" }], "language": "secret secret" }),
                "conversation.language",
            ),
        ] {
            let problem = read(value).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field));
            assert!(!problem.message.contains("secret"), "{}", problem.message);
        }
    }
}
