#!/usr/bin/env bash
# hyper, client of HTTP/2: a request's head and its small body leave in two writes.
#
# Expected: a POST whose body of 100 bytes is available when the request is sent goes to the connection in one write. The crate
# `h2`, on which hyper is built, does so for the same request: head and body together have 128 bytes.
#
# Happens: hyper writes the head, and then the body in a second write. With TCP_NODELAY, which every RPC client sets, these are
# two segments: the server wakes for a head that it cannot process yet, and again for the body. A unary call of tonic is such a
# request.
#
# Why: hyper asks h2 for capacity for the body before it passes the body to h2 (`PipeToSendStream`, src/proto/h2/mod.rs). h2 gives
# no capacity to a stream that is not open yet (`Prioritize::try_assign_capacity` returns if `is_pending_open`), and the
# connection's task opens the stream only when it writes the head. So the body waits for that task; then a third task takes the
# body and wakes the connection's task again. `SendStream::send_data` needs no capacity in advance: it keeps its data until the
# stream is open.
#
# Source: hyper, version 1.12.0 (https://github.com/hyperium/hyper); h2, version 0.4.20 (https://github.com/hyperium/h2).
#
# Why it matters here: a search is five small calls, one to a coordinator and one to each of four matchers. Their clients pass head
# and message to h2 themselves (services/platform/net/src/channel/direct.rs), which saved about a third of the processor time of the
# coordinator and a fifth of that of the matchers. If this script fails, that channel may have become unnecessary.
#
# Needs cargo, and the package registry or its local cache. No Vigie code. Fails if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "head-and-body"
version = "0.0.0"
edition = "2024"

[dependencies]
bytes = "1"
h2 = "=0.4.20"
http = "1"
http-body-util = "0.1"
hyper = { version = "=1.12.0", features = ["client", "http2", "server"] }
hyper-util = { version = "0.1", features = ["tokio"] }
tokio = { version = "1", features = ["io-util", "macros", "rt", "time"] }

[profile.dev]
debug = false

[workspace]
TOML
cat > src/main.rs <<'RUST'
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// A connection that notes how many bytes each write takes.
struct Noting(DuplexStream, Arc<Mutex<Vec<usize>>>);

impl AsyncRead for Noting {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Noting {
    fn note(&self, written: Poll<std::io::Result<usize>>) -> Poll<std::io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.1.lock().unwrap().push(*bytes);
        }
        written
    }
}

impl AsyncWrite for Noting {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(cx, buf);
        self.note(written)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write_vectored(cx, bufs);
        self.note(written)
    }
    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// The client's side of a connection to a server that answers everything, and its writes.
fn connection() -> (Noting, Arc<Mutex<Vec<usize>>>) {
    let (here, there) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let answer = service_fn(|request: Request<Incoming>| async move {
            request.into_body().collect().await?;
            Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from_static(b"yes"))))
        });
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(there), answer).await
    });
    let writes = Arc::default();
    (Noting(here, Arc::clone(&writes)), writes)
}

fn request<B>(body: B) -> Request<B> {
    Request::post("http://there/method").body(body).unwrap()
}

const BODY: [u8; 100] = [7; 100];

/// The writes of one request, after some others on the same connection.
async fn by_hyper() -> Vec<usize> {
    let (io, writes) = connection();
    let (mut requests, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..10 {
        settle().await;
        writes.lock().unwrap().clear();
        let answer = requests.send_request(request(Full::new(Bytes::from_static(&BODY)))).await.unwrap();
        answer.into_body().collect().await.unwrap();
    }
    let noted = writes.lock().unwrap().clone();
    noted
}

async fn by_h2() -> Vec<usize> {
    let (io, writes) = connection();
    let (requests, connection) = h2::client::handshake(io).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..10 {
        settle().await;
        writes.lock().unwrap().clear();
        let mut requests = requests.clone().ready().await.unwrap();
        let (answer, mut sending) = requests.send_request(request(()), false).unwrap();
        sending.send_data(Bytes::from_static(&BODY), true).unwrap();
        let mut body = answer.await.unwrap().into_body();
        while let Some(part) = body.data().await {
            let part = part.unwrap();
            body.flow_control().release_capacity(part.len()).unwrap();
        }
    }
    let noted = writes.lock().unwrap().clone();
    noted
}

/// Lets what is left of the last answer be written.
async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (hyper, h2) = (by_hyper().await, by_h2().await);
    println!("bytes of each write of a request with a body of {} bytes", BODY.len());
    println!("  hyper: {hyper:?}");
    println!("  h2:    {h2:?}");
}
RUST
cargo run -q > seen
cargo tree -q --depth 1 | grep -oE '(hyper|h2) v[0-9.]+'
cat seen
grep -Eq '^  hyper: \[[0-9]+, [0-9]+\]$' seen || { echo "changed: hyper no longer writes head and body apart" >&2; exit 1; }
grep -Eq '^  h2:    \[[0-9]+\]$' seen || { echo "changed: h2 no longer writes head and body together" >&2; exit 1; }
echo "as described: two writes by hyper, one by h2"
