//! Model cards in the log, in the directory and in answers.

use std::sync::Arc;

use vigie_classifiers::{Kind, Mode, State};
use vigie_consortium::{CardVersion, Change};

use crate::invalid::Invalid;
use crate::pb::consortium::v1 as pb;

impl From<&CardVersion> for pb::ModelCard {
    fn from(card: &CardVersion) -> Self {
        Self { name: card.name().into(), version: card.version(), document: card.document().into() }
    }
}

/// Reads a card that the bank has checked. The name and the version must be those of the document.
impl TryFrom<pb::ModelCard> for CardVersion {
    type Error = Invalid;

    fn try_from(message: pb::ModelCard) -> Result<Self, Invalid> {
        let card = Self::read(&message.document).map_err(|fault| Invalid::new("document", fault))?;
        if card.name() != message.name {
            return Err(Invalid::new("name", format!("the document is the card of {}", card.name())));
        }
        if card.version() != message.version {
            return Err(Invalid::new("version", format!("the document is version {}", card.version())));
        }
        Ok(card)
    }
}

impl From<&CardVersion> for pb::ModelSummary {
    fn from(version: &CardVersion) -> Self {
        let card = version.card();
        let classes = card.output().classes().iter().map(|class| {
            let chosen = card.threshold(&class.name);
            pb::ModelClass {
                name: class.name.to_string(),
                stands_for: class.stands_for.as_ref().map(ToString::to_string).unwrap_or_default(),
                threshold: chosen.map(|chosen| chosen.measured.threshold),
                at_most_one_in: chosen.map_or(0, |chosen| at_most_one_in(chosen.rate.share())),
            }
        });
        Self {
            name: version.name().into(),
            version: version.version(),
            kind: kind_word(card.kind()).into(),
            mode: mode_word(card.mode()).into(),
            state: state_word(card.state()).into(),
            classes: classes.collect(),
        }
    }
}

/// Returns N for a rate of at most 1 in N.
#[must_use]
pub fn at_most_one_in(share: f64) -> u64 {
    let inverse = (1.0 / share).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is from 1 in 2 to 1 in a million"
    )]
    let count = inverse.clamp(0.0, 1e6) as u64;
    count
}

/// Returns the word for the content that a model reads.
#[must_use]
pub const fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Image => "image",
        Kind::Conversation => "conversation",
    }
}

/// Returns the word for a mode.
#[must_use]
pub const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Shadow => "shadow",
        Mode::Active => "active",
    }
}

/// Returns the word for a state.
#[must_use]
pub const fn state_word(state: State) -> &'static str {
    match state {
        State::InUse => "in_use",
        State::Retired => "retired",
    }
}

pub(crate) fn card_to_wire(card: &CardVersion) -> pb::ModelCardPut {
    pb::ModelCardPut { card: Some(card.into()) }
}

pub(crate) fn card_change(message: pb::ModelCardPut) -> Result<Change, Invalid> {
    let card = message.card.ok_or_else(|| Invalid::missing("card"))?;
    Ok(Change::ModelCardPut(Arc::new(card.try_into()?)))
}

/// Returns a card of an image model, for tests.
#[cfg(test)]
pub(crate) fn test_card(version: u32) -> CardVersion {
    let document = r#"{
        "name": "blue", "version": 1, "server_version": "7",
        "input": {"tensor": "in", "form": {"image": {"width": 16, "height": 16, "resize": "stretch", "filter": "bilinear",
            "order": "rgb", "mean": [0, 0, 0], "scale": [1, 1, 1], "layout": "nchw", "element": "f32"}}},
        "output": {"tensor": "out", "length": 1, "activation": "none", "classes": [{"name": "blue", "index": 0}]},
        "licence": "Apache-2.0", "approved_by": "A. Reviewer", "approved_at": 1,
        "test_vector": {"input": {"drawn": {"seed": 1, "width": 8, "height": 8}}, "expected": [{"class": "blue", "score": 0.5}]}
    }"#;
    CardVersion::read_as(document, version).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_survive_the_wire_and_are_those_of_their_documents() {
        let card = test_card(7);
        let message = pb::ModelCard::from(&card);
        let read = CardVersion::try_from(message.clone()).unwrap();
        assert_eq!((&read, read.card()), (&card, card.card()));
        let check = |change: &dyn Fn(&mut pb::ModelCard), field| {
            let mut message = message.clone();
            change(&mut message);
            assert_eq!(CardVersion::try_from(message).unwrap_err().field, field);
        };
        check(&|one| one.name = "red".into(), "name");
        check(&|one| one.version = 6, "version");
        check(&|one| one.document = "{}".into(), "document");
        check(&|one| one.document = one.document.replace("bilinear", "bicubic?"), "document");
        assert_eq!(card_change(pb::ModelCardPut::default()).unwrap_err().field, "card");
    }

    #[test]
    fn a_summary_has_the_words_of_the_card() {
        let summary = pb::ModelSummary::from(&test_card(2));
        assert_eq!((summary.name.as_str(), summary.version, summary.kind.as_str()), ("blue", 2, "image"));
        assert_eq!((summary.mode.as_str(), summary.state.as_str()), ("shadow", "in_use"));
        let [class] = &summary.classes[..] else { panic!() };
        assert_eq!((class.name.as_str(), class.threshold, class.at_most_one_in), ("blue", None, 0));
        assert_eq!([1e-6, 1e-4, 1.0 / 3.0, 0.5].map(at_most_one_in), [1_000_000, 10_000, 3, 2]);
    }
}
