//! A frontend of Vigie, by gRPC.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;
use http::uri::PathAndQuery;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec};
use tonic::{Code, Request, Status};
use tonic_prost::{ProstDecoder, ProstEncoder};
use vigie_model::Sequence;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_service_client::MatchServiceClient;
use vigie_proto::pb::model::v1 as model;
use vigie_proto::status;

use crate::load::oracle::{Hit, Identity};
use crate::load::scenario::Scenario;
use crate::load::target::wire::Wire;
use crate::load::target::{Answer, Asked, Call, Refusal};
use crate::load::truth::Ask;

/// The largest answer, as Vigie's own client has it.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// What an answer needs to come back: kept from the time that the service is told.
const ANSWER_MARGIN: Duration = Duration::from_millis(2);
/// Requests that wait to be written to a stream; one more waits in its caller, and its time runs.
const STREAM_QUEUE: usize = 1_024;

/// The method of lookups, as the generated client spells it.
const MATCH: &str = "/vigie.matching.v1.MatchService/Match";
/// What a codec allocates at first for each message: a lookup and its answer take no more. The generated client allocates
/// 8 KiB twice for each call, which showed in the generator's profile.
const MESSAGE_BYTES: usize = 512;
/// From how many bytes on a message is handed on before it is whole; tonic's own figure.
const YIELD_BYTES: usize = 32 << 10;

/// Prost's messages, in buffers of the size that lookups have. Others make them grow.
#[derive(Debug, Clone, Copy)]
struct SmallCodec;

impl Codec for SmallCodec {
    type Encode = pb::MatchRequest;
    type Decode = pb::MatchResponse;
    type Encoder = ProstEncoder<pb::MatchRequest>;
    type Decoder = ProstDecoder<pb::MatchResponse>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::new(MESSAGE_BYTES, YIELD_BYTES))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::new(BufferSettings::new(MESSAGE_BYTES, YIELD_BYTES))
    }
}

/// What all calls have in common.
#[derive(Debug, Clone)]
pub(crate) struct Options(model::SearchOptions);

impl Options {
    /// `banks` are those that hold what the harness knows.
    pub(crate) fn new(scenario: &Scenario, banks: Vec<String>) -> Self {
        Self(model::SearchOptions {
            banks,
            max_distance: vec![model::MaxDistance {
                hash_type: model::HashType::Pdq.into(),
                distance: scenario.questions.max_distance.into(),
            }],
            limit: scenario.questions.limit.into(),
            min_sequence: 0,
            min_coverage: (scenario.drive.min_coverage < 1.0).then_some(scenario.drive.min_coverage),
        })
    }
}

impl Options {
    pub(crate) fn banks(&self) -> Vec<String> {
        self.0.banks.clone()
    }
}

/// One connection to a frontend.
#[derive(Debug, Clone)]
pub(crate) struct Frontend {
    wire: Wire,
    unary: Grpc<Wire>,
    stub: MatchServiceClient<Wire>,
    options: Arc<Options>,
    stream: Arc<Mutex<Option<OpenStream>>>,
}

/// A stream of requests, and who waits for which answer.
#[derive(Debug, Clone)]
struct OpenStream {
    requests: mpsc::Sender<pb::MatchStreamRequest>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    callers: HashMap<u64, oneshot::Sender<Result<pb::MatchResponse, Status>>>,
    ended: bool,
}

