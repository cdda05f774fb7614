//! A gRPC lookup on an HTTP/2 connection, with as little overhead as possible.
//!
//! `tonic`'s client supports every method, codec, compression and interceptor, and every lookup pays for
//! them. This client sends and reads the same protocol: one message in each direction, and a status.

use std::time::Duration;

use anyhow::Context as _;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use prost::Message;
use tonic::body::Body;
use tonic::{Code, Status};
use vigie_proto::pb::matching::v1 as pb;

use crate::run::target::wire::Wire;

/// The path of the lookup method, as in the generated client.
const MATCH: &str = "/vigie.matching.v1.MatchService/Match";
/// Length of the frame header before each message: a compression flag and the message's length.
const FRAME: usize = 5;
/// The size limit of an answer in bytes, the same as in Vigie's own client.
pub(super) const ANSWER_BYTES_MAX: usize = 128 << 20;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The parts of a request that all lookups of a connection share.
#[derive(Debug, Clone)]
pub(super) struct Lookups {
    uri: Uri,
    headers: HeaderMap,
}

impl Lookups {
    pub(super) fn new(endpoint: &Uri) -> anyhow::Result<Self> {
        let mut parts = endpoint.clone().into_parts();
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static(MATCH));
        let mut headers = HeaderMap::with_capacity(3);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        Ok(Self { uri: Uri::from_parts(parts).context("no endpoint of a method")?, headers })
    }

    /// Sends a message that [`framed`] has made, and waits for the answer.
    pub(super) async fn ask(
        &self,
        wire: &Wire,
        message: Bytes,
        within: Duration,
    ) -> Result<pb::MatchResponse, Status> {
        let mut request = Request::new(Body::new(Full::new(message)));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(&self.uri);
        request.headers_mut().clone_from(&self.headers);
        request.headers_mut().insert(GRPC_TIMEOUT, timeout(within));
        let (head, mut body) = wire.send(request).await?.into_parts();
        if head.status != StatusCode::OK {
            return Err(Status::unavailable(format!("HTTP status {}", head.status)));
        }
        check(&head.headers)?;
        let (mut message, mut complete) = (Bytes::new(), false);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Status::unavailable(error.to_string()))?;
            match frame.into_data() {
                Ok(data) if message.is_empty() => message = data,
                Ok(data) => {
                    if message.len() + data.len() > ANSWER_BYTES_MAX {
                        return Err(Status::internal("the answer is too large"));
                    }
                    let mut whole = message.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
                    whole.extend_from_slice(&data);
                    message = whole.freeze();
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    check(&trailers)?;
                    complete |= trailers.contains_key(GRPC_STATUS);
                }
            }
        }
        if !complete {
            return Err(Status::unavailable("the answer broke off"));
        }
        unframed(message)
    }
}

/// Fails if the headers contain a status other than success.
fn check(headers: &HeaderMap) -> Result<(), Status> {
    match headers.get(GRPC_STATUS) {
        None => Ok(()),
        Some(status) if status == "0" => Ok(()),
        Some(_) => Err(Status::from_header_map(headers).unwrap_or_else(|| Status::unknown("no status"))),
    }
}

/// Returns a message in gRPC's frame, followed by `more`: further encoded fields of the same message.
/// Protobuf allows fields in any order.
pub(super) fn framed(message: &impl Message, more: &[u8]) -> Bytes {
    let length = message.encoded_len() + more.len();
    let mut framed = BytesMut::with_capacity(FRAME + length);
    framed.put_u8(0);
    // A longer message is over the size limit and would be refused.
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut framed);
    framed.put_slice(more);
    framed.freeze()
}

fn unframed(mut message: Bytes) -> Result<pb::MatchResponse, Status> {
    if message.len() < FRAME {
        return Err(Status::internal("the answer holds no message"));
    }
    let (compressed, length) = (message.get_u8(), message.get_u32());
    if compressed != 0 || length as usize != message.len() {
        return Err(Status::internal("the answer is not one plain message"));
    }
    pb::MatchResponse::decode(message).map_err(|_| Status::new(Code::Internal, "the answer cannot be read"))
}

/// Returns the timeout in gRPC's format: at most eight digits and a unit.
fn timeout(within: Duration) -> HeaderValue {
    const DIGITS: u128 = 100_000_000;
    let (micros, millis) = (within.as_micros(), within.as_millis());
    let text = if micros < DIGITS { format!("{micros}u") } else { format!("{}m", millis.min(DIGITS - 1)) };
    let mut value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("0u"));
    // The values hardly ever repeat, so the connection's header table should not store them.
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_and_more_of_it_are_one_message() {
        let query = pb::MatchQuery { content: Some(pb::match_query::Content::Image(vec![1, 2, 3].into())) };
        let whole = pb::MatchRequest {
            queries: vec![query.clone()],
            options: None,
            quality_floor: Some(7),
            ..Default::default()
        };
        let more = pb::MatchRequest { quality_floor: Some(7), ..pb::MatchRequest::default() }.encode_to_vec();
        let queries = pb::MatchRequest { queries: vec![query], ..pb::MatchRequest::default() };
        let mut framed = framed(&queries, &more);
        assert_eq!((framed.get_u8(), framed.get_u32() as usize), (0, framed.len()));
        assert_eq!(pb::MatchRequest::decode(framed).unwrap(), whole);
    }

    #[test]
    fn what_is_not_one_message_is_refused() {
        let answer = pb::MatchResponse { sequence: 9, ..pb::MatchResponse::default() };
        let whole = framed(&answer, &[]);
        assert_eq!(unframed(whole.clone()).unwrap(), answer);
        for wrong in [
            Bytes::new(),
            whole.slice(..3),
            whole.slice(..whole.len() - 1),
            Bytes::from_static(b"\x01\0\0\0\0"),
        ] {
            assert_eq!(unframed(wrong).unwrap_err().code(), Code::Internal);
        }
    }

    #[test]
    fn timeouts_have_at_most_eight_digits() {
        for (within, text) in [
            (Duration::from_micros(1_500), "1500u"),
            (Duration::from_secs(120), "120000m"),
            (Duration::ZERO, "0u"),
        ] {
            assert_eq!(timeout(within).to_str().unwrap(), text);
        }
    }

    #[test]
    fn a_status_is_read_with_its_details() {
        let mut headers = HeaderMap::new();
        assert!(check(&headers).is_ok());
        headers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
        assert!(check(&headers).is_ok());
        headers.insert(GRPC_STATUS, HeaderValue::from_static("14"));
        headers.insert("grpc-message", HeaderValue::from_static("too%20few"));
        let status = check(&headers).unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "too few"));
    }
}
