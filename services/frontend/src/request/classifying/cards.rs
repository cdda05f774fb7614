//! Cards for the tests of this folder.

use std::sync::Arc;

use vigie_classifiers::calibration::CalibrationDraft;
use vigie_classifiers::card::{
    ExpectedScore, InputDraft, InputForm, TestInput, TestVectorDraft, ThresholdDraft,
};
use vigie_classifiers::conversation::Message;
use vigie_classifiers::preprocessing::{
    ConversationForm, ConversationInput, DropFirst, Element, Filter, ImageInput, Layout, Order, Resize,
};
use vigie_classifiers::scores::{Activation, OutputClassDraft, OutputDraft};
use vigie_classifiers::{
    Calibration, ConversationDraft, Kind, Label, Mode, ModelCard, ModelCardDraft, Rate, Sample, Sha256,
    State, choose,
};
use vigie_consortium::{CardVersion, Change, Directory};
use vigie_model::Sequence;

/// The class that is measured; the other one is `other`.
pub(super) const CLASS: &str = "bad";
/// N of the rate 1 in N by which an active card's threshold was chosen.
pub(super) const ONE_IN: u32 = 100;

/// A side length of the pictures of a model; forms differ by it.
pub(super) const SIDE: u32 = 16;

fn image(side: u32) -> InputForm {
    InputForm::Image(ImageInput {
        width: side,
        height: side,
        resize: Resize::Stretch,
        filter: Filter::Bilinear,
        order: Order::Rgb,
        mean: [0.0; 3],
        scale: [1.0; 3],
        layout: Layout::Nchw,
        element: Element::F32,
    })
}

fn conversation() -> InputForm {
    InputForm::Conversation(ConversationInput {
        form: ConversationForm::ByteCounts,
        message: "{text}".into(),
        between: "\n".into(),
        bytes_max: 1_000,
        drop_first: DropFirst::Oldest,
    })
}

/// Returns a calibration of 2,000 other contents whose scores rise evenly from 0 to just below 0.5, and one
/// of the class at 0.75.
fn calibration() -> Calibration {
    let mut sample = Sample::new(CLASS.parse().unwrap());
    let digest = |number: u16| {
        Sha256(std::array::from_fn(|at| number.to_be_bytes().get(at).copied().unwrap_or_default()))
    };
    for number in 0..2_000_u16 {
        sample.add(digest(number), Label::Negative, f32::from(number) / 4_000.0).unwrap();
    }
    sample.add(digest(2_000), Label::Positive, 0.75).unwrap();
    let classes = vec![sample.table().unwrap()];
    CalibrationDraft { source: "drawn".into(), at: 1, classes }.try_into().unwrap()
}

/// Returns the draft of a model's card.
pub(super) fn draft(name: &str, kind: Kind, mode: Mode) -> ModelCardDraft {
    let (form, input) = match kind {
        Kind::Image => (image(SIDE), TestInput::Pixels { width: 2, height: 1, rgb: "000040000040".into() }),
        Kind::Conversation => {
            let messages = vec![Message { role: "a".into(), at: None, text: "test".into() }];
            (conversation(), TestInput::Conversation(ConversationDraft { messages, language: None }))
        }
    };
    let class = |name: &str, index| OutputClassDraft { name: name.into(), index, stands_for: None };
    let expected = |class: &str, score| ExpectedScore { class: class.into(), score };
    let calibration = calibration();
    let rate = Rate::one_in(ONE_IN).unwrap();
    let threshold = choose(&calibration.classes()[0], rate).unwrap().measured.threshold;
    ModelCardDraft {
        name: name.into(),
        version: 1,
        digest: Some("864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa".into()),
        server_version: None,
        input: InputDraft { tensor: "in".into(), form },
        output: OutputDraft {
            tensor: "out".into(),
            length: 2,
            activation: Activation::None,
            classes: vec![class("other", 0), class(CLASS, 1)],
        },
        licence: "Apache-2.0".into(),
        approved_by: "A. Reviewer".into(),
        approved_at: 1,
        note: String::new(),
        test_vector: TestVectorDraft { input, expected: vec![expected("other", 0.5), expected(CLASS, 0.5)] },
        mode,
        state: State::InUse,
        calibration: Some(calibration),
        thresholds: vec![ThresholdDraft { class: CLASS.into(), rate, threshold }],
    }
}

/// Converts a draft to a card.
pub(super) fn read(draft: ModelCardDraft) -> Arc<CardVersion> {
    let document = serde_json::to_string(&ModelCard::try_from(draft).unwrap()).unwrap();
    Arc::new(CardVersion::read(&document).unwrap())
}

/// Returns the threshold of the class of a card.
pub(super) fn threshold(card: &CardVersion) -> f32 {
    card.card().threshold(&CLASS.parse().unwrap()).unwrap().measured.threshold
}

/// Returns a directory with these cards.
pub(super) fn directory(drafts: impl IntoIterator<Item = ModelCardDraft>) -> Directory {
    let mut directory = Directory::new();
    for (at, draft) in (1..).zip(drafts) {
        directory.apply(Sequence(at), &Change::ModelCardPut(read(draft))).unwrap();
    }
    directory
}
