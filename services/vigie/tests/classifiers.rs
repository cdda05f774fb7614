//! Tests the classifier commands against a bank and a frontend with scripted answers: the cards that are put,
//! and the printed output.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vigie_consortium::CardVersion;
use vigie_proto::pb::classifier::v1::RawScore;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::model_card_service_server::{ModelCardService, ModelCardServiceServer};
use vigie_proto::pb::matching::v1 as matching;
use vigie_proto::pb::matching::v1::measure_scores_request::Content;
use vigie_proto::pb::matching::v1::scoring_service_server::{ScoringService, ScoringServiceServer};

const CARD: &str = r#"{
    "name": "nsfw", "version": 9, "digest": "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
    "input": {"tensor": "in", "form": {"image": {"width": 224, "height": 224, "resize": "stretch", "filter": "bilinear",
        "order": "bgr", "mean": [0, 0, 0], "scale": [1, 1, 1], "layout": "nhwc", "element": "f32"}}},
    "output": {"tensor": "out", "length": 2, "activation": "softmax", "classes": [
        {"name": "other", "index": 0}, {"name": "nude", "index": 1, "stands_for": "local/kind=nude"}]},
    "licence": "BSD-2-Clause", "approved_by": "A. Reviewer", "approved_at": 1795910400000, "note": "for tests",
    "test_vector": {"input": {"drawn": {"seed": 1, "width": 8, "height": 8}},
        "expected": [{"class": "other", "score": 0.5}, {"class": "nude", "score": 0.5}]}
}"#;

/// A bank's service of model cards with one model, and a frontend whose model uses the first byte of a file
/// as its score.
#[derive(Clone, Default)]
struct Deployment(Arc<Mutex<Vec<CardVersion>>>);

impl Deployment {
    async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(ModelCardServiceServer::new(self.clone()))
            .add_service(ScoringServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
        endpoint
    }

    fn versions(&self) -> Vec<CardVersion> {
        self.0.lock().unwrap().clone()
    }

    fn newest(&self) -> CardVersion {
        self.versions().pop().unwrap()
    }
}

#[tonic::async_trait]
impl ModelCardService for Deployment {
    async fn put_model_card(
        &self,
        request: Request<pb::PutModelCardRequest>,
    ) -> Result<Response<pb::PutModelCardResponse>, Status> {
        let request = request.into_inner();
        assert!(!request.idempotency_key.is_empty());
        let mut versions = self.0.lock().unwrap();
        let newest = u32::try_from(versions.len()).unwrap();
        if request.expected_version.is_some_and(|expected| expected != newest) {
            return Err(Status::failed_precondition(format!(
                "expected_version: the newest version is {newest}"
            )));
        }
        versions.push(CardVersion::read_as(&request.document, newest + 1).unwrap());
        Ok(Response::new(pb::PutModelCardResponse { version: newest + 1, sequence: 40 + u64::from(newest) }))
    }

    async fn get_model_card(
        &self,
        request: Request<pb::GetModelCardRequest>,
    ) -> Result<Response<pb::GetModelCardResponse>, Status> {
        let pb::GetModelCardRequest { name, version } = request.into_inner();
        let versions = self.versions();
        let newest_version = u32::try_from(versions.len()).unwrap();
        let asked = if version == 0 { newest_version } else { version };
        let card = versions.iter().find(|one| one.name() == name && one.version() == asked);
        let card = card.ok_or_else(|| Status::not_found(format!("there is no model called {name}")))?;
        Ok(Response::new(pb::GetModelCardResponse { card: Some(card.into()), newest_version, sequence: 50 }))
    }

    async fn list_model_cards(
        &self,
        _request: Request<pb::ListModelCardsRequest>,
    ) -> Result<Response<pb::ListModelCardsResponse>, Status> {
        let models = self.versions().last().into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ListModelCardsResponse { models, sequence: 51 }))
    }
}

#[tonic::async_trait]
impl ScoringService for Deployment {
    async fn score_conversation(
        &self,
        _request: Request<matching::ScoreConversationRequest>,
    ) -> Result<Response<matching::ScoreConversationResponse>, Status> {
        Err(Status::unimplemented("no conversations"))
    }

