//! A server on a real port: what its callers see when it is full, and when it ends.

#![expect(clippy::unwrap_used, reason = "it is a test")]

mod blobs;

use std::future::Future as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use vigie_serving::{Call, Load, Routes, ServeError, ServingConfig, Shutdown, serve};

use blobs::{Answers, Blob, BlobClient, BlobServer, Blobs};

const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Answers when it is let to.
struct Gated {
    gate: Arc<Semaphore>,
}

#[tonic::async_trait]
impl Blobs for Gated {
    async fn put(&self, _: Request<Blob>) -> Result<Response<Blob>, Status> {
        self.gate.acquire().await.map_err(|_| Status::internal("closed"))?.forget();
        Ok(Response::new(Blob::default()))
    }

    async fn put_all(&self, request: Request<Streaming<Blob>>) -> Result<Response<Answers>, Status> {
        let call = Call::of(&request);
        let gate = Arc::clone(&self.gate);
        let answers = request.into_inner().then(move |incoming| {
            let (call, gate) = (call.clone(), Arc::clone(&gate));
            async move {
                let Blob { number, content } = incoming?;
                // A request holds its content, or a little.
                let bytes = content.len().max(1_000);
                let work = call.enter(bytes, Instant::now() + Duration::from_secs(5)).await?;
                gate.acquire().await.map_err(|_| Status::internal("closed"))?.forget();
                work.end(&Ok(()));
                Ok(Blob { number, content: Default::default() })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

fn blob(bytes: usize) -> Blob {
    Blob { number: 0, content: vec![7; bytes].into() }
}

struct Server {
    address: SocketAddr,
    gate: Arc<Semaphore>,
    load: Load,
    shutdown: Shutdown,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    async fn start(config: ServingConfig) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let service = BlobServer::new(Gated { gate: Arc::clone(&gate) });
        let routes = Routes::new(blobs::reflection()).unwrap().with(service);
        routes.health().set(true).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, load) = (listener.local_addr().unwrap(), routes.load());
        let shutdown = Shutdown::new();
        let ended = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { serve(listener, routes, MESSAGE_BYTES_MAX, &config, shutdown).await }
        });
        Self { address, gate, load, shutdown, ended }
    }

    async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// A call that waits for the gate.
    async fn call(&self, bytes: usize) -> JoinHandle<Result<Response<Blob>, Status>> {
        let mut client = BlobClient::new(self.channel().await);
        tokio::spawn(async move { client.put(blob(bytes)).await })
    }

    async fn ends_within(self, time: Duration) {
        tokio::time::timeout(time, self.ended).await.expect("it takes too long").unwrap().unwrap();
    }
}

/// Waits for what comes about by itself.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_health_watcher_is_told_and_does_not_hold_the_drain_up() {
    let server = Server::start(ServingConfig::default().without_lame_duck()).await;
    let mut client = HealthClient::new(server.channel().await);
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = client.watch(request).await.unwrap().into_inner();
    let told = watch.next().await.unwrap().unwrap().status;
    assert_eq!(told, i32::from(ServingStatus::Serving));

