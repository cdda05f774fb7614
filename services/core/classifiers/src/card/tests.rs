//! Tests of cards: refused drafts, and the path from content to a returned score.

use super::*;
use crate::calibration::{Calibration, CalibrationDraft, Label, Sample};
use crate::conversation::{ConversationDraft, Message};
use crate::name::{Name, Sha256};
use crate::preprocessing::{
    ConversationForm, ConversationInput, DropFirst, Element, Filter, ImageInput, InputError, Layout, Order,
    Resize,
};
use crate::scores::{Activation, OutputClassDraft, OutputDraft, ScoreError};
use crate::tensor::{Tensor, TensorData};
use crate::threshold::{ChooseError, Rate};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn class(name: &str, index: u32, stands_for: Option<&str>) -> OutputClassDraft {
    OutputClassDraft { name: name.into(), index, stands_for: stands_for.map(Into::into) }
}

fn expected(class: &str, score: f32) -> ExpectedScore {
    ExpectedScore { class: class.into(), score }
}

fn conversation(text: &str) -> ConversationDraft {
    ConversationDraft {
        messages: vec![Message { role: "a".into(), at: None, text: text.into() }],
        language: None,
    }
}

/// Returns a model of pictures with two classes, in shadow.
fn draft() -> ModelCardDraft {
    let image = ImageInput {
        width: 16,
        height: 16,
        resize: Resize::Stretch,
        filter: Filter::Bilinear,
        order: Order::Bgr,
        mean: [0.0; 3],
        scale: [1.0 / 255.0; 3],
        layout: Layout::Nchw,
        element: Element::F32,
    };
    ModelCardDraft {
        name: "blue".into(),
        version: 3,
        digest: Some("864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa".into()),
        server_version: None,
        input: InputDraft { tensor: "pixels".into(), form: InputForm::Image(image) },
        output: OutputDraft {
            tensor: "classes".into(),
            length: 2,
            activation: Activation::None,
            classes: vec![class("other", 0, None), class("blue", 1, Some("local/kind=blue"))],
        },
        licence: "Apache-2.0".into(),
        approved_by: "A. Reviewer".into(),
        approved_at: 1_790_000_000_000,
        note: String::new(),
        test_vector: TestVectorDraft {
            input: TestInput::Pixels { width: 2, height: 1, rgb: "000040000040".into() },
            expected: vec![expected("other", 1.0 - 64.0 / 255.0), expected("blue", 64.0 / 255.0)],
        },
        mode: Mode::Shadow,
        state: State::InUse,
        calibration: None,
        thresholds: vec![],
    }
}

/// Returns a model of conversations with two classes, in shadow.
fn conversation_draft() -> ModelCardDraft {
    let form = ConversationInput {
        form: ConversationForm::ByteCounts,
        message: "{text}".into(),
        between: "\n".into(),
        bytes_max: 1000,
        drop_first: DropFirst::Oldest,
    };
    let mut draft = draft();
    draft.input.form = InputForm::Conversation(form);
    draft.test_vector.input = TestInput::Conversation(conversation("secret"));
    draft
}

fn card() -> ModelCard {
    draft().try_into().unwrap()
}

fn faults(draft: ModelCardDraft) -> String {
    ModelCard::try_from(draft).unwrap_err().to_string()
}

/// Runs a model that can be computed by hand: blue is the mean of the first plane.
fn run(input: &Tensor) -> Vec<Tensor> {
    let TensorData::F32(values) = input.data() else { panic!() };
    let plane = &values[..values.len() / 3];
    let blue = plane.iter().sum::<f32>() / f32::from(u16::try_from(plane.len()).unwrap());
    vec![Tensor::new("classes", &[1, 2], TensorData::F32(vec![1.0 - blue, blue])).unwrap()]
}

/// Returns a calibration with negatives whose scores rise evenly from 0 to just below 0.5, and one positive
/// at 0.75.
fn calibration(class: &str, negatives: u16) -> Calibration {
    let mut sample = Sample::new(name(class));
    let digest = |number: u16| {
        Sha256(std::array::from_fn(|at| number.to_be_bytes().get(at).copied().unwrap_or_default()))
    };
    for number in 0..negatives {
        let score = f32::from(number) / f32::from(negatives) / 2.0;
        sample.add(digest(number), Label::Negative, score).unwrap();
    }
    sample.add(digest(negatives), Label::Positive, 0.75).unwrap();
    let classes = vec![sample.table().unwrap()];
    CalibrationDraft { source: "drawn".into(), at: 1, classes }.try_into().unwrap()
}

