//! Model cards: numbered by the bank, each version readable, known after a restart, and named in the audit.

use std::path::Path;

use tonic_types::StatusExt as _;
use vigie_classifiers::{
    Calibration, Label, Mode, ModelCardDraft, Rate, Sample, State, calibration::CalibrationDraft,
};
use vigie_consortium::CardVersion;
use vigie_proto::pb::consortium::v1 as members;
use vigie_proto::pb::consortium::v1::model_card_service_client::ModelCardServiceClient;

use crate::tests::members::{By, Consortium};
use crate::tests::*;
use crate::{backup, restore, verify};

on_both_stores!(
    versions_ascend_and_each_is_readable_after_a_restart,
    every_fault_of_a_card_is_answered_with_its_field,
    a_put_is_done_once_for_its_key_and_only_on_the_version_that_it_expects,
    there_are_64_models_and_a_retired_one_can_be_put_again,
    an_operator_puts_everybody_reads_and_the_audit_names_the_card,
);

/// A card of a model of pictures with two classes, as an operator writes it.
fn draft(name: &str) -> ModelCardDraft {
    let document = r#"{
        "name": "NAME", "version": 77, "server_version": "7",
        "input": {"tensor": "in", "form": {"image": {"width": 16, "height": 16, "resize": "stretch", "filter": "bilinear",
            "order": "rgb", "mean": [0, 0, 0], "scale": [1, 1, 1], "layout": "nchw", "element": "f32"}}},
        "output": {"tensor": "out", "length": 2, "activation": "none", "classes": [
            {"name": "other", "index": 0}, {"name": "blue", "index": 1, "stands_for": "ncmec/classification=A1"}]},
        "licence": "Apache-2.0", "approved_by": "A. Reviewer", "approved_at": 1,
        "test_vector": {"input": {"drawn": {"seed": 1, "width": 8, "height": 8}},
            "expected": [{"class": "other", "score": 0.5}, {"class": "blue", "score": 0.5}]}
    }"#;
    serde_json::from_str(&document.replace("NAME", name)).unwrap()
}

/// The same with a threshold for the class `blue` at most one in 10 of others, and active.
fn active(name: &str) -> ModelCardDraft {
    let class: vigie_classifiers::Name = "blue".parse().unwrap();
    let mut sample = Sample::new(class.clone());
    for number in 0..100_u8 {
        let digest = vigie_classifiers::Sha256([number; 32]);
        sample.add(digest, Label::Negative, f32::from(number) / 256.0).unwrap();
    }
    let classes = vec![sample.table().unwrap()];
    let calibration = CalibrationDraft { source: "drawn".into(), at: 1, classes };
    let calibration = Calibration::try_from(calibration).unwrap();
    let card = vigie_classifiers::ModelCard::try_from(draft(name)).unwrap();
    let card = card.with_calibration(calibration).unwrap();
    let card = card.with_threshold(&class, Rate::one_in(10).unwrap()).unwrap();
    ModelCardDraft { mode: Mode::Active, ..card.draft() }
}

fn request(draft: &ModelCardDraft) -> members::PutModelCardRequest {
    members::PutModelCardRequest {
        document: serde_json::to_string(draft).unwrap(),
        expected_version: None,
        idempotency_key: String::new(),
    }
}

async fn put(by: &By, request: members::PutModelCardRequest) -> Result<(u32, u64), Status> {
    let request = by.carried(request);
    let put = ModelCardServiceClient::new(by.0.clone()).put_model_card(request).await?.into_inner();
    Ok((put.version, put.sequence))
}

async fn get(by: &By, name: &str, version: u32) -> Result<(CardVersion, u32), Status> {
    let request = by.carried(members::GetModelCardRequest { name: name.into(), version });
    let got = ModelCardServiceClient::new(by.0.clone()).get_model_card(request).await?.into_inner();
    Ok((got.card.unwrap().try_into().unwrap(), got.newest_version))
}

async fn list(by: &By) -> Vec<members::ModelSummary> {
    let request = by.carried(members::ListModelCardsRequest {});
    ModelCardServiceClient::new(by.0.clone()).list_model_cards(request).await.unwrap().into_inner().models
}

fn of_everyone(served: &Served) -> By {
    By(served.channel.clone(), String::new())
}

/// Every version is what was put, and nothing beyond is there.
async fn check_versions(by: &By, name: &str, licences: &[&str]) {
    let newest = u32::try_from(licences.len()).unwrap();
    for (version, licence) in (1..).zip(licences) {
        let (card, newest_version) = get(by, name, version).await.unwrap();
        assert_eq!((card.version(), card.card().licence(), newest_version), (version, *licence, newest));
    }
    assert_eq!(get(by, name, 0).await.unwrap(), get(by, name, newest).await.unwrap());
    refused(get(by, name, newest + 1).await, Code::NotFound, "there is no version");
}

