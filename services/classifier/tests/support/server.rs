//! An inference server whose behaviour is set by the text in its input.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vigie_proto::pb::inference as pb;
use vigie_proto::pb::inference::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use vigie_proto::pb::inference::model_infer_response::InferOutputTensor;
use vigie_proto::pb::inference::model_metadata_response::TensorMetadata;

/// The name and version of the server's model.
pub(crate) const NAME: &str = "tiny";
pub(crate) const VERSION: &str = "3";

/// A server on a separate runtime. Dropping it ends the runtime and breaks its connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The number of calls so far.
    pub(crate) calls: Arc<AtomicU32>,
    /// The largest number of calls at once.
    pub(crate) peak: Arc<AtomicU32>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    /// Starts at this address; port 0 selects any free port.
    pub(crate) fn start(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(AtomicU32::new(0));
        let mock = Mock { calls: Arc::clone(&calls), ..Mock::default() };
        let peak = Arc::clone(&mock.peak);
        let service = GrpcInferenceServiceServer::new(mock);
        runtime.spawn(async move {
            let incoming = TcpIncoming::from(TcpListener::from_std(listener).unwrap());
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await
        });
        Self { address, calls, peak, runtime: Some(runtime) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

#[derive(Default)]
struct Mock {
    calls: Arc<AtomicU32>,
    now: Arc<AtomicU32>,
    peak: Arc<AtomicU32>,
}

/// A call in progress.
struct Here(Arc<AtomicU32>);

impl Mock {
    fn enter(&self) -> Here {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.peak.fetch_max(now, Ordering::Relaxed);
        Here(Arc::clone(&self.now))
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Mock {
    async fn model_ready(
        &self,
        request: Request<pb::ModelReadyRequest>,
    ) -> Result<Response<pb::ModelReadyResponse>, Status> {
        Ok(Response::new(pb::ModelReadyResponse { ready: request.into_inner().name == NAME }))
    }

    async fn model_metadata(
        &self,
        request: Request<pb::ModelMetadataRequest>,
    ) -> Result<Response<pb::ModelMetadataResponse>, Status> {
        if request.get_ref().name == "none" {
            return Err(Status::not_found("secret"));
        }
        let tensor = |name: &str, datatype: &str, shape: &[i64]| TensorMetadata {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
        };
        Ok(Response::new(pb::ModelMetadataResponse {
            name: NAME.to_owned(),
            versions: vec![VERSION.to_owned()],
            platform: "test".to_owned(),
            inputs: vec![tensor("text", "BYTES", &[-1])],
            outputs: vec![tensor("scores", "FP32", &[-1, 2]), tensor("halves", "FP16", &[2])],
        }))
    }

    async fn model_infer(
        &self,
        request: Request<pb::ModelInferRequest>,
    ) -> Result<Response<pb::ModelInferResponse>, Status> {
        let _here = self.enter();
        let request = request.into_inner();
        // The protocol's encoding: the length in four bytes, and the text.
        let [input] = request.raw_input_contents.as_slice() else {
            return Err(Status::invalid_argument("one input"));
        };
        let (length, text) = input.split_first_chunk::<4>().unwrap();
        assert_eq!(usize::try_from(u32::from_le_bytes(*length)).unwrap(), text.len());
        let text = str::from_utf8(text).unwrap();
        match text {
            "slow" => tokio::time::sleep(Duration::from_secs(600)).await,
            "refuse" => return Err(Status::invalid_argument("secret")),
            "away" => return Err(Status::unavailable("secret")),
            "busy" => return Err(Status::resource_exhausted("secret")),
            "broken" => return Err(Status::internal("secret")),
            _ => {}
        }
        Ok(Response::new(answer(text, &request)))
    }
}

fn bytes(scores: &[f32]) -> Vec<u8> {
    scores.iter().flat_map(|score| score.to_le_bytes()).collect()
}

/// Returns two scores, with the fault that `text` asks for.
fn answer(text: &str, request: &pb::ModelInferRequest) -> pb::ModelInferResponse {
    let mut answer = pb::ModelInferResponse {
        model_name: request.model_name.clone(),
        model_version: VERSION.to_owned(),
        id: request.id.clone(),
        outputs: Vec::new(),
        raw_output_contents: Vec::new(),
    };
    for output in &request.outputs {
        let (datatype, shape, raw) = match output.name.as_str() {
            // 0.5 and -2.
            "halves" => ("FP16", vec![2], vec![0x00, 0x38, 0x00, 0xc0]),
            _ => ("FP32", vec![1, 2], bytes(&[0.25, 0.75])),
        };
        let (name, datatype) = (output.name.clone(), datatype.to_owned());
        answer.outputs.push(InferOutputTensor { name, datatype, shape, contents: None });
        answer.raw_output_contents.push(raw);
    }
    alter(text, &mut answer);
    answer
}

fn alter(text: &str, answer: &mut pb::ModelInferResponse) {
    let (outputs, raw) = (&mut answer.outputs, &mut answer.raw_output_contents);
    let contents = |scores: &[f32]| {
        let fp32_contents = scores.to_vec();
        Some(pb::InferTensorContents { fp32_contents, ..pb::InferTensorContents::default() })
    };
    match text {
        "contents" => {
            raw.clear();
            outputs[0].contents = contents(&[0.25, 0.75]);
        }
        "few contents" => {
            raw.clear();
            outputs[0].contents = contents(&[0.25]);
        }
        "no contents" => raw.clear(),
        "both" => outputs[0].contents = contents(&[0.25, 0.75]),
        "more raw" => raw.push(Vec::new()),
        "short" => raw[0] = bytes(&[0.25]),
        "long" => raw[0] = bytes(&[0.25, 0.5, 0.75]),
        "odd" => raw[0].truncate(7),
        "overflow" => outputs[0].shape = vec![1 << 62, 2],
        "vast" => outputs[0].shape = vec![i64::MAX, 2],
        "negative" => outputs[0].shape = vec![-1, 2],
        "wide" => {
            outputs[0].shape = vec![1, 3];
            raw[0] = bytes(&[0.25, 0.5, 0.75]);
        }
        "flat" => outputs[0].shape = vec![2],
        "nan" => raw[0] = bytes(&[0.25, f32::NAN]),
        "infinite" => raw[0] = bytes(&[0.25, f32::INFINITY]),
        "type" => outputs[0].datatype = "INT32".to_owned(),
        "unknown type" => outputs[0].datatype = "COMPLEX".to_owned(),
        "name" => outputs[0].name = "other".to_owned(),
        "twice" => {
            outputs.push(outputs[0].clone());
            raw.push(raw[0].clone());
        }
        "none" => {
            outputs.clear();
            raw.clear();
        }
        "other model" => answer.model_name = "other".to_owned(),
        "other version" => answer.model_version = "4".to_owned(),
        "other request" => answer.id = "other".to_owned(),
        "unnamed" => (answer.model_version, answer.id) = (String::new(), String::new()),
        "huge" => {
            outputs[0].shape = vec![8 << 20, 2];
            raw[0] = vec![0; 64 << 20];
        }
        _ => {}
    }
}
