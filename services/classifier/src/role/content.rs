//! Converts the content of an item to the tensor of its model.

use vigie_classifiers::card::InputForm;
use vigie_classifiers::{
    Conversation, ConversationDraft, ConversationError, Message, ModelCard, RgbPicture, Tensor,
};
use vigie_proto::pb::classifier::v1 as pb;

use super::failure::Failure;

/// Returns the tensor of a content in the form of the card. A picture already has the size of the card's
/// input.
pub(crate) fn tensor(card: &ModelCard, content: pb::score_item::Content) -> Result<Tensor, Failure> {
    match (card.input(), content) {
        (InputForm::Image(input), pb::score_item::Content::Pixels(pixels)) => {
            let form = input.form();
            if pixels.len() != form.bytes() {
                let (bytes, expected) = (pixels.len(), form.bytes());
                return Err(Failure::content(format!(
                    "the picture has {bytes} bytes; {} x {} pixels have {expected}",
                    form.width, form.height
                )));
            }
            let picture = RgbPicture::new(form.width, form.height, pixels).map_err(Failure::content)?;
            Ok(input.tensor(card.input_tensor(), &picture)?)
        }
        (InputForm::Conversation(form), pb::score_item::Content::Conversation(sent)) => {
            Ok(form.tensor(card.input_tensor(), &conversation(sent)?)?)
        }
        (InputForm::Image(_), pb::score_item::Content::Conversation(_)) => {
            Err(Failure::content("the model reads pictures, and not conversations"))
        }
        (InputForm::Conversation(_), pb::score_item::Content::Pixels(_)) => {
            Err(Failure::content("the model reads conversations, and not pictures"))
        }
    }
}

/// Checks a conversation. No error quotes it.
fn conversation(sent: pb::Conversation) -> Result<Conversation, ConversationError> {
    let message =
        |sent: pb::ConversationMessage| Message { role: sent.role, at: sent.sent_unix_ms, text: sent.text };
    let language = Some(sent.language).filter(|language| !language.is_empty());
    ConversationDraft { messages: sent.messages.into_iter().map(message).collect(), language }.try_into()
}
