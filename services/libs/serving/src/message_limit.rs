//! Refuses an oversized message by its length prefix, before its bytes arrive.
//!
//! tonic's own limit answers `OUT_OF_RANGE`, which in this project means an old feed cursor. A message that is too
//! large is a wrong argument: the caller gets `INVALID_ARGUMENT` and the limit. A gRPC body is a run of messages,
//! each behind five bytes: a compression flag and the length (gRPC over HTTP/2, "Length-Prefixed-Message"), so it is
//! enough to follow the prefixes while the bytes pass through.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// See the module.
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

/// See the module.
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
        self.inner.call(request.map(|body| Body::new(LimitedBody { body, prefixes })))
    }
}

#[derive(Debug)]
struct LimitedBody {
    body: Body,
    prefixes: Prefixes,
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && let Err(refusal) = self.prefixes.follow(data)
        {
            return Poll::Ready(Some(Err(refusal)));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
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

    fn follow(&mut self, mut data: &[u8]) -> Result<(), Status> {
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
            }
        }
        Ok(())
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
        let followed = body.chunks(frame_len).try_for_each(|frame| prefixes.follow(frame));
        assert_eq!(followed.is_ok(), accepted, "{messages:?} in frames of {frame_len}");
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
