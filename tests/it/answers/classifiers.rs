//! Classifiers beside matches, through a whole cluster: whatever they do, matches are the same; scores are
//! those that can be computed by hand.
//!
//! The classifier is a stand-in that computes the mean of the blue bytes of the pixels that it is given, or
//! of a text the share of the letter z: so a test knows each score.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use image::{Rgb, RgbImage};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vigie_classifiers::conversation::Message;
use vigie_classifiers::{
    Conversation, ConversationDraft, Label, ModelCard, ModelCardDraft, Rate, Sample, Sha256,
};
use vigie_clients::{
    Code, IdempotencyKey, MatchAnswer, ModelCardClient, PolicyClient, PolicySource, TriedContent, TriedScore,
};
use vigie_consortium::{Policy, PolicyDraft, ScoreRuleDraft};
use vigie_harness::in_process::{Cluster, as_of, soon};
use vigie_model::{Content, Decided, MatchCall, Matched, ScoreFailureKind, SearchOptions, Sequence, Verdict};
use vigie_pictures::{draw, encode_jpeg, encode_png};
use vigie_proto::pb::classifier::v1 as pb;
use vigie_proto::pb::classifier::v1::classifier_service_server::{
    ClassifierService, ClassifierServiceServer,
};
use vigie_tests::material::image_item;

/// The behaviour of the stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Answers,
    Hangs,
    Fails,
    /// Scores that are none.
    Lies,
}

#[derive(Debug, Clone)]
struct StandIn(Arc<Mutex<Does>>);

#[tonic::async_trait]
impl ClassifierService for StandIn {
    async fn score(&self, request: Request<pb::ScoreRequest>) -> Result<Response<pb::ScoreResponse>, Status> {
        let does = *self.0.lock().unwrap();
        let of_item = |item: pb::ScoreItem| {
            let share = match item.content.unwrap() {
                pb::score_item::Content::Pixels(pixels) => {
                    let blue: u32 = pixels.chunks(3).map(|pixel| u32::from(pixel[2])).sum();
                    f64::from(blue) / (pixels.len() as f64 / 3.0) / 255.0
                }
                pb::score_item::Content::Conversation(conversation) => {
                    let text: String =
                        conversation.messages.into_iter().map(|message| message.text).collect();
                    text.matches('z').count() as f64 / text.len() as f64
                }
            };
            #[expect(clippy::cast_possible_truncation, reason = "the nearest number is meant")]
            let share = share as f32;
            let score = if does == Does::Lies { f32::NAN } else { share };
            let raw = |class: &str, score| pb::RawScore { class: class.into(), score };
            let scores = pb::RawScores { scores: vec![raw("other", 1.0 - score), raw("bad", score)] };
            pb::ScoreResult { outcome: Some(pb::score_result::Outcome::Scores(scores)) }
        };
        match does {
            Does::Hangs => std::future::pending().await,
            Does::Fails => Err(Status::internal("it fails")),
            Does::Answers | Does::Lies => {
                let results = request.into_inner().items.into_iter().map(of_item).collect();
                Ok(Response::new(pb::ScoreResponse { results }))
            }
        }
    }

    async fn describe_models(
        &self,
        _: Request<pb::DescribeModelsRequest>,
    ) -> Result<Response<pb::DescribeModelsResponse>, Status> {
        Ok(Response::new(pb::DescribeModelsResponse::default()))
    }
}

