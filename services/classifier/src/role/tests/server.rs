//! An inference server with two models that a test can compute by hand, and a behaviour that a test sets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use vigie_models::{LinearImage, LinearText};
use vigie_proto::pb::inference as pb;
use vigie_proto::pb::inference::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use vigie_proto::pb::inference::model_infer_response::InferOutputTensor;

/// The version of both models.
pub(super) const VERSION: &str = "7";
/// Rows and columns of the pictures.
pub(super) const SIZE: (u32, u32) = (16, 20);

/// Returns the model of pictures: shares of the three colours, so a score is from 0 to 1.
pub(super) fn picture_model() -> LinearImage {
    let weights = vec![[0.5, 0.25, 0.25], [0.125, 0.25, 0.5]];
    LinearImage { height: SIZE.0, width: SIZE.1, weights, bias: vec![0.0, 0.125] }
}

/// Returns the model of texts: the share of the letter e, and of spaces.
pub(super) fn text_model() -> LinearText {
    let weights = |byte: u8| std::array::from_fn(|at| if at == usize::from(byte) { 1.0 } else { 0.0 });
    LinearText { weights: vec![weights(b'e'), weights(b' ')], bias: vec![0.0, 0.25] }
}

/// The behaviour of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Manner {
    Honest,
    /// Answers after a minute.
    Slow,
    /// Fails each call.
    Broken,
    /// Answers other scores.
    Wrong,
    /// Answers an output of another shape.
    Shape,
    /// Answers one score that is NaN.
    Nan,
    /// Answers another version.
    Version,
}

const MANNERS: [Manner; 7] = [
    Manner::Honest,
    Manner::Slow,
    Manner::Broken,
    Manner::Wrong,
    Manner::Shape,
    Manner::Nan,
    Manner::Version,
];

/// The server, on tasks of the test's runtime.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    manner: Arc<AtomicU8>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, manner) = (listener.local_addr().unwrap(), Arc::<AtomicU8>::default());
        let service = GrpcInferenceServiceServer::new(Mock(Arc::clone(&manner)));
        let serving = tonic::transport::Server::builder().add_service(service);
        let serving = serving.serve_with_incoming(TcpIncoming::from(listener));
        let task = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, manner, task }
    }

    pub(super) fn behave(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::Relaxed);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Mock(Arc<AtomicU8>);

#[tonic::async_trait]
impl GrpcInferenceService for Mock {
    async fn model_ready(
        &self,
        _: Request<pb::ModelReadyRequest>,
    ) -> Result<Response<pb::ModelReadyResponse>, Status> {
        Ok(Response::new(pb::ModelReadyResponse { ready: true }))
    }

    async fn model_metadata(
        &self,
        _: Request<pb::ModelMetadataRequest>,
    ) -> Result<Response<pb::ModelMetadataResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn model_infer(
        &self,
        request: Request<pb::ModelInferRequest>,
    ) -> Result<Response<pb::ModelInferResponse>, Status> {
        let manner = MANNERS[usize::from(self.0.load(Ordering::Relaxed))];
        let request = request.into_inner();
        let numbers = request.raw_input_contents[0].as_chunks::<4>().0;
        let values: Vec<f32> = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
        let scores = match request.model_name.as_str() {
            "pictures" => picture_model().scores(&values),
            _ => text_model().scores(&values),
        };
        #[expect(clippy::cast_possible_truncation, reason = "the nearest number")]
        let mut scores: Vec<f32> = scores.into_iter().map(|score| score as f32).collect();
        let mut version = VERSION.to_owned();
        match manner {
            Manner::Honest => {}
            Manner::Slow => tokio::time::sleep(Duration::from_secs(60)).await,
            Manner::Broken => return Err(Status::internal("a secret of the server")),
            Manner::Wrong => scores.reverse(),
            Manner::Shape => scores.push(0.5),
            Manner::Nan => scores[1] = f32::NAN,
            Manner::Version => "8".clone_into(&mut version),
        }
        let shape = vec![1, i64::try_from(scores.len()).unwrap()];
        let name = request.outputs[0].name.clone();
        let output = InferOutputTensor { name, datatype: "FP32".to_owned(), shape, contents: None };
        Ok(Response::new(pb::ModelInferResponse {
            model_name: request.model_name,
            model_version: version,
            id: request.id,
            outputs: vec![output],
            raw_output_contents: vec![scores.iter().flat_map(|score| score.to_le_bytes()).collect()],
        }))
    }
}
