//! A conversation through the program as an operator runs it: from a command through the frontend and the
//! role of a classifier to an inference server. The score is the one computed by hand, and no byte of the
//! text is in logs at their finest, in traces or in files afterwards.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vigie_harness::binary::{run, vigie_binary};
use vigie_proto::pb::inference as pb;
use vigie_proto::pb::inference::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use vigie_proto::pb::inference::model_infer_response::InferOutputTensor;
use vigie_proto::pb::inference::model_metadata_response::TensorMetadata;
use vigie_tests::collector::{Collector, SeenSpan};
use vigie_tests::metrics::Exposition;

use crate::processes::telemetry::{get, names_in_the_chart};

/// The time limit, which only a stuck process exceeds.
const WITHIN: Duration = Duration::from_secs(60);
/// A text that is nowhere else: 5 of its 32 bytes are the letter z.
const TEXT: &str = "zz-kvothe-1f3a-zz-nowhere-else-z";

/// An inference server whose one model answers the share of the letter z.
struct Shares;

#[tonic::async_trait]
impl GrpcInferenceService for Shares {
    async fn model_ready(
        &self,
        _: Request<pb::ModelReadyRequest>,
    ) -> Result<Response<pb::ModelReadyResponse>, Status> {
        Ok(Response::new(pb::ModelReadyResponse { ready: true }))
    }

    async fn model_metadata(
        &self,
        request: Request<pb::ModelMetadataRequest>,
    ) -> Result<Response<pb::ModelMetadataResponse>, Status> {
        let tensor = |name: &str, datatype: &str, shape: &[i64]| TensorMetadata {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
        };
        Ok(Response::new(pb::ModelMetadataResponse {
            name: request.into_inner().name,
            versions: vec!["3".to_owned()],
            platform: "test".to_owned(),
            inputs: vec![tensor("text", "BYTES", &[-1, 1])],
            outputs: vec![tensor("scores", "FP32", &[-1, 2])],
        }))
    }

    async fn model_infer(
        &self,
        request: Request<pb::ModelInferRequest>,
    ) -> Result<Response<pb::ModelInferResponse>, Status> {
        let request = request.into_inner();
        // The length in four bytes, and the text.
        let text = &request.raw_input_contents[0][4..];
        let count = |wanted: bool| text.iter().filter(|byte| (**byte == b'z') == wanted).count();
        #[expect(clippy::cast_precision_loss, reason = "a short text")]
        let scores = [count(false) as f32 / text.len() as f32, count(true) as f32 / text.len() as f32];
        let output = InferOutputTensor {
            name: "scores".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, 2],
            contents: None,
        };
        Ok(Response::new(pb::ModelInferResponse {
            model_name: request.model_name,
            model_version: "3".to_owned(),
            id: request.id,
            outputs: vec![output],
            raw_output_contents: vec![scores.into_iter().flat_map(f32::to_le_bytes).collect()],
        }))
    }
}

/// A running `vigie up`, killed on drop.
struct Up {
    child: Child,
    ready: Value,
}

