//! Bounds the messages of a call: their size, the memory that they take, and the time in which they arrive.
//!
//! tonic's own size limit answers `OUT_OF_RANGE`, which in this project means an old feed cursor. A message
//! that is too large is a wrong argument: the caller gets `INVALID_ARGUMENT` and the limit, before its bytes
//! arrive. A gRPC body is a sequence of messages. Each has a prefix of five bytes: a compression flag and the
//! length (gRPC over HTTP/2, "Length-Prefixed-Message"), so it is enough to follow the prefixes while the
//! bytes pass through.
//!
//! Each message reserves memory for the bytes that have arrived, in steps, out of the bytes that may be in
//! flight ([`crate::admission`]). Until the call's answer begins, the reservation is kept, and a message that
//! finds no memory fails the call with `RESOURCE_EXHAUSTED`. After that the call is a stream: it waits for
//! memory, which holds the sender back by flow control. The work that a message starts takes over its
//! reservation ([`Call::enter`]); the rest is released when the stream is read further.
//!
//! A message that arrives more slowly than the minimum rate ends its call with `DEADLINE_EXCEEDED`, so that
//! no call holds its reservation for ever.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::admission::budget::HeldBytes;
use crate::call::handle::{Call, Reserved};
use crate::call::methods::HasOneMessage;
use crate::call::pace::{Pace, PaceLimits, TooSlow};
use crate::config::ServingConfig;
use crate::refusal_log::{Reason, RefusalLog};

/// Limits the messages of each call.
#[derive(Debug, Clone)]
pub(crate) struct MessageLimitLayer {
    bytes_max: usize,
    pace: PaceLimits,
    /// The longest time that a stream waits for memory.
    room_within: Duration,
    refusals: RefusalLog,
}

impl MessageLimitLayer {
    pub(crate) fn new(bytes_max: usize, config: &ServingConfig, refusals: RefusalLog) -> Self {
        Self { bytes_max, pace: PaceLimits::new(config), room_within: config.deadline_max(), refusals }
    }
}

impl<S> Layer<S> for MessageLimitLayer {
    type Service = MessageLimit<S>;

    fn layer(&self, inner: S) -> MessageLimit<S> {
        MessageLimit { inner, limits: self.clone() }
    }
}

/// The service of [`MessageLimitLayer`].
#[derive(Debug, Clone)]
pub(crate) struct MessageLimit<S> {
    inner: S,
    limits: MessageLimitLayer,
}

impl<S> Service<Request<Body>> for MessageLimit<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let prefixes = Prefixes::new(self.limits.bytes_max);
        let call = request.extensions().get::<Call>().cloned().unwrap_or_default();
        let has_one_message = request.extensions().get() == Some(&HasOneMessage(true));
        let body = |body| LimitedBody {
            body,
            prefixes,
            pace: Pace::new(self.limits.pace),
            room_within: self.limits.room_within,
            refusals: self.limits.refusals.clone(),
            call,
            has_one_message,
            has_begun: false,
            arrival: Arrival::default(),
            wrong_end: None,
            rest: None,
            waiting: None,
        };
        self.inner.call(request.map(|inner| Body::new(body(inner))))
    }
}

/// The step in which memory is reserved, in bytes; or an eighth of what has arrived, if larger. Steps keep
/// frames from asking one by one.
const STEP_BYTES: usize = 64 << 10;

/// The bytes of the messages that a call keeps.
#[derive(Debug, Default)]
struct Arrival {
    /// The sum of the lengths in the messages' prefixes.
    announced: usize,
    arrived: usize,
    /// The number of bytes for which memory is reserved.
    reserved: usize,
}

impl Arrival {
    /// Returns how many more bytes have to be reserved, or `None` if what has arrived is reserved.
    fn wanted(&self) -> Option<usize> {
        let lacking = self.arrived.checked_sub(self.reserved).filter(|lacking| *lacking > 0)?;
        let step = STEP_BYTES.max(self.arrived / 8);
        Some(lacking.max(step).min(self.announced - self.reserved))
    }
}

type Waiting = Pin<Box<dyn Future<Output = Result<HeldBytes, Status>> + Send>>;

struct LimitedBody {
    body: Body,
    prefixes: Prefixes,
    pace: Pace,
    room_within: Duration,
    refusals: RefusalLog,
    call: Call,
    /// The request is known to be a single message: it is neither a stream nor of an unknown method.
    has_one_message: bool,
    /// Whether any byte of a message has arrived.
    has_begun: bool,
    arrival: Arrival,
    /// The error of a body that must not end where it did. It is returned at the next poll.
    wrong_end: Option<Status>,
    /// Bytes that arrived in the same frame behind the end of a message. The reader gets that message before
    /// memory has to be reserved for the next.
    rest: Option<Bytes>,
    /// A frame of a stream that waits for memory.
    waiting: Option<(Waiting, Frame<Bytes>)>,
}