/// A card of a model that is active, with the threshold of a rate of 1 in 100: nearly 0.5, of other contents
/// that rise evenly to there.
fn card(name: &str, form: serde_json::Value, test_input: serde_json::Value) -> ModelCard {
    let draft = serde_json::json!({
        "name": name, "version": 1,
        "digest": "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
        "input": { "tensor": "in", "form": form },
        "output": { "tensor": "out", "length": 2, "activation": "none", "classes": [
            { "name": "other", "index": 0 }, { "name": "bad", "index": 1 }
        ] },
        "licence": "Apache-2.0", "approved_by": "A. Reviewer", "approved_at": 1,
        "test_vector": { "input": test_input, "expected": [
            { "class": "other", "score": 0.5 }, { "class": "bad", "score": 0.5 }
        ] },
    });
    let draft: ModelCardDraft = serde_json::from_value(draft).unwrap();
    let class: vigie_classifiers::Name = "bad".parse().unwrap();
    let mut sample = Sample::new(class.clone());
    for number in 0..2_000_u16 {
        let mut digest = [0; 32];
        digest[..2].copy_from_slice(&number.to_be_bytes());
        sample.add(Sha256(digest), Label::Negative, f32::from(number) / 4_000.0).unwrap();
    }
    let table = serde_json::to_value(sample.table().unwrap()).unwrap();
    let calibration =
        serde_json::from_value(serde_json::json!({ "source": "drawn", "at": 1, "classes": [table] }))
            .unwrap();
    let card = ModelCard::try_from(draft).unwrap().with_calibration(calibration).unwrap();
    let card = card.with_threshold(&class, Rate::one_in(100).unwrap()).unwrap();
    ModelCardDraft { mode: vigie_classifiers::Mode::Active, ..card.draft() }.try_into().unwrap()
}

fn picture_card() -> ModelCard {
    let form = serde_json::json!({ "image": {
        "width": 32, "height": 32, "resize": "stretch", "filter": "bilinear", "order": "rgb",
        "mean": [0.0, 0.0, 0.0], "scale": [1.0, 1.0, 1.0], "layout": "nchw", "element": "f32"
    } });
    card("blue", form, serde_json::json!({ "pixels": { "width": 1, "height": 1, "rgb": "000080" } }))
}

fn conversation_card() -> ModelCard {
    let form = serde_json::json!({ "conversation": {
        "form": "byte_counts", "message": "{text}", "between": "\n", "bytes_max": 1000, "drop_first": "oldest"
    } });
    let messages = serde_json::json!({ "messages": [{ "role": "a", "text": "az" }] });
    card("talk", form, serde_json::json!({ "conversation": messages }))
}

struct Bench {
    cluster: Cluster,
    does: Arc<Mutex<Does>>,
    known: Vec<u8>,
    sequence: Sequence,
    data: tempfile::TempDir,
}

impl Bench {
    /// A cluster with two models, that knows one picture.
    async fn start(wait_ms: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let does = Arc::new(Mutex::new(Does::Answers));
        let service = ClassifierServiceServer::new(StandIn(Arc::clone(&does)));
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_owned();
        let cluster = Cluster::start_with(|config| {
            config.data = folder;
            config.frontend.classifiers.endpoints = vec![endpoint];
            config.frontend.classifiers.wait_ms = wait_ms;
        });
        let cluster = cluster.await.unwrap();
        let bank = cluster.create_bank("pictures").await.unwrap();
        let known = encode_jpeg(&draw(1, 640, 480), 95);
        cluster.add(&bank, vec![image_item(&known).unwrap()]).await.unwrap();
        let cards = ModelCardClient::among(&[cluster.bank_url()], cluster.callers()).unwrap();
        let mut sequence = Sequence::ZERO;
        for card in [picture_card(), conversation_card()] {
            let document = serde_json::to_string(&card).unwrap();
            let put = cards.put(&document, None, IdempotencyKey::random(), soon()).await.unwrap();
            sequence = put.sequence;
        }
        let bench = Self { cluster, does, known, sequence, data };
        // The frontend follows the directory.
        while bench.ask(bench.known.clone(), &["blue"]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bench
    }

    async fn ask(&self, file: Vec<u8>, classifiers: &[&str]) -> Result<Matched, Code> {
        let call = MatchCall {
            contents: vec![Content::Image(file.into())],
            options: as_of(self.sequence),
            quality_floor: None,
            surface: Box::default(),
            classifiers: classifiers.iter().map(|name| (*name).into()).collect(),
        };
        let answer: MatchAnswer =
            self.cluster.matching.match_content(call, soon()).await.map_err(|error| error.code())?;
        Ok(answer.results.into_iter().next().unwrap().unwrap())
    }

    fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }
}

/// The same without what classifiers say.
fn matches_of(matched: Matched) -> Matched {
    Matched { classifications: Vec::new(), ..matched }
}

