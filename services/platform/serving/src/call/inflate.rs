//! Inflates the messages of a call that are compressed with gzip (gRPC over HTTP/2, "Compressed-Message"):
//! all layers behind this one see messages as their senders wrote them.
//!
//! tonic can inflate too, but it bounds only the size of each message, with its own code, and does not count
//! the result among the bytes in flight: some kilobytes would become many megabytes outside any budget. Here
//! an inflated message is bounded as any other is ([`crate::call::message_limit`]): it is at most as large as
//! an uncompressed one may be, and its memory is reserved in steps while it grows. This layer is behind that
//! one, which bounds the compressed bytes.
//!
//! Answers are not compressed. Measured with zlib at level 6: the answer to one query has 70 to 116 bytes and
//! grows to 78 to 124, which takes 25 us, more than its lookup; the answer to 256 queries shrinks from 22.5
//! to 3.8 kB in 350 us.

use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::buf::Reader;
use bytes::{Buf as _, Bytes, BytesMut};
use flate2::bufread::GzDecoder;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::admission::budget::HeldBytes;
use crate::call::answered::Answered;
use crate::call::handle::{Call, Reserved};
use crate::call::message_limit::PREFIX_LEN;
use crate::config::ServingConfig;

const ENCODING: &str = "grpc-encoding";
const ACCEPTED: &str = "grpc-accept-encoding";

/// The step in which a message is inflated and its memory reserved, in bytes; or an eighth of its size so
/// far, if larger.
const STEP_BYTES: usize = 16 << 10;
/// The bytes after which the task yields to the other calls of its thread: half a millisecond or less.
const TURN_BYTES: usize = 256 << 10;

/// Inflates the messages of each call.
#[derive(Debug, Clone)]
pub(crate) struct InflateLayer {
    bytes_max: usize,
    /// The longest time that a stream waits for memory.
    room_within: Duration,
}

impl InflateLayer {
    pub(crate) fn new(bytes_max: usize, config: &ServingConfig) -> Self {
        Self { bytes_max, room_within: config.deadline_max() }
    }
}

impl<S> Layer<S> for InflateLayer {
    type Service = Inflate<S>;

    fn layer(&self, inner: S) -> Inflate<S> {
        Inflate { inner, limits: self.clone() }
    }
}

/// The service of [`InflateLayer`].
#[derive(Debug, Clone)]
pub(crate) struct Inflate<S> {
    inner: S,
    limits: InflateLayer,
}

impl<S> Service<Request<Body>> for Inflate<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Answered<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let request = match is_gzip(request.headers()) {
            Ok(false) => request,
            Ok(true) => {
                // The layers behind see no compressed message.
                request.headers_mut().remove(ENCODING);
                let call = request.extensions().get::<Call>().cloned().unwrap_or_default();
                let limits = self.limits.clone();
                request.map(|body| Body::new(InflatedBody::new(body, call, limits)))
            }
            Err(status) => return Answered::Here { status },
        };
        Answered::Passed { call: self.inner.call(request) }
    }
}

/// Returns whether messages may be compressed with gzip. `UNIMPLEMENTED` for any other compression.
fn is_gzip(headers: &HeaderMap) -> Result<bool, Status> {
    match headers.get(ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip") => Ok(true),
        Some(_) => {
            let mut status = Status::unimplemented("gzip is the only supported compression of messages");
            let accepted = tonic::metadata::MetadataValue::from_static("gzip,identity");
            status.metadata_mut().insert(ACCEPTED, accepted);
            Err(status)
        }
    }
}

/// A body whose messages may be compressed, as a body of uncompressed messages.
struct InflatedBody {
    body: Body,
    call: Call,
    limits: InflateLayer,
    /// Received bytes that have not been passed on: part of a prefix, or part of a compressed message.
    pending: BytesMut,
    /// The number of bytes of an uncompressed message that are still to be passed on as they arrive.
    passing: usize,
    inflating: Option<Inflating>,
    /// Whether the body has ended or failed.
    ended: bool,
}

type Room = Pin<Box<dyn Future<Output = Result<HeldBytes, Status>> + Send>>;

/// A compressed message that has arrived.
struct Inflating {
    decoder: GzDecoder<Reader<Bytes>>,
    /// The inflated bytes so far, behind a prefix that is written last.
    message: BytesMut,
    /// The number of inflated bytes for which memory is reserved.
    reserved: usize,
    waiting: Option<Room>,
}

impl InflatedBody {
    fn new(body: Body, call: Call, limits: InflateLayer) -> Self {
        Self { body, call, limits, pending: BytesMut::new(), passing: 0, inflating: None, ended: false }
    }

    /// Returns the next part of the received bytes that can be passed on, or `None` if more bytes have to
    /// arrive first.
    fn next_part(&mut self) -> Option<Bytes> {
        if self.passing == 0 {
            let (prefix, _) = self.pending.split_first_chunk::<PREFIX_LEN>()?;
            let [flag, length @ ..] = *prefix;
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if flag == 1 {
                if self.pending.len() - PREFIX_LEN < length {
                    return None;
                }
                self.pending.advance(PREFIX_LEN);
                self.inflating = Some(Inflating::new(self.pending.split_to(length).freeze()));
                return None;
            }
            self.passing = PREFIX_LEN.saturating_add(length);
        }
        let part = self.pending.split_to(self.passing.min(self.pending.len()));
        self.passing -= part.len();
        Some(part.freeze()).filter(|part| !part.is_empty())
    }
}

impl Inflating {
    fn new(compressed: Bytes) -> Self {
        let mut message = BytesMut::new();
        message.resize(PREFIX_LEN, 0);
        let decoder = GzDecoder::new(compressed.reader());
        Self { decoder, message, reserved: 0, waiting: None }
    }