impl Drop for Up {
    fn drop(&mut self) {
        // Errors are ignored, because the process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Up {
    fn start(folder: &Path, inference: &str, collector: &str) -> Self {
        let config = format!(
            "[classifier]\n[[classifier.servers]]\nendpoint = \"{inference}\"\n[[classifier.servers.models]]\nname = \
             \"talk\"\nserver_version = \"3\"\ninputs = [{{ name = \"text\", element = \"BYTES\", dimensions = [-1, 1] \
             }}]\noutputs = [{{ name = \"scores\", element = \"FP32\", dimensions = [-1, 2] }}]\n"
        );
        std::fs::write(folder.join("classifiers.toml"), config).unwrap();
        let mut child = Command::new(vigie_binary())
            .args(["up", "--json", "--log", "trace", "--port", "0", "--http", "off"])
            .args(["--telemetry-listen", "127.0.0.1:0"])
            .args(["--otlp-endpoint", collector])
            .arg("--data")
            .arg(folder.join("data"))
            .arg("--classifiers")
            .arg(folder.join("classifiers.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("it is not ready: {line}"));
        Self { child, ready }
    }

    fn run(&self, args: &[&str]) -> (bool, String) {
        let url = |role: &str| self.ready[role].as_str().unwrap().to_owned();
        let environment =
            [("VIGIE_FRONTEND".to_owned(), url("frontend")), ("VIGIE_BANK".to_owned(), url("bank"))];
        let finished = run(args, &environment).unwrap();
        (finished.code == 0, format!("{}{}", finished.lines.join("\n"), finished.stderr))
    }
}

/// A card for the server's model.
fn card() -> Value {
    let expected = |class: &str, score: f32| json!({ "class": class, "score": score });
    json!({
        "name": "talk", "version": 1, "server_version": "3",
        "input": { "tensor": "text", "form": { "conversation": {
            "form": "text", "message": "{text}", "between": "\n", "bytes_max": 1000, "drop_first": "oldest"
        } } },
        "output": { "tensor": "scores", "length": 2, "activation": "none", "classes": [
            { "name": "other", "index": 0 }, { "name": "bad", "index": 1 }
        ] },
        "licence": "Apache-2.0", "approved_by": "A. Reviewer", "approved_at": 1,
        "test_vector": {
            "input": { "conversation": { "messages": [{ "role": "a", "text": "az" }] } },
            "expected": [expected("other", 0.5), expected("bad", 0.5)],
        },
    })
}

/// Returns the files below a folder that hold these bytes.
fn holding(folder: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, needle));
        } else if std::fs::read(&path).unwrap_or_default().windows(needle.len()).any(|part| part == needle) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_conversation_leaves_its_score_and_no_byte_of_its_text() {
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let inference = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().add_service(GrpcInferenceServiceServer::new(Shares));
    runtime.spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    let collector = Collector::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let up = Up::start(folder.path(), &inference, &collector.url());

    let elsewhere = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &Value| {
        let path = elsewhere.path().join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (is_added, said) = up.run(&["classifier", "add", "--card", &file("card.json", &card())]);
    assert!(is_added, "{said}");
    let conversation = file("talk.json", &json!({ "messages": [{ "role": "a", "text": TEXT }] }));
    // A model begins in shadow: its scores are counted, and answered to nobody. The calibration sees them.
    let labelled = elsewhere.path().join("labelled");
    for (class, text) in [("bad", TEXT), ("other", "a text of another kind")] {
        std::fs::create_dir_all(labelled.join(class)).unwrap();
        let content = json!({ "messages": [{ "role": "a", "text": text }] }).to_string();
        std::fs::write(labelled.join(class).join("1.json"), content).unwrap();
    }
    let begun = Instant::now();
    let scored = loop {
        let (is_scored, said) = up.run(&["conversation", "score", &conversation, "--classifier", "talk"]);
        if is_scored && said.contains("shadow") {
            break said;
        }
        assert!(begun.elapsed() < WITHIN, "{said}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(!scored.contains(TEXT));
    let labelled = labelled.to_str().unwrap();
    let (is_measured, said) = up.run(&["classifier", "calibrate", "talk", labelled, "--source", "by hand"]);
    assert!(is_measured, "{said}");
    let (_, shown) = up.run(&["--json", "classifier", "show", "talk"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let bad = |table: &&Value| table["class"] == "bad";
    let text = shown.to_string();
    let tables = shown.pointer("/card/calibration/classes").and_then(Value::as_array);
    let tables = tables.unwrap_or_else(|| panic!("{text}"));
    let rows = tables.iter().find(bad).unwrap()["rows"].as_array().unwrap();
    // By hand: 5 of 32 bytes of the one content of the class.
    let thresholds: Vec<f64> = rows.iter().filter_map(|row| row["threshold"].as_f64()).collect();
    assert!(thresholds.iter().any(|score| (score - 5.0 / 32.0).abs() < 1e-6), "{thresholds:?}");

    let telemetry = up.ready["telemetry"].as_str().unwrap().trim_start_matches("http://").to_owned();
    // The calibration made a new version: the classifier drops the series of the old one, and a histogram
    // comes back with the first run of the new one.
    let begun = Instant::now();
    let text = loop {
        up.run(&["conversation", "score", &conversation, "--classifier", "talk"]);
        let (_, text) = get(&telemetry, "/metrics").unwrap();
        let metrics = Exposition::parse(&text).unwrap_or_else(|error| panic!("{error:#}\n{text}"));
        let asked = names_in_the_chart().into_iter().filter(|name| name.starts_with("vigie_classifier_"));
        let unknown: Vec<String> = asked.filter(|name| !metrics.knows(name)).collect();
        if unknown.is_empty() {
            break text;
        }
        assert!(begun.elapsed() < WITHIN, "the chart asks for {unknown:?}");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(!text.contains(TEXT));

    let is_there = |name: &str, spans: &[SeenSpan]| spans.iter().any(|span| span.name.contains(name));
    collector
        .wait_for(|spans| is_there("ScoreConversation", spans) && is_there("MeasureScores", spans))
        .unwrap();
    drop(up);
    assert_eq!(holding(folder.path(), TEXT.as_bytes()), Vec::<String>::new());
    let raw = collector.raw();
    assert!(!raw.windows(TEXT.len()).any(|part| part == TEXT.as_bytes()));
    // The search finds what is there: the name of the model is in the log, and in the bank's store.
    assert!(holding(folder.path(), b"talk").len() >= 2);
}