async fn versions_ascend_and_each_is_readable_after_a_restart(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = of_everyone(&served);
    assert_eq!(list(&everyone).await, []);
    refused(get(&everyone, "blue", 0).await, Code::NotFound, "there is no model called blue");
    let licences = ["MIT", "Apache-2.0", "BSD-3-Clause"];
    let mut sequences = Vec::new();
    for (version, licence) in (1..).zip(licences) {
        let changed = ModelCardDraft { licence: licence.into(), ..draft("blue") };
        let (put, sequence) = put(&everyone, request(&changed)).await.unwrap();
        assert_eq!(put, version);
        sequences.push(sequence);
    }
    assert!(sequences.is_sorted_by(|one, other| one < other), "{sequences:?}");
    // The names of others may begin alike.
    put(&everyone, request(&draft("blue-2"))).await.unwrap();
    check_versions(&everyone, "blue", &licences).await;
    check_versions(&everyone, "blue-2", &["Apache-2.0"]).await;
    let listed = list(&everyone).await;
    served.stop().await;

    let served = Served::start(bed.config()).await;
    let everyone = of_everyone(&served);
    assert_eq!(list(&everyone).await, listed);
    let of_listed = |one: &members::ModelSummary| (one.name.clone(), one.version);
    assert_eq!(listed.iter().map(of_listed).collect::<Vec<_>>(), [("blue".into(), 3), ("blue-2".into(), 1)]);
    check_versions(&everyone, "blue", &licences).await;
    assert_eq!(put(&everyone, request(&draft("blue"))).await.unwrap().0, 4);
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn every_fault_of_a_card_is_answered_with_its_field(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = of_everyone(&served);
    let before = served.head().await;
    let fields = async |document: String| {
        let request = members::PutModelCardRequest { document, ..Default::default() };
        let status = put(&everyone, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        let violations = status.get_error_details().bad_request().unwrap().field_violations.clone();
        violations.into_iter().map(|violation| violation.field).collect::<Vec<_>>()
    };
    let of = |change: &dyn Fn(&mut ModelCardDraft)| {
        let mut draft = draft("blue");
        change(&mut draft);
        serde_json::to_string(&draft).unwrap()
    };
    assert_eq!(fields("no card".into()).await, ["document"]);
    assert_eq!(fields(" ".repeat(CardVersion::DOCUMENT_LEN_MAX + 1)).await, ["document"]);
    let several = of(&|draft| {
        draft.name = "Blue".into();
        draft.licence = String::new();
        draft.output.classes[1].index = 9;
    });
    assert_eq!(
        fields(several).await,
        ["document.name", "document.output.classes[1].index", "document.licence"]
    );
    for (stands_for, says) in [
        ("nobody/knows=this", "nobody is no taxonomy that is known here"),
        ("ncmec/classification=A9", "has no value A9; it has A1, A2, B1, B2"),
        ("ncmec/age=A1", "has no dimension age"),
    ] {
        let document = of(&|draft| draft.output.classes[1].stands_for = Some(stands_for.into()));
        assert_eq!(fields(document.clone()).await, ["document.output.classes[1].stands_for"]);
        let request = members::PutModelCardRequest { document, ..Default::default() };
        refused(put(&everyone, request).await, Code::InvalidArgument, says);
    }
    // No more than the message has room for.
    let many = of(&|draft| {
        draft.output.classes = (0..60)
            .map(|_| vigie_classifiers::scores::OutputClassDraft {
                name: "Wrong".into(),
                index: 0,
                stands_for: None,
            })
            .collect();
    });
    assert_eq!(fields(many).await.len(), 20);
    assert_eq!(served.head().await, before);
    assert_eq!(list(&everyone).await, []);
    served.stop().await;
}

async fn a_put_is_done_once_for_its_key_and_only_on_the_version_that_it_expects(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = of_everyone(&served);
    let with = |expected: Option<u32>, key: &str| members::PutModelCardRequest {
        expected_version: expected,
        idempotency_key: key.into(),
        ..request(&draft("blue"))
    };
    refused(put(&everyone, with(Some(1), "")).await, Code::FailedPrecondition, "is 0; read it again");
    let first = put(&everyone, with(Some(0), "first")).await.unwrap();
    // Sent again it would not be expected any more, and is answered as before.
    assert_eq!(put(&everyone, with(Some(0), "first")).await.unwrap(), first);
    refused(put(&everyone, with(Some(0), "other")).await, Code::FailedPrecondition, "is 1; read it again");
    refused(put(&everyone, with(None, "first")).await, Code::InvalidArgument, "idempotency_key");
    assert_eq!(put(&everyone, with(Some(1), "")).await.unwrap().0, 2);
    served.stop().await;
    let served = Served::start(bed.config()).await;
    assert_eq!(put(&of_everyone(&served), with(Some(0), "first")).await.unwrap(), first);
    check_versions(&of_everyone(&served), "blue", &["Apache-2.0"; 2]).await;
    served.stop().await;
}

async fn there_are_64_models_and_a_retired_one_can_be_put_again(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = of_everyone(&served);
    for number in 0..64 {
        put(&everyone, request(&draft(&format!("m{number}")))).await.unwrap();
    }
    let more = put(&everyone, request(&draft("more"))).await;
    refused(more, Code::FailedPrecondition, "there are 64 models already");
    let retired = ModelCardDraft { state: State::Retired, ..draft("m7") };
    assert_eq!(put(&everyone, request(&retired)).await.unwrap().0, 2);
    refused(put(&everyone, request(&draft("more"))).await, Code::FailedPrecondition, "64 models");
    let state = async |name: &str| {
        let listed = list(&everyone).await;
        listed.into_iter().find(|one| one.name == name).map(|one| one.state).unwrap()
    };
    assert_eq!(state("m7").await, "retired");
    assert_eq!(put(&everyone, request(&draft("m7"))).await.unwrap().0, 3);
    assert_eq!((state("m7").await.as_str(), list(&everyone).await.len()), ("in_use", 64));
    served.stop().await;
}

async fn an_operator_puts_everybody_reads_and_the_audit_names_the_card(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    for other in [&consortium.administrator, &consortium.contributor, &consortium.auditor] {
        refused(put(other, request(&draft("blue"))).await, Code::PermissionDenied, "");
    }
    let (_, first) = put(&consortium.operator, request(&draft("blue"))).await.unwrap();
    let (version, second) = put(&consortium.operator, request(&active("blue"))).await.unwrap();
    for by in [&consortium.administrator, &consortium.contributor, &consortium.auditor] {
        assert_eq!(list(by).await.len(), 1);
        assert_eq!(get(by, "blue", 0).await.unwrap().0.version(), version);
    }
    let path = "/vigie.consortium.v1.ModelCardService/PutModelCard";
    let entries = consortium.auditor.entries().await;
    let is_put = |one: &&members::AuditEntry| one.action == path && one.code == 0;
    let put: Vec<_> = entries.iter().filter(is_put).collect();
    assert_eq!(put.iter().map(|one| one.sequence).collect::<Vec<_>>(), [first, second]);
    let of = |entry: &members::AuditEntry| entry.model.clone().unwrap();
    let (shadow, active) = (of(put[0]), of(put[1]));
    assert_eq!((shadow.name.as_str(), shadow.version, shadow.mode.as_str()), ("blue", 1, "shadow"));
    assert!(shadow.classes.iter().all(|class| class.threshold.is_none()));
    assert_eq!((active.version, active.mode.as_str(), active.state.as_str()), (2, "active", "in_use"));
    let chosen = &active.classes[1];
    assert_eq!((chosen.name.as_str(), chosen.at_most_one_in), ("blue", 10));
    assert_eq!(chosen.stands_for, "ncmec/classification=A1");
    let (card, _) = get(&consortium.auditor, "blue", 2).await.unwrap();
    let threshold = card.card().threshold(&"blue".parse().unwrap()).unwrap().measured.threshold;
    assert_eq!(chosen.threshold, Some(threshold));
    assert!(entries.iter().all(|one| one.action == path || one.model.is_none()));
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

/// A follower of the log has the cards of a store that was restored.
#[tokio::test]
async fn cards_are_in_a_backup_and_in_the_directory_of_a_follower() {
    let (directory, config) = on_file();
    let served = Served::start(config.clone()).await;
    for draft in [draft("blue"), active("blue"), draft("red")] {
        put(&of_everyone(&served), request(&draft)).await.unwrap();
    }
    let cards = async |served: &Served| {
        let by = of_everyone(served);
        let mut cards = Vec::new();
        for (name, version) in [("blue", 1), ("blue", 2), ("red", 1)] {
            cards.push(get(&by, name, version).await.unwrap());
        }
        cards
    };
    let before = cards(&served).await;
    let file = directory.path().join("copy.db");
    let copied = backup(&config, &file).await.unwrap();
    served.stop().await;
    let other = embedded(&directory.path().join("other/bank.db"));
    assert_eq!(restore(&other, &file).await.unwrap(), copied);
    assert_eq!(verify(&other).await.unwrap().head, copied);
    let restored = Served::start(other).await;
    assert_eq!(cards(&restored).await, before);
    restored.stop().await;
}

fn embedded(path: &Path) -> Config {
    Config {
        store: format!("sqlite:{}", path.display()).into(),
        serving: vigie_serving::ServingConfig::default().without_lame_duck(),
        ..Config::default()
    }
}
