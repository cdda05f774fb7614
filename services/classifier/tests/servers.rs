//! Inference servers that are slow, unavailable, wrong or hostile, and the engine that calls them.

#![expect(clippy::unwrap_used, reason = "it is a test")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use support::server::{NAME, Server, VERSION};
use support::{MODEL, later};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tonic::Code;
use vigie_classifier::{
    ElementType, Engine as _, EngineError, Lie, ModelShape, OipEngine, OipModel, OipSettings, Refusal,
    ShapeFault, TensorShape,
};
use vigie_classifiers::{Tensor, TensorData};
use vigie_net::Network;

fn shape(name: &str, element: ElementType, dimensions: &[i64]) -> TensorShape {
    TensorShape { name: name.to_owned(), element, dimensions: dimensions.to_vec() }
}

fn tiny() -> OipModel {
    OipModel {
        name: NAME.to_owned(),
        version: VERSION.to_owned(),
        shape: ModelShape {
            inputs: vec![shape("text", ElementType::Text, &[1])],
            outputs: vec![shape("scores", ElementType::F32, &[-1, 2])],
        },
    }
}

fn settings(address: std::net::SocketAddr) -> OipSettings {
    OipSettings {
        endpoint: format!("http://{address}"),
        calls_max: 4,
        waiting_max: 8,
        message_bytes_max: 1 << 20,
        call_within: Duration::from_secs(60),
    }
}

fn engine_of(settings: &OipSettings, model: OipModel) -> OipEngine {
    OipEngine::new(settings, BTreeMap::from([(MODEL.to_owned(), model)]), &Network::tcp()).unwrap()
}

fn started() -> (Server, OipEngine) {
    let server = Server::start("127.0.0.1:0");
    let engine = engine_of(&settings(server.address), tiny());
    (server, engine)
}

fn text(text: &str) -> Vec<Tensor> {
    vec![Tensor::new("text", &[1], TensorData::Text(vec![text.to_owned()])).unwrap()]
}

async fn run(engine: &OipEngine, input: &str) -> Result<Vec<Tensor>, EngineError> {
    engine.run(MODEL, text(input), later()).await
}

fn scores() -> Vec<Tensor> {
    vec![Tensor::new("scores", &[1, 2], TensorData::F32(vec![0.25, 0.75])).unwrap()]
}

#[tokio::test]
async fn both_forms_of_an_answer_are_read_and_halves_become_numbers_of_32_bits() {
    let (server, engine) = started();
    for form in ["raw", "contents", "unnamed"] {
        assert_eq!(run(&engine, form).await, Ok(scores()), "{form}");
    }
    let mut model = tiny();
    model.shape.outputs.insert(0, shape("halves", ElementType::F16, &[2]));
    let engine = engine_of(&settings(server.address), model);
    let halves = Tensor::new("halves", &[2], TensorData::F32(vec![0.5, -2.0])).unwrap();
    assert_eq!(run(&engine, "raw").await, Ok([vec![halves], scores()].concat()));
}

#[tokio::test]
async fn each_lie_is_found_and_the_next_answer_is_read() {
    let (_server, engine) = started();
    let elements = |fault| Lie::Elements { name: "scores".to_owned(), fault };
    let length = "another number of elements than its dimensions give";
    let other = |why| Lie::Other(why);
    for (input, lie) in [
        ("few contents", elements(length)),
        ("no contents", elements(length)),
        ("both", Lie::Form),
        ("more raw", Lie::Form),
        ("short", elements(length)),
        ("long", elements(length)),
        ("odd", elements(length)),
        ("overflow", elements(length)),
        ("vast", elements(length)),
        ("nan", elements("a number that is not finite")),
        ("infinite", elements("a number that is not finite")),
        ("name", Lie::Shape(ShapeFault::Missing("scores".to_owned()))),
        ("twice", Lie::Shape(ShapeFault::Unknown("scores".to_owned()))),
        ("none", Lie::Shape(ShapeFault::Missing("scores".to_owned()))),
        ("other model", other("it names another model")),
        ("other version", other("another version of the model ran")),
        ("other request", other("it answers another request")),
        ("huge", Lie::TooLarge),
    ] {
        assert_eq!(run(&engine, input).await, Err(EngineError::Lied(lie)), "{input}");
        assert_eq!(run(&engine, "raw").await, Ok(scores()), "after {input}");
    }
    for (input, words) in [
        ("negative", "`scores` is [?, 2] and not [?, 2]"),
        ("wide", "`scores` is [1, 3] and not [?, 2]"),
        ("flat", "`scores` is [2] and not [?, 2]"),
        ("type", "`scores` is INT32 and not FP32"),
        ("unknown type", "`scores` is of an unknown type and not FP32"),
    ] {
        let Err(EngineError::Lied(lie)) = run(&engine, input).await else { panic!("{input}") };
        assert_eq!(lie.to_string(), words);
        assert_eq!(run(&engine, "raw").await, Ok(scores()), "after {input}");
    }
}

