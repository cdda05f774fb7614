//! The adapter between the wire and the matching: convert, call, convert.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};
use vigie_model::{MatchCall, Priority};
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_service_server::MatchService;
use vigie_proto::{Invalid, priority};
use vigie_serving::{ServingConfig, Shutdown, deadline};

use crate::matching::{Answer, Failed, Matching};

/// Answers platforms.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) matching: Matching,
    pub(crate) serving: ServingConfig,
    pub(crate) stream_requests_in_flight_max: usize,
    pub(crate) shutdown: Shutdown,
}

/// A call of more queries is bulk, whatever it says.
const INTERACTIVE_QUERIES_MAX: usize = 16;

#[tonic::async_trait]
impl MatchService for Grpc {
    async fn r#match(
        &self,
        request: Request<pb::MatchRequest>,
    ) -> Result<Response<pb::MatchResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let priority = match request.get_ref().queries.len() {
            0..=INTERACTIVE_QUERIES_MAX => priority::of(request.metadata()),
            _ => Priority::Bulk,
        };
        answer(&self.matching, request.into_inner(), priority, deadline).await.map(Response::new)
    }

    type MatchStreamStream = Pin<Box<dyn Stream<Item = Result<pb::MatchStreamResponse, Status>> + Send>>;

    async fn match_stream(
        &self,
        request: Request<Streaming<pb::MatchStreamRequest>>,
    ) -> Result<Response<Self::MatchStreamStream>, Status> {
        let (matching, serving) = (self.matching.clone(), self.serving);
        let answers = request
            .into_inner()
            // On shutdown nothing more is read, and what was read is answered.
            .take_until(self.shutdown.clone().cancelled_owned())
            .map(move |incoming| {
                let matching = matching.clone();
                async move {
                    let pb::MatchStreamRequest { request_id, request } = incoming?;
                    // Each request of a stream has the time of a call without a deadline.
                    let deadline = deadline::of(&Default::default(), &serving);
                    let outcome = match request {
                        Some(request) => answer(&matching, request, Priority::Bulk, deadline).await,
                        None => Err(Invalid::missing("request").into()),
                    };
                    let outcome = match outcome {
                        Ok(response) => pb::match_stream_response::Outcome::Response(response),
                        Err(status) => pb::match_stream_response::Outcome::Failure(status.into()),
                    };
                    Ok(pb::MatchStreamResponse { request_id, outcome: Some(outcome) })
                }
            })
            .buffer_unordered(self.stream_requests_in_flight_max);
        Ok(Response::new(Box::pin(answers)))
    }

    async fn hash(&self, request: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let image = request.into_inner().image;
        deadline::within(deadline, async {
            let hashed = self.matching.pool.fingerprint(image, deadline).await;
            let fingerprint = hashed.map_err(|error| error.into_status("image".to_owned()))?;
            Ok(Response::new(fingerprint.into()))
        })
        .await
    }
}

async fn answer(
    matching: &Matching,
    request: pb::MatchRequest,
    priority: Priority,
    deadline: Instant,
) -> Result<pb::MatchResponse, Status> {
    let call = MatchCall::try_from(request)?;
    deadline::within(deadline, async {
        match matching.answer(call, priority, deadline).await {
            Ok(answer) => Ok(response(answer)),
            Err(Failed::Call(status)) => Err(status),
            Err(Failed::Incomplete { status, partial }) => {
                Err(vigie_proto::status::with_partial(status.code(), status.message(), response(*partial)))
            }
        }
    })
    .await
}

fn response(answer: Answer) -> pb::MatchResponse {
    use pb::match_result::Outcome;
    let result = |result: Result<vigie_model::Matched, Status>| {
        let outcome = match result {
            Ok(matched) => Outcome::Matched(pb::Matched::from(matched)),
            Err(status) => Outcome::Failure(pb::Failure::from(status)),
        };
        pb::MatchResult { outcome: Some(outcome) }
    };
    pb::MatchResponse {
        sequence: answer.coverage.sequence_min.0,
        coverage: Some(answer.coverage.into()),
        results: answer.results.into_iter().map(result).collect(),
        results_omitted: answer.results_omitted,
    }
}
