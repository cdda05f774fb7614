//! A frontend whose answers a test defines.

use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_service_server::{MatchService, MatchServiceServer};

type Answered = Result<pb::MatchResponse, Status>;

/// The function that answers requests.
pub(super) type Behaviour = Arc<dyn Fn(pb::MatchRequest) -> BoxFuture<'static, Answered> + Send + Sync>;

struct Service(Behaviour);

#[tonic::async_trait]
impl MatchService for Service {
    type MatchStreamStream = Pin<Box<dyn Stream<Item = Result<pb::MatchStreamResponse, Status>> + Send>>;

    async fn r#match(
        &self,
        request: Request<pb::MatchRequest>,
    ) -> Result<Response<pb::MatchResponse>, Status> {
        (self.0)(request.into_inner()).await.map(Response::new)
    }

    async fn match_stream(
        &self,
        request: Request<Streaming<pb::MatchStreamRequest>>,
    ) -> Result<Response<Self::MatchStreamStream>, Status> {
        use pb::match_stream_response::Outcome;
        let behaviour = Arc::clone(&self.0);
        let answers = request.into_inner().then(move |request| {
            let behaviour = Arc::clone(&behaviour);
            async move {
                let request = request?;
                let outcome = match behaviour(request.request.unwrap_or_default()).await {
                    Ok(response) => Outcome::Response(response),
                    Err(status) => Outcome::Failure(status.into()),
                };
                Ok(pb::MatchStreamResponse { request_id: request.request_id, outcome: Some(outcome) })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn hash(&self, _: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn match_video(
        &self,
        _: Request<Streaming<pb::MatchVideoRequest>>,
    ) -> Result<Response<pb::MatchVideoResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn describe_decoding(
        &self,
        _: Request<pb::DescribeDecodingRequest>,
    ) -> Result<Response<pb::DescribeDecodingResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it"))
    }

    async fn hash_video(
        &self,
        _: Request<Streaming<pb::HashVideoRequest>>,
    ) -> Result<Response<pb::HashVideoResponse>, Status> {
        Err(Status::unimplemented("nobody asks for it"))
    }
}

/// Starts the frontend on a thread of its own, and returns its address.
pub(super) fn serve(behaviour: Behaviour) -> String {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            let server = tonic::transport::Server::builder().tcp_nodelay(true);
            let mut server = server.max_concurrent_streams(Some(10_000));
            server
                .add_service(MatchServiceServer::new(Service(behaviour)))
                .serve_with_incoming(incoming)
                .await
        })
    });
    url
}

/// Returns a complete answer that includes the log up to `sequence`.
pub(super) fn response(results: Vec<pb::Matched>, sequence: u64) -> pb::MatchResponse {
    let result = |matched| pb::MatchResult { outcome: Some(pb::match_result::Outcome::Matched(matched)) };
    pb::MatchResponse {
        results: results.into_iter().map(result).collect(),
        coverage: Some(vigie_proto::pb::model::v1::Coverage {
            shards_total: 2,
            shards_answered: 2,
            ..Default::default()
        }),
        sequence,
        ..pb::MatchResponse::default()
    }
}
