#!/usr/bin/env bash
# tonic: a call that was never sent, because the server gave up the connection gracefully, fails with CANCELLED.
#
# Expected: a server that ends a connection in the graceful way of HTTP/2 (GOAWAY with the highest stream id, a PING, GOAWAY with
# the last id that it has seen) makes no call fail. Open calls end as usual; the client sends the next calls on another
# connection. A call that the client has not sent yet may be sent on that connection without any risk. gRPC calls this a
# transparent retry; grpc-core and grpc-go do it. If such a call fails nevertheless, its code is UNAVAILABLE, as for every
# error of the transport.
#
# Happens: some of the calls that begin at that moment fail with the code CANCELLED and the message "operation was
# canceled", as if the caller had cancelled them. The server has not seen these calls: it counts exactly the calls that
# succeeded.
#
# Why: tonic's channel asks hyper's connection whether it is ready, and afterwards sends it the request through a queue.
# Between these two steps the connection may have read the GOAWAY. It then closes the queue, and hyper fails the requests in
# the queue with an error whose `is_canceled` is true, "connection closed". For that case hyper can return the request
# (`try_send_request`); tonic calls `send_request`, which cannot.
#
# Source: tonic, version 0.14.9 (https://github.com/hyperium/tonic, src/transport/channel/service/connection.rs), with hyper,
# version 1.12.0 (https://github.com/hyperium/hyper, src/client/dispatch.rs).
#
# Why it matters here: a load balancer of connections, and `serving.connection_age_ms_max`, end connections in this way. Our
# clients treat an error of hyper, whatever the code of the status, as a broken connection and repeat the call
# (services/platform/net/src/target.rs). The setting is off where clients choose between endpoints themselves. If this script
# fails, the repetition may have become unnecessary.
#
# Needs cargo, and the package registry or its local cache. No Vigie code. Fails if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "goaway"
version = "0.0.0"
edition = "2024"

[dependencies]
http = "1"
hyper = { version = "=1.12.0", features = ["server", "http2"] }
hyper-util = { version = "0.1", features = ["tokio", "service"] }
tokio = { version = "1", features = ["rt-multi-thread", "macros", "net", "time"] }
tonic = { version = "=0.14.9", default-features = false, features = ["channel", "transport"] }
tonic-health = "=0.14.9"
tower = { version = "0.5", features = ["util"] }

[profile.dev]
debug = false

[workspace]
TOML
cat > src/main.rs <<'RUST'
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::ServiceExt as _;

/// How long a connection takes calls.
const AGE: Duration = Duration::from_millis(100);
const CALLERS: usize = 16;

/// Serves health checks, and gives up each connection gracefully at its age.
async fn serve(listener: TcpListener, seen: Arc<AtomicU64>) {
    let health = HealthServer::new(HealthService::from_health_reporter(HealthReporter::new()));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (health, seen) = (health.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let counted = tower::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                seen.fetch_add(1, Ordering::Relaxed);
                health.clone().oneshot(request.map(tonic::body::Body::new))
            });
            let service = hyper_util::service::TowerToHyperService::new(counted);
            let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = sleep(AGE) => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(AtomicU64::new(0));
    tokio::spawn(serve(listener, Arc::clone(&seen)));
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();

    let until = Instant::now() + Duration::from_secs(10);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let mut client = HealthClient::new(channel.clone());
        callers.spawn(async move {
            let (mut answered, mut failed) = (0_u64, Vec::new());
            while Instant::now() < until {
                match client.check(HealthCheckRequest { service: String::new() }).await {
                    Ok(_) => answered += 1,
                    Err(status) => {
                        let (mut cause, mut not_sent) = (status.source(), false);
                        while let Some(error) = cause {
                            not_sent |= error.downcast_ref().is_some_and(hyper::Error::is_canceled);
                            cause = error.source();
                        }
                        failed.push((format!("{:?}: {}", status.code(), status.message()), not_sent));
                    }
                }
            }
            (answered, failed)
        });
    }
    let (mut answered, mut failed) = (0, BTreeMap::<(String, bool), u64>::new());
    for (count, failures) in callers.join_all().await {
        answered += count;
        failures.into_iter().for_each(|failure| *failed.entry(failure).or_default() += 1);
    }
    let seen = seen.load(Ordering::Relaxed);
    println!("{answered} calls answered, {seen} seen by the server; failed, and whether hyper says they were not sent: {failed:?}");
    let cancelled: u64 = failed.iter().filter(|((text, not_sent), _)| text.starts_with("Cancelled") && *not_sent).map(|(_, count)| count).sum();
    assert!(cancelled > 0, "no unsent call failed with CANCELLED: the behaviour has changed");
    assert_eq!(seen, answered, "the server has seen calls that failed");
}
RUST
cargo run --quiet
echo "as described: tonic 0.14.9, hyper 1.12.0"
