//! Requests that arrive on a stream.
//!
//! Similar requests that are present at the same time are answered by one search: they take one slot of the
//! server, and their answers are written together. Each group has its own task, which runs whether or not the
//! client reads its answers, so no group holds a slot for longer than its work takes. An answer waits until
//! the client takes it, and keeps its memory reserved meanwhile. The number of requests of a stream is
//! bounded, including those whose answers wait; at the bound the stream is not read until an answer is taken,
//! which holds back the sender.

use std::sync::Arc;

use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};
use vigie_access::Called;
use vigie_model::{Content, MatchCall, Quality};
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::{Form, Invalid};
use vigie_serving::{Answers, Call, ServingConfig, Shutdown, StreamRequests, Work, aside, deadline};
use vigie_telemetry::trace::{self, Context, Span};

use crate::matching::{Matching, Shareable};
use crate::request::answering::{Asking, answer, answer_together, matches, waits_for_a_sequence};
use crate::request::meters::Meters;
use crate::request::policies::Policies;
use crate::request::reports::Reports;
use crate::request::rights::Rights;
use crate::request::rooms::Rooms;
use crate::searcher::Urgency;

/// A stream of requests.
pub(crate) struct Streamed {
    pub(crate) matching: Matching,
    pub(crate) serving: ServingConfig,
    pub(crate) call: Call,
    /// The caller of the stream, whose rights are checked for each request.
    pub(crate) called: Called,
    pub(crate) meters: Meters,
    pub(crate) policies: Policies,
    pub(crate) reports: Reports,
    pub(crate) answers: Answers,
    /// The counter of the stream's requests, by outcome.
    pub(crate) counted: StreamRequests,
    /// The trace context of the stream.
    pub(crate) context: Option<Context>,
    pub(crate) in_flight_max: usize,
    pub(crate) shutdown: Shutdown,
}

/// The next message to the client, with the memory and the request slot that it holds until the client takes
/// it. Messages that were answered together share their memory.
struct Outgoing {
    message: Result<pb::MatchStreamResponse, Status>,
    rooms: Option<Arc<Rooms>>,
    _place: Option<OwnedSemaphorePermit>,
}

/// The task that reads the stream. It ends with its owner, and so do the tasks that work on its requests.
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
        // Never full: each message holds a slot, except the one that ends the stream.
        let (outgoing, messages) = mpsc::channel(self.in_flight_max + 1);
        let reader = Reader(tokio::spawn(self.read(requests, outgoing)));
        stream::unfold((messages, reader), |(mut messages, reader)| async move {
            let Outgoing { message, rooms, .. } = messages.recv().await?;
            // The last message of a group hands the shared memory to the transport.
            rooms.and_then(Arc::into_inner).into_iter().for_each(Rooms::send);
            Some((message, (messages, reader)))
        })
    }

    fn rights(&self, asked: &mut MatchCall) -> Result<Rights, Status> {
        Rights::of(&self.called, &self.meters, &self.policies, &self.reports, asked)
    }

    async fn read(self, mut requests: Streaming<pb::MatchStreamRequest>, outgoing: mpsc::Sender<Outgoing>) {
        let places = Arc::new(Semaphore::new(self.in_flight_max));
        let (streamed, mut works) = (Arc::new(self), JoinSet::new());
        let mut end = None;
        while end.is_none() {
            while let Some(ended) = works.try_join_next() {
                report_fault(ended, &streamed.counted, &outgoing).await;
            }
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                Some((requests.next().await?, place))
            };
            let first = tokio::select! {
                biased;
                // Reading stops, and the requests that were read are answered.
                () = streamed.shutdown.cancelled() => {
                    let text = "this frontend is shutting down: send the unanswered requests to another one";
                    end = Some(End::With(Status::unavailable(text)));
                    break;
                }
                next = next => next,
            };
            let Some((incoming, place)) = first else { break };
            let mut round = match Read::of(incoming, place) {
                Ok(read) => Round::begin(read, streamed.matching.quality_floor),
                Err(status) => {
                    end = Some(End::With(status));
                    break;
                }
            };
            // While the lane to the coordinators is busy the search would queue, so more requests are
            // gathered meanwhile.
            if round.is_open()
                && let Some(until) = streamed.matching.gather_until()
            {
                tokio::time::sleep_until(until).await;
            }
            // Other requests that are already present may share the search, as long as request slots are
            // free.
            while end.is_none() && round.is_open() {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { break };
                round.is_read_ahead = true;
                let Some(next) = requests.next().now_or_never() else { break };
                match next.map(|incoming| Read::of(incoming, place)) {
                    None => end = Some(End::Plain),
                    Some(Err(status)) => end = Some(End::With(status)),
                    Some(Ok(read)) => round.take(read, streamed.matching.quality_floor),
                }
            }
            for (group, room) in round.groups() {
                let entered = Group::enter(&streamed, group, room).await;
                let outgoing = outgoing.clone();
                works.spawn(aside::movable(async move {
                    match entered {
                        Ok(group) => group.answer(&outgoing).await,
                        Err(refused) => refused.send(&outgoing).await,
                    }
                }));
            }
        }
        while let Some(ended) = works.join_next().await {
            report_fault(ended, &streamed.counted, &outgoing).await;
        }
        if let Some(End::With(status)) = end {
            let _ = outgoing.send(Outgoing { message: Err(status), rooms: None, _place: None }).await;
        }
    }

    /// Creates the memory account of one search, which holds nothing yet.
    fn rooms(&self) -> Rooms {
        Rooms::new(self.answers.clone(), self.call.clone())
    }

    /// Returns the deadline of a request: that of a call without a deadline.
    fn deadline(&self) -> Instant {
        deadline::of(&Default::default(), &self.serving)
    }
}

