//! A server on a real port: what its callers see when it is full, and when it ends.

#![expect(clippy::unwrap_used, reason = "it is a test")]

mod blobs;
mod server;

use std::future::Future as _;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use vigie_serving::{Load, ServingConfig};
use vigie_telemetry::CapturedLog;

use blobs::{Blob, BlobClient};
use server::{FAILS, MESSAGE_BYTES_MAX, Server, blob, until};

#[tokio::test]
async fn a_health_watcher_is_notified_and_does_not_hold_the_drain_up() {
    let server = Server::start(ServingConfig::default().without_lame_duck()).await;
    let mut client = HealthClient::new(server.channel().await);
    let request = HealthCheckRequest { service: String::new() };
    let mut watch = client.watch(request).await.unwrap().into_inner();
    let status = watch.next().await.unwrap().unwrap().status;
    assert_eq!(status, i32::from(ServingStatus::Serving));

    server.shutdown.cancel();
    let status = watch.next().await.unwrap().unwrap().status;
    assert_eq!(status, i32::from(ServingStatus::NotServing));
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
    // A client that has sent its preface stays.
    spoken.check(HealthCheckRequest { service: String::new() }).await.unwrap();
    assert_eq!(server.load.connections(), 1);

    let _silent = TcpStream::connect(server.address).await.unwrap();
    until("two connections", || server.load.connections() == 2).await;
    server.shutdown.cancel();
    server.ends_within(Duration::from_secs(6)).await;
}

/// Captures the log while the guard lives: a test runs on one thread.
fn logged() -> (CapturedLog, tracing::subscriber::DefaultGuard) {
    let log = CapturedLog::default();
    let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    (log, tracing::subscriber::set_default(lines))
}

/// Opens an HTTP/2 connection and answers nothing after that, not even the GOAWAY, as a program that does not
/// read.
async fn deaf(server: &Server) -> TcpStream {
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    deaf.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    deaf
}

/// Reads up to the end, and returns the types of the frames that arrived (RFC 9113, section 6).
async fn frames(mut from: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let _either = from.read_to_end(&mut all).await;
    let (mut types, mut rest) = (Vec::new(), all.as_slice());
    while let [a, b, c, kind, _, _, _, _, _, payload @ ..] = rest {
        types.push(*kind);
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        rest = payload.get(length..).unwrap_or_default();
    }
    types
}

const GOAWAY: u8 = 7;

#[tokio::test]
async fn connections_without_calls_end_at_once_and_nothing_is_said_of_calls() {
    let (log, _here) = logged();
    let config = ServingConfig { drain_ms_max: 60_000, ..ServingConfig::default().without_lame_duck() };
    let server = Server::start(config).await;
    let mut idle = BlobClient::new(server.channel().await);
    idle.ping().await.unwrap();
    let deaf = deaf(&server).await;
    until("two connections", || server.load.connections() == 2).await;
    server.shutdown.cancel();
    server.ends_within(Duration::from_secs(4)).await;
    assert!(frames(deaf).await.contains(&GOAWAY));
    assert!(log.lines("cut off").is_empty(), "{:?}", log.lines("cut off"));
}

