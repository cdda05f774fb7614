//! Calls to one server: their number, their time limit, and the breaker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, TimeoutExpired};
use vigie_net::balance::{Load, Turn};
use vigie_net::{CallEnd, EndpointError, Network};
use vigie_proto::pb::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use vigie_rpc::{code, deadline as deadlines};

use super::OipSettings;
use crate::error::{EngineError, Lie, Refusal};

/// A call that had this much time and was not answered counts as a failure of the server; a shorter time is
/// the caller's choice.
const BLAMED_AFTER: Duration = Duration::from_secs(1);
/// The text of tonic's error for a message that exceeds the limit, which it detects before it reads the
/// message.
const TOO_LARGE: &str = "Error, decoded message length too large";

/// The generated client.
type Client = GrpcInferenceServiceClient<Channel>;

/// The connection to one inference server, with its bounds and its breaker.
#[derive(Debug)]
pub(super) struct Server {
    endpoint: String,
    client: Client,
    /// The breaker: repeated failures exclude the server for a while.
    load: Load,
    /// Slots for calls in progress and calls that wait.
    places: Semaphore,
    /// Slots for calls in progress.
    calls: Semaphore,
    waiting_max: usize,
    call_within: Duration,
    ids: AtomicU64,
}

impl Server {
    pub(super) fn new(settings: &OipSettings, network: &Network) -> Result<Self, EndpointError> {
        let channel = network.channel_to(&settings.endpoint, settings.call_within)?;
        let client = Client::new(channel)
            .max_decoding_message_size(settings.message_bytes_max)
            .max_encoding_message_size(settings.message_bytes_max);
        let calls_max = settings.calls_max.max(1);
        Ok(Self {
            endpoint: settings.endpoint.clone(),
            client,
            load: Load::default(),
            places: Semaphore::new(calls_max.saturating_add(settings.waiting_max)),
            calls: Semaphore::new(calls_max),
            waiting_max: settings.waiting_max,
            call_within: settings.call_within,
            ids: AtomicU64::new(1),
        })
    }

    /// Returns an id for the next request.
    pub(super) fn next_id(&self) -> String {
        self.ids.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Makes a call, and reads its answer. An invalid answer is a failure of the server.
    pub(super) async fn call<Q, A, T>(
        &self,
        deadline: Instant,
        message: Q,
        send: impl AsyncFnOnce(Client, Request<Q>) -> Result<Response<A>, Status>,
        read: impl FnOnce(A) -> Result<T, Lie>,
    ) -> Result<T, EngineError> {
        let (_place, _call) = self.place(deadline).await?;
        let begun = Instant::now();
        if self.load.view(begun).is_left_out {
            return Err(EngineError::unavailable("its server fails again and again, and is asked later"));
        }
        let call = self.load.begin(begun);
        let until = deadline.min(begun + self.call_within);
        let mut request = Request::new(message);
        let passed_on = deadlines::passed_on(until.saturating_duration_since(begun));
        request.set_timeout(passed_on);
        let answer = timeout_at(until, send(self.client.clone(), request)).await;
        let now = Instant::now();
        let outcome = match answer {
            Ok(Ok(answer)) => read(answer.into_inner()).map_err(EngineError::Lied),
            Ok(Err(status)) => Err(error(&status, now >= begun + passed_on)),
            Err(_) => Err(EngineError::OutOfTime),
        };
        let end = match &outcome {
            Ok(_) => CallEnd::Answered,
            Err(error) => end(error, now.saturating_duration_since(begun)),
        };
        let turn = call.end(end, now);
        self.log(turn, outcome.as_ref().err());
        outcome
    }

    /// Waits for a slot for a call in progress, in a bounded queue.
    async fn place(
        &self,
        deadline: Instant,
    ) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), EngineError> {
        let busy = |_| EngineError::Busy { waiting_max: self.waiting_max };
        let place = self.places.try_acquire().map_err(busy)?;
        match timeout_at(deadline, self.calls.acquire()).await {
            Ok(Ok(call)) => Ok((place, call)),
            Ok(Err(_)) => Err(EngineError::unavailable("its server is not called any more")),
            Err(_) => Err(EngineError::OutOfTime),
        }
    }

    fn log(&self, turn: Option<Turn>, error: Option<&EngineError>) {
        if let Some(turn) = turn {
            turn.log(&self.endpoint, &error.map(ToString::to_string).unwrap_or_default());
        }
    }
}

/// Returns the error of a call that ended with `status`, late or not. The server's text is omitted, because
/// it may quote the inputs.
fn error(status: &Status, is_late: bool) -> EngineError {
    // A status that the transport created has a cause; a status from the server has none.
    let source = std::error::Error::source(status);
    let is_of_the_connection = source.is_some();
    let mut causes = std::iter::successors(source, |cause| cause.source());
    // The channel has its own timer, which may fire first.
    if causes.any(|cause| cause.is::<TimeoutExpired>()) {
        return EngineError::OutOfTime;
    }
    let code = status.code();
    if code == Code::OutOfRange && status.message().starts_with(TOO_LARGE) {
        EngineError::Lied(Lie::TooLarge)
    } else if code == Code::DeadlineExceeded || code == Code::Cancelled && is_late {
        EngineError::OutOfTime
    } else if is_of_the_connection {
        EngineError::unavailable("its server cannot be reached")
    } else if code == Code::Unavailable {
        EngineError::unavailable("its server answers that it is not available")
    } else {
        EngineError::Refused(Refusal::Server(code))
    }
}

/// Returns how the call ended as seen by the breaker.
const fn end(error: &EngineError, took: Duration) -> CallEnd {
    match error {
        EngineError::Unavailable { .. } | EngineError::Lied(_) | EngineError::Died(_) => CallEnd::Failed,
        EngineError::OutOfTime if took.as_millis() >= BLAMED_AFTER.as_millis() => CallEnd::Failed,
        EngineError::OutOfTime => CallEnd::Abandoned,
        EngineError::Refused(Refusal::Server(code)) => code::end(*code),
        EngineError::Refused(_) | EngineError::UnknownModel(_) | EngineError::Inputs(_) => CallEnd::Answered,
        EngineError::Busy { .. } => CallEnd::Refused,
    }
}