/// The largest number of requests that one search answers.
const TOGETHER_MAX: usize = 64;
/// The largest number of bytes of a group. Messages that are read ahead are not counted until the group has
/// its slot.
const TOGETHER_BYTES_MAX: usize = 64 << 10;

/// How a stream ends.
enum End {
    /// There are no more requests.
    Plain,
    /// The stream ends with this status.
    With(Status),
}

/// The number of a request, and its slot among the stream's requests in progress.
struct Numbered {
    request_id: u64,
    place: OwnedSemaphorePermit,
}

/// A request that was read from the stream.
struct Read {
    place: Numbered,
    form: Form,
    asked: Result<MatchCall, Status>,
}

impl Read {
    /// Reads a message. An error ends the stream.
    fn of(
        incoming: Result<pb::MatchStreamRequest, Status>,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, Status> {
        let pb::MatchStreamRequest { request_id, request } = incoming?;
        let form = request.as_ref().map_or(Form::Plain, pb::MatchRequest::form);
        let asked = request.ok_or_else(|| Invalid::missing("request"));
        let asked = asked.and_then(MatchCall::try_from).map_err(Status::from);
        Ok(Self { place: Numbered { request_id, place }, form, asked })
    }

    fn bytes(&self) -> usize {
        self.asked.as_ref().map_or(0, bytes)
    }
}

/// The requests of one read: those that may share a search, and the first one that may not.
struct Round {
    group: Vec<Read>,
    shareable: Option<Shareable>,
    bytes: usize,
    /// Whether the stream was read further after the first request.
    is_read_ahead: bool,
    other: Option<Read>,
}

/// The source of the memory for a group's messages.
#[derive(Clone, Copy)]
enum MessageRoom {
    /// The group takes over the memory of the message that was read last.
    OfTheLast,
    /// The stream was read further, so the group reserves its own memory.
    Own,
}

impl Round {
    fn begin(first: Read, quality_floor: Quality) -> Self {
        let shareable = first.asked.as_ref().ok().and_then(|call| Shareable::of(call, quality_floor));
        Self { bytes: first.bytes(), group: vec![first], shareable, is_read_ahead: false, other: None }
    }

    /// Returns whether another request may join.
    const fn is_open(&self) -> bool {
        self.shareable.is_some()
            && self.other.is_none()
            && self.group.len() < TOGETHER_MAX
            && self.bytes < TOGETHER_BYTES_MAX
    }