#[test]
fn a_picture_becomes_a_score_that_meets_the_test_vector() {
    let card = card();
    let input = card.tensor(card.test_vector().content()).unwrap();
    assert_eq!((input.name(), input.shape()), ("pixels", &[1, 3, 16, 16][..]));
    let scores = card.scores(&run(&input)).unwrap();
    assert_eq!(card.test_vector().check(&scores), Ok(()));
    assert_eq!(card.scores(&[]), Err(ScoreError::NoTensor("classes".into())));
    // A test vector detects exchanged red and blue.
    let mut other = draft();
    let InputForm::Image(image) = &mut other.input.form else { panic!() };
    image.order = Order::Rgb;
    let other = ModelCard::try_from(other).unwrap();
    let scores = other.scores(&run(&other.tensor(other.test_vector().content()).unwrap())).unwrap();
    let mismatch = other.test_vector().check(&scores).unwrap_err();
    assert_eq!((mismatch.class, mismatch.got), (name("other"), Some(1.0)));
}

#[test]
fn a_test_vector_is_met_to_its_tolerance() {
    let card = card();
    let returned = |blue: f32| {
        let numbers = TensorData::F32(vec![1.0 - 64.0 / 255.0, blue]);
        card.scores(&[Tensor::new("classes", &[2], numbers).unwrap()]).unwrap()
    };
    let blue = 64.0 / 255.0;
    assert!(card.test_vector().check(&returned(blue + 0.9e-4)).is_ok());
    let mismatch = card.test_vector().check(&returned(blue - 1.1e-4)).unwrap_err();
    assert_eq!((mismatch.class, mismatch.expected, mismatch.got), (name("blue"), blue, Some(blue - 1.1e-4)));
    let expected: Vec<f32> = card.test_vector().expected().map(|(_, score)| score).collect();
    assert_eq!(expected, [1.0 - 64.0 / 255.0, blue]);
}

#[test]
fn content_of_the_other_kind_is_refused() {
    let pictures = card();
    let conversations = ModelCard::try_from(conversation_draft()).unwrap();
    assert_eq!((pictures.kind(), conversations.kind()), (Kind::Image, Kind::Conversation));
    assert_eq!(pictures.tensor(conversations.test_vector().content()), Err(InputError::Kind));
    assert_eq!(conversations.tensor(pictures.test_vector().content()), Err(InputError::Kind));
    assert_eq!(conversations.tensor(conversations.test_vector().content()).unwrap().shape(), [1, 256]);
    let mut mixed = draft();
    mixed.test_vector.input = TestInput::Conversation(conversation("x"));
    assert_eq!(faults(mixed), "test_vector.input: it is no input of the model's kind");
}

#[test]
fn a_threshold_by_rate_makes_a_model_active_and_its_scores_comparable() {
    let (blue, rate) = (name("blue"), Rate::one_in(100).unwrap());
    let measured = card().with_calibration(calibration("blue", 1_000)).unwrap();
    let chosen = measured.with_threshold(&blue, rate).unwrap();
    // P(X <= 4 of 1,000 at 1 in 100) is 0.029, P(X <= 5) is 0.066: four false positives, so the fourth score
    // from above.
    let threshold = chosen.threshold(&blue).unwrap();
    assert_eq!((threshold.measured.false_positives.count, threshold.measured.threshold), (4, 0.498));
    assert_eq!(chosen.threshold(&name("other")), None);
    let active = ModelCard::try_from(ModelCardDraft { mode: Mode::Active, ..chosen.draft() }).unwrap();
    let numbers =
        |blue: f32| vec![Tensor::new("classes", &[1, 2], TensorData::F32(vec![0.0, blue])).unwrap()];
    for (score, is_above) in [(0.498, true), (0.498_f32.next_down(), false), (1.0, true)] {
        let scored = active.scored(&active.scores(&numbers(score)).unwrap());
        assert_eq!((scored[0].threshold, scored[0].expected_rate, scored[0].is_above), (None, None, false));
        let blue = &scored[1];
        assert_eq!((blue.model.as_str(), blue.version, blue.class.as_str()), ("blue", 3, "blue"));
        assert_eq!((blue.score, blue.threshold, blue.is_above), (score, Some(0.498), is_above));
        let expected = blue.expected_rate.unwrap();
        assert_eq!((expected.at_most, expected.measured), (rate, threshold.measured.false_positives));
    }
    // A second choice replaces the first, and a new calibration drops both and returns to shadow.
    let other = active.with_threshold(&blue, Rate::one_in(50).unwrap()).unwrap();
    assert_eq!(other.draft().thresholds.len(), 1);
    let again = other.with_calibration(calibration("blue", 10)).unwrap();
    assert_eq!((again.mode(), again.threshold(&blue)), (Mode::Shadow, None));
    let refused = again.with_threshold(&blue, rate).unwrap_err();
    let source = ChooseError::SampleTooSmall { rate, negatives: 10, needed: 299 };
    assert_eq!(refused, ThresholdError::Choose { class: blue, source });
    let other = name("other");
    assert_eq!(again.with_threshold(&other, rate), Err(ThresholdError::NotMeasured(other)));
}