    server.shutdown.cancel();
    let told = watch.next().await.unwrap().unwrap().status;
    assert_eq!(told, i32::from(ServingStatus::NotServing));
    assert_eq!(watch.next().await.unwrap().unwrap_err().code(), Code::Unavailable);
    server.ends_within(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn accepted_calls_are_answered_after_shutdown() {
    let server = Server::start(ServingConfig::default().without_lame_duck()).await;
    let call = server.call(1).await;
    until("a call in flight", || server.load.in_flight() == 1).await;
    server.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.gate.add_permits(1);
    call.await.unwrap().unwrap();
    server.ends_within(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_connection_on_which_nothing_is_said_is_closed_and_does_not_hold_the_drain_up() {
    let config = ServingConfig { drain_ms_max: 60_000, ..ServingConfig::default().without_lame_duck() };
    let server = Server::start(config).await;
    let mut spoken = HealthClient::new(server.channel().await);
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    until("two connections", || server.load.connections() == 2).await;
    let closed = tokio::time::timeout(Duration::from_secs(6), silent.read_to_end(&mut Vec::new())).await;
    let _either = closed.expect("it is not closed");
    // Who has spoken stays.
    spoken.check(HealthCheckRequest { service: String::new() }).await.unwrap();
    assert_eq!(server.load.connections(), 1);

    let _silent = TcpStream::connect(server.address).await.unwrap();
    until("two connections", || server.load.connections() == 2).await;
    server.shutdown.cancel();
    server.ends_within(Duration::from_secs(6)).await;
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut_off() {
    let server =
        Server::start(ServingConfig { drain_ms_max: 200, ..ServingConfig::default().without_lame_duck() })
            .await;
    let load = server.load.clone();
    let call = server.call(1).await;
    until("a call in flight", || load.in_flight() == 1).await;
    server.shutdown.cancel();
    server.ends_within(Duration::from_secs(2)).await;
    let ended = tokio::time::timeout(Duration::from_secs(2), call).await.expect("it hangs").unwrap();
    assert!(ended.is_err());
    until("nothing left", || (load.in_flight(), load.bytes(), load.connections()) == (0, 0, 0)).await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_as_it_comes() {
    let server =
        Server::start(ServingConfig { connections_max: 2, ..ServingConfig::default().without_lame_duck() })
            .await;
    let (_first, second) = (server.channel().await, server.channel().await);
    until("two connections", || server.load.connections() == 2).await;
    let mut third = TcpStream::connect(server.address).await.unwrap();
    let read = third.read(&mut [0; 1]).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert_eq!(server.load.refused().connections, 1);

    drop(second);
    until("one connection", || server.load.connections() == 1).await;
    let mut client = BlobClient::new(server.channel().await);
    client.ping().await.unwrap();
}

#[tokio::test]
async fn bodies_take_bounded_memory_and_a_caller_who_goes_gives_it_back() {
    let server = Server::start(ServingConfig {
        bytes_in_flight_max: 100_000,
        ..ServingConfig::default().without_lame_duck()
    })
    .await;
    let call = server.call(60_000).await;
    until("a body in flight", || server.load.bytes() > 60_000).await;
    let refused = server.call(60_000).await.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.get_details_retry_info().is_some(), "{refused:?}");
    assert_eq!(server.load.refused().bytes, 1);

    call.abort();
    until("room again", || (server.load.bytes(), server.load.in_flight()) == (0, 0)).await;
    server.gate.add_permits(1);
    server.call(60_000).await.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_full_server_refuses_at_once_and_answers_health_all_the_same() {
    let server = Server::start(ServingConfig {
        calls_in_flight_max: 1,
        ..ServingConfig::default().without_lame_duck()
    })
    .await;
    let call = server.call(1).await;
    until("a call in flight", || server.load.in_flight() == 1).await;
    let refused = server.call(1).await.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.get_details_retry_info().is_some(), "{refused:?}");
    let mut health = HealthClient::new(server.channel().await);
    health.check(HealthCheckRequest { service: String::new() }).await.unwrap();
    server.gate.add_permits(1);
    call.await.unwrap().unwrap();
}

/// Room for one message at a time: the work takes over what its message had, and waits for no more.
#[tokio::test]
async fn streams_of_large_messages_do_not_wait_for_each_other_with_room_in_their_hands() {
    let bytes_in_flight_max = 2_000;
    let server =
        Server::start(ServingConfig { bytes_in_flight_max, ..ServingConfig::default().without_lame_duck() })
            .await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let large = blob(MESSAGE_BYTES_MAX * 2 / 3);
        let requests = (0..3).map(move |number| Blob { number, ..large.clone() });
        let mut client = BlobClient::new(server.channel().await);
        streams.push(tokio::spawn(async move {
            let answers = client.put_all(tokio_stream::iter(requests)).await.unwrap().into_inner();
            answers.map(|answer| answer.unwrap().number).collect::<Vec<_>>().await
        }));
    }
    server.gate.add_permits(9);
    for stream in streams {
        let answered = tokio::time::timeout(Duration::from_secs(4), stream).await.expect("it is stuck");
        assert_eq!(answered.unwrap(), [0, 1, 2]);
    }
    assert_eq!(server.load.bytes(), 0);
}

#[tokio::test]
async fn a_stream_takes_a_place_for_each_request_and_none_between_them() {
    let server = Server::start(ServingConfig {
        calls_in_flight_max: 1,
        ..ServingConfig::default().without_lame_duck()
    })
    .await;
    let (sender, receiver) = tokio::sync::mpsc::channel(8);
    let mut client = BlobClient::new(server.channel().await);
    let sent = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut answers = client.put_all(sent).await.unwrap().into_inner();
    until("the stream has begun", || server.load.in_flight() == 0).await;

    for number in 0..3 {
        sender.send(Blob { number, ..Blob::default() }).await.unwrap();
        until("a request in flight", || server.load.in_flight() == 1).await;
        assert_eq!(server.load.bytes(), 1_000);
        server.gate.add_permits(1);
        assert_eq!(answers.next().await.unwrap().unwrap().number, number);
        until("none in flight", || server.load.in_flight() == 0).await;
    }
    drop(sender);
    assert!(answers.next().await.is_none());
    assert_eq!(server.load.bytes(), 0);
}

/// Calls so far, by how they ended.
fn codes(load: &Load) -> Vec<(String, u64)> {
    let mut registry = prometheus_client::registry::Registry::default();
    load.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let counts = text.lines().filter_map(|line| line.strip_prefix("rpc_server_call_duration_seconds_count{"));
    let code = |line: &str| {
        let (_, code) = line.split_once("status_code=\"")?;
        let (code, count) = code.split_once("\"} ")?;
        Some((code.to_owned(), count.parse().ok()?))
    };
    counts.filter_map(code).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_withdrawn_while_it_arrives_is_no_error_of_the_server() {
    let server = Server::start(ServingConfig::default()).await;
    server.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    let channel = server.channel().await;
    for number in 0..2_000_u64 {
        let mut client = BlobClient::new(channel.clone());
        let call = client.put(blob(1_000));
        if number % 10 == 0 {
            call.await.unwrap();
            continue;
        }
        // Withdrawn after so many steps, from before its head is sent until after it is answered.
        let mut call = std::pin::pin!(call);
        for _ in 0..number % 60 {
            let polled = std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
            if polled.is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    until("all have ended", || server.load.in_flight() == 0).await;
    let codes = codes(&server.load);
    assert!(codes.iter().all(|(code, _)| code == "OK" || code == "CANCELLED"), "{codes:?}");
    assert!(codes.len() == 2, "some were withdrawn and some were not: {codes:?}");
}

#[tokio::test]
async fn a_call_without_its_message_is_told_so() {
    let server = Server::start(ServingConfig::default()).await;
    let channel = server.channel().await;
    for (body, text) in [(&b""[..], "no message"), (b"\0\0\0\0\x09and", "within its message")] {
        let uri = format!("http://{}{}", server.address, blobs::PING);
        let body = http_body_util::Full::new(bytes::Bytes::from_static(body));
        let request = http::Request::post(uri).header("content-type", "application/grpc");
        let request = request.body(tonic::body::Body::new(body)).unwrap();
        let answer = tower::ServiceExt::oneshot(channel.clone(), request).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(text), "{status}");
    }
}
