//! Classifiers that are slow, unavailable, or give invalid answers.

use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vigie_classifiers::{ConversationDraft, Kind, Mode, State};
use vigie_model::Classification;
use vigie_proto::pb::classifier::v1 as pb;
use vigie_proto::pb::classifier::v1::classifier_service_server::{
    ClassifierService, ClassifierServiceServer,
};

use super::*;
use crate::request::classifying::cards::{self, CLASS, SIDE};

/// The behaviour of the stand-in.
#[derive(Debug, Clone)]
enum Does {
    /// Answers these scores of each model, or with one class too few.
    Scores(f32),
    /// Answers after this delay.
    Slow(Duration),
    /// Never answers.
    Hangs,
    /// Fails each call.
    Fails(Code),
    /// Answers this number of results.
    Results(usize),
    /// Answers these raw scores.
    Raw(Vec<(&'static str, f32)>),
    /// Answers a reason instead of a score.
    Refuses(pb::ScoreFailureKind),
}

#[derive(Debug, Clone)]
struct StandIn {
    does: Arc<Mutex<Does>>,
    calls: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<pb::ScoreRequest>>>,
}

fn result(scores: &[(&str, f32)]) -> pb::ScoreResult {
    let scores = vigie_proto::raw_scores_to_wire(scores.iter().copied());
    pb::ScoreResult { outcome: Some(pb::score_result::Outcome::Scores(scores)) }
}

#[tonic::async_trait]
impl ClassifierService for StandIn {
    async fn score(&self, request: Request<pb::ScoreRequest>) -> Result<Response<pb::ScoreResponse>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let request = request.into_inner();
        let count = request.items.len();
        self.seen.lock().unwrap().push(request);
        let does = self.does.lock().unwrap().clone();
        let each = |scores: &[(&str, f32)]| vec![result(scores); count];
        let results = match does {
            Does::Scores(score) => each(&[("other", 1.0 - score), (CLASS, score)]),
            Does::Slow(time) => {
                tokio::time::sleep(time).await;
                each(&[("other", 0.5), (CLASS, 0.5)])
            }
            Does::Hangs => std::future::pending().await,
            Does::Fails(code) => return Err(Status::new(code, "at 10.0.0.1: secret")),
            Does::Results(count) => vec![result(&[("other", 0.5), (CLASS, 0.5)]); count],
            Does::Raw(scores) => each(&scores),
            Does::Refuses(kind) => {
                let failure = pb::ScoreFailure { kind: kind.into(), message: "why".into() };
                let outcome = pb::score_result::Outcome::Failure(failure);
                vec![pb::ScoreResult { outcome: Some(outcome) }; count]
            }
        };
        Ok(Response::new(pb::ScoreResponse { results }))
    }

    async fn describe_models(
        &self,
        _: Request<pb::DescribeModelsRequest>,
    ) -> Result<Response<pb::DescribeModelsResponse>, Status> {
        Err(Status::unimplemented("no"))
    }
}

/// A wait that is long for a loopback call, and short for a test.
const WAIT: Duration = Duration::from_millis(400);
/// Longer than any call here that ends without a deadline.
const LONG: Duration = Duration::from_secs(60);

struct Bench {
    stand_in: StandIn,
    classifiers: Classifiers,
    registry: Registry,
}

impl Bench {
    async fn of(does: Does, wait: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let stand_in =
            StandIn { does: Arc::new(Mutex::new(does)), calls: Arc::default(), seen: Arc::default() };
        let service = ClassifierServiceServer::new(stand_in.clone());
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
        let mut registry = Registry::default();
        let metrics = ClassifierMetrics::register(&mut registry);
        let classifiers = Classifiers::new(&[endpoint], wait, &Network::tcp(), metrics).unwrap();
        Self { stand_in, classifiers, registry }
    }

    fn does(&self, does: Does) {
        *self.stand_in.does.lock().unwrap() = does;
    }

