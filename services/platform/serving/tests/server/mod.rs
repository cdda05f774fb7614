//! A server of blobs on a real port, and its callers.

#![allow(dead_code, reason = "each program uses a part of it")]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use vigie_rpc::LocalServers;
use vigie_serving::{Call, Load, Routes, ServeError, ServingConfig, Shutdown, StreamRequests, serve};

use crate::blobs::{Answers, Blob, BlobClient, BlobServer, Blobs, reflection};

pub(crate) const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// The number of a request of a stream that fails, inside its answer.
pub(crate) const FAILS: u64 = 13;

/// Answers when the gate has a permit.
struct Gated {
    gate: Arc<Semaphore>,
    takes: Duration,
    put: Arc<AtomicU64>,
}

#[tonic::async_trait]
impl Blobs for Gated {
    async fn put(&self, _: Request<Blob>) -> Result<Response<Blob>, Status> {
        self.put.fetch_add(1, Ordering::Relaxed);
        self.gate.acquire().await.map_err(|_| Status::internal("closed"))?.forget();
        tokio::time::sleep(self.takes).await;
        Ok(Response::new(Blob::default()))
    }

    async fn put_all(&self, request: Request<Streaming<Blob>>) -> Result<Response<Answers>, Status> {
        let (call, counted) = (Call::of(&request), StreamRequests::of(&request));
        let gate = Arc::clone(&self.gate);
        let answers = request.into_inner().then(move |incoming| {
            let (call, gate, counted) = (call.clone(), Arc::clone(&gate), counted.clone());
            async move {
                let Blob { number, content } = incoming?;
                // A request counts as its content, or as 1,000 bytes if that is more.
                let bytes = content.len().max(1_000);
                let work = call.enter(bytes, Instant::now() + Duration::from_secs(5)).await?;
                gate.acquire().await.map_err(|_| Status::internal("closed"))?.forget();
                work.end(&Ok(()));
                counted.ended(&if number == FAILS { Err(Status::unavailable("")) } else { Ok(()) });
                Ok(Blob { number, content: Default::default() })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

pub(crate) fn blob(bytes: usize) -> Blob {
    Blob { number: 0, content: vec![7; bytes].into() }
}

/// Sends further parts of a body that arrives by drops.
pub(crate) type Drops = mpsc::Sender<Bytes>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) load: Load,
    /// The servers of this process that are called as functions.
    pub(crate) local: LocalServers,
    /// The calls of `Put` whose message has arrived.
    put: Arc<AtomicU64>,
    pub(crate) shutdown: Shutdown,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(crate) async fn start(config: ServingConfig) -> Self {
        Self::with(config, MESSAGE_BYTES_MAX, Duration::ZERO).await
    }

    /// Starts a server with messages of at most this size, whose calls take `takes` once the gate has a
    /// permit for them.
    pub(crate) async fn with(config: ServingConfig, message_bytes_max: usize, takes: Duration) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let put = Arc::new(AtomicU64::new(0));
        let service = BlobServer::new(Gated { gate: Arc::clone(&gate), takes, put: Arc::clone(&put) });
        let local = LocalServers::default();
        let routes = Routes::new(reflection()).unwrap().with(service).among(Some(local.clone()));
        routes.health().set(true).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, load) = (listener.local_addr().unwrap(), routes.load());
        let shutdown = Shutdown::new();
        let ended = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { serve(listener, routes, message_bytes_max, &config, shutdown).await }
        });
        Self { address, gate, load, local, put, shutdown, ended }
    }

    /// Returns how many calls of `Put` had their message arrive. [`Load::accepted`] also counts calls whose
    /// client gave up before that.
    pub(crate) fn put(&self) -> u64 {
        self.put.load(Ordering::Relaxed)
    }

    /// Opens a connection from the host `127.0.0.<host>`.
    pub(crate) async fn tcp_from(&self, host: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((this_host(host), 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    pub(crate) async fn channel(&self) -> Channel {
        self.channel_from(1).await
    }

    pub(crate) async fn channel_from(&self, host: u8) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.local_address(Some(this_host(host))).connect().await.unwrap()
    }

    /// Makes a call that waits for the gate.
    pub(crate) async fn call(&self, bytes: usize) -> JoinHandle<Result<Response<Blob>, Status>> {
        let mut client = BlobClient::new(self.channel().await);
        tokio::spawn(async move { client.put(blob(bytes)).await })
    }

    /// Makes a call of a host whose message has this length and arrives by drops: only its prefix has been
    /// sent.
    pub(crate) async fn drip(
        &self,
        host: u8,
        path: &str,
        length: usize,
    ) -> (Drops, JoinHandle<Option<Status>>) {
        drip(self.channel_from(host).await, self.address, path, length).await
    }

    pub(crate) async fn ends_within(self, time: Duration) {
        tokio::time::timeout(time, self.ended).await.expect("it takes too long").unwrap().unwrap();
    }
}

/// Makes a call as [`Server::drip`] does, over a given channel.
pub(crate) async fn drip(
    channel: Channel,
    address: SocketAddr,
    path: &str,
    length: usize,
) -> (Drops, JoinHandle<Option<Status>>) {
    let (sender, receiver) = mpsc::channel::<Bytes>(64);
    let mut prefix = vec![0];
    prefix.extend(u32::try_from(length).unwrap().to_be_bytes());
    sender.send(prefix.into()).await.unwrap();
    let frames = ReceiverStream::new(receiver).map(|data| Ok::<_, Status>(Frame::data(data)));
    let uri = format!("http://{address}{path}");
    let request = http::Request::post(uri).header("content-type", "application/grpc");
    let request = request.body(Body::new(StreamBody::new(frames))).unwrap();
    let answer = tokio::spawn(async move {
        let answer = tower::ServiceExt::oneshot(channel, request).await.ok()?;
        Status::from_header_map(answer.headers())
    });
    (sender, answer)
}

/// Returns a loopback address. A server counts each as a separate host.
fn this_host(host: u8) -> IpAddr {
    [127, 0, 0, host].into()
}

/// Waits until `holds` returns true, at most ten seconds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
