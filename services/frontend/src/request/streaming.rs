//! Requests that come on a stream.
//!
//! Each request is worked on by a task of its own, whether or not the client reads its answers: so none holds a slot of the server for
//! longer than its work takes. What has been answered waits until the client takes it, and keeps its room meanwhile. A stream has
//! a bounded number of requests at once, those whose answers wait included; until one is taken it is read no further, and its
//! sender is held back by that.

use std::sync::Arc;

use futures::{Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};
use vigie_access::Called;
use vigie_model::{Content, MatchCall};
use vigie_proto::Invalid;
use vigie_proto::pb::matching::v1 as pb;
use vigie_serving::{Answers, Call, ServingConfig, Shutdown, StreamRequests, Work, deadline};
use vigie_telemetry::trace::{self, Context, Span};

use crate::matching::Matching;
use crate::request::answering::{answer, matches, waits_for_a_sequence};
use crate::request::meters::Meters;
use crate::request::rights::Rights;
use crate::request::rooms::Rooms;
use crate::searcher::Urgency;

/// A stream of requests.
pub(crate) struct Streamed {
    pub(crate) matching: Matching,
    pub(crate) serving: ServingConfig,
    pub(crate) call: Call,
    /// Its caller, whose rights are looked at for each request.
    pub(crate) called: Called,
    pub(crate) meters: Meters,
    pub(crate) answers: Answers,
    /// Its requests, by how they ended.
    pub(crate) counted: StreamRequests,
    /// Where in a trace the stream is.
    pub(crate) context: Option<Context>,
    pub(crate) in_flight_max: usize,
    pub(crate) shutdown: Shutdown,
}

/// The next message to the client, with the room and the place that it holds until the client takes it.
struct Outgoing {
    message: Result<pb::MatchStreamResponse, Status>,
    rooms: Option<Rooms>,
    _place: Option<OwnedSemaphorePermit>,
}

/// The task that reads the stream. It ends with its owner, and so do those that work on its requests.
struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Streamed {
    /// Answers the requests, in the order in which the answers are ready.
    pub(crate) fn answer(
        self,
        requests: Streaming<pb::MatchStreamRequest>,
    ) -> impl Stream<Item = Result<pb::MatchStreamResponse, Status>> + Send {
        // Never full: each message has a place, but for the end.
        let (outgoing, messages) = mpsc::channel(self.in_flight_max + 1);
        let reader = Reader(tokio::spawn(self.read(requests, outgoing)));
        stream::unfold((messages, reader), |(mut messages, reader)| async move {
            let Outgoing { message, rooms, .. } = messages.recv().await?;
            // Its answer has its room until the transport has taken it.
            rooms.into_iter().for_each(Rooms::send);
            Some((message, (messages, reader)))
        })
    }

    async fn read(self, mut requests: Streaming<pb::MatchStreamRequest>, outgoing: mpsc::Sender<Outgoing>) {
        let places = Arc::new(Semaphore::new(self.in_flight_max));
        let mut works = JoinSet::new();
        let end = loop {
            while let Some(ended) = works.try_join_next() {
                report_fault(ended, &self.counted, &outgoing).await;
            }
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                Some((requests.next().await?, place))
            };
            let (incoming, place) = tokio::select! {
                biased;
                // Nothing more is read, and what was read is answered.
                () = self.shutdown.cancelled() => {
                    let text = "shutting down: ask again elsewhere for what has not been answered";
                    break Some(Status::unavailable(text));
                }
                next = next => match next {
                    Some(next) => next,
                    None => break None,
                },
            };
            let pb::MatchStreamRequest { request_id, request } = match incoming {
                Ok(incoming) => incoming,
                Err(status) => break Some(status),
            };
            // Each request of a stream has the time of a call without a deadline.
            let deadline = deadline::of(&Default::default(), &self.serving);
            let entered = self.enter(request, deadline).await;
            let (matching, context, outgoing) =
                (self.matching.clone(), self.context.clone(), outgoing.clone());
            let (counted, called) = (self.counted.clone(), self.called.clone());
            works.spawn(async move {
                let (outcome, rooms) = match entered {
                    Ok(entered) => Box::pin(entered.answer(&matching, context)).await,
                    Err(status) => (Err(status), None),
                };
                counted.ended(&outcome);
                match &outcome {
                    Ok(response) => called.count(Code::Ok, matches(response)),
                    Err(status) => called.count(status.code(), 0),
                }
                let outcome = match outcome {
                    Ok(response) => pb::match_stream_response::Outcome::Response(response),
                    Err(status) => pb::match_stream_response::Outcome::Failure(status.into()),
                };
                let message = Ok(pb::MatchStreamResponse { request_id, outcome: Some(outcome) });
                // The client may have gone.
                let _ = outgoing.send(Outgoing { message, rooms, _place: Some(place) }).await;
            });
        };
        while let Some(ended) = works.join_next().await {
            report_fault(ended, &self.counted, &outgoing).await;
        }
        if let Some(status) = end {
            let _ = outgoing.send(Outgoing { message: Err(status), rooms: None, _place: None }).await;
        }
    }

    /// Takes a place of the server, and room for the answer. Until there is some the stream is read no further.
    async fn enter(&self, request: Option<pb::MatchRequest>, deadline: Instant) -> Result<Entered, Status> {
        let request = request.ok_or_else(|| Invalid::missing("request"))?;
        let mut asked = MatchCall::try_from(request)?;
        let rights = Rights::of(&self.called, &self.meters, &mut asked)?;
        let mut rooms = Rooms::new(self.answers.clone(), self.call.clone());
        let bytes_max = self.matching.bytes_of_a_request(asked.contents.len(), asked.options.limit);
        rooms.take(bytes_max, deadline).await?;
        let work = self.call.enter(bytes(&asked), deadline).await?;
        Ok(Entered { asked, rights, deadline, rooms, work })
    }
}

