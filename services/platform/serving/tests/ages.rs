//! Connections that reach their age while calls go on: a client opens the next one, and every call is
//! answered.
//!
//! tonic's client fails three kinds of calls: calls that it has not sent yet when the GOAWAY arrives, calls
//! that it sends after its answer to the GOAWAY, and calls that a server refused because the client did not
//! know its limit of open calls yet. They are repeated here, and the server has seen each call once. A call
//! of which tonic's client has sent only the headers when the GOAWAY arrives can fail as if it had not been
//! sent (hyper 1.12 asks whether the connection takes requests between a request's headers and its body): so
//! a call counts once its message has arrived. The clients of grpcio and of grpc-go repeat such calls
//! themselves: to their callers no call fails.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it is a test, and its measurements are for who runs it"
)]

mod blobs;
mod clients;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};
use tonic::transport::{Channel, Endpoint};
use vigie_serving::ServingConfig;

use blobs::BlobClient;
use clients::{Language, Made, OtherClient};
use server::{Server, blob};

/// The calls that a connection may have open.
const STREAMS_MAX: u32 = 16;
/// The lowest age that may be configured.
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

/// Passes connections on to a server, and counts them.
struct Relay {
    address: SocketAddr,
    opened: Arc<AtomicUsize>,
    /// Dropped with the relay, which ends the copying.
    _running: JoinSet<()>,
}

impl Relay {
    async fn start(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, to) = (listener.local_addr().unwrap(), server.address);
        let (opened, mut running) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        let count = Arc::clone(&opened);
        running.spawn(async move {
            let mut passing = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                passing.spawn(async move {
                    let mut server = TcpStream::connect(to).await.unwrap();
                    client.set_nodelay(true).unwrap();
                    server.set_nodelay(true).unwrap();
                    // Either end may close first.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { address, opened, _running: running }
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// tonic's client, which has one connection at a time.
    async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }
}

/// Makes a call, and repeats it if the server has not seen it.
async fn call(client: &mut BlobClient) {
    while let Err(status) = client.put(blob(100)).await {
        let mut causes = std::iter::successors(std::error::Error::source(&status), |error| error.source());
        let not_sent = causes.any(|cause| cause.downcast_ref().is_some_and(hyper::Error::is_canceled));
        // The stream is beyond the last stream of the GOAWAY, which names the streams that the server has
        // seen.
        let words = format!("{status:?}");
        let not_seen =
            ["REFUSED_STREAM", "GoAway(b\"\", NO_ERROR, Remote)"].iter().any(|one| words.contains(one));
        assert!(not_sent || not_seen, "{words}");
    }
}

/// Makes calls for `time`, from `callers` callers, each of which calls every `pause`. Each call is answered.
/// Returns how many there were.
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

/// Eight callers, who make a thousand calls per second together.
const CALLERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(8);

/// Checks that the server has seen each call once, and that connections have been replaced.
fn check_ages(name: &str, ages: u32, server: &Server, relay: &Relay, made: u64) {
    let opened = relay.opened();
    println!("{name}: {made} calls on {opened} connections, none lost");
    assert_eq!(server.put(), made, "each call once");
    // The oldest connections are a tenth older, and a busy machine is late.
    assert!(opened > usize::try_from(ages / 2).unwrap(), "{opened} connections");
}

async fn check_no_call_is_lost(ages: u32) {
    let server = server(Duration::ZERO).await;
    let relay = Relay::start(&server).await;
    let made = calls(&relay.channel().await, CALLERS, PAUSE, AGE * ages).await;
    check_ages("tonic", ages, &server, &relay, made as u64);
}

/// Checks that no call is lost with a client that repeats by itself the calls that the server has not seen.
async fn check_no_call_of_another_is_lost(language: Language, ages: u32) {
    let Some(client) = OtherClient::prepare(language) else { return };
    let server = server(Duration::ZERO).await;
    let relay = Relay::start(&server).await;
    let Made { calls, lost } = client.run(relay.address, CALLERS, PAUSE, (AGE * ages).as_secs()).await;
    assert_eq!(lost, 0, "of {calls} calls");
    check_ages(&format!("{language:?}"), ages, &server, &relay, calls);
}

/// Checks that calls which wait in the client are not lost when its connection ends at last.
async fn check_no_waiting_call_of_another_is_lost(language: Language) {
    let Some(client) = OtherClient::prepare(language) else { return };
    let server = server(Duration::from_millis(20)).await;
    let made = client.run(server.address, 64, Duration::from_millis(100), 4).await;
    assert_eq!(made, Made { calls: server.put(), lost: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_when_connections_reach_their_age() {
    check_no_call_is_lost(4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_of_grpcio_is_lost_when_connections_reach_their_age() {
    check_no_call_of_another_is_lost(Language::Python, 4).await;
    check_no_waiting_call_of_another_is_lost(Language::Python).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_of_grpc_go_is_lost_when_connections_reach_their_age() {
    check_no_call_of_another_is_lost(Language::Go, 4).await;
    check_no_waiting_call_of_another_is_lost(Language::Go).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes"]
async fn no_call_is_lost_over_a_hundred_ages() {
    check_no_call_is_lost(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes"]
async fn no_call_of_grpcio_is_lost_over_a_hundred_ages() {
    check_no_call_of_another_is_lost(Language::Python, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes"]
async fn no_call_of_grpc_go_is_lost_over_a_hundred_ages() {
    check_no_call_of_another_is_lost(Language::Go, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_calls_wait_in_the_client_its_connection_grows_older() {
    let server = server(Duration::from_millis(20)).await;
    let relay = Relay::start(&server).await;
    let channel = relay.channel().await;
    // Four times as many callers as the connection may have calls open: most calls wait in the client, which
    // would fail them.
    let made = calls(&channel, 64, Duration::from_millis(1), AGE * 3).await;
    assert_eq!(server.put(), made as u64);
    assert_eq!(relay.opened(), 1);
    // The crowd is gone, so the next call of the client opens a new connection.
    calls(&channel, 2, Duration::from_millis(10), AGE * 3).await;
    assert!(relay.opened() >= 2);
}
