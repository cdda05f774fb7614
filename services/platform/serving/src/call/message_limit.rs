//! Refuses what has no room by its length prefix, before its bytes arrive: a message that is too large, and one more
//! than the server has memory for.
//!
//! tonic's own limit answers `OUT_OF_RANGE`, which in this project means an old feed cursor. A message that is too
//! large is a wrong argument: the caller gets `INVALID_ARGUMENT` and the limit. A gRPC body is a run of messages,
//! each behind five bytes: a compression flag and the length (gRPC over HTTP/2, "Length-Prefixed-Message"), so it is
//! enough to follow the prefixes while the bytes pass through.
//!
//! Each message reserves its length of the bytes that may be in flight. Until the call's answer begins, what it has
//! reserved is kept, and a message that finds no room fails it with `RESOURCE_EXHAUSTED`. After that the call is a
//! stream: its next message waits for room, which holds the sender back by flow control. The work that comes of it takes
//! that room over ([`Call::enter`]); what is not taken over is given back when the stream is read on.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::admission::slots;
use crate::call::handle::Call;
use crate::call::methods::HasOneMessage;

/// Limits the messages of each call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageLimitLayer {
    bytes_max: usize,
}

impl MessageLimitLayer {
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self { bytes_max }
    }
}

impl<S> Layer<S> for MessageLimitLayer {
    type Service = MessageLimit<S>;

    fn layer(&self, inner: S) -> MessageLimit<S> {
        MessageLimit { inner, bytes_max: self.bytes_max }
    }
}

/// The service of [`MessageLimitLayer`].
#[derive(Debug, Clone)]
pub(crate) struct MessageLimit<S> {
    inner: S,
    bytes_max: usize,
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
        let prefixes = Prefixes::new(self.bytes_max);
        let call = request.extensions().get::<Call>().cloned().unwrap_or_default();
        let has_one_message = request.extensions().get() == Some(&HasOneMessage(true));
        let body = |body| LimitedBody {
            body,
            prefixes,
            call,
            has_one_message,
            has_begun: false,
            wrong_end: None,
            pending_since: None,
            rest: None,
            waiting: None,
        };
        self.inner.call(request.map(|inner| Body::new(body(inner))))
    }
}

type Waiting = Pin<Box<dyn Future<Output = Result<slots::Bytes, Status>> + Send>>;

struct LimitedBody {
    body: Body,
    prefixes: Prefixes,
    call: Call,
    /// It is not the body of a stream, nor one of which nothing is known.
    has_one_message: bool,
    /// Something of a message has come.
    has_begun: bool,
    /// It has ended, and should not have; that is told when it is asked once more.
    wrong_end: Option<Status>,
    pending_since: Option<Instant>,
    /// What came in one frame with the end of a message: the reader gets that message before there has to be room for the
    /// next.
    rest: Option<Bytes>,
    /// A frame of a stream whose messages wait for room.
    waiting: Option<(Waiting, Frame<Bytes>)>,
}

type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

impl LimitedBody {
    /// The next frame, with the time that it took the sender.
    fn poll_inner(&mut self, context: &mut Context<'_>) -> Polled {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match (&polled, self.pending_since) {
            (Poll::Pending, None) => self.pending_since = Some(Instant::now()),
            (Poll::Ready(_), Some(since)) => {
                self.call.waited(since.elapsed());
                self.pending_since = None;
            }
            (Poll::Pending, Some(_)) | (Poll::Ready(_), None) => {}
        }
        polled
    }

    /// Whether a body may end here.
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
        // All that came so far has been read: the reader asks for more.
        if body.prefixes.between_messages() {
            body.call.read_on();
        }
        let frame = match body.rest.take() {
            Some(rest) => Frame::data(rest),
            None => match ready!(body.poll_inner(context)) {
                Some(Ok(frame)) => frame,
                ended => {
                    body.call.arrive();
                    let wrong = match ended {
                        None => body.check_end().err(),
                        failed => failed.and_then(Result::err),
                    };
                    if wrong.is_none() {
                        return Poll::Ready(None);
                    }
                    // A call that was withdrawn is dropped when this is left, before anything is made of its end.
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
        let begun = match body.prefixes.follow(data) {
            Ok(begun) => begun,
            Err(refusal) => return Poll::Ready(Some(Err(refusal))),
        };
        if begun > 0 {
            match (body.call.keep_room(begun), body.call.slots()) {
                (Ok(true), Some(slots)) => {
                    body.waiting = Some((Box::pin(slots.clone().wait_bytes(begun)), frame));
                    return body.poll_room(context);
                }
                (Ok(_), _) => {}
                (Err(refusal), _) => return Poll::Ready(Some(Err(refusal))),
            }
        }
        if body.prefixes.between_messages() {
            body.call.arrive();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        // Without its message it has to be read, to be refused.
        let lacks_message = self.has_one_message && !self.has_begun;
        !lacks_message && self.waiting.is_none() && self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

const PREFIX_LEN: usize = 5;

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

    /// Where the message that is being read ends in `data`, if others follow it there.
    const fn end_in(&self, data: &[u8]) -> Option<usize> {
        if self.payload_left > 0 && self.payload_left < data.len() { Some(self.payload_left) } else { None }
    }

    /// The bytes of the messages that begin in `data`.
    fn follow(&mut self, mut data: &[u8]) -> Result<usize, Status> {
        let mut begun = 0_usize;
        while !data.is_empty() {
            if self.payload_left > 0 {
                let passed = self.payload_left.min(data.len());
                self.payload_left -= passed;
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
        Ok(begun)
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
        let followed: Result<usize, _> = body.chunks(frame_len).map(|frame| prefixes.follow(frame)).sum();
        assert_eq!(
            followed.ok(),
            accepted.then(|| messages.iter().sum()),
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