    fn take(&mut self, read: Read, quality_floor: Quality) {
        let joins = match (&mut self.shareable, self.group.first().map(|first| &first.asked), &read.asked) {
            (Some(shared), Some(Ok(like)), Ok(call)) => {
                Shareable::of(call, quality_floor).is_some_and(|other| shared.join(like, call, &other))
            }
            _ => false,
        };
        if joins {
            self.bytes += read.bytes();
            self.group.push(read);
        } else {
            self.other = Some(read);
        }
    }

    /// Returns the groups. The group that was read last is first, because it takes over the memory of its
    /// message.
    fn groups(self) -> impl Iterator<Item = (Vec<Read>, MessageRoom)> {
        let room = if self.is_read_ahead { MessageRoom::Own } else { MessageRoom::OfTheLast };
        let other = self.other.map(|other| (vec![other], MessageRoom::OfTheLast));
        other.into_iter().chain([(self.group, room)])
    }
}

/// Ends the stream with an error when a task that worked on requests failed, because those have no answer.
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

/// Requests of a stream that are answered together, with their slot of the server.
struct Group {
    streamed: Arc<Streamed>,
    asked: Vec<(Numbered, Asking)>,
    /// The requests that the caller has no right to make.
    refused: Answered,
    deadline: Instant,
    rooms: Rooms,
    work: Work,
}

/// The span attribute for the number of requests that share a search.
const REQUESTS: &str = "vigie.requests";

impl Group {
    /// Takes a slot of the server, and reserves memory for the answers. The stream is not read further until
    /// both are available. The caller's rights are checked after that.
    async fn enter(
        streamed: &Arc<Streamed>,
        group: Vec<Read>,
        message_room: MessageRoom,
    ) -> Result<Self, Answered> {
        let mut refused = Answered::by(streamed);
        let mut read = Vec::with_capacity(group.len());
        for Read { place, form, asked } in group {
            match asked {
                Ok(call) => read.push((place, form, call)),
                Err(status) => refused.outcomes.push((place, Err(status))),
            }
        }
        let Some((.., first)) = read.first() else { return Err(refused) };
        let (deadline, mut rooms) = (streamed.deadline(), streamed.rooms());
        let contents = read.iter().map(|(.., call)| call.contents.len()).sum();
        // All requests of a group have the same options.
        let bytes_max = streamed.matching.bytes_of_a_request(contents, first.options.limit);
        let bytes = read.iter().map(|(.., call)| bytes(call)).sum();
        let entering = async {
            rooms.take(bytes_max, deadline).await?;
            match message_room {
                MessageRoom::OfTheLast => streamed.call.enter(bytes, deadline).await,
                MessageRoom::Own => streamed.call.enter_apart(bytes, deadline).await,
            }
        };
        let work = match entering.await {
            Ok(work) => work,
            Err(status) => {
                refused.outcomes.extend(read.into_iter().map(|(place, ..)| (place, Err(status.clone()))));
                return Err(refused);
            }
        };
        let mut asked = Vec::with_capacity(read.len());
        for (place, form, mut call) in read {
            match streamed.rights(&mut call) {
                Ok(rights) => asked.push((place, Asking { call, form, rights })),
                Err(status) => refused.outcomes.push((place, Err(status))),
            }
        }
        Ok(Self { streamed: Arc::clone(streamed), asked, refused, deadline, rooms, work })
    }