#[test]
fn no_card_claims_a_threshold_that_its_calibration_does_not_support() {
    let rate = Rate::one_in(100).unwrap();
    let good = card()
        .with_calibration(calibration("blue", 1_000))
        .unwrap()
        .with_threshold(&name("blue"), rate)
        .unwrap();
    let forged = |change: &dyn Fn(&mut ModelCardDraft)| {
        let mut draft = good.draft();
        change(&mut draft);
        faults(draft)
    };
    assert_eq!(
        forged(&|draft| draft.thresholds[0].threshold = 0.4),
        "thresholds[0]: the calibration has 0.498 for a rate of at most 1 in 100, not 0.4"
    );
    let high = forged(&|draft| draft.thresholds[0].threshold = 0.6);
    assert_eq!(high, "thresholds[0]: the calibration has 0.498 for a rate of at most 1 in 100, not 0.6");
    let low = forged(&|draft| draft.thresholds[0].rate = Rate::one_in(1_000).unwrap());
    assert!(low.starts_with("thresholds[0]: 1000 contents that are not of the class are too few"), "{low}");
    assert_eq!(
        forged(&|draft| draft.thresholds[0].class = "other".into()),
        "thresholds[0]: no calibration measured the class other"
    );
    assert_eq!(
        forged(&|draft| draft.thresholds.push(draft.thresholds[0].clone())),
        "thresholds[1]: blue has a threshold already"
    );
    assert_eq!(
        forged(&|draft| draft.calibration = None),
        "thresholds[0]: no calibration measured the class blue"
    );
    let none = forged(&|draft| (draft.mode, draft.thresholds) = (Mode::Active, vec![]));
    assert_eq!(none, "mode: an active model has a threshold, which its calibration supports");
    let unknown = card().with_calibration(calibration("red", 10)).unwrap_err();
    assert_eq!(unknown.to_string(), "calibration: the output has no class red");
}

#[test]
fn every_fault_is_listed_with_its_field() {
    let mut draft = draft();
    draft.name = "Blue".into();
    draft.version = 0;
    draft.server_version = Some("7".into());
    draft.input.tensor = String::new();
    let InputForm::Image(image) = &mut draft.input.form else { panic!() };
    image.width = 8;
    draft.output.length = 0;
    draft.licence = String::new();
    draft.approved_by = "a\nb".into();
    draft.note = "n".repeat(1025);
    draft.test_vector.input = TestInput::Pixels { width: 2, height: 1, rgb: "00".into() };
    draft.test_vector.expected = vec![expected("other", 0.5), expected("red", 1.5)];
    let found = ModelCard::try_from(draft).unwrap_err();
    let fields: Vec<&str> = found.as_slice().iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "name",
            "version",
            "digest",
            "input.tensor",
            "input.form.image.width",
            "output.length",
            "output.classes[0].index",
            "output.classes[1].index",
            "licence",
            "approved_by",
            "note",
            "test_vector.input",
            "test_vector.expected",
            "test_vector.expected",
        ]
    );
    assert!(
        found
            .to_string()
            .starts_with("name: a name is 1 to 64 of a-z 0-9 - _\nversion: versions begin with 1\n")
    );
}

#[test]
fn a_model_is_a_file_or_one_of_a_server() {
    let with = |digest: Option<&str>, version: Option<&str>| {
        let (digest, server_version) = (digest.map(Into::into), version.map(Into::into));
        ModelCard::try_from(ModelCardDraft { digest, server_version, ..draft() })
    };
    assert_eq!(with(None, Some("2024-05")).unwrap().source(), &Source::Server("2024-05".into()));
    let digest = "00".repeat(32);
    assert_eq!(with(Some(&digest), None).unwrap().source(), &Source::File(Sha256([0; 32])));
    for (digest, version) in [(None, None), (Some("00"), None), (None, Some("")), (Some(&*digest), Some("1"))]
    {
        assert!(with(digest, version).is_err(), "{digest:?} {version:?}");
    }
}