type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

impl LimitedBody {
    /// Polls for the next frame, and counts the time that the sender took.
    fn poll_inner(&mut self, context: &mut Context<'_>) -> Polled {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_pending() {
            self.pace.pause();
        } else if let Some(took) = self.pace.resume() {
            self.call.waited(took);
        }
        polled
    }

    /// Ready when the sender has taken too long. A stream may be silent between its messages.
    fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        if !self.has_one_message && self.prefixes.between_messages() {
            return Poll::Pending;
        }
        let too_slow = ready!(self.pace.poll_too_slow(context));
        Poll::Ready(self.end_slow(too_slow))
    }

    fn end_slow(&self, too_slow: TooSlow) -> Status {
        let TooSlow { arrived, waited, bytes_per_second_min: rate_min } = too_slow;
        let seconds = waited.as_secs_f64();
        self.call.end_slow();
        self.refusals.add(self.call.caller().address, Reason::Slow { arrived, seconds, rate_min });
        Status::deadline_exceeded(format!(
            "the message did not arrive: {arrived} bytes in {seconds:.1} seconds; the lowest rate is {rate_min} bytes/s"
        ))
    }

    /// Checks that a body may end here.
    fn check_end(&self) -> Result<(), Status> {
        if !self.prefixes.between_messages() {
            Err(Status::invalid_argument("the call ends within its message"))
        } else if self.has_one_message && !self.has_begun {
            Err(Status::invalid_argument("the call has no message"))
        } else {
            Ok(())
        }
    }

    fn poll_room(&mut self, context: &mut Context<'_>) -> Polled {
        let Some((room, _)) = &mut self.waiting else { return Poll::Ready(None) };
        let room = ready!(room.as_mut().poll(context));
        let frame = self.waiting.take().map(|(_, frame)| frame);
        match room {
            Ok(room) => {
                self.call.has_room(room);
                Poll::Ready(frame.map(Ok))
            }
            Err(refusal) => Poll::Ready(Some(Err(refusal))),
        }
    }
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let body = &mut *self;
        if let Some(wrong) = body.wrong_end.take() {
            return Poll::Ready(Some(Err(wrong)));
        }
        if body.waiting.is_some() {
            return body.poll_room(context);
        }
        // All bytes so far have been read: the reader asks for more.
        if body.prefixes.between_messages() && body.call.read_on() {
            body.arrival = Arrival::default();
        }
        let frame = match body.rest.take() {
            Some(rest) => Frame::data(rest),
            None => match body.poll_inner(context) {
                Poll::Pending => {
                    let too_slow = ready!(body.poll_too_slow(context));
                    return Poll::Ready(Some(Err(too_slow)));
                }
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(ended) => {
                    body.call.arrive();
                    let wrong = match ended {
                        None => body.check_end().err(),
                        failed => failed.and_then(Result::err),
                    };
                    if wrong.is_none() {
                        return Poll::Ready(None);
                    }
                    // If the call was withdrawn, it is dropped after this poll, and its wrong end is not
                    // reported.
                    body.wrong_end = wrong;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            },
        };
        let frame = match frame.into_data() {
            Ok(mut data) => {
                if let Some(end) = body.prefixes.end_in(&data) {
                    body.rest = Some(data.split_off(end));
                }
                Frame::data(data)
            }
            Err(frame) => return Poll::Ready(Some(Ok(frame))),
        };
        let Some(data) = frame.data_ref() else { return Poll::Ready(Some(Ok(frame))) };
        body.has_begun |= !data.is_empty();
        let is_another = body.prefixes.between_messages();
        let Passed { begun, arrived } = match body.prefixes.follow(data) {
            Ok(passed) => passed,
            Err(refusal) => return Poll::Ready(Some(Err(refusal))),
        };
        if is_another && !body.has_one_message {
            body.pace.restart();
        }
        body.pace.arrive(data.len());
        body.arrival.announced += begun;
        body.arrival.arrived += arrived;
        if begun > 0 {
            body.call.grow(begun);
        }
        if begun > STEP_BYTES
            && let Err(refusal) = body.call.announce(begun)
        {
            return Poll::Ready(Some(Err(refusal)));
        }
        if let Some(wanted) = body.arrival.wanted() {
            body.arrival.reserved += wanted;
            match body.call.reserve(wanted) {
                Ok(Reserved::Now) => {}
                Ok(Reserved::Waits(room)) => {
                    body.waiting = Some((Box::pin(room.wait(body.room_within)), frame));
                    return body.poll_room(context);
                }
                Err(refusal) => return Poll::Ready(Some(Err(refusal))),
            }
        }
        if body.prefixes.between_messages() {
            body.call.arrive();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        // A body without its message has to be read, so that it is refused.
        let lacks_message = self.has_one_message && !self.has_begun;
        !lacks_message && self.waiting.is_none() && self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The bytes before each message: a flag, and the length.
pub(crate) const PREFIX_LEN: usize = 5;

/// Follows the length prefixes of a body, however its bytes are cut into frames.
#[derive(Debug)]
struct Prefixes {
    bytes_max: usize,
    prefix: [u8; PREFIX_LEN],
    prefix_len: usize,
    payload_left: usize,
}

impl Prefixes {
    const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, prefix: [0; PREFIX_LEN], prefix_len: 0, payload_left: 0 }
    }

    const fn between_messages(&self) -> bool {
        self.prefix_len == 0 && self.payload_left == 0
    }

    /// Returns where in `data` the current message ends, if more bytes follow it there.
    const fn end_in(&self, data: &[u8]) -> Option<usize> {
        if self.payload_left > 0 && self.payload_left < data.len() { Some(self.payload_left) } else { None }
    }

    /// Follows the prefixes in `data`. `INVALID_ARGUMENT` if one announces more than `bytes_max`.
    fn follow(&mut self, mut data: &[u8]) -> Result<Passed, Status> {
        let (mut begun, mut arrived) = (0_usize, 0_usize);
        while !data.is_empty() {
            if self.payload_left > 0 {
                let passed = self.payload_left.min(data.len());
                self.payload_left -= passed;
                arrived += passed;
                data = &data[passed..];
                continue;
            }
            let taken = (PREFIX_LEN - self.prefix_len).min(data.len());
            self.prefix[self.prefix_len..self.prefix_len + taken].copy_from_slice(&data[..taken]);
            self.prefix_len += taken;
            data = &data[taken..];
            if self.prefix_len == PREFIX_LEN {
                let [_, length @ ..] = self.prefix;
                let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                if length > self.bytes_max {
                    return Err(Status::invalid_argument(format!(
                        "the message has {length} bytes; at most {} are accepted: send less in one message",
                        self.bytes_max
                    )));
                }
                (self.prefix_len, self.payload_left) = (0, length);
                begun = begun.saturating_add(length);
            }
        }
        Ok(Passed { begun, arrived })
    }
}

