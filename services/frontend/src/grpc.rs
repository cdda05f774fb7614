//! The adapter between the wire and the matching: convert, call, convert.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{Stream, StreamExt as _, future, stream};
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status, Streaming};
use vigie_model::{Content, DecodeFailure, DecodeFailureKind, ImageFingerprint, MatchCall, Sequence};
use vigie_proto::Invalid;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_service_server::MatchService;
use vigie_rpc::Priority;
use vigie_serving::{Call, ServingConfig, Shutdown, Work, deadline};
use vigie_telemetry::trace::{self, Context, Span};

use crate::error::HashingError;
use crate::hashing_pool::HashedImage;
use crate::matching::{Answer, Failed, INTERACTIVE_QUERIES_MAX, Matching};
use crate::searcher::Urgency;

/// Answers platforms.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(crate) matching: Matching,
    pub(crate) serving: ServingConfig,
    pub(crate) stream_requests_in_flight_max: usize,
    pub(crate) shutdown: Shutdown,
}

#[tonic::async_trait]
impl MatchService for Grpc {
    async fn r#match(
        &self,
        request: Request<pb::MatchRequest>,
    ) -> Result<Response<pb::MatchResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let call = Call::of(&request);
        let asked = MatchCall::try_from(request.into_inner())?;
        if waits_for_a_sequence(&asked) {
            call.not_load();
        }
        let priority = priority(&call, &asked);
        answer(&self.matching, asked, Urgency::of_a_call(priority), deadline).await.map(Response::new)
    }

    type MatchStreamStream = Pin<Box<dyn Stream<Item = Result<pb::MatchStreamResponse, Status>> + Send>>;

    async fn match_stream(
        &self,
        request: Request<Streaming<pb::MatchStreamRequest>>,
    ) -> Result<Response<Self::MatchStreamStream>, Status> {
        let (matching, serving, call) = (self.matching.clone(), self.serving, Call::of(&request));
        let stream_context = trace::current();
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&has_ended);
        let cut_off = stream::once(async move {
            let text = "shutting down: ask again elsewhere for what has not been answered";
            (!has_ended.load(Ordering::Relaxed)).then(|| Err(Status::unavailable(text)))
        });
        let answers = request
            .into_inner()
            .map(Some)
            .chain(stream::once(async move {
                ended.store(true, Ordering::Relaxed);
                None
            }))
            .filter_map(future::ready)
            // On shutdown nothing more is read, and what was read is answered.
            .take_until(self.shutdown.clone().cancelled_owned())
            // Each request takes a place of its own. Until there is one the stream is read no further, and its sender
            // is held back by that.
            .then(move |incoming| {
                let call = call.clone();
                async move {
                    let pb::MatchStreamRequest { request_id, request } = incoming?;
                    // Each request of a stream has the time of a call without a deadline.
                    let deadline = deadline::of(&Default::default(), &serving);
                    Ok((request_id, enter(&call, request, deadline).await))
                }
            })
            .map(move |entered: Result<_, Status>| {
                let (matching, stream_context) = (matching.clone(), stream_context.clone());
                async move {
                    let (request_id, entered) = entered?;
                    let outcome = match entered {
                        Ok(entered) => entered.answer(&matching, stream_context).await,
                        Err(status) => Err(status),
                    };
                    let outcome = match outcome {
                        Ok(response) => pb::match_stream_response::Outcome::Response(response),
                        Err(status) => pb::match_stream_response::Outcome::Failure(status.into()),
                    };
                    Ok(pb::MatchStreamResponse { request_id, outcome: Some(outcome) })
                }
            })
            .buffer_unordered(self.stream_requests_in_flight_max)
            .chain(cut_off.filter_map(future::ready));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn hash(&self, request: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let priority = Call::of(&request).priority();
        let image = request.into_inner().image;
        deadline::within(deadline, async {
            let hashed = self.matching.pool.hash(image, priority, deadline).await;
            let HashedImage { digests, picture } = hashed.map_err(HashingError::into_status)?;
            let picture = picture.map_err(not_hashed)?;
            Ok(Response::new(ImageFingerprint { picture, digests }.into()))
        })
        .await
    }
}

/// The status of an image without hashes, of a caller that wants nothing else.
fn not_hashed(failure: DecodeFailure) -> Status {
    if failure.kind == DecodeFailureKind::Unavailable {
        Status::unavailable(failure.message)
    } else {
        Invalid::new("image", failure).into()
    }
}

/// One request of a stream, with its place.
struct Entered {
    asked: MatchCall,
    deadline: Instant,
    work: Work,
}

async fn enter(call: &Call, request: Option<pb::MatchRequest>, deadline: Instant) -> Result<Entered, Status> {
    let request = request.ok_or_else(|| Invalid::missing("request"))?;
    let asked = MatchCall::try_from(request)?;
    let work = call.enter(bytes(&asked), deadline).await?;
    Ok(Entered { asked, deadline, work })
}

impl Entered {
    /// Each has a trace of its own, for a stream may bring any number.
    async fn answer(self, matching: &Matching, stream: Option<Context>) -> Result<pb::MatchResponse, Status> {
        let Self { asked, deadline, work } = self;
        let tells_of_the_load = !waits_for_a_sequence(&asked);
        let mut span = stream.map_or_else(Span::none, |stream| stream.linked_root("a request of a stream"));
        let answering = answer(matching, asked, Urgency::STREAMED, deadline);
        let outcome = trace::scope(span.context().cloned(), answering).await;
        span.ended_with(outcome.as_ref().map_or_else(Status::code, |_| Code::Ok));
        if tells_of_the_load {
            work.end(&outcome);
        }
        outcome
    }
}

/// The answer comes when the cluster has got so far, however idle it is.
fn waits_for_a_sequence(asked: &MatchCall) -> bool {
    asked.options.min_sequence > Sequence::default()
}

fn priority(call: &Call, asked: &MatchCall) -> Priority {
    if asked.contents.len() > INTERACTIVE_QUERIES_MAX { Priority::Bulk } else { call.priority() }
}

/// What a request takes of memory, about.
fn bytes(asked: &MatchCall) -> usize {
    let content = |content: &Content| match content {
        Content::Image(image) => image.len(),
        Content::Hashed { hashes, .. } => size_of_val(hashes.as_slice()),
    };
    asked.contents.iter().map(content).sum()
}

/// The trace of an answer that does not cover all shards is kept.
fn keep_if_incomplete(answer: &Answer) {
    if answer.coverage.shards_answered < answer.coverage.shards_total
        && let Some(context) = trace::current()
    {
        context.keep();
    }
}

async fn answer(
    matching: &Matching,
    asked: MatchCall,
    urgency: Urgency,
    deadline: Instant,
) -> Result<pb::MatchResponse, Status> {
    deadline::within(deadline, async {
        match matching.answer(asked, urgency, deadline).await {
            Ok(answer) => {
                keep_if_incomplete(&answer);
                Ok(response(answer))
            }
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
