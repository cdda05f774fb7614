//! Requests that come on a stream.
//!
//! Requests that are there at the same time and ask alike are answered by one search: they take one slot of the server, and their answers
//! are written together. Each group is worked on by a task of its own, whether or not the client reads its answers: so none holds a slot for
//! longer than its work takes. What has been answered waits until the client takes it, and keeps its room meanwhile. A stream has
//! a bounded number of requests at once, those whose answers wait included; until one is taken it is read no further, and its
//! sender is held back by that.

use std::sync::Arc;

use futures::{FutureExt as _, Stream, StreamExt as _, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};
use vigie_access::Called;
use vigie_model::{Content, MatchCall, Quality};
use vigie_proto::Invalid;
use vigie_proto::pb::matching::v1 as pb;
use vigie_serving::{Answers, Call, ServingConfig, Shutdown, StreamRequests, Work, deadline};
use vigie_telemetry::trace::{self, Context, Span};

use crate::matching::{Matching, Shareable};
use crate::request::answering::{answer, answer_together, matches, waits_for_a_sequence};
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

/// The next message to the client, with the room and the place that it holds until the client takes it. Messages that were answered together
/// share their room.
struct Outgoing {
    message: Result<pb::MatchStreamResponse, Status>,
    rooms: Option<Arc<Rooms>>,
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
            // The last of those that share the room has it until the transport has taken it.
            rooms.and_then(Arc::into_inner).into_iter().for_each(Rooms::send);
            Some((message, (messages, reader)))
        })
    }

    async fn read(self, mut requests: Streaming<pb::MatchStreamRequest>, outgoing: mpsc::Sender<Outgoing>) {
        let places = Arc::new(Semaphore::new(self.in_flight_max));
        let mut works = JoinSet::new();
        let mut end = None;
        while end.is_none() {
            while let Some(ended) = works.try_join_next() {
                report_fault(ended, &self.counted, &outgoing).await;
            }
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                Some((requests.next().await?, place))
            };
            let first = tokio::select! {
                biased;
                // Nothing more is read, and what was read is answered.
                () = self.shutdown.cancelled() => {
                    let text = "shutting down: ask again elsewhere for what has not been answered";
                    end = Some(End::With(Status::unavailable(text)));
                    break;
                }
                next = next => next,
            };
            let Some((incoming, place)) = first else { break };
            let mut read = Vec::new();
            end = self.take(incoming, place, &mut read);
            // What else is there already, as far as there are places for it.
            while end.is_none() && read.len() < TOGETHER_MAX {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { break };
                match requests.next().now_or_never() {
                    Some(Some(incoming)) => end = self.take(incoming, place, &mut read),
                    Some(None) => end = Some(End::Plain),
                    None => break,
                }
            }
            for group in groups(read, self.matching.quality_floor) {
                // Each request of a stream has the time of a call without a deadline.
                let deadline = deadline::of(&Default::default(), &self.serving);
                let entered = self.enter(group, deadline).await;
                let (matching, context, outgoing) =
                    (self.matching.clone(), self.context.clone(), outgoing.clone());
                let (counted, called) = (self.counted.clone(), self.called.clone());
                works.spawn(async move {
                    let answered = match entered {
                        Ok(entered) => Box::pin(entered.answer(&matching, context)).await,
                        Err(refused) => refused,
                    };
                    answered.send(&counted, &called, &outgoing).await;
                });
            }
        }
        while let Some(ended) = works.join_next().await {
            report_fault(ended, &self.counted, &outgoing).await;
        }
        if let Some(End::With(status)) = end {
            let _ = outgoing.send(Outgoing { message: Err(status), rooms: None, _place: None }).await;
        }
    }

    /// Takes a request that has come, or the end of the stream.
    fn take(
        &self,
        incoming: Result<pb::MatchStreamRequest, Status>,
        place: OwnedSemaphorePermit,
        read: &mut Vec<Read>,
    ) -> Option<End> {
        let pb::MatchStreamRequest { request_id, request } = match incoming {
            Ok(incoming) => incoming,
            Err(status) => return Some(End::With(status)),
        };
        let asked = request.ok_or_else(|| Invalid::missing("request").into()).and_then(|request| {
            let mut asked = MatchCall::try_from(request)?;
            let rights = Rights::of(&self.called, &self.meters, &mut asked)?;
            Ok((asked, rights))
        });
        read.push(Read { place: Place { request_id, place }, asked });
        None
    }

    /// Takes a place of the server, and room for the answers. Until there is some the stream is read no further.
    async fn enter(&self, group: Vec<Read>, deadline: Instant) -> Result<Entered, Answered> {
        let (mut places, mut asked) = (Vec::with_capacity(group.len()), Vec::with_capacity(group.len()));
        for Read { place, asked: one } in group {
            places.push(place);
            match one {
                Ok(one) => asked.push(one),
                // It shares no group.
                Err(status) => return Err(Answered::refused(places, &status)),
            }
        }
        let mut rooms = Rooms::new(self.answers.clone(), self.call.clone());
        let contents = asked.iter().map(|(call, _)| call.contents.len()).sum();
        // They ask alike.
        let limit = asked.first().map(|(call, _)| call.options.limit).unwrap_or_default();
        let entering = async {
            rooms.take(self.matching.bytes_of_a_request(contents, limit), deadline).await?;
            self.call.enter(asked.iter().map(|(call, _)| bytes(call)).sum(), deadline).await
        };
        match entering.await {
            Ok(work) => Ok(Entered { places, asked, deadline, rooms, work }),
            Err(status) => Err(Answered::refused(places, &status)),
        }
    }
}