/// The parts of messages in some bytes of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Passed {
    /// The sum of the lengths of the messages that began.
    begun: usize,
    /// The number of bytes of payloads.
    arrived: usize,
}

impl Drop for LimitedBody {
    fn drop(&mut self) {
        // Releases what a stream has reserved and no work has taken over.
        self.call.read_on();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend(u32::try_from(length).unwrap().to_be_bytes());
        bytes.resize(PREFIX_LEN + length, 7);
        bytes
    }

    fn check(messages: &[usize], frame_len: usize, accepted: bool) {
        let body: Vec<u8> = messages.iter().flat_map(|&length| message(length)).collect();
        let mut prefixes = Prefixes::new(10);
        let followed = body.chunks(frame_len).try_fold(Passed::default(), |sum, frame| {
            let Passed { begun, arrived } = prefixes.follow(frame)?;
            let sum = Passed { begun: sum.begun + begun, arrived: sum.arrived + arrived };
            assert!(sum.arrived <= sum.begun);
            Ok::<_, Status>(sum)
        });
        let all = messages.iter().sum();
        assert_eq!(
            followed.ok(),
            accepted.then_some(Passed { begun: all, arrived: all }),
            "{messages:?} in frames of {frame_len}"
        );
    }

    #[test]
    fn every_message_of_a_body_is_measured_however_it_is_framed() {
        for frame_len in 1..=40 {
            check(&[10, 0, 10, 1], frame_len, true);
            check(&[10, 0, 11], frame_len, false);
            check(&[11], frame_len, false);
        }
    }

    #[test]
    fn the_refusal_names_the_limit() {
        let refusal = Prefixes::new(10).follow(&message(11)).unwrap_err();
        assert_eq!(refusal.code(), tonic::Code::InvalidArgument);
        assert!(refusal.message().contains("11 bytes; at most 10"), "{}", refusal.message());
    }
}