impl Frontend {
    /// Begins to connect.
    pub(crate) fn new(endpoint: &Uri, options: Arc<Options>) -> anyhow::Result<Self> {
        let wire = Wire::new(endpoint)?;
        let unary =
            Grpc::with_origin(wire.clone(), endpoint.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
        let stub = MatchServiceClient::with_origin(wire.clone(), endpoint.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self { wire, unary, stub, options, stream: Arc::default() })
    }

    /// Waits until the connection is open.
    pub(crate) async fn opened(&self) {
        self.wire.opened().await;
    }

    /// Asks once. Whoever calls keeps the deadline too.
    pub(crate) async fn ask(&self, call: &Call<'_>, deadline: Instant) -> Result<Answer, Refusal> {
        let message = self.message(call);
        let answered = if call.streamed {
            // Boxed, for what a lookup does not use should not make its task larger.
            Box::pin(self.ask_on_stream(message)).await
        } else {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut request = Request::new(message);
            request.set_timeout(left - ANSWER_MARGIN.min(left / 10));
            let path = PathAndQuery::from_static(MATCH);
            self.unary.clone().unary(request, path, SmallCodec).await.map(tonic::Response::into_inner)
        };
        match answered {
            Ok(response) => Ok(read(response)),
            Err(status) => Err(refusal(&status)),
        }
    }

    fn message(&self, call: &Call<'_>) -> pb::MatchRequest {
        let mut options = self.options.0.clone();
        options.min_sequence = call.min_sequence.0;
        let queries = call.asks.iter().map(|asked| pb::MatchQuery { content: Some(content(asked)) });
        pb::MatchRequest { queries: queries.collect(), options: Some(options), quality_floor: None }
    }

    async fn ask_on_stream(&self, message: pb::MatchRequest) -> Result<pb::MatchResponse, Status> {
        let stream = self.open_stream();
        let (answer, answered) = oneshot::channel();
        let request_id = {
            let mut waiting = stream.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.ended {
                return Err(Status::unavailable("the stream has ended"));
            }
            waiting.next += 1;
            let id = waiting.next;
            waiting.callers.insert(id, answer);
            id
        };
        // Takes the entry out again if the caller gives up.
        let _guard = WaitingGuard { waiting: &stream.waiting, request_id };
        let ended = |_| Status::unavailable("the stream has ended");
        let request = pb::MatchStreamRequest { request_id, request: Some(message) };
        stream.requests.send(request).await.map_err(|_| Status::unavailable("the stream has ended"))?;
        answered.await.map_err(ended)?
    }

    /// The open stream, or a new one.
    fn open_stream(&self) -> OpenStream {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*stream
            && !open.waiting.lock().unwrap_or_else(PoisonError::into_inner).ended
        {
            return open.clone();
        }
        let (requests, received) = mpsc::channel(STREAM_QUEUE);
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let (mut stub, shared) = (self.stub.clone(), Arc::clone(&waiting));
        tokio::spawn(async move {
            let end = match stub.match_stream(ReceiverStream::new(received)).await {
                Ok(answers) => read_stream(answers.into_inner(), &shared).await,
                Err(status) => status,
            };
            let mut waiting = shared.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.ended = true;
            for (_, caller) in waiting.callers.drain() {
                // Whoever has given up does not listen.
                let _ = caller.send(Err(end.clone()));
            }
        });
        let open = OpenStream { requests, waiting };
        *stream = Some(open.clone());
        open
    }
}

struct WaitingGuard<'a> {
    waiting: &'a Mutex<Waiting>,
    request_id: u64,
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).callers.remove(&self.request_id);
    }
}

/// Hands answers to those who wait for them until the stream ends, and tells why it did.
async fn read_stream(
    mut answers: tonic::Streaming<pb::MatchStreamResponse>,
    waiting: &Mutex<Waiting>,
) -> Status {
    use pb::match_stream_response::Outcome;
    loop {
        let answer = match answers.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Status::unavailable("the stream has ended"),
            Err(status) => return status,
        };
        let caller =
            waiting.lock().unwrap_or_else(PoisonError::into_inner).callers.remove(&answer.request_id);
        let outcome = match answer.outcome {
            Some(Outcome::Response(response)) => Ok(response),
            Some(Outcome::Failure(failure)) => Err(failure.into()),
            None => Err(Status::internal("an answer of the stream holds nothing")),
        };
        if let Some(caller) = caller {
            // As above.
            let _ = caller.send(outcome);
        }
    }
}

fn content(asked: &Asked<'_>) -> pb::match_query::Content {
    match asked {
        Asked::Pool(Ask::Image { file, .. }) => pb::match_query::Content::Image(file.clone()),
        Asked::Pool(Ask::Hash(hash)) | Asked::Hash(hash) => {
            let hash = model::Hash { hash_type: model::HashType::Pdq.into(), value: hash.to_vec() };
            let hash = model::QueryHash { hash: Some(hash), variant: model::Variant::Original.into() };
            pb::match_query::Content::Hashed(pb::HashedContent { hashes: vec![hash], pdq_quality: None })
        }
    }
}

fn read(response: pb::MatchResponse) -> Answer {
    let coverage = response.coverage.unwrap_or_default();
    let hit = |found: &model::Match| Hit {
        item: Identity::of_reference(&found.external_reference),
        distance: Some(u16::try_from(found.distance).unwrap_or(u16::MAX)),
    };
    let result = |result: pb::MatchResult| match result.outcome {
        Some(pb::match_result::Outcome::Matched(matched)) => Ok(matched.matches.iter().map(hit).collect()),
        Some(pb::match_result::Outcome::Failure(failure)) => Err(Code::from(failure.code)),
        None => Err(Code::Internal),
    };
    let share = if coverage.shards_total == 0 {
        0.0
    } else {
        f64::from(coverage.shards_answered) / f64::from(coverage.shards_total)
    };
    Answer {
        results: response.results.into_iter().map(result).collect(),
        coverage: Some(share),
        complete: coverage.shards_total > 0 && coverage.shards_answered == coverage.shards_total,
        sequence: Some(Sequence(response.sequence)),
    }
}

fn refusal(status: &Status) -> Refusal {
    // Where its own copy of the timeout ran out, tonic says "cancelled".
    let code = match (status.code(), std::error::Error::source(status)) {
        (Code::Cancelled, Some(source)) if source.is::<tonic::TimeoutExpired>() => Code::DeadlineExceeded,
        // A connection that broke under the call is an outage, whatever code it gets.
        (Code::Unknown | Code::Internal | Code::Cancelled, Some(_)) => Code::Unavailable,
        (code, _) => code,
    };
    Refusal {
        code,
        retry_after: status::retry_after(status),
        partial: status::message::<pb::MatchResponse>(status).map(read),
    }
}
