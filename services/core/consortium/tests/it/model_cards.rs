//! Model cards in the directory.

use std::sync::Arc;

use vigie_consortium::change::Refusal;
use vigie_consortium::change::bounds::MODELS_MAX;
use vigie_consortium::{CardFault, CardVersion, Change, Directory, Row};
use vigie_model::Sequence;

/// Returns a card of a model of pictures, as an operator writes it. Its version is ignored.
pub(crate) fn document(name: &str) -> String {
    r#"{
        "name": "NAME", "version": 0, "server_version": "7",
        "input": {"tensor": "in", "form": {"image": {"width": 16, "height": 16, "resize": "stretch", "filter": "bilinear",
            "order": "rgb", "mean": [0, 0, 0], "scale": [1, 1, 1], "layout": "nchw", "element": "f32"}}},
        "output": {"tensor": "out", "length": 1, "activation": "none", "classes": [{"name": "blue", "index": 0}]},
        "licence": "Apache-2.0", "approved_by": "A. Reviewer", "approved_at": 1,
        "test_vector": {"input": {"drawn": {"seed": 1, "width": 8, "height": 8}}, "expected": [{"class": "blue", "score": 0.5}]}
    }"#
    .replace("NAME", name)
}

/// Returns the card of that document as a version.
pub(crate) fn card(name: &str, version: u32) -> Arc<CardVersion> {
    Arc::new(CardVersion::read_as(&document(name), version).unwrap())
}

#[test]
fn a_card_is_read_back_from_its_own_document() {
    let card = card("blue", 3);
    assert_eq!((card.name(), card.version()), ("blue", 3));
    let read = CardVersion::read(card.document()).unwrap();
    assert_eq!((&read, read.card()), (&*card, card.card()));
    // A card that is read and written again is unchanged: getting and putting a card changes only its
    // version.
    assert_eq!(CardVersion::read_as(card.document(), 3).unwrap(), *card);
    assert_ne!(CardVersion::read_as(card.document(), 4).unwrap(), *card);
    assert_eq!(format!("{card:?}"), "CardVersion(blue 3)");
}

#[test]
fn faults_name_their_fields_and_quote_no_test_vector() {
    let faults = |from: &str, to: &str| {
        let text = document("blue");
        assert!(text.contains(from));
        CardVersion::read_as(&text.replace(from, to), 1).unwrap_err()
    };
    let fields = |fault: &CardFault| fault.faults().into_iter().map(|(field, _)| field).collect::<Vec<_>>();
    let two = faults(
        "\"licence\": \"Apache-2.0\", \"approved_by\": \"A. Reviewer\"",
        "\"licence\": \"\", \"approved_by\": \"\"",
    );
    assert_eq!(fields(&two), ["licence", "approved_by"]);
    let form =
        faults("\"width\": 16, \"height\": 16, \"resize\"", "\"width\": \"16\", \"height\": 16, \"resize\"");
    assert_eq!(fields(&form), ["input.form.image.width"]);
    assert!(form.to_string().contains("invalid type"), "{form}");
    assert_eq!(fields(&faults("\"licence\"", "\"license\"")), ["license"]);
    let cut = CardVersion::read_as(&document("blue")[..300], 1).unwrap_err();
    assert!(matches!(cut, CardFault::Form { .. }), "{cut}");
    let trailing = CardVersion::read(&format!("{} {{}}", card("blue", 1).document())).unwrap_err();
    assert_eq!(fields(&trailing), ["."]);
    // A test vector may be a conversation.
    let secret = faults("\"seed\": 1", "\"seed\": \"secret\"");
    assert!(fields(&secret)[0].starts_with("test_vector"), "{secret}");
    assert!(!format!("{secret:?} {secret}").contains("secret"), "{secret}");
}

#[test]
fn a_document_has_its_bounds() {
    let text = document("blue");
    let padded = |len: usize| format!("{text}{}", " ".repeat(len - text.len()));
    assert!(CardVersion::read_as(&padded(CardVersion::DOCUMENT_LEN_MAX), 1).is_ok());
    let beyond = CardVersion::DOCUMENT_LEN_MAX + 1;
    assert_eq!(CardVersion::read_as(&padded(beyond), 1), Err(CardFault::TooLong(beyond)));
    assert_eq!(CardFault::TooLong(beyond).faults().len(), 1);
}

#[test]
fn versions_ascend_by_one_and_there_are_64_models() {
    let mut directory = Directory::new();
    let mut sequence = (1..).map(Sequence);
    let mut put = |directory: &mut Directory, name: &str, version| {
        directory.apply(sequence.next().unwrap(), &Change::ModelCardPut(card(name, version)))
    };
    let empty = directory.digest();
    for version in [0, 2] {
        // Version 0 is invalid, so no card has it.
        if version > 0 {
            let refused = put(&mut directory, "blue", version).unwrap_err();
            assert_eq!(refused, Refusal::CardVersion { name: "blue".into(), next: 1, put: version });
        }
        assert_eq!(directory.digest(), empty);
    }
    for version in 1..=3 {
        put(&mut directory, "blue", version).unwrap();
        assert_eq!(directory.model_card("blue"), Some(&card("blue", version)));
    }
    assert!(put(&mut directory, "blue", 3).is_err() && put(&mut directory, "blue", 5).is_err());
    for at in 1..MODELS_MAX {
        put(&mut directory, &format!("m{at}"), 1).unwrap();
    }
    let more = put(&mut directory, "more", 1).unwrap_err();
    assert_eq!(more, Refusal::TooMany { what: "models", max: 64 });
    put(&mut directory, "blue", 4).unwrap();
    assert_eq!(directory.rows().filter(|row| matches!(row, Row::ModelCard(_))).count(), 64);
}