    fn poll(
        &mut self,
        call: &Call,
        limits: &InflateLayer,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Status>> {
        let mut turn = 0;
        loop {
            if let Some(room) = &mut self.waiting {
                let room = ready!(room.as_mut().poll(context));
                self.waiting = None;
                call.has_room(room?);
            }
            let inflated = self.message.len() - PREFIX_LEN;
            if inflated == self.reserved && inflated < limits.bytes_max {
                let step = STEP_BYTES.max(inflated / 8).min(limits.bytes_max - inflated);
                self.reserved += step;
                if let Reserved::Waits(room) = call.reserve(step)? {
                    self.waiting = Some(Box::pin(room.wait(limits.room_within)));
                    continue;
                }
            }
            if turn >= TURN_BYTES {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let read = self.read()?;
            turn += read;
            if read == 0 {
                call.grow(inflated);
                return Poll::Ready(self.write_prefix());
            }
            if inflated + read > limits.bytes_max {
                return Poll::Ready(Err(Status::invalid_argument(format!(
                    "the compressed message inflates to more than the limit of {} bytes: send less in one message",
                    limits.bytes_max
                ))));
            }
        }
    }

    /// Inflates up to the reserved size, or one byte more of a message that already has its largest size.
    /// Returns the number of bytes; 0 at the end.
    fn read(&mut self) -> Result<usize, Status> {
        let begin = self.message.len();
        let room = (self.reserved + PREFIX_LEN - begin).clamp(1, STEP_BYTES);
        self.message.resize(begin + room, 0);
        let read = self.decoder.read(&mut self.message[begin..]);
        self.message.truncate(begin + read.as_ref().map_or(0, |read| *read));
        read.map_err(|error| {
            Status::invalid_argument(format!("the message is not compressed with gzip: {error}"))
        })
    }

    fn write_prefix(&mut self) -> Result<(), Status> {
        let length = u32::try_from(self.message.len() - PREFIX_LEN);
        let length = length.map_err(|_| Status::invalid_argument("the message has more than 4 GiB"))?;
        self.message[1..PREFIX_LEN].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

impl http_body::Body for InflatedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let body = &mut *self;
        loop {
            if let Some(inflating) = &mut body.inflating {
                let inflated = ready!(inflating.poll(&body.call, &body.limits, context));
                let message = body.inflating.take().map(|inflating| inflating.message.freeze());
                body.ended |= inflated.is_err();
                return Poll::Ready(message.map(|message| inflated.map(|()| Frame::data(message))));
            }
            if let Some(part) = body.next_part() {
                return Poll::Ready(Some(Ok(Frame::data(part))));
            }
            if body.inflating.is_some() {
                continue;
            }
            if body.ended {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut body.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => body.pending.extend_from_slice(&data),
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                ended => {
                    body.ended = true;
                    // The rest is part of a message, which the layer before this one has already refused.
                    return Poll::Ready(ended);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

    const BYTES_MAX: usize = 100_000;

    fn framed(flag: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![flag];
        bytes.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    fn gzip(payload: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(payload).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(sent: &[u8], frame_len: usize) -> Result<Vec<u8>, Status> {
        let frames: Vec<_> = sent
            .chunks(frame_len)
            .map(|part| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(part))))
            .collect();
        let body = Body::new(StreamBody::new(tokio_stream::iter(frames)));
        let limits = InflateLayer { bytes_max: BYTES_MAX, room_within: Duration::ZERO };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let inflated = runtime.block_on(InflatedBody::new(body, Call::default(), limits).collect());
        inflated.map(|all| all.to_bytes().to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_is_compressed_arrives_as_it_was(
            messages in prop::collection::vec((any::<bool>(), any::<u8>(), 0..BYTES_MAX), 0..6),
            frame_len in 1..70_000_usize,
        ) {
            let (mut sent, mut expected) = (Vec::new(), Vec::new());
            for (is_compressed, byte, length) in messages {
                let payload: Vec<u8> = (0..length).map(|at| byte.wrapping_mul(at.to_le_bytes()[at % 2])).collect();
                let compressed = if is_compressed { framed(1, &gzip(&payload)) } else { framed(0, &payload) };
                sent.extend(compressed);
                expected.extend(framed(0, &payload));
            }
            prop_assert!(inflate(&sent, frame_len).unwrap() == expected);
        }

        #[test]
        fn damaged_bytes_are_refused_or_read_but_never_grow_too_large(
            at in any::<prop::sample::Index>(), byte in any::<u8>(), length in 0..BYTES_MAX,
        ) {
            let mut compressed = gzip(&vec![7; length]);
            let at = at.index(compressed.len());
            compressed[at] = byte;
            match inflate(&framed(1, &compressed), 1_000) {
                Ok(message) => prop_assert!(message.len() <= BYTES_MAX + PREFIX_LEN),
                Err(refused) => prop_assert_eq!(refused.code(), Code::InvalidArgument),
            }
        }
    }

    #[test]
    fn a_message_of_the_largest_size_is_inflated_and_one_byte_more_is_refused() {
        let largest = framed(1, &gzip(&vec![0; BYTES_MAX]));
        assert!(largest.len() < 1_000);
        assert_eq!(inflate(&largest, 100).unwrap().len(), PREFIX_LEN + BYTES_MAX);
        for too_large in [BYTES_MAX + 1, 50_000_000] {
            let refused = inflate(&framed(1, &gzip(&vec![0; too_large])), 100).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().contains("100000 bytes"), "{}", refused.message());
        }
    }
}
