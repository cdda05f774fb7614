//! A classifier whose directory and engines a test controls.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Request;
use vigie_classifiers::card::{ExpectedScore, InputDraft, InputForm, Source, TestInput, TestVectorDraft};
use vigie_classifiers::preprocessing::{
    ConversationForm, ConversationInput, DropFirst, Element, Filter, ImageInput, Layout, Order, Resize,
};
use vigie_classifiers::scores::{Activation, OutputClassDraft, OutputDraft};
use vigie_classifiers::{ConversationDraft, Message, Mode, ModelCardDraft, State};
use vigie_consortium::CardVersion;
use vigie_net::Network;
use vigie_proto::pb::classifier::v1 as pb;
use vigie_proto::pb::classifier::v1::classifier_service_server::ClassifierService as _;
use vigie_serving::ServingConfig;
use vigie_telemetry::Telemetry;

use super::server::{SIZE, VERSION};
use crate::config::Config;
use crate::engine::Engine;
use crate::engines::Engines;
use crate::role::cards::Cards;
use crate::role::grpc::Grpc;
use crate::role::keeper::Keeper;
use crate::role::metrics::Metrics;
use crate::role::models::Models;
use crate::role::scoring::Scoring;

/// Cards that a test sets.
#[derive(Debug, Clone, Default)]
pub(super) struct Held(Arc<Mutex<Option<Vec<Arc<CardVersion>>>>>);

impl Cards for Held {
    fn now(&self) -> Option<Vec<Arc<CardVersion>>> {
        self.0.lock().unwrap().clone()
    }
}

impl Held {
    /// Replaces the cards.
    pub(super) fn set(&self, cards: &[ModelCardDraft]) {
        let read = |draft: &ModelCardDraft| {
            Arc::new(CardVersion::read(&serde_json::to_string(draft).unwrap()).unwrap())
        };
        *self.0.lock().unwrap() = Some(cards.iter().map(read).collect());
    }
}

/// A classifier, without its server.
pub(super) struct World {
    pub(super) cards: Held,
    pub(super) grpc: Grpc,
    pub(super) telemetry: Telemetry,
    keeping: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

/// Returns the configuration of both models at a server.
pub(super) fn at_server(address: SocketAddr) -> Config {
    let tensor =
        |name: &str, dimensions: &[i64]| json!({ "name": name, "element": "FP32", "dimensions": dimensions });
    let model = |name: &str, input| {
        let outputs = [tensor("scores", &[-1, 2])];
        json!({ "name": name, "server_version": VERSION, "inputs": [input], "outputs": outputs })
    };
    let pictures = model("pictures", tensor("image", &[-1, 3, i64::from(SIZE.0), i64::from(SIZE.1)]));
    let texts = model("texts", tensor("counts", &[-1, 256]));
    let server =
        json!({ "endpoint": format!("http://{address}"), "call_ms_max": 500, "models": [pictures, texts] });
    serde_json::from_value(json!({ "servers": [server] })).unwrap()
}

impl World {
    /// Starts a classifier without cards.
    pub(super) fn start(config: &Config) -> Self {
        assert_eq!(config.engine_faults(), Vec::<String>::new());
        let engine: Arc<dyn Engine> = Arc::new(Engines::start(config, &Network::tcp()).unwrap());
        let (models, telemetry) = (Arc::<Models>::default(), Telemetry::default());
        let metrics = telemetry.register(|registry| Metrics::register(registry, &models));
        let cards = Held::default();
        let configured: BTreeMap<String, Source> = config.sources();
        let mut keeper = Keeper::new(
            Arc::new(cards.clone()),
            Arc::clone(&engine),
            configured,
            Arc::clone(&models),
            metrics.clone(),
        );
        let keeping = tokio::spawn(async move { keeper.run().await });
        let scoring = Scoring { engine, models, metrics, items: Semaphore::new(config.items_max) };
        let grpc = Grpc { scoring: Arc::new(scoring), serving: ServingConfig::default() };
        Self { cards, grpc, telemetry, keeping }
    }

    /// Starts a classifier with these cards, and waits until every one of them is served.
    pub(super) async fn serving(config: &Config, cards: &[ModelCardDraft]) -> Self {
        let world = Self::start(config);
        world.cards.set(cards);
        for card in cards {
            world.until(&card.name, |model| model.is_served).await;
        }
        world
    }

    pub(super) async fn described(&self) -> Vec<pb::DescribedModel> {
        let described = self.grpc.describe_models(Request::new(pb::DescribeModelsRequest {})).await;
        described.unwrap().into_inner().models
    }

    pub(super) async fn model(&self, name: &str) -> pb::DescribedModel {
        self.described().await.into_iter().find(|model| model.name == name).unwrap()
    }

