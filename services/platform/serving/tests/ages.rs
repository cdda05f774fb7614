//! Connections that reach their age while calls go on: a client opens the next one, and every call is answered.
//!
//! The client is tonic's, which fails calls that it has not sent yet when the GOAWAY comes, and those that a server has refused
//! because its limit of open calls was not known yet. They are repeated, and the server has seen each call once.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it is a test, and its measurements are for who runs it"
)]

mod blobs;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};
use tonic::transport::{Channel, Endpoint, Uri};
use vigie_serving::ServingConfig;

use blobs::BlobClient;
use server::{Server, blob};

/// Calls that a connection may have open.
const STREAMS_MAX: u32 = 16;
/// The least that may be configured.
const AGE: Duration = Duration::from_secs(1);

async fn server(takes: Duration) -> Server {
    let config = ServingConfig {
        connection_age_ms_max: u64::try_from(AGE.as_millis()).unwrap(),
        streams_per_connection_max: STREAMS_MAX,
        ..ServingConfig::default().without_lame_duck()
    };
    let server = Server::with(config, server::MESSAGE_BYTES_MAX, takes).await;
    server.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    server
}

/// A client with one connection at a time, and how many it has opened.
async fn counted(server: &Server) -> (Channel, Arc<AtomicUsize>) {
    let (address, opened) = (server.address, Arc::new(AtomicUsize::new(0)));
    let connector = tower::service_fn({
        let opened = Arc::clone(&opened);
        move |_: Uri| {
            opened.fetch_add(1, Ordering::Relaxed);
            async move { TcpStream::connect(address).await.map(TokioIo::new) }
        }
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    (endpoint.connect_with_connector(connector).await.unwrap(), opened)
}

/// A call, which is repeated if the server has not seen it.
async fn call(client: &mut BlobClient) {
    while let Err(status) = client.put(blob(100)).await {
        let mut causes = std::iter::successors(std::error::Error::source(&status), |error| error.source());
        let not_sent = causes.any(|cause| cause.downcast_ref().is_some_and(hyper::Error::is_canceled));
        assert!(not_sent || format!("{status:?}").contains("REFUSED_STREAM"), "{status:?}");
    }
}

/// Calls of so many callers, each one every `pause`, for this long. Each is answered. Returns how many there were.
async fn calls(channel: &Channel, callers: usize, pause: Duration, time: Duration) -> usize {
    let (until, mut running) = (Instant::now() + time, JoinSet::new());
    for _ in 0..callers {
        let mut client = BlobClient::new(channel.clone());
        running.spawn(async move {
            let (mut ticks, mut count) = (interval(pause), 0);
            while Instant::now() < until {
                ticks.tick().await;
                call(&mut client).await;
                count += 1;
            }
            count
        });
    }
    running.join_all().await.into_iter().sum()
}

async fn check_no_call_is_lost(ages: u32) {
    let server = server(Duration::ZERO).await;
    let (channel, opened) = counted(&server).await;
    // A thousand calls per second.
    let made = calls(&channel, 8, Duration::from_millis(8), AGE * ages).await;
    assert_eq!(server.load.accepted(), made as u64, "each call once");
    let opened = opened.load(Ordering::Relaxed);
    println!("{made} calls on {opened} connections");
    // The oldest are a tenth older, and a busy machine is late.
    assert!(opened > usize::try_from(ages / 2).unwrap(), "{opened} connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_when_connections_reach_their_age() {
    check_no_call_is_lost(4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes"]
async fn no_call_is_lost_over_a_hundred_ages() {
    check_no_call_is_lost(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_calls_wait_in_the_client_its_connection_grows_older() {
    let server = server(Duration::from_millis(20)).await;
    let (channel, opened) = counted(&server).await;
    // Four times as many as the connection may have open: most are in the client, which would let them fail.
    let made = calls(&channel, 64, Duration::from_millis(1), AGE * 3).await;
    assert_eq!(server.load.accepted(), made as u64);
    assert_eq!(opened.load(Ordering::Relaxed), 1);
    // The crowd is gone, and others may have their turn at the client's next call.
    calls(&channel, 2, Duration::from_millis(10), AGE * 3).await;
    assert!(opened.load(Ordering::Relaxed) >= 2);
}
