use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use h2::server::SendResponse;
use http::HeaderMap;
use tokio::io::DuplexStream;
use tokio::time::Instant;
use tonic::Code;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::*;
use crate::network::{Connect, Connection};
use crate::{CallError, Target};

/// The behaviour of a server on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Answers every call.
    Answers,
    /// Ends the connection instead of answering.
    Breaks,
    /// Accepts no call after the first, and answers that.
    GoesAway,
    /// Reads nothing after the first call has arrived.
    FallsSilent,
    /// Refuses connections.
    Refuses,
}

/// Connections to a server, each with its own behaviour; the last behaviour is repeated for ever.
#[derive(Debug, Clone)]
struct Server {
    manners: Arc<Mutex<VecDeque<Manner>>>,
    connections: Arc<AtomicUsize>,
    /// The number of calls that were withdrawn.
    withdrawn: Arc<AtomicUsize>,
}

impl Server {
    fn new(manners: impl IntoIterator<Item = Manner>) -> Self {
        let manners = Arc::new(Mutex::new(manners.into_iter().collect()));
        Self { manners, connections: Arc::default(), withdrawn: Arc::default() }
    }

    fn target(&self) -> Target {
        Target::new("service", "http://there:1", &Network::of(self.clone())).unwrap()
    }
}

impl Connect for Server {
    fn connect(&self, _: &str, _: u16) -> BoxFuture<'static, io::Result<Box<dyn Connection>>> {
        let mut manners = self.manners.lock().unwrap();
        let manner = if manners.len() > 1 { manners.pop_front() } else { manners.front().copied() }.unwrap();
        self.connections.fetch_add(1, Ordering::Relaxed);
        let server = self.clone();
        Box::pin(async move {
            if manner == Manner::Refuses {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (here, there) = tokio::io::duplex(1 << 16);
            tokio::spawn(server.serve(there, manner));
            Ok(Box::new(here) as Box<dyn Connection>)
        })
    }
}

impl Server {
    async fn serve(self, io: DuplexStream, manner: Manner) {
        let mut connection = h2::server::handshake(io).await.unwrap();
        while let Some(Ok((request, respond))) = connection.accept().await {
            match manner {
                Manner::Answers | Manner::Refuses => {}
                Manner::Breaks => return,
                Manner::GoesAway => connection.graceful_shutdown(),
                Manner::FallsSilent => std::future::pending().await,
            }
            tokio::spawn(answer(request.into_body(), respond, Arc::clone(&self.withdrawn)));
        }
    }
}

/// Answers a call with its own message.
async fn answer(mut asked: RecvStream, mut respond: SendResponse<Bytes>, withdrawn: Arc<AtomicUsize>) {
    let mut message = Vec::new();
    while let Some(Ok(part)) = asked.data().await {
        asked.flow_control().release_capacity(part.len()).unwrap();
        message.extend_from_slice(&part);
    }
    let asked = HealthCheckRequest::decode(&message[5..]).unwrap();
    if asked.service == "never" {
        poll_fn(|context| respond.poll_reset(context)).await.unwrap();
        withdrawn.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut sending = respond.send_response(head, false).unwrap();
    // A status, and as many bytes as the request had, in an unknown field, which is skipped.
    let status = i32::try_from(asked.service.len() % 4).unwrap();
    let mut encoded = HealthCheckResponse { status }.encode_to_vec();
    let filling = HealthCheckRequest { service: asked.service };
    prost::encoding::message::encode(99, &filling, &mut encoded);
    let mut framed = vec![0];
    framed.extend(u32::try_from(encoded.len()).unwrap().to_be_bytes());
    framed.extend(encoded);
    sending.send_data(framed.into(), false).unwrap();
    let ended: HeaderMap = [("grpc-status".parse().unwrap(), "0".parse().unwrap())].into_iter().collect();
    sending.send_trailers(ended).unwrap();
}

use prost::Message as _;

async fn check(target: &Target, service: &str, within: Duration) -> Result<i32, CallError> {
    let mut stub = HealthClient::new(target.direct_channel()).max_decoding_message_size(64 << 20);
    let message = HealthCheckRequest { service: service.to_owned() };
    let deadline = Instant::now() + within;
    let called = target.call("grpc.health.v1.Health/Check", deadline, message, |request| stub.check(request));
    Ok(called.await?.status)
}

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn calls_of_all_sizes_share_one_connection() {
    let server = Server::new([Manner::Answers]);
    let target = server.target();
    // The largest is many times the connection's window.
    let sizes = [0, 1, 2, 3, 1_000, 100_001, 9_000_002].into_iter().cycle().take(40);
    let calls = sizes.map(|size| {
        let target = target.clone();
        tokio::spawn(async move { (size, check(&target, &"x".repeat(size), SOON).await) })
    });
    for call in calls.collect::<Vec<_>>() {
        let (size, status) = call.await.unwrap();
        assert_eq!(status.unwrap(), i32::try_from(size % 4).unwrap());
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_an_outage_of_its_calls_and_the_next_one_connects_again() {
    let server = Server::new([Manner::Breaks, Manner::Refuses, Manner::Answers]);
    let target = server.target();
    for _ in 0..2 {
        let lost = check(&target, "ab", SOON).await.unwrap_err();
        assert_eq!(lost.code(), Code::Unavailable, "{lost}");
        assert!(lost.is_of_the_connection(), "{lost}");
    }
    assert_eq!(check(&target, "ab", SOON).await.unwrap(), 2);
    assert_eq!(server.connections.load(Ordering::Relaxed), 3);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_away_answers_its_last_call_and_the_next_one_is_made_elsewhere() {
    let server = Server::new([Manner::GoesAway, Manner::Answers]);
    let target = server.target();
    for _ in 0..3 {
        assert_eq!(check(&target, "abc", SOON).await.unwrap(), 3);
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_under_a_call_is_given_up() {
    let server = Server::new([Manner::FallsSilent, Manner::Answers]);
    let (target, begun) = (server.target(), Instant::now());
    let lost = check(&target, "a", 10 * SOON).await.unwrap_err();
    assert!(lost.is_of_the_connection(), "{lost}");
    assert!(begun.elapsed() <= 2 * KEEP_ALIVE_INTERVAL + KEEP_ALIVE_TIMEOUT, "{:?}", begun.elapsed());
    assert_eq!(check(&target, "a", SOON).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_is_withdrawn() {
    let server = Server::new([Manner::Answers]);
    let target = server.target();
    let late = check(&target, "never", Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert_eq!(check(&target, "", SOON).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(server.withdrawn.load(Ordering::Relaxed), 1);
    assert_eq!(server.connections.load(Ordering::Relaxed), 1);
}
