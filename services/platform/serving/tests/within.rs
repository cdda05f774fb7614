//! A server that the rest of its process calls as a function: the rules for calls over connections hold for
//! these too.

#![expect(clippy::unwrap_used, reason = "it is a test")]

mod blobs;
mod server;

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use tonic::body::Body;
use tonic::{Code, Status};
use vigie_serving::{Concurrency, ServingConfig};

use blobs::{Blob, BlobClient, PUT};
use server::{MESSAGE_BYTES_MAX, Server, blob, until};

/// Calls `Put` as a function, up to the end of its answer.
fn call(server: &Server, blob: &Blob) -> impl Future<Output = Code> + Send + use<> {
    let there = server.local.at(&format!("http://{}", server.address)).expect("the server is not there");
    let message = blob.encode_to_vec();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let request = http::Request::post(PUT).header("content-type", "application/grpc");
    let request = request.body(Body::new(Full::from(body).map_err(|never| match never {}))).unwrap();
    async move {
        let (head, body) = there.call(request).await.into_parts();
        let body = body.collect().await.unwrap();
        let status = body.trailers().and_then(Status::from_header_map);
        status.or(Status::from_header_map(&head.headers)).unwrap().code()
    }
}

fn config() -> ServingConfig {
    let config = ServingConfig { calls_in_flight_max: 1, ..ServingConfig::default().without_lame_duck() };
    ServingConfig { concurrency: Concurrency::Fixed(1), drain_ms_max: 60_000, ..config }
}

#[tokio::test]
async fn the_limits_of_the_server_hold_and_no_connection_is_made() {
    let server = Server::start(config()).await;
    until("a server within", || server.local.at(&format!("http://{}", server.address)).is_some()).await;
    let waiting = tokio::spawn(call(&server, &blob(1)));
    until("a call in flight", || server.load.in_flight() == 1).await;
    // There is one slot for all calls, whether they use a connection or not.
    assert_eq!(call(&server, &blob(1)).await, Code::ResourceExhausted);
    assert_eq!(server.load.connections(), 0);
    let refused = BlobClient::new(server.channel().await).put(blob(1)).await.unwrap_err();
    assert_eq!((refused.code(), server.load.refused().full), (Code::ResourceExhausted, 2));
    server.gate.add_permits(1);
    assert_eq!(waiting.await.unwrap(), Code::Ok);
    assert_eq!(call(&server, &blob(MESSAGE_BYTES_MAX + 1)).await, Code::InvalidArgument);
    assert_eq!(server.load.in_flight(), 0);
    // A caller that goes gives its slot back.
    let left = tokio::spawn(call(&server, &blob(1)));
    until("a call in flight", || server.load.in_flight() == 1).await;
    left.abort();
    until("no call in flight", || server.load.in_flight() == 0).await;
}

#[tokio::test]
async fn a_server_that_drains_answers_what_it_has_and_is_found_no_more() {
    let server = Server::start(config()).await;
    let endpoint = format!("http://{}", server.address);
    until("a server within", || server.local.at(&endpoint).is_some()).await;
    let waiting = tokio::spawn(call(&server, &blob(1)));
    until("a call in flight", || server.load.in_flight() == 1).await;
    server.shutdown.cancel();
    until("no server within", || server.local.at(&endpoint).is_none()).await;
    server.gate.add_permits(1);
    assert_eq!(waiting.await.unwrap(), Code::Ok);
    server.ends_within(Duration::from_secs(2)).await;
}