/// A request whose work broke has no answer: the stream ends with that.
async fn report_fault(
    ended: Result<(), JoinError>,
    counted: &StreamRequests,
    outgoing: &mpsc::Sender<Outgoing>,
) {
    if ended.is_err() {
        tracing::error!("a request of a stream failed");
        let message = Err(Status::internal("a request of the stream failed"));
        counted.ended(&message);
        let _ = outgoing.send(Outgoing { message, rooms: None, _place: None }).await;
    }
}

/// A request of a stream, with its place.
struct Entered {
    asked: MatchCall,
    rights: Rights,
    deadline: Instant,
    rooms: Rooms,
    work: Work,
}

impl Entered {
    /// Each has a trace of its own, for a stream may bring any number.
    async fn answer(
        self,
        matching: &Matching,
        stream: Option<Context>,
    ) -> (Result<pb::MatchResponse, Status>, Option<Rooms>) {
        let Self { asked, rights, deadline, mut rooms, work } = self;
        rooms.has_waited = false;
        let tells_of_the_load = !waits_for_a_sequence(&asked);
        let mut span = stream.map_or_else(Span::none, |stream| stream.linked_root("a request of a stream"));
        let answering = answer(matching, asked, &rights, Urgency::STREAMED, &mut rooms, deadline);
        let outcome = trace::scope(span.context().cloned(), answering).await;
        span.ended_with(outcome.as_ref().map_or_else(Status::code, |_| Code::Ok));
        if tells_of_the_load && !rooms.has_waited {
            work.end(&outcome);
        }
        let rooms = outcome.is_ok().then_some(rooms);
        (outcome, rooms)
    }
}

/// The memory of a request, about.
fn bytes(asked: &MatchCall) -> usize {
    let content = |content: &Content| match content {
        Content::Image(image) => image.len(),
        Content::Hashed { hashes, .. } => size_of_val(hashes.as_slice()),
    };
    asked.contents.iter().map(content).sum()
}