/// A picture of one colour, so that resizing leaves its blue as it is.
fn blue(blue: u8) -> Vec<u8> {
    encode_png(&RgbImage::from_pixel(64, 48, Rgb([9, 9, blue])))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_classifiers_do_matches_are_the_same_and_soon_there() {
    let bench = Bench::start(3_000).await;
    let plain = bench.ask(bench.known.clone(), &[]).await.unwrap();
    assert!(plain.classifications.is_empty() && plain.found.matches.len() == 1);
    for (does, kind) in [
        (Does::Answers, None),
        (Does::Lies, Some(ScoreFailureKind::Failed)),
        (Does::Fails, Some(ScoreFailureKind::Failed)),
        (Does::Hangs, Some(ScoreFailureKind::OutOfTime)),
    ] {
        bench.does(does);
        let begun = tokio::time::Instant::now();
        let matched = bench.ask(bench.known.clone(), &["blue"]).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30), "{does:?}");
        let [said] = &matched.classifications[..] else { panic!("{does:?}") };
        assert_eq!(said.unavailable.as_ref().map(|failure| failure.kind), kind, "{does:?}");
        assert_eq!(matches_of(matched), plain, "{does:?}");
    }
    // It hangs on: sooner or later no call is made, and the matches are there all the same.
    let kind = |matched: &Matched| matched.classifications[0].unavailable.as_ref().unwrap().kind;
    let mut asked = 0;
    loop {
        let matched = bench.ask(bench.known.clone(), &["blue"]).await.unwrap();
        let is_away = kind(&matched) == ScoreFailureKind::Away;
        assert_eq!(matches_of(matched), plain);
        asked += 1;
        assert!(asked < 20);
        if is_away {
            break;
        }
    }
    assert_eq!(bench.ask(bench.known.clone(), &["none"]).await.unwrap_err(), Code::InvalidArgument);
    assert_eq!(bench.ask(bench.known.clone(), &["talk"]).await.unwrap_err(), Code::InvalidArgument);
    bench.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_are_those_computed_by_hand_and_a_rule_asks_for_a_review_by_them() {
    let bench = Bench::start(10_000).await;
    let score = |matched: &Matched| matched.classifications[0].scores[1].score;
    for value in [0, 51, 102, 255] {
        let matched = bench.ask(blue(value), &["blue"]).await.unwrap();
        assert!((score(&matched) - f32::from(value) / 255.0).abs() < 1e-6, "{value}");
        assert_eq!(matched.classifications[0].scores[1].is_above(), value == 255);
        assert_eq!(matched.decision, None);
    }
    let rule = ScoreRuleDraft {
        name: "too-blue".into(),
        model: "blue".into(),
        class: "bad".into(),
        ..ScoreRuleDraft::default()
    };
    let policy = Policy::try_from(PolicyDraft { scores: vec![rule], ..PolicyDraft::default() }).unwrap();
    let policies = PolicyClient::among(&[bench.cluster.bank_url()], bench.cluster.callers()).unwrap();
    let key = IdempotencyKey::random();
    policies.set_policy(PolicySource::Given(&policy), None, false, key, soon()).await.unwrap();
    // The model is asked though the request names none.
    let decided = loop {
        let matched = bench.ask(blue(255), &[]).await.unwrap();
        if let Some(decided) = matched.decision {
            assert_eq!(matched.classifications.len(), 1);
            break decided;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((decided.verdict, &*decided.rule, decided.by_score), (Verdict::Review, "too-blue", true));
    let below = bench.ask(blue(102), &[]).await.unwrap().decision.unwrap();
    assert_eq!((below.verdict, &*below.rule, below.by_score), (Verdict::Allow, "", false));
    // The bank decides the same on the answer's score, and explains it.
    let tried_of = |score: f32, version: u32| {
        let scores = vec![TriedScore { model: "blue".into(), class: "bad".into(), score, version }];
        policies.try_policy(
            PolicySource::Stored(0),
            TriedContent { scores, ..TriedContent::default() },
            soon(),
        )
    };
    let tried = |score| tried_of(score, 0);
    let above = tried(1.0).await.unwrap();
    assert_eq!(above.decision, Decided { id: None, ..decided });
    let threshold = bench.ask(blue(255), &["blue"]).await.unwrap().classifications[0].scores[1].threshold;
    let threshold = threshold.unwrap().threshold;
    let expected = format!("score rule too-blue: blue/bad 1 is at least {threshold}, REVIEW");
    assert_eq!(above.trace, ["no rule holds: ALLOW".to_owned(), expected]);
    assert_eq!(tried(threshold.next_down()).await.unwrap().decision, Decided { id: None, ..below });
    assert_eq!(tried_of(1.0, 1).await.unwrap().decision, above.decision);
    let other = tried_of(1.0, 7).await.unwrap();
    assert_eq!((other.decision.by_score, other.trace.len()), (false, 2));
    assert!(other.trace[1].ends_with("the score is of version 7, and the card of version 1"), "{other:?}");
    assert_eq!(tried(f32::NAN).await.unwrap_err().code(), Code::InvalidArgument);
    // Where matches ask for a review already, the score changes nothing.
    let known = bench.ask(bench.known.clone(), &[]).await.unwrap().decision.unwrap();
    assert_eq!((known.verdict, known.by_score), (Verdict::Review, false));
    bench.does(Does::Hangs);
    bench.cluster.stop().await.unwrap();
}

/// Whether a file below a folder has these bytes.
fn holds(folder: &std::path::Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_scored_and_nothing_of_it_is_kept() {
    let bench = Bench::start(10_000).await;
    let text = "zxq-a-text-that-is-nowhere-else-zz";
    let messages = vec![Message { role: "a".into(), at: Some(7), text: text.into() }];
    let conversation: Conversation = ConversationDraft { messages, language: None }.try_into().unwrap();
    let ask = |name: &'static str| {
        let (conversation, matching) = (conversation.clone(), bench.cluster.matching.clone());
        async move { matching.score_conversation(&conversation, &[name.into()], soon()).await }
    };
    let scored = ask("talk").await.unwrap();
    let [said] = &scored.classifications[..] else { panic!() };
    // By hand: 3 of 34 letters.
    assert!((said.scores[1].score - 3.0 / 34.0).abs() < 1e-6, "{}", said.scores[1].score);
    assert!(scored.directory >= bench.sequence);
    let refused = ask("blue").await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    bench.does(Does::Fails);
    let failed = ask("talk").await.unwrap();
    let failure = failed.classifications[0].unavailable.as_ref().unwrap();
    assert_eq!(failure.kind, ScoreFailureKind::Failed);
    for shown in [refused.to_string(), failure.to_string(), format!("{conversation:?} {scored:?}")] {
        assert!(!shown.contains(text), "{shown}");
    }
    bench.cluster.stop().await.unwrap();
    assert!(!holds(bench.data.path(), text.as_bytes()));
    // The search finds what is there.
    assert!(holds(bench.data.path(), b"pictures"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_asks_classifiers_too_and_hashes_have_none() {
    let bench = Bench::start(10_000).await;
    let call = |content: Content| MatchCall {
        contents: vec![content],
        options: SearchOptions::default(),
        quality_floor: None,
        surface: Box::default(),
        classifiers: vec!["blue".into()],
    };
    let hashes = vigie_tests::material::hashed([vigie_model::Hash::md5([7; 16])]);
    let calls = vec![(1, call(Content::Image(blue(51).into()))), (2, call(hashes))];
    let answers = bench.cluster.matching.match_stream(futures::stream::iter(calls)).await.unwrap();
    let mut answers: Vec<_> = futures::StreamExt::collect::<Vec<_>>(answers).await;
    answers.sort_by_key(|answer| answer.as_ref().unwrap().0);
    let mut classifications = answers.into_iter().map(|answer| {
        let answer = answer.unwrap().1.unwrap();
        answer.results.into_iter().next().unwrap().unwrap().classifications.remove(0)
    });
    let image = classifications.next().unwrap();
    assert!((image.scores[1].score - 0.2).abs() < 1e-6);
    let hashed = classifications.next().unwrap();
    assert_eq!(hashed.unavailable.unwrap().kind, ScoreFailureKind::Content);
    bench.cluster.stop().await.unwrap();
}
