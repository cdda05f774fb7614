//! A classifier over an inference server that a test controls: from a content to scores that are computed by
//! hand.

#[cfg(feature = "onnx")]
mod onnx;
mod server;
mod world;

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use tracing::Level;
use vigie_classifiers::calibration::{CalibrationDraft, Label, Sample};
use vigie_classifiers::{ModelCardDraft, Sha256, State};
use vigie_proto::pb::classifier::v1 as pb;
use vigie_proto::pb::classifier::v1::ScoreFailureKind;
use vigie_telemetry::CapturedLog;

use self::server::{Manner, Server};
use self::world::{World, at_server, conversation, picture, pictures, pixels, texts};

/// The means are 0.2, 0.4 and 0.8: 0.1 + 0.1 + 0.2, and 0.125 + 0.025 + 0.1 + 0.4.
const COLOUR: ([u8; 3], [f64; 2]) = ([51, 102, 204], [0.4, 0.65]);
/// "see me" has 3 of e and one space among 6 bytes.
const TEXT: ([&str; 2], [f64; 2]) = (["see", "me"], [0.5, 0.25 + 1.0 / 6.0]);

async fn served() -> (Server, World) {
    let server = Server::start().await;
    let world = World::serving(&at_server(server.address), &[pictures(), texts()]).await;
    (server, world)
}

#[tokio::test]
async fn a_picture_and_a_conversation_have_the_scores_that_are_computed_by_hand() {
    let (_server, world) = served().await;
    let scored = world.score(vec![picture(1, pixels(COLOUR.0)), conversation(&TEXT.0)]).await;
    scored[0].is(&COLOUR.1);
    scored[1].is(&TEXT.1);
    for (name, classes) in [("pictures", COLOUR.1), ("texts", TEXT.1)] {
        let model = world.model(name).await;
        assert_eq!((model.version, model.is_served, model.problem.as_str()), (1, true, ""));
        let totals =
            model.distributions.iter().map(|class| (class.class.as_str(), class.counts.iter().sum::<u64>()));
        assert_eq!(totals.collect::<Vec<_>>(), [("first", 1), ("second", 1)]);
        // 64 bins of equal width.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bin")]
        let bin = (classes[0] * 64.0) as usize;
        assert_eq!(model.distributions[0].counts[bin], 1, "{name}");
        assert_eq!(model.distributions[0].drift, None);
        assert_eq!(world.figure(&format!("vigie_classifier_served{{model=\"{name}\"}}")), Some(1.0));
        let scored = format!("vigie_classifier_scores_total{{model=\"{name}\",outcome=\"scored\"}}");
        assert_eq!(world.figure(&scored), Some(1.0));
        let of_class = format!("vigie_classifier_score_count{{model=\"{name}\",class=\"first\"}}");
        assert_eq!(world.figure(&of_class), Some(1.0));
        assert_eq!(
            world.figure(&format!("vigie_classifier_run_seconds_count{{model=\"{name}\"}}")),
            Some(1.0)
        );
    }
}

#[tokio::test]
async fn scores_for_a_calibration_are_answered_and_not_counted() {
    let (_server, world) = served().await;
    let request = pb::ScoreRequest { items: vec![conversation(&TEXT.0)], uncounted: true };
    world.request(request, Duration::from_secs(20)).await.unwrap()[0].is(&TEXT.1);
    assert!(
        world
            .model("texts")
            .await
            .distributions
            .iter()
            .all(|class| class.counts.iter().all(|count| *count == 0))
    );
    assert_eq!(world.figure("vigie_classifier_score_count{model=\"texts\",class=\"first\"}"), None);
}

#[tokio::test]
async fn each_item_has_its_own_outcome() {
    let (_server, world) = served().await;
    let other = |model: &str| pb::ScoreItem { model: model.to_owned(), ..conversation(&TEXT.0) };
    let empty = pb::ScoreItem { content: None, ..picture(1, Vec::new()) };
    let items = vec![
        other("unknown"),
        picture(2, pixels(COLOUR.0)),
        picture(1, vec![0; 7]),
        other("pictures"),
        pb::ScoreItem { model: "texts".to_owned(), ..picture(1, pixels(COLOUR.0)) },
        conversation(&[]),
        conversation(&[&"x".repeat(9_000)]),
        empty,
        picture(1, pixels(COLOUR.0)),
    ];
    let scored = world.score(items).await;
    use ScoreFailureKind::{Content, OtherVersion, UnknownModel};
    let kinds: Vec<_> = scored.iter().map(world::Scored::kind).collect();
    let content = [Some(Content); 6];
    assert_eq!(kinds[..2], [Some(UnknownModel), Some(OtherVersion)]);
    assert_eq!(kinds[2..8], content);
    scored[8].is(&COLOUR.1);
    assert_eq!(
        world.figure("vigie_classifier_scores_total{model=\"pictures\",outcome=\"content\"}"),
        Some(3.0)
    );
    assert_eq!(
        world.figure("vigie_classifier_scores_total{model=\"_OTHER\",outcome=\"unknown_model\"}"),
        Some(1.0)
    );
    assert!(!world.telemetry.exposition().unwrap().contains("\"unknown\""));
}

