//! A service that does nothing, as fast as possible: it measures the generator's own ceiling.
//!
//! The service speaks gRPC and answers every `Match` of one question with "no match, all shards answered". It
//! does not read the request, so its processor time is that of HTTP/2 alone.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::net::TcpListener;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::model::v1::Coverage;

/// Serves on `listener` until the future is dropped.
pub(crate) async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    let answer = message()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer.clone();
            async move {
                // A broken request is reported to its sender only.
                let _ = request.into_body().collect().await;
                let mut response = Response::new(Reply { data: Some(answer), ended: false });
                response
                    .headers_mut()
                    .insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                Ok::<_, Infallible>(response)
            }
        });
        tokio::spawn(async move {
            let serving = http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(10_000)
                .serve_connection(TokioIo::new(stream), service);
            // A broken connection is reported to its client only.
            let _ = serving.await;
        });
    }
}

/// Returns the message of every answer, in gRPC's frame: not compressed, its length, its bytes.
fn message() -> anyhow::Result<Bytes> {
    let response = pb::MatchResponse {
        results: vec![pb::MatchResult {
            outcome: Some(pb::match_result::Outcome::Matched(pb::Matched::default())),
        }],
        coverage: Some(Coverage {
            shards_total: 1,
            shards_answered: 1,
            sequence_min: u64::MAX,
            sequence_max: u64::MAX,
            ..Coverage::default()
        }),
        sequence: u64::MAX,
        ..pb::MatchResponse::default()
    };
    let body = response.encode_to_vec();
    let mut framed = BytesMut::with_capacity(5 + body.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(body.len())?);
    framed.put_slice(&body);
    Ok(framed.freeze())
}

/// The body of an answer: one message, then trailers that report success.
struct Reply {
    data: Option<Bytes>,
    ended: bool,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        self.ended = true;
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.ended
    }
}