    /// Answers the requests that one search can answer together, and the others one after the other. Each
    /// search has its own trace, because a stream may hold any number of requests.
    async fn answer(self, outgoing: &mpsc::Sender<Outgoing>) {
        let Self { streamed, asked, refused, deadline, mut rooms, work } = self;
        refused.send(outgoing).await;
        rooms.has_waited = false;
        let indicates_load = !asked.iter().any(|(_, asking)| waits_for_a_sequence(&asking.call));
        let count = asked.len();
        // The directory may have changed between two requests.
        let is_alike = asked.windows(2).all(|two| two[0].1.call.options == two[1].1.call.options);
        let (places, asked): (Vec<Numbered>, Vec<Asking>) = asked.into_iter().unzip();
        if count > 1 && is_alike {
            let mut span = streamed.span(count);
            let answering =
                answer_together(&streamed.matching, &asked, Urgency::STREAMED, &mut rooms, deadline);
            let shared = trace::scope(span.context().cloned(), answering).await;
            if let Some(outcomes) = shared {
                let failed = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
                let outcome = failed.map_or(Ok(()), |status| Err(status.clone()));
                span.ended_with(outcome.as_ref().map_or_else(Status::code, |()| Code::Ok));
                if indicates_load && !rooms.has_waited {
                    work.end(&outcome);
                }
                let outcomes = places.into_iter().zip(outcomes).collect();
                Answered { outcomes, rooms: Some(rooms), ..Answered::by(&streamed) }.send(outgoing).await;
                return;
            }
        }
        let (mut first, mut work) = (Some((rooms, deadline)), Some(work));
        for (place, asking) in places.into_iter().zip(asked) {
            // Each request has its own deadline and its own memory.
            let (mut rooms, deadline) =
                first.take().unwrap_or_else(|| (streamed.rooms(), streamed.deadline()));
            let mut span = streamed.span(1);
            let answering = answer(&streamed.matching, asking, Urgency::STREAMED, &mut rooms, deadline);
            let outcome = trace::scope(span.context().cloned(), Box::pin(answering)).await;
            span.ended_with(outcome.as_ref().map_or_else(Status::code, |_| Code::Ok));
            // Requests of a group wait for one another, so their time does not indicate the load.
            if count == 1
                && indicates_load
                && !rooms.has_waited
                && let Some(work) = work.take()
            {
                work.end(&outcome);
            }
            let outcomes = vec![(place, outcome)];
            Answered { outcomes, rooms: Some(rooms), ..Answered::by(&streamed) }.send(outgoing).await;
        }
    }
}

impl Streamed {
    /// Returns the span of a search for this number of requests.
    fn span(&self, requests: usize) -> Span {
        let of = |stream: &Context| stream.linked_root("a request of a stream");
        let mut span = self.context.as_ref().map_or_else(Span::none, of);
        if requests > 1 {
            span.set(REQUESTS, i64::try_from(requests).unwrap_or(i64::MAX));
        }
        span
    }
}

/// Requests of a stream with their answers, which share reserved memory.
struct Answered {
    streamed: Arc<Streamed>,
    outcomes: Vec<(Numbered, Result<pb::MatchResponse, Status>)>,
    rooms: Option<Rooms>,
}

impl Answered {
    /// Creates an empty list of answers.
    fn by(streamed: &Arc<Streamed>) -> Self {
        Self { streamed: Arc::clone(streamed), outcomes: Vec::new(), rooms: None }
    }

    async fn send(self, outgoing: &mpsc::Sender<Outgoing>) {
        let Self { streamed, outcomes, rooms } = self;
        let holds_room = outcomes.iter().any(|(_, outcome)| outcome.is_ok());
        let rooms = rooms.filter(|_| holds_room).map(Arc::new);
        let message = |(place, outcome): (Numbered, Result<pb::MatchResponse, Status>)| {
            let Numbered { request_id, place } = place;
            streamed.counted.ended(&outcome);
            match &outcome {
                Ok(response) => streamed.called.count(Code::Ok, matches(response)),
                Err(status) => streamed.called.count(status.code(), 0),
            }
            let rooms = rooms.clone().filter(|_| outcome.is_ok());
            let outcome = match outcome {
                Ok(response) => pb::match_stream_response::Outcome::Response(response),
                Err(status) => pb::match_stream_response::Outcome::Failure(status.into()),
            };
            let message = Ok(pb::MatchStreamResponse { request_id, outcome: Some(outcome) });
            Outgoing { message, rooms, _place: Some(place) }
        };
        let messages: Vec<Outgoing> = outcomes.into_iter().map(message).collect();
        // Only the messages hold the memory: the last one that is taken hands it to the transport.
        drop(rooms);
        for message in messages {
            // The client may have gone.
            let _ = outgoing.send(message).await;
        }
    }
}

/// Returns the approximate memory of a request in bytes.
fn bytes(asked: &MatchCall) -> usize {
    let content = |content: &Content| match content {
        Content::Image(file) | Content::Video(file) => file.len(),
        Content::Hashed { hashes, .. } => {
            let values: usize = hashes.iter().map(|one| one.hash.as_bytes().len()).sum();
            size_of_val(hashes.as_slice()) + values
        }
    };
    asked.contents.iter().map(content).sum()
}