#[tokio::test]
async fn a_connection_without_calls_is_closed_after_a_while_and_one_with_a_call_is_not() {
    let config =
        ServingConfig { connection_idle_ms_max: 1_000, ..ServingConfig::default().without_lame_duck() };
    let server = Server::start(config).await;
    let call = server.call(1).await;
    until("a call in flight", || server.load.in_flight() == 1).await;
    let mut idle = BlobClient::new(server.channel().await);
    idle.ping().await.unwrap();
    let deaf = deaf(&server).await;
    until("three connections", || server.load.connections() == 3).await;
    let begun = Instant::now();
    until("one connection", || server.load.connections() == 1).await;
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!(frames(deaf).await.contains(&GOAWAY));
    // The next call opens another connection.
    idle.ping().await.unwrap();
    server.gate.add_permits(1);
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut_off() {
    let (log, _here) = logged();
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
    let cut_off = log.lines("cut off");
    assert!(cut_off.len() == 1 && cut_off[0].contains("calls=1 "), "{cut_off:?}");
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
async fn one_host_does_not_have_all_connections_and_its_refusals_are_logged() {
    let (log, _here) = logged();
    let config =
        ServingConfig { connections_per_host_max: 3, ..ServingConfig::default().without_lame_duck() };
    let server = Server::start(config).await;
    let mut greedy = Vec::new();
    for _ in 0..50 {
        greedy.push(server.tcp_from(2).await);
    }
    until("refusals", || server.load.refused().connections_of_host == 47).await;
    assert_eq!((server.load.connections(), server.load.refused().connections), (3, 0));
    let lines = log.lines("refused a connection");
    assert_eq!(lines.len(), 10, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("peer=127.0.0.2:")), "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("its host has 3 connections")), "{lines:?}");

    BlobClient::new(server.channel_from(1).await).ping().await.unwrap();
    drop(greedy);
    until("the host's are free", || server.load.connections() <= 1).await;
    BlobClient::new(server.channel_from(2).await).ping().await.unwrap();
    until("the rest is logged", || !log.lines("left_out=37").is_empty()).await;
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

/// With memory for one message at a time, work takes over what its message had, and waits for no more.
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
    sender.send(Blob { number: FAILS, ..Blob::default() }).await.unwrap();
    server.gate.add_permits(1);
    answers.next().await.unwrap().unwrap();
    drop(sender);
    assert!(answers.next().await.is_none());
    assert_eq!(server.load.bytes(), 0);
    let mut ended = codes(&server.load, OF_STREAMS);
    ended.sort();
    assert_eq!(ended, [("OK".to_owned(), 3), ("UNAVAILABLE".to_owned(), 1)]);
    assert_eq!(codes(&server.load, CALLS), [("OK".to_owned(), 1)], "the stream itself ended well");
}

const CALLS: &str = "rpc_server_call_duration_seconds_count{";
const OF_STREAMS: &str = "vigie_serving_stream_requests_total{";

/// Returns the numbers of calls so far, or of requests of streams, by code.
fn codes(load: &Load, counted: &str) -> Vec<(String, u64)> {
    let mut registry = prometheus_client::registry::Registry::default();
    load.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let counts = text.lines().filter_map(|line| line.strip_prefix(counted));
    let code = |line: &str| {
        let (_, code) = line.split_once("status_code=\"")?;
        let (code, labels) = code.split_once('"')?;
        let (_, count) = labels.split_once("} ")?;
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
        // Withdrawn after this many steps, from before its head is sent until after it is answered.
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
    let codes = codes(&server.load, CALLS);
    assert!(codes.iter().all(|(code, _)| code == "OK" || code == "CANCELLED"), "{codes:?}");
    assert!(codes.len() == 2, "some were withdrawn and some were not: {codes:?}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_ends_its_call_and_one_that_arrives_slowly_does_not() {
    let (log, _here) = logged();
    let config = ServingConfig {
        body_grace_ms: 500,
        body_bytes_per_second_min: 2_000,
        ..ServingConfig::default().without_lame_duck()
    };
    let server = Server::start(config).await;
    server.gate.add_permits(1);
    let put = async |drops: usize, bytes: usize| {
        let (body, answer) = server.drip(2, blobs::PUT, 8_000).await;
        let begun = Instant::now();
        for _ in 0..drops {
            if body.send(vec![0; bytes].into()).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let status = answer.await.unwrap().unwrap();
        drop(body);
        (status, begun.elapsed())
    };
    let (status, took) = put(1, 5).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(status.message().contains("the message did not arrive: 10 bytes"), "{status}");
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(4), "{took:?}");
    assert_eq!((server.load.refused().slow, server.load.bytes()), (1, 0));
    let lines = log.lines("ended a call");
    assert!(lines.len() == 1 && lines[0].contains("peer=127.0.0.2:"), "{lines:?}");
    assert!(lines[0].contains("the lowest rate is 2000 bytes/s"), "{lines:?}");

    let (status, took) = put(100, 100).await;
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    // 4,000 bytes a second: the message is no Blob, but all of it has arrived.
    let (status, took) = put(20, 400).await;
    assert_ne!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(took >= Duration::from_millis(1_900), "{took:?}");
    assert_eq!(server.load.refused().slow, 2);
}

#[tokio::test]
async fn a_call_without_a_deadline_has_the_default_one() {
    let config = ServingConfig { deadline_ms_default: 300, ..ServingConfig::default().without_lame_duck() };
    let server = Server::start(config).await;
    let begun = Instant::now();
    let late = server.call(1).await.await.unwrap().unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(server.load.in_flight(), 0);
}

#[tokio::test]
async fn a_call_without_its_message_is_refused_with_that_reason() {
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

/// Returns a server's answer to a body that is sent to this path, and the headers that name its encodings.
async fn send(server: &Server, path: &str, encoding: &str, body: Vec<u8>) -> (Status, http::HeaderMap) {
    let uri = format!("http://{}{path}", server.address);
    let request = http::Request::post(uri).header("content-type", "application/grpc");
    let request = request.header("grpc-encoding", encoding);
    let request = request.body(tonic::body::Body::new(http_body_util::Full::from(body))).unwrap();
    let answer = tower::ServiceExt::oneshot(server.channel().await, request).await.unwrap();
    let (head, body) = answer.into_parts();
    let trailers = http_body_util::BodyExt::collect(body).await.unwrap().trailers().cloned();
    let headers = trailers.unwrap_or(head.headers);
    (Status::from_header_map(&headers).unwrap(), headers)
}

/// Returns a compressed message of `length` zeros; it is a thousandth of that long.
fn compressed_zeros(length: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(
        &mut encoder,
        &prost::Message::encode_to_vec(&Blob { number: 0, content: vec![0; length].into() }),
    )
    .unwrap();
    let payload = encoder.finish().unwrap();
    let mut message = vec![1];
    message.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
    message.extend(payload);
    message
}

#[tokio::test]
async fn a_compressed_message_is_read_and_one_that_grows_too_large_is_refused() {
    let server = Server::start(ServingConfig::default()).await;
    let (answered, _) = send(&server, blobs::PING, "gzip", compressed_zeros(60_000)).await;
    assert_eq!(answered.code(), Code::Ok, "{answered}");
    let (refused, _) = send(&server, blobs::PING, "gzip", compressed_zeros(MESSAGE_BYTES_MAX + 1)).await;
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("more than the limit of 65536 bytes"), "{refused}");
    let (unread, headers) = send(&server, blobs::PING, "zstd", vec![1, 0, 0, 0, 1, 7]).await;
    assert_eq!(unread.code(), Code::Unimplemented);
    assert_eq!(headers["grpc-accept-encoding"], "gzip,identity");
}

#[tokio::test]
async fn what_compressed_messages_grow_to_counts_among_the_bytes_in_flight() {
    let server = Server::start(ServingConfig::default().without_lame_duck()).await;
    let message = compressed_zeros(60_000);
    assert!(message.len() < 500);
    let held = async {
        let (answered, _) = send(&server, blobs::PUT, "gzip", message).await;
        assert_eq!(answered.code(), Code::Ok, "{answered}");
    };
    let seen = async {
        until("an inflated body in flight", || server.load.bytes() > 60_000).await;
        server.gate.add_permits(1);
    };
    tokio::join!(held, seen);
    until("room again", || (server.load.bytes(), server.load.in_flight()) == (0, 0)).await;
}

#[tokio::test]
async fn a_call_of_another_server_is_answered_with_its_name_however_busy_this_one_is() {
    let server = Server::start(ServingConfig {
        calls_in_flight_max: 1,
        ..ServingConfig::default().without_lame_duck()
    })
    .await;
    let call = server.call(1).await;
    until("a call in flight", || server.load.in_flight() == 1).await;
    let (absent, _) = send(&server, "/test.v1.OtherService/Do", "identity", Vec::new()).await;
    assert_eq!(absent.code(), Code::Unimplemented);
    assert_eq!(
        absent.message(),
        "test.v1.OtherService is served by the other server; this is the server of blobs"
    );
    server.gate.add_permits(1);
    call.await.unwrap().unwrap();
}