/// The most requests that are answered by one search.
const TOGETHER_MAX: usize = 64;

/// The end of a stream.
enum End {
    /// There are no more requests.
    Plain,
    /// The stream ends with this.
    With(Status),
}

/// The number of a request, and its place among those that are worked on.
struct Place {
    request_id: u64,
    place: OwnedSemaphorePermit,
}

/// A request that has come.
struct Read {
    place: Place,
    asked: Result<(MatchCall, Rights), Status>,
}

/// Puts requests together that one search may answer, in the order in which they came.
fn groups(read: Vec<Read>, quality_floor: Quality) -> Vec<Vec<Read>> {
    let mut groups: Vec<(Vec<Read>, Option<Shareable>)> = Vec::new();
    for one in read {
        let call = one.asked.as_ref().ok().map(|(call, _)| call);
        let shareable = call.and_then(|call| Shareable::of(call, quality_floor));
        if let (Some(call), Some(shareable), Some((group, Some(shared)))) =
            (call, &shareable, groups.last_mut())
            && let Some(Ok((like, _))) = group.first().map(|first| &first.asked)
            && shared.join(like, call, shareable)
        {
            group.push(one);
        } else {
            groups.push((vec![one], shareable));
        }
    }
    groups.into_iter().map(|(group, _)| group).collect()
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

/// Requests of a stream that are answered together, with their place in the server.
struct Entered {
    places: Vec<Place>,
    asked: Vec<(MatchCall, Rights)>,
    deadline: Instant,
    rooms: Rooms,
    work: Work,
}

/// On a span: the requests that share a search.
const REQUESTS: &str = "vigie.requests";

impl Entered {
    /// They have a trace of their own, for a stream may bring any number.
    async fn answer(self, matching: &Matching, stream: Option<Context>) -> Answered {
        let Self { places, mut asked, deadline, mut rooms, work } = self;
        rooms.has_waited = false;
        let tells_of_the_load = !asked.iter().any(|(call, _)| waits_for_a_sequence(call));
        let mut span = stream.map_or_else(Span::none, |stream| stream.linked_root("a request of a stream"));
        if asked.len() > 1 {
            span.set(REQUESTS, i64::try_from(asked.len()).unwrap_or(i64::MAX));
        }
        let answering = async {
            match (asked.pop(), asked.is_empty()) {
                (Some((call, rights)), true) => {
                    let alone =
                        answer(matching, call, &rights, Urgency::STREAMED, &mut rooms, deadline).await;
                    vec![alone]
                }
                (last, _) => {
                    asked.extend(last);
                    answer_together(matching, asked, Urgency::STREAMED, &mut rooms, deadline).await
                }
            }
        };
        let outcomes = trace::scope(span.context().cloned(), answering).await;
        let failed = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
        let outcome = failed.map_or(Ok(()), |status| Err(status.clone()));
        span.ended_with(outcome.as_ref().map_or_else(Status::code, |()| Code::Ok));
        if tells_of_the_load && !rooms.has_waited {
            work.end(&outcome);
        }
        Answered { outcomes: places.into_iter().zip(outcomes).collect(), rooms: Some(rooms) }
    }
}

/// Requests of a stream with their answers, which hold room together.
struct Answered {
    outcomes: Vec<(Place, Result<pb::MatchResponse, Status>)>,
    rooms: Option<Rooms>,
}

impl Answered {
    /// None of them was worked on.
    fn refused(places: Vec<Place>, status: &Status) -> Self {
        let outcomes = places.into_iter().map(|place| (place, Err(status.clone()))).collect();
        Self { outcomes, rooms: None }
    }

    async fn send(self, counted: &StreamRequests, called: &Called, outgoing: &mpsc::Sender<Outgoing>) {
        let holds_room = self.outcomes.iter().any(|(_, outcome)| outcome.is_ok());
        let rooms = self.rooms.filter(|_| holds_room).map(Arc::new);
        for (Place { request_id, place }, outcome) in self.outcomes {
            counted.ended(&outcome);
            match &outcome {
                Ok(response) => called.count(Code::Ok, matches(response)),
                Err(status) => called.count(status.code(), 0),
            }
            let rooms = rooms.clone().filter(|_| outcome.is_ok());
            let outcome = match outcome {
                Ok(response) => pb::match_stream_response::Outcome::Response(response),
                Err(status) => pb::match_stream_response::Outcome::Failure(status.into()),
            };
            let message = Ok(pb::MatchStreamResponse { request_id, outcome: Some(outcome) });
            // The client may have gone.
            let _ = outgoing.send(Outgoing { message, rooms, _place: Some(place) }).await;
        }
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