    fn calls(&self) -> usize {
        self.stand_in.calls.load(Ordering::Relaxed)
    }

    /// Asks about a picture, in a call with this time.
    async fn ask_within(&self, time: Duration) -> Vec<Classification> {
        let pixels = vec![Some(Arc::new(picture()))];
        let until = self.classifiers.until(Instant::now() + time);
        let asked = Asked::Pictures(pixels);
        self.classifiers
            .ask(&plan(), asked, Counted::Yes, Priority::Interactive, until)
            .said()
            .await
            .classifications()
    }

    async fn ask(&self) -> Vec<Classification> {
        self.ask_within(LONG).await
    }

    /// Returns why the one model has no score.
    async fn kind(&self) -> ScoreFailureKind {
        let [one] = &self.ask().await[..] else { panic!("one model is asked") };
        one.unavailable.as_ref().unwrap().kind
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

fn picture() -> RgbPicture {
    RgbPicture::new(SIDE, SIDE, vec![7; 3 * 16 * 16]).unwrap()
}

fn plan() -> Arc<Plan> {
    let directory = cards::directory([cards::draft("one", Kind::Image, Mode::Active)]);
    Plan::of_images(&directory, &["one".into()], None, 1).unwrap().unwrap()
}

#[tokio::test]
async fn scores_come_with_their_threshold_and_rate() {
    let bench = Bench::of(Does::Scores(0.875), LONG).await;
    let [one] = &bench.ask().await[..] else { panic!() };
    assert_eq!((&*one.model, one.version, one.is_shadow, &one.unavailable), ("one", 1, false, &None));
    let [other, bad] = &one.scores[..] else { panic!() };
    assert_eq!((&*other.class, other.score, other.threshold), ("other", 0.125, None));
    let threshold = bad.threshold.unwrap();
    assert_eq!((bad.score, threshold.at_most_one_in, bad.is_above()), (0.875, 100, true));
    assert_eq!(threshold.false_positives.sample, 2_000);
    let seen = bench.stand_in.seen.lock().unwrap();
    assert_eq!((seen.len(), seen[0].uncounted, seen[0].items.len()), (1, false, 1));
    assert_eq!((seen[0].items[0].model.as_str(), seen[0].items[0].version), ("one", 1));
    let Some(pb::score_item::Content::Pixels(pixels)) = &seen[0].items[0].content else { panic!() };
    assert_eq!(*pixels, picture().pixels());
    let metrics = bench.metrics();
    assert!(metrics.contains("classifier_scores_total{model=\"one\",outcome=\"scored\"} 1"), "{metrics}");
}

#[tokio::test]
async fn whatever_is_no_score_of_the_card_is_none() {
    let bench = Bench::of(Does::Results(0), LONG).await;
    assert_eq!(bench.kind().await, ScoreFailureKind::Failed);
    bench.does(Does::Results(2));
    assert_eq!(bench.kind().await, ScoreFailureKind::Failed);
    for wrong in [
        vec![],
        vec![("other", 0.5)],
        vec![(CLASS, 0.5), ("other", 0.5)],
        vec![("other", 0.5), ("unknown", 0.5)],
        vec![("other", f32::NAN), (CLASS, 0.5)],
        vec![("other", 0.5), (CLASS, 1.5)],
        vec![("other", 0.5), (CLASS, 0.5), ("third", 0.5)],
    ] {
        bench.does(Does::Raw(wrong.clone()));
        assert_eq!(bench.kind().await, ScoreFailureKind::Failed, "{wrong:?}");
    }
    // All of these were answers, so classifiers are still asked.
    bench.does(Does::Scores(0.5));
    assert_eq!(bench.ask().await[0].scores.len(), 2);
}

#[tokio::test]
async fn reasons_are_passed_on_and_words_about_machines_are_not() {
    let bench = Bench::of(Does::Refuses(pb::ScoreFailureKind::OtherVersion), LONG).await;
    assert_eq!(bench.kind().await, ScoreFailureKind::OtherVersion);
    for (code, kind) in
        [(Code::ResourceExhausted, ScoreFailureKind::Busy), (Code::Internal, ScoreFailureKind::Failed)]
    {
        bench.does(Does::Fails(code));
        let answered = bench.ask().await;
        let failure = answered[0].unavailable.as_ref().unwrap();
        assert_eq!(failure.kind, kind);
        assert!(!failure.message.contains("secret"), "{failure}");
    }
    let metrics = bench.metrics();
    assert!(metrics.contains("classifier_unavailable_total{kind=\"other_version\"} 1"), "{metrics}");
}

#[tokio::test]
async fn an_answer_waits_for_a_slow_classifier_no_longer_than_it_may() {
    let bench = Bench::of(Does::Slow(LONG), WAIT).await;
    let begun = Instant::now();
    assert_eq!(bench.kind().await, ScoreFailureKind::OutOfTime);
    let waited = begun.elapsed();
    assert!(waited >= WAIT.mul_f64(0.9) && waited < LONG / 2, "{waited:?}");
    // A call with less time keeps some of it for other work.
    let begun = Instant::now();
    let time = WAIT / 4;
    assert!(bench.ask_within(time).await[0].unavailable.is_some());
    assert!(begun.elapsed() < LONG / 2);
    assert!(bench.classifiers.until(Instant::now() + time).at < Instant::now() + time);
}

#[tokio::test]
async fn a_classifier_that_hangs_costs_later_calls_nothing_and_is_asked_again() {
    let bench = Bench::of(Does::Hangs, WAIT / 4).await;
    for _ in 0..5 {
        assert_eq!(bench.kind().await, ScoreFailureKind::OutOfTime);
    }
    let asked = bench.calls();
    for _ in 0..20 {
        assert_eq!(bench.kind().await, ScoreFailureKind::Away);
    }
    assert_eq!(bench.calls(), asked, "no call is made");
    bench.does(Does::Scores(0.5));
    let begun = Instant::now();
    while bench.ask().await[0].unavailable.is_some() {
        assert!(begun.elapsed() < LONG);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(bench.ask().await[0].scores.len(), 2);
}

#[tokio::test]
async fn where_there_is_no_classifier_each_model_says_so() {
    let endpoints: [&[String]; 2] = [&[], &["http://127.0.0.1:1".to_owned()]];
    for endpoints in endpoints {
        let metrics = ClassifierMetrics::default();
        let classifiers = Classifiers::new(endpoints, LONG, &Network::tcp(), metrics).unwrap();
        let until = classifiers.until(Instant::now() + LONG);
        let asked = Asked::Pictures(vec![Some(Arc::new(picture()))]);
        let said = classifiers.ask(&plan(), asked, Counted::Yes, Priority::Bulk, until).said().await;
        let kind = said.classifications()[0].unavailable.as_ref().unwrap().kind;
        assert_eq!(kind, ScoreFailureKind::Away, "{endpoints:?}");
    }
}

#[tokio::test]
async fn a_request_names_models_of_images_and_a_policy_may_name_any() {
    let retired = vigie_classifiers::ModelCardDraft {
        state: State::Retired,
        ..cards::draft("old", Kind::Image, Mode::Active)
    };
    let talk = cards::draft("talk", Kind::Conversation, Mode::Active);
    let directory = cards::directory([cards::draft("one", Kind::Image, Mode::Active), talk, retired]);
    let of = |names: &[&str]| {
        let names: Vec<Box<str>> = names.iter().map(|name| (*name).into()).collect();
        Plan::of_images(&directory, &names, None, 1).map_err(|invalid| invalid.field)
    };
    assert!(of(&[]).unwrap().is_none());
    assert_eq!(of(&["one", "none"]).unwrap_err(), "classifiers[1]");
    assert_eq!(of(&["talk"]).unwrap_err(), "classifiers[0]");
    let bench = Bench::of(Does::Scores(0.5), LONG).await;
    let plan = of(&["one", "old"]).unwrap().unwrap();
    let asked = Asked::Pictures(vec![Some(Arc::new(picture()))]);
    let until = bench.classifiers.until(Instant::now() + LONG);
    let said = bench.classifiers.ask(&plan, asked, Counted::No, Priority::Bulk, until).said().await;
    let answered = said.classifications();
    // Sorted by name; a retired model is not run.
    assert_eq!([&*answered[0].model, &*answered[1].model], ["old", "one"]);
    assert_eq!(answered[0].unavailable.as_ref().unwrap().kind, ScoreFailureKind::NotServed);
    let seen = bench.stand_in.seen.lock().unwrap();
    assert!(seen.len() == 1 && seen[0].uncounted && seen[0].items.len() == 1);
}

#[tokio::test]
async fn a_content_that_no_model_reads_is_answered_by_those_that_the_request_names() {
    let bench = Bench::of(Does::Scores(0.5), LONG).await;
    let plan = plan();
    let kind = |said: Said| said.classifications()[0].unavailable.as_ref().unwrap().kind;
    assert_eq!(kind(bench.classifiers.unread(&plan, false, "hashes")), ScoreFailureKind::Content);
    // A picture that cannot be converted to a form.
    let until = bench.classifiers.until(Instant::now() + LONG);
    let asked = Asked::Pictures(vec![None]);
    let said = bench.classifiers.ask(&plan, asked, Counted::Yes, Priority::Bulk, until).said().await;
    assert_eq!((kind(said), bench.calls()), (ScoreFailureKind::Content, 0));
}

#[tokio::test]
async fn conversations_go_to_their_models_and_no_debug_output_has_their_text() {
    let bench = Bench::of(Does::Scores(0.25), LONG).await;
    let directory = cards::directory([cards::draft("talk", Kind::Conversation, Mode::Active)]);
    let plan = Plan::of_conversation(&directory, &["talk".into()]).unwrap();
    assert!(Plan::of_conversation(&directory, &["one".into()]).is_err());
    let text = "secret".to_owned();
    let messages = vec![vigie_classifiers::Message { role: "a".into(), at: Some(7), text }];
    let conversation = ConversationDraft { messages, language: None }.try_into().unwrap();
    let asked = Asked::Conversation(Arc::new(conversation));
    let until = bench.classifiers.until(Instant::now() + LONG);
    let shown = format!("{asked:?}");
    let said = bench.classifiers.ask(&plan, asked, Counted::Yes, Priority::Bulk, until).said().await;
    assert!(!format!("{shown} {said:?} {plan:?}").contains("secret"));
    assert_eq!(said.classifications()[0].scores[1].score, 0.25);
    let seen = bench.stand_in.seen.lock().unwrap();
    let Some(pb::score_item::Content::Conversation(sent)) = &seen[0].items[0].content else { panic!() };
    assert_eq!((sent.messages[0].text.as_str(), sent.messages[0].sent_unix_ms), ("secret", Some(7)));
}

#[test]
fn calls_are_few_and_none_is_too_large() {
    let item = |side: u32| {
        let bytes = usize::try_from(side * side * 3).unwrap();
        let picture = Arc::new(RgbPicture::new(side, side, vec![0; bytes]).unwrap());
        ScoreItem { model: "m".into(), version: 1, content: ScoreContent::Picture(picture) }
    };
    let lens = |sides: &[u32]| -> Vec<usize> {
        let items = sides.iter().enumerate().map(|(at, side)| (at, item(*side))).collect();
        let chunks = chunks(items);
        let places: Vec<usize> = chunks.iter().flatten().map(|(place, _)| *place).collect();
        assert!(places.iter().copied().eq(0..sides.len()), "{places:?}");
        chunks.iter().map(Vec::len).collect()
    };
    assert_eq!(lens(&[224; 20]), [16, 4]);
    assert_eq!(lens(&[1_024, 1_024, 224]), [1, 2]);
    assert!(lens(&[]).is_empty());
}