#[test]
fn inputs_of_test_vectors_are_bounded() {
    let with = |input| {
        let mut draft = draft();
        draft.test_vector.input = input;
        ModelCard::try_from(draft)
    };
    assert!(with(TestInput::Drawn { seed: 1, width: 1024, height: 3 }).is_ok());
    let rgb = "00".repeat(65_535);
    assert!(with(TestInput::Pixels { width: 21_845, height: 1, rgb }).is_ok());
    let wrong = [
        TestInput::Drawn { seed: 1, width: 1025, height: 3 },
        TestInput::Drawn { seed: 1, width: 0, height: 3 },
        TestInput::Pixels { width: 21_846, height: 1, rgb: "00".repeat(65_538) },
        TestInput::Pixels { width: 1, height: 1, rgb: "zzzzzz".into() },
    ];
    for input in wrong {
        assert!(with(input.clone()).unwrap_err().to_string().starts_with("test_vector.input: "), "{input:?}");
    }
    let mut long = conversation_draft();
    long.test_vector.input = TestInput::Conversation(ConversationDraft {
        messages: [conversation(&"x".repeat(8192)).messages, conversation("x").messages].concat(),
        language: None,
    });
    assert_eq!(faults(long.clone()), "test_vector.input: the conversation of a card has at most 8192 bytes");
    long.test_vector.input = TestInput::Conversation(ConversationDraft::default());
    assert_eq!(faults(long), "test_vector.input: messages: a conversation has 1 to 500 messages, not 0");
}

#[test]
fn the_json_form_reads_back_and_has_defaults() {
    let rate = Rate::one_in(100).unwrap();
    let full = card()
        .with_calibration(calibration("blue", 1_000))
        .unwrap()
        .with_threshold(&name("blue"), rate)
        .unwrap();
    let full = ModelCardDraft { mode: Mode::Active, state: State::Retired, note: "n".into(), ..full.draft() };
    for card in [ModelCard::try_from(full).unwrap(), card(), conversation_draft().try_into().unwrap()] {
        let text = serde_json::to_string(&card).unwrap();
        assert_eq!(serde_json::from_str::<ModelCard>(&text).unwrap(), card);
        assert_eq!(ModelCardDraft::from(card.clone()), card.draft());
    }
    let text = r#"{
        "name": "nsfw", "version": 1, "server_version": "1",
        "input": {"tensor": "in", "form": {"conversation": {
            "form": "text", "message": "{role}: {text}", "between": "\n", "bytes_max": 4096, "drop_first": "oldest"}}},
        "output": {"tensor": "out", "length": 1, "activation": "sigmoid", "classes": [{"name": "grooming", "index": 0}]},
        "licence": "MIT", "approved_by": "A. Reviewer", "approved_at": 1,
        "test_vector": {
            "input": {"conversation": {"messages": [{"role": "a", "text": "hello"}]}},
            "expected": [{"class": "grooming", "score": 0.5}]}
    }"#;
    let read: ModelCard = serde_json::from_str(text).unwrap();
    assert_eq!((read.mode(), read.state(), read.calibration()), (Mode::Shadow, State::InUse, None));
    assert_eq!((read.name().as_str(), read.version(), read.licence(), read.note()), ("nsfw", 1, "MIT", ""));
    assert_eq!((read.approved_by(), read.approved_at(), read.input_tensor()), ("A. Reviewer", 1, "in"));
    let output = read.output();
    assert_eq!((output.tensor(), output.length(), output.activation()), ("out", 1, Activation::Sigmoid));
    assert_eq!(output.classes()[0].stands_for, None);
    assert!(matches!(read.input(), InputForm::Conversation(_)));
    let unknown = text.replace("\"licence\"", "\"verdict\": \"block\", \"licence\"");
    assert!(
        serde_json::from_str::<ModelCard>(&unknown)
            .unwrap_err()
            .to_string()
            .contains("unknown field `verdict`")
    );
    let faulty = text.replace("\"version\": 1", "\"version\": 0");
    assert!(
        serde_json::from_str::<ModelCard>(&faulty)
            .unwrap_err()
            .to_string()
            .contains("version: versions begin with 1")
    );
}

#[test]
fn debug_shows_no_content() {
    let card = ModelCard::try_from(conversation_draft()).unwrap();
    assert!(!format!("{card:?} {:?}", card.test_vector()).contains("secret"));
    let inputs = [draft().test_vector.input, TestInput::Drawn { seed: 1, width: 2, height: 3 }];
    assert_eq!(format!("{inputs:?}"), "[Pixels(2 x 1), Drawn(2 x 3 of 1)]");
}