#[tokio::test]
async fn a_request_of_no_items_or_too_many_is_refused() {
    let (_server, world) = served().await;
    let refused = async |count: usize| {
        let items = vec![conversation(&TEXT.0); count];
        world.request(pb::ScoreRequest { items, uncounted: true }, Duration::from_secs(20)).await
    };
    assert_eq!(refused(0).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(refused(17).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(refused(16).await.unwrap().len(), 16);
}

#[tokio::test]
async fn a_server_that_misbehaves_costs_its_items_and_no_more_than_their_time() {
    let (server, world) = served().await;
    for (manner, expected) in [
        (Manner::Slow, ScoreFailureKind::OutOfTime),
        (Manner::Shape, ScoreFailureKind::Failed),
        (Manner::Nan, ScoreFailureKind::Failed),
        (Manner::Version, ScoreFailureKind::Failed),
        (Manner::Broken, ScoreFailureKind::Failed),
    ] {
        server.behave(manner);
        let begun = Instant::now();
        let items = vec![conversation(&TEXT.0), picture(1, vec![1])];
        let request = pb::ScoreRequest { items, uncounted: false };
        let scored = world.request(request, Duration::from_millis(400)).await.unwrap();
        assert_eq!(scored[0].kind(), Some(expected), "{manner:?}: {scored:?}");
        assert_eq!(scored[1].kind(), Some(ScoreFailureKind::Content));
        assert!(begun.elapsed() < Duration::from_secs(10), "{manner:?} took {:?}", begun.elapsed());
        assert!(!format!("{scored:?}").contains("secret"), "{scored:?}");
    }
    // The server is gone.
    drop(server);
    let scored = world.score(vec![conversation(&TEXT.0)]).await;
    assert_eq!(scored[0].kind(), Some(ScoreFailureKind::Failed), "{scored:?}");
}

#[tokio::test]
async fn more_items_than_there_may_be_at_once_are_refused_one_by_one() {
    let server = Server::start().await;
    let config = crate::Config { items_max: 3, ..at_server(server.address) };
    let world = World::serving(&config, &[texts()]).await;
    server.behave(Manner::Slow);
    let request = pb::ScoreRequest { items: vec![conversation(&TEXT.0); 5], uncounted: false };
    let scored = world.request(request, Duration::from_millis(300)).await.unwrap();
    let kinds: Vec<_> = scored.iter().filter_map(world::Scored::kind).collect();
    use ScoreFailureKind::{Busy, OutOfTime};
    assert_eq!(kinds, [OutOfTime, OutOfTime, OutOfTime, Busy, Busy]);
}

#[tokio::test]
async fn a_model_that_does_not_meet_its_test_vector_is_served_when_it_does() {
    let server = Server::start().await;
    server.behave(Manner::Wrong);
    let world = World::start(&at_server(server.address));
    world.cards.set(&[pictures(), texts()]);
    let model = world.until("pictures", |model| model.problem.contains("the test vector has")).await;
    assert_eq!((model.version, model.is_served), (0, false));
    assert_eq!(model.problem, "the test vector has the score 0.55 for first; the model gives 0.35000002");
    let refused = world.score(vec![picture(1, pixels(COLOUR.0))]).await;
    assert_eq!(refused[0].kind(), Some(ScoreFailureKind::NotServed));
    assert_eq!(world.figure("vigie_classifier_served{model=\"pictures\"}"), Some(0.0));
    server.behave(Manner::Honest);
    world.until("pictures", |model| model.is_served).await;
    world.score(vec![picture(1, pixels(COLOUR.0))]).await[0].is(&COLOUR.1);
}

#[tokio::test]
async fn a_model_is_served_only_where_the_configuration_and_the_card_agree() {
    let server = Server::start().await;
    let mut config = at_server(server.address);
    config.servers[0].models[1].server_version = String::new();
    let world = World::start(&config);
    let file = ModelCardDraft { server_version: None, digest: Some("0a".repeat(32)), ..pictures() };
    let elsewhere = ModelCardDraft { name: "elsewhere".to_owned(), ..pictures() };
    assert_eq!(world.described().await.len(), 2);
    assert!(world.model("texts").await.problem.contains("no card of this name"));
    world.cards.set(&[elsewhere.clone(), file, texts()]);
    let check = async |name: &str, words: &str| {
        let model = world.until(name, |model| model.problem.contains(words)).await;
        assert!(!model.is_served && model.version == 0, "{model:?}");
    };
    check("elsewhere", "not configured here").await;
    check("pictures", "of a model in a file, and the configuration has it at a server").await;
    check("texts", "of version 7 of the server's model; the configuration names none").await;
    let other = ModelCardDraft { server_version: Some("6".to_owned()), ..pictures() };
    let retired = ModelCardDraft { state: State::Retired, ..elsewhere };
    world.cards.set(&[retired, other]);
    check("pictures", "of version 6 of the server's model; the configuration names 7").await;
    check("elsewhere", "retired").await;
    check("texts", "no card of this name").await;
    // A model that is not in use has no series that an alert could use.
    assert_eq!(world.figure("vigie_classifier_served{model=\"elsewhere\"}"), None);
}

#[tokio::test]
async fn a_new_version_of_a_card_is_picked_up_and_counts_anew() {
    let (_server, world) = served().await;
    world.score(vec![picture(1, pixels(COLOUR.0))]).await[0].is(&COLOUR.1);
    world.cards.set(&[ModelCardDraft { version: 2, ..pictures() }, texts()]);
    world.until("pictures", |model| model.is_served && model.version == 2).await;
    let scored = world.score(vec![picture(1, pixels(COLOUR.0)), picture(2, pixels(COLOUR.0))]).await;
    assert_eq!(scored[0].kind(), Some(ScoreFailureKind::OtherVersion));
    scored[1].is(&COLOUR.1);
    let counted = world.model("pictures").await.distributions[0].counts.iter().sum::<u64>();
    assert_eq!(counted, 1);
    world.cards.set(&[ModelCardDraft { version: 3, state: State::Retired, ..pictures() }, texts()]);
    world.until("pictures", |model| !model.is_served && model.problem.contains("retired")).await;
}

#[tokio::test]
async fn a_shifted_distribution_is_said_once_there_are_enough_scores() {
    let server = Server::start().await;
    // 3,000 other contents, whose scores were all between 0 and 0.1.
    let mut sample = Sample::new("first".parse().unwrap());
    for number in 0..3_001_u16 {
        let digest =
            Sha256(std::array::from_fn(|at| number.to_be_bytes().get(at).copied().unwrap_or_default()));
        let (label, score) = if number == 3_000 {
            (Label::Positive, 0.9)
        } else {
            (Label::Negative, f32::from(number) / 30_000.0)
        };
        sample.add(digest, label, score).unwrap();
    }
    let classes = vec![sample.table().unwrap()];
    let calibration = CalibrationDraft { source: "drawn".into(), at: 1, classes }.try_into().unwrap();
    let card = ModelCardDraft { calibration: Some(calibration), ..texts() };
    let world = World::serving(&at_server(server.address), &[card]).await;
    let model = world.grpc.scoring.models.get("texts").unwrap();
    let carded = model.carded().unwrap();
    let tensor = |score| {
        let numbers = vigie_classifiers::TensorData::F32(vec![score, 0.5]);
        [vigie_classifiers::Tensor::new("scores", &[1, 2], numbers).unwrap()]
    };
    let line = "vigie_classifier_drift{model=\"texts\",class=\"first\"}";
    for number in 0..2_500_u16 {
        assert_eq!(world.figure(line).filter(|_| number % 500 == 0), None);
        carded.distributions.count(&carded.card().scores(&tensor(0.9)).unwrap());
    }
    let drift = world.figure(line).unwrap();
    assert!(drift >= vigie_classifiers::drift::CHANGED, "{drift}");
    let described = world.model("texts").await;
    assert_eq!((described.distributions[0].drift, described.distributions[1].drift), (Some(drift), None));
}

/// In every case, no word of a conversation is in a log, in a description, in an answer, or in debug output.
#[tokio::test]
async fn no_word_of_a_conversation_is_anywhere() {
    let log = CapturedLog::default();
    let lines = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false);
    let _here = tracing::subscriber::set_default(lines.with_writer(log.clone()).finish());
    const WORD: &str = "xylophone";
    let (server, world) = served().await;
    let long = WORD.repeat(1_000);
    for manner in [Manner::Honest, Manner::Shape, Manner::Nan, Manner::Broken] {
        server.behave(manner);
        for texts in [&[WORD][..], &[&long]] {
            let item = conversation(texts);
            let debug =
                format!("{item:?} {:?}", pb::ScoreRequest { items: vec![item.clone()], uncounted: false });
            assert!(!debug.contains(WORD), "{debug}");
            let scored = world.score(vec![item]).await;
            assert!(!format!("{scored:?}").contains(WORD));
        }
    }
    let described = format!("{:?} {:?}", world.described().await, world.grpc.scoring.models);
    assert!(!described.contains(WORD), "{described}");
    assert!(!world.telemetry.exposition().unwrap().contains(WORD));
    let text = log.text();
    assert!(text.contains("a model is served"), "{text}");
    assert!(!text.contains(WORD), "{text}");
    // Nor is the conversation of a test vector.
    assert!(!text.contains("bee"), "{text}");
}