    async fn measure_scores(
        &self,
        request: Request<matching::MeasureScoresRequest>,
    ) -> Result<Response<matching::MeasureScoresResponse>, Status> {
        let Some(Content::Image(file)) = request.into_inner().content else {
            return Err(Status::invalid_argument("content: no image"));
        };
        if file.starts_with(b"bad") {
            return Err(Status::invalid_argument("content: it is no image"));
        }
        let nude = f32::from(file[0]) / 255.0;
        let score = |class: &str, score| RawScore { class: class.into(), score };
        let mut digest = file.to_vec();
        digest.resize(32, 0);
        Ok(Response::new(matching::MeasureScoresResponse {
            version: self.newest().version(),
            scores: vec![score("other", 1.0 - nude), score("nude", nude)],
            content_sha256: digest.into(),
        }))
    }
}

async fn vigie(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    command.args(args).env_remove("VIGIE_BANK").env_remove("VIGIE_FRONTEND");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn printed(output: &Output, code: i32) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let all = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{all}");
    all
}

/// Writes a folder of labelled files: 100 of no class, with first bytes 0 to 99, and ten of the class, with
/// first bytes 150 to 159.
fn labelled(folder: &Path) {
    for (sub_folder, bytes) in [("holiday", 0..100_u8), ("nude", 150..160)] {
        std::fs::create_dir(folder.join(sub_folder)).unwrap();
        for byte in bytes {
            std::fs::write(folder.join(sub_folder).join(byte.to_string()), [byte, 1, 2, 3]).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_is_added_calibrated_given_a_threshold_activated_and_retired() {
    let (deployment, folder) = (Deployment::default(), tempfile::tempdir().unwrap());
    let endpoint = deployment.serve().await;
    let run = async |args: &[&str], code: i32| {
        let bank = ["classifier", args[0], "--bank-url", &endpoint];
        printed(&vigie(&[&bank[..], &args[1..]].concat()).await, code)
    };
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("card.json"), CARD).unwrap();
    std::fs::write(
        at("wrong.json"),
        CARD.replace("BSD-2-Clause", "").replace("\"index\": 1", "\"index\": 0"),
    )
    .unwrap();
    let card = at("card.json").display().to_string();

    let none = run(&["list"], 0).await;
    assert!(none.contains("0 classifiers"), "{none}");
    let unknown = run(&["show", "nsfw"], 1).await;
    assert!(unknown.contains("there is no model called nsfw"), "{unknown}");
    // All faults are shown without a call.
    let wrong = run(&["add", "--card", &at("wrong.json").display().to_string()], 1).await;
    assert!(wrong.contains("output.classes[1].index: ") && wrong.contains("licence: "), "{wrong}");
    assert!(deployment.versions().is_empty());
    let added = run(&["add", "--card", &card, "--expected-version", "0"], 0).await;
    assert!(added.contains("version 1 of the card of nsfw is set: shadow (sequence 40)"), "{added}");
    let stale = run(&["add", "--card", &card, "--expected-version", "0"], 1).await;
    assert!(stale.contains("the newest version is 1"), "{stale}");
    let shown = run(&["show", "nsfw"], 0).await;
    for says in [
        "nsfw, version 1 (the newest)",
        "image of 224 x 224 pixels",
        "the file with the SHA-256 864bb37b",
        "shadow: scores are counted, and returned to nobody",
        "BSD-2-Clause",
        "by A. Reviewer",
        "for tests",
        "none: no threshold can be chosen",
        "local/kind=nude",
    ] {
        assert!(shown.contains(says), "{shown} lacks {says}");
    }
    // A model that is not in shadow needs a threshold, and without a calibration there is none.
    let early = run(&["activate", "nsfw"], 1).await;
    assert!(early.contains("an active model has a threshold"), "{early}");
    let early = run(&["threshold", "nsfw", "--class", "nude", "--at-most-one-in", "10"], 1).await;
    assert!(early.contains("vigie classifier calibrate nsfw FOLDER"), "{early}");

    let content = at("content");
    std::fs::create_dir(&content).unwrap();
    labelled(&content);
    let content = content.display().to_string();
    let calibrate = ["calibrate", "nsfw", &content, "--frontend", &endpoint, "--source", "drawn by a test"];
    let measured = run(&calibrate, 0).await;
    assert!(measured.contains("110 files measured"), "{measured}");
    assert!(
        measured.contains("calibration of nude: 100 contents not of the class, 10 of the class"),
        "{measured}"
    );
    // 299 other contents would suffice for 1 in 100.
    assert!(measured.contains("the sample has 100 contents not of the class, and needs 299"), "{measured}");
    let calibration = deployment.newest().card().calibration().cloned().unwrap();
    assert_eq!(calibration.source(), "drawn by a test");
    let table = calibration.class(&"nude".parse().unwrap()).unwrap();
    assert_eq!((table.negatives(), table.positives()), (100, 10));
    let other = calibration.class(&"other".parse().unwrap()).unwrap();
    assert_eq!((other.negatives(), other.positives()), (110, 0));

    let refused = run(&["threshold", "nsfw", "--class", "nude", "--at-most-one-in", "10000"], 1).await;
    assert!(refused.contains("it would take 29956"), "{refused}");
    let refused = run(&["threshold", "nsfw", "--class", "gore", "--at-most-one-in", "10"], 1).await;
    assert!(refused.contains("has no class gore; it has other, nude"), "{refused}");
    let chosen = run(&["threshold", "nsfw", "--class", "nude", "--at-most-one-in", "10", "--json"], 0).await;
    let object: serde_json::Value = serde_json::from_str(chosen.lines().next().unwrap()).unwrap();
    let threshold =
        deployment.newest().card().threshold(&"nude".parse().unwrap()).unwrap().measured.threshold;
    assert_eq!(object["thresholds"][0]["at_most_one_in"], 10);
    assert_eq!(object["thresholds"][0]["threshold"], serde_json::json!(threshold));
    let active = run(&["activate", "nsfw"], 0).await;
    assert!(active.contains("version 4 of the card of nsfw is set: active"), "{active}");
    let again = run(&["activate", "nsfw"], 0).await;
    assert!(again.contains("nsfw is active already (version 4)"), "{again}");
    let listed = run(&["list"], 0).await;
    assert!(listed.contains("active") && listed.contains("(at most 1 in 10)"), "{listed}");
    run(&["shadow", "nsfw"], 0).await;
    let retired = run(&["retire", "nsfw"], 0).await;
    assert!(retired.contains("version 6 of the card of nsfw is set: retired, shadow"), "{retired}");
    let shown = run(&["show", "nsfw", "--version", "4"], 0).await;
    assert!(shown.contains("nsfw, version 4 (of 6)") && shown.contains("1 in 10"), "{shown}");
    let shown = run(&["show", "nsfw", "--json"], 0).await;
    let object: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&object["version"], &object["card"]["state"]), (&6.into(), &"retired".into()));
    assert_eq!(deployment.versions().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_scored_are_named_and_stop_the_calibration_unless_they_are_left_out() {
    let (deployment, folder) = (Deployment::default(), tempfile::tempdir().unwrap());
    deployment.0.lock().unwrap().push(CardVersion::read_as(CARD, 1).unwrap());
    let endpoint = deployment.serve().await;
    labelled(folder.path());
    std::fs::write(folder.path().join("holiday/broken"), "bad").unwrap();
    // The same content is also under another label.
    std::fs::write(folder.path().join("nude/twice"), [7, 1, 2, 3]).unwrap();
    let folder = folder.path().display().to_string();
    let args = ["classifier", "calibrate", "nsfw", &folder, "--bank-url", &endpoint, "--frontend", &endpoint];
    let refused = printed(&vigie(&args).await, 1);
    assert!(refused.contains("holiday/broken: ") && refused.contains("it is no image"), "{refused}");
    assert!(refused.contains("nude/twice: ") && refused.contains("as other content"), "{refused}");
    assert!(refused.contains("2 files could not be read or scored; nothing was changed"), "{refused}");
    assert_eq!(deployment.versions().len(), 1);
    let some = ["--skip-failed", "--class", "nude", "--json"];
    let left_out = printed(&vigie(&[&args[..], &some].concat()).await, 3);
    let objects: Vec<serde_json::Value> =
        left_out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(objects.iter().filter(|one| one["error"].is_object()).count(), 2, "{left_out}");
    assert_eq!(objects.last().unwrap()["version"], 2);
    let card = deployment.newest();
    let classes = card.card().calibration().unwrap().classes();
    assert_eq!((classes.len(), classes[0].negatives(), classes[0].positives()), (1, 100, 10));
    // Nobody answers, so the command ends at the first failure.
    let nobody = [
        "classifier",
        "calibrate",
        "nsfw",
        &folder,
        "--bank-url",
        &endpoint,
        "--frontend",
        "http://127.0.0.1:9",
    ];
    let away = printed(&vigie(&nobody).await, 4);
    assert!(!away.contains("could not be read or scored"), "{away}");
    assert_eq!(deployment.versions().len(), 2);
}