#[tokio::test]
async fn a_servers_refusals_have_its_code_and_none_of_its_words() {
    let (server, engine) = started();
    let refused = |code| EngineError::Refused(Refusal::Server(code));
    for (input, error) in [
        ("refuse", refused(Code::InvalidArgument)),
        ("busy", refused(Code::ResourceExhausted)),
        ("broken", refused(Code::Internal)),
        (
            "away",
            EngineError::Unavailable {
                reason: "its server answers that it is not available".to_owned(),
                retry_after: None,
            },
        ),
    ] {
        assert_eq!(run(&engine, input).await, Err(error), "{input}");
        assert_eq!(run(&engine, "raw").await, Ok(scores()), "after {input}");
    }
    let mut model = tiny();
    model.name = "none".to_owned();
    let engine = engine_of(&settings(server.address), model);
    let error = engine.describe(MODEL, later()).await.unwrap_err();
    assert_eq!(error, refused(Code::NotFound));
    assert!(engine.ready(MODEL, later()).await.is_err_and(|error| error.name() == "unavailable"));
}

#[tokio::test]
async fn a_description_that_is_not_the_configured_one_is_found_before_any_run() {
    let (server, engine) = started();
    assert_eq!(engine.describe(MODEL, later()).await, Ok(tiny().shape));
    assert_eq!(engine.ready(MODEL, later()).await, Ok(()));
    let check = async |alter: fn(&mut OipModel), words: &str| {
        let mut model = tiny();
        alter(&mut model);
        let engine = engine_of(&settings(server.address), model);
        let Err(EngineError::Lied(lie)) = engine.describe(MODEL, later()).await else { panic!("{words}") };
        assert_eq!(lie.to_string(), words);
    };
    check(|model| model.name = "large".to_owned(), "it does not belong to this call: it names another model")
        .await;
    let version = "it does not belong to this call: the server does not have the configured version";
    check(|model| model.version = "2".to_owned(), version).await;
    check(|model| model.shape.inputs[0].name = "words".to_owned(), "`words` is missing").await;
    check(|model| model.shape.inputs.push(shape("more", ElementType::U8, &[])), "`more` is missing").await;
    let element = "`text` is BYTES and not UINT8";
    check(|model| model.shape.inputs[0].element = ElementType::U8, element).await;
    let dimensions = "`scores` is [?, 2] and not [?, 3]";
    check(|model| model.shape.outputs[0].dimensions = vec![-1, 3], dimensions).await;
    assert_eq!(server.calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn inputs_that_are_not_the_models_or_too_large_are_not_sent() {
    let (server, engine) = started();
    let other = vec![Tensor::new("text", &[1], TensorData::U8(vec![1])).unwrap()];
    assert!(matches!(engine.run(MODEL, other, later()).await, Err(EngineError::Inputs(_))));
    let long = engine.run(MODEL, text(&"x".repeat(1 << 20)), later()).await;
    assert!(matches!(long, Err(EngineError::Inputs(ShapeFault::Bytes { .. }))), "{long:?}");
    let unknown = engine.run("another", text("raw"), later()).await;
    assert_eq!(unknown, Err(EngineError::UnknownModel("another".to_owned())));
    assert_eq!(server.calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_slow_server_costs_the_deadline_and_a_bounded_number_of_calls() {
    let server = Server::start("127.0.0.1:0");
    let few = OipSettings { calls_max: 2, waiting_max: 1, ..settings(server.address) };
    let engine = engine_of(&few, tiny());
    assert_eq!(run(&engine, "raw").await, Ok(scores()));
    let deadline = Instant::now() + Duration::from_millis(300);
    let slow = (0..6).map(|_| engine.run(MODEL, text("slow"), deadline));
    let outcomes = futures::future::join_all(slow).await;
    let count = |error: &EngineError| outcomes.iter().filter(|one| one.as_ref() == Err(error)).count();
    assert_eq!(count(&EngineError::Busy { waiting_max: 1 }), 3, "{outcomes:?}");
    assert_eq!(count(&EngineError::OutOfTime), 3, "{outcomes:?}");
    // One call came before these. The server may still process a call that its caller has given up.
    assert!(server.calls.load(Ordering::Relaxed) <= 4);
    assert!(server.peak.load(Ordering::Relaxed) <= 3);
    assert_eq!(run(&engine, "raw").await, Ok(scores()));
    let short = OipSettings { call_within: Duration::from_millis(200), ..settings(server.address) };
    assert_eq!(run(&engine_of(&short, tiny()), "slow").await, Err(EngineError::OutOfTime));
}

/// Calls until the server is asked again and answers.
async fn recovered(engine: &OipEngine) {
    let begun = Instant::now();
    loop {
        match run(engine, "raw").await {
            Ok(outputs) => return assert_eq!(outputs, scores()),
            Err(EngineError::Unavailable { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
}

#[tokio::test]
async fn a_server_that_dies_in_a_call_fails_that_call_and_is_asked_again_when_it_is_back() {
    let (server, engine) = started();
    let engine = Arc::new(engine);
    let address = server.address;
    let slow = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { run(&engine, "slow").await }
    });
    while server.calls.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(server);
    let error = slow.await.unwrap().unwrap_err();
    assert_eq!(error.name(), "unavailable", "{error}");
    // The server is gone: after some failures it is not asked any more, and calls fail at once.
    let mut left_out = false;
    for _ in 0..5 {
        let Err(EngineError::Unavailable { reason, .. }) = run(&engine, "raw").await else {
            panic!("it is away")
        };
        left_out = reason == "its server fails again and again, and is asked later";
    }
    assert!(left_out);
    let _server = Server::start(&address.to_string());
    recovered(&engine).await;
}

#[tokio::test]
async fn a_server_that_lies_again_and_again_is_left_out_for_a_while() {
    let (server, engine) = started();
    for _ in 0..3 {
        assert_eq!(run(&engine, "nan").await.unwrap_err().name(), "lied");
    }
    let (calls, begun) = (server.calls.load(Ordering::Relaxed), Instant::now());
    let next = run(&engine, "raw").await;
    // A busy machine may take longer than the second for which the server is first excluded.
    if begun.elapsed() < Duration::from_millis(500) {
        assert_eq!(next.unwrap_err().name(), "unavailable");
        assert_eq!(server.calls.load(Ordering::Relaxed), calls);
    }
    recovered(&engine).await;
}

/// Starts a server that sends this as the body of each answer, byte after byte, and never ends it.
async fn endless(body: Vec<u8>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let body = body.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(connection).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let head = http::Response::builder().header("content-type", "application/grpc");
                    let mut stream = respond.send_response(head.body(()).unwrap(), false).unwrap();
                    let body = body.clone();
                    tokio::spawn(async move {
                        let more = body.into_iter().chain(std::iter::repeat(0));
                        for byte in more {
                            if stream.send_data(Bytes::from(vec![byte]), false).is_err() {
                                return;
                            }
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    });
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn an_answer_that_never_ends_or_says_that_it_is_huge_is_given_up() {
    // Not compressed, and 1,000 bytes long; the bytes arrive one a millisecond.
    let address = endless(vec![0, 0, 0, 0x03, 0xe8]).await;
    let engine = engine_of(&settings(address), tiny());
    let soon = Instant::now() + Duration::from_millis(300);
    assert_eq!(engine.run(MODEL, text("raw"), soon).await, Err(EngineError::OutOfTime));
    let address = endless(vec![0, 0xff, 0xff, 0xff, 0xff]).await;
    let engine = engine_of(&settings(address), tiny());
    assert_eq!(run(&engine, "raw").await, Err(EngineError::Lied(Lie::TooLarge)));
    // A message of one byte that is not valid.
    let address = endless(vec![0, 0, 0, 0, 1, 0xff]).await;
    let engine = engine_of(&settings(address), tiny());
    let refused = EngineError::Refused(Refusal::Server(Code::Internal));
    assert_eq!(run(&engine, "raw").await, Err(refused));
}

#[tokio::test]
async fn what_listens_but_speaks_another_protocol_or_nothing_is_unavailable_or_late() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let engine = engine_of(&settings(silent.local_addr().unwrap()), tiny());
    let soon = Instant::now() + Duration::from_millis(300);
    assert_eq!(engine.run(MODEL, text("raw"), soon).await, Err(EngineError::OutOfTime));
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let engine = engine_of(&settings(other.local_addr().unwrap()), tiny());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = other.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut connection, b"220 mail.example ESMTP\r\n").await;
        }
    });
    let error = run(&engine, "raw").await.unwrap_err();
    assert_eq!(error.name(), "unavailable", "{error}");
    let wrong = OipSettings { endpoint: "nonsense".to_owned(), ..settings("127.0.0.1:1".parse().unwrap()) };
    assert!(OipEngine::new(&wrong, BTreeMap::new(), &Network::tcp()).is_err());
}

/// A file and a server behind one handle; neither delays the other.
#[tokio::test]
async fn one_configuration_starts_models_in_files_and_models_of_servers() {
    let server = Server::start("127.0.0.1:0");
    let folder = tempfile::tempdir().unwrap();
    let file = support::model(folder.path(), b"model");
    let mut config = vigie_classifier::Config {
        onnxruntime_library: Some("fake".into()),
        program: Some(env!("CARGO_BIN_EXE_vigie-classifier-worker").into()),
        workers: 1,
        ..vigie_classifier::Config::default()
    };
    let sha256 = file.sha256.map(|byte| format!("{byte:02x}")).concat();
    config.models =
        vec![vigie_classifier::FileModelConfig { name: "file".to_owned(), file: file.file, sha256 }];
    let model = tiny();
    config.servers = vec![vigie_classifier::ServerConfig {
        endpoint: format!("http://{}", server.address),
        calls_max: 1,
        waiting_max: 1,
        message_bytes_max: 1 << 20,
        call_ms_max: 60_000,
        models: vec![vigie_classifier::ServerModelConfig {
            name: "served".to_owned(),
            server_name: Some(model.name),
            server_version: model.version,
            inputs: model.shape.inputs,
            outputs: model.shape.outputs,
        }],
    }];
    let engines = vigie_classifier::Engines::start(&config, &Network::tcp()).unwrap();
    assert_eq!(engines.models().collect::<Vec<_>>(), ["file", "served"]);
    assert_eq!(engines.run("served", text("raw"), later()).await, Ok(scores()));
    assert_eq!(engines.describe("served", later()).await, Ok(tiny().shape));
    assert_eq!(engines.ready("file", later()).await, Ok(()));
    let five = vec![Tensor::new("scores", &[1], TensorData::F32(vec![5.0])).unwrap()];
    assert_eq!(engines.run("file", text("hello"), later()).await, Ok(five));
    let unknown = engines.run("another", text("hello"), later()).await;
    assert_eq!(unknown, Err(EngineError::UnknownModel("another".to_owned())));
    config.waiting_max = 0;
    let error = vigie_classifier::Engines::start(&config, &Network::tcp()).unwrap_err();
    assert_eq!(error.to_string(), "waiting_max: out of its bounds");
}