    /// Waits until a model meets a condition.
    pub(super) async fn until(
        &self,
        name: &str,
        is_so: impl Fn(&pb::DescribedModel) -> bool,
    ) -> pb::DescribedModel {
        let give_up = Instant::now() + Duration::from_secs(60);
        loop {
            let models = self.described().await;
            if let Some(model) = models.iter().find(|model| model.name == name && is_so(model)) {
                return model.clone();
            }
            assert!(Instant::now() < give_up, "{name} in {models:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) async fn request(
        &self,
        request: pb::ScoreRequest,
        within: Duration,
    ) -> Result<Vec<Scored>, tonic::Status> {
        let mut request = Request::new(request);
        request.set_timeout(within);
        let results = self.grpc.score(request).await?.into_inner().results;
        Ok(results.into_iter().map(Scored::from).collect())
    }

    /// Returns the outcomes of these items.
    pub(super) async fn score(&self, items: Vec<pb::ScoreItem>) -> Vec<Scored> {
        let request = pb::ScoreRequest { items, uncounted: false };
        self.request(request, Duration::from_secs(20)).await.unwrap()
    }

    /// Returns the value of a line of metrics.
    pub(super) fn figure(&self, line: &str) -> Option<f64> {
        let text = self.telemetry.exposition().unwrap();
        let value = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' ').map(str::to_owned));
        value.map(|value| value.parse().unwrap())
    }
}

/// The outcome of an item: the scores in the card's order, or the kind and the text of the failure.
pub(super) type Outcome = Result<Vec<f32>, (pb::ScoreFailureKind, String)>;

/// An [`Outcome`] that is compared within rounding.
#[derive(Debug, Clone)]
pub(super) struct Scored(pub(super) Outcome);

impl From<pb::ScoreResult> for Scored {
    fn from(result: pb::ScoreResult) -> Self {
        Self(match result.outcome.unwrap() {
            pb::score_result::Outcome::Scores(raw) => Ok(raw.scores.iter().map(|raw| raw.score).collect()),
            pb::score_result::Outcome::Failure(failure) => {
                assert!(!failure.message.is_empty() && failure.message.len() <= 256, "{failure:?}");
                Err((failure.kind(), failure.message))
            }
        })
    }
}

impl Scored {
    #[track_caller]
    pub(super) fn is(&self, expected: &[f64]) {
        let scores = self.0.as_ref().unwrap();
        assert_eq!(scores.len(), expected.len());
        for (score, expected) in scores.iter().zip(expected) {
            assert!((f64::from(*score) - expected).abs() < 1e-5, "{scores:?} and not {expected:?}");
        }
    }

    pub(super) fn kind(&self) -> Option<pb::ScoreFailureKind> {
        self.0.as_ref().err().map(|(kind, _)| *kind)
    }
}

fn card(name: &str, input: InputDraft, vector: TestVectorDraft) -> ModelCardDraft {
    let class = |name: &str, index| OutputClassDraft { name: name.to_owned(), index, stands_for: None };
    ModelCardDraft {
        name: name.to_owned(),
        version: 1,
        digest: None,
        server_version: Some(VERSION.to_owned()),
        input,
        output: OutputDraft {
            tensor: "scores".to_owned(),
            length: 2,
            activation: Activation::None,
            classes: vec![class("first", 0), class("second", 1)],
        },
        licence: "Apache-2.0".to_owned(),
        approved_by: "A. Reviewer".to_owned(),
        approved_at: 1_790_000_000_000,
        note: String::new(),
        test_vector: vector,
        mode: Mode::Shadow,
        state: State::InUse,
        calibration: None,
        thresholds: Vec::new(),
    }
}

fn vector(input: TestInput, scores: [f32; 2]) -> TestVectorDraft {
    let expected = |(class, score): (&str, f32)| ExpectedScore { class: class.to_owned(), score };
    TestVectorDraft { input, expected: ["first", "second"].into_iter().zip(scores).map(expected).collect() }
}

/// Returns the card of the model of pictures. Its test vector is one pixel of (255, 0, 51): the means are 1,
/// 0 and 0.2.
pub(super) fn pictures() -> ModelCardDraft {
    let form = InputForm::Image(ImageInput {
        width: SIZE.1,
        height: SIZE.0,
        resize: Resize::Stretch,
        filter: Filter::Nearest,
        order: Order::Rgb,
        mean: [0.0; 3],
        scale: [1.0 / 255.0; 3],
        layout: Layout::Nchw,
        element: Element::F32,
    });
    let pixel = TestInput::Pixels { width: 1, height: 1, rgb: "ff0033".to_owned() };
    // 0.5 + 0.25 x 0.2; 0.125 + 0.125 + 0.5 x 0.2.
    let vector = vector(pixel, [0.55, 0.35]);
    card("pictures", InputDraft { tensor: "image".to_owned(), form }, vector)
}

/// Returns the card of the model of texts. Its test vector is the text "bee e": 3 of 5 bytes are e, and one
/// is a space.
pub(super) fn texts() -> ModelCardDraft {
    let form = InputForm::Conversation(ConversationInput {
        form: ConversationForm::ByteCounts,
        message: "{text}".to_owned(),
        between: " ".to_owned(),
        bytes_max: 1_000,
        drop_first: DropFirst::Oldest,
    });
    let message = |text: &str| Message { role: "a".to_owned(), at: None, text: text.to_owned() };
    let messages = vec![message("bee"), message("e")];
    let vector = vector(TestInput::Conversation(ConversationDraft { messages, language: None }), [0.6, 0.45]);
    card("texts", InputDraft { tensor: "counts".to_owned(), form }, vector)
}

/// Returns a picture of one colour.
pub(super) fn pixels(colour: [u8; 3]) -> Vec<u8> {
    let count = usize::try_from(SIZE.0 * SIZE.1).unwrap();
    colour.iter().copied().cycle().take(count * 3).collect()
}

pub(super) fn picture(version: u32, pixels: Vec<u8>) -> pb::ScoreItem {
    let content = Some(pb::score_item::Content::Pixels(pixels));
    pb::ScoreItem { model: "pictures".to_owned(), version, content }
}

pub(super) fn conversation(texts: &[&str]) -> pb::ScoreItem {
    let message = |text: &&str| pb::ConversationMessage {
        role: "adult".to_owned(),
        sent_unix_ms: None,
        text: (*text).to_owned(),
    };
    let sent = pb::Conversation { messages: texts.iter().map(message).collect(), language: String::new() };
    let content = Some(pb::score_item::Content::Conversation(sent));
    pb::ScoreItem { model: "texts".to_owned(), version: 1, content }
}
