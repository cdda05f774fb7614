//! A TCP proxy that delays the bytes it forwards, like a long network path or a slow machine.
//!
//! The delay is a pipeline: bytes are written one delay after they were read, and reading continues
//! meanwhile, so it adds latency and does not limit throughput. A change applies to bytes that are read after
//! it; the order of bytes is kept.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// The most bytes in one read.
const CHUNK: usize = 32 << 10;
/// Buffered chunks in each direction of a connection; at the limit, reading waits until one has been written.
const CHUNKS_MAX: usize = 256;

/// A proxy in front of one address. It ends when it is dropped.
#[derive(Debug)]
pub struct DelayProxy {
    address: SocketAddr,
    delays: Arc<Delays>,
    task: AbortHandle,
}

/// The delays in each direction, in microseconds.
#[derive(Debug, Default)]
struct Delays {
    there: AtomicU64,
    back: AtomicU64,
}

impl DelayProxy {
    /// Starts a proxy to `to`, at first without a delay; must be called within a runtime.
    pub fn start(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let delays = Arc::<Delays>::default();
        let shared = Arc::clone(&delays);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let delays = Arc::clone(&shared);
                tokio::spawn(async move {
                    // If the service cannot be reached, the client's connection is closed.
                    if let Ok(service) = TcpStream::connect(to).await {
                        pass(client, service, &delays).await;
                    }
                });
            }
        });
        Ok(Self { address, delays, task: task.abort_handle() })
    }

    /// Returns the address to which clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the endpoint to which clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the delay in both directions.
    pub fn delay(&self, by: Duration) {
        self.delays.there.store(micros(by), Ordering::Relaxed);
        self.delay_answers(by);
    }

    /// Sets the delay of the bytes that the service sends.
    pub fn delay_answers(&self, by: Duration) {
        self.delays.back.store(micros(by), Ordering::Relaxed);
    }
}

fn micros(of: Duration) -> u64 {
    u64::try_from(of.as_micros()).unwrap_or(u64::MAX)
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Forwards bytes in both directions until either side has closed.
async fn pass(client: TcpStream, service: TcpStream, delays: &Delays) {
    // Without `nodelay` the proxy would delay small writes itself. If it cannot be set, the socket is as good
    // as closed.
    if client.set_nodelay(true).is_err() || service.set_nodelay(true).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_service, to_service) = service.into_split();
    tokio::select! {
        () = one_way(from_client, to_service, &delays.there) => {}
        () = one_way(from_service, to_client, &delays.back) => {}
    }
}

async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: &AtomicU64) {
    let (sender, mut chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_MAX);
    let reading = async move {
        let mut buffer = vec![0; CHUNK];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + Duration::from_micros(delay.load(Ordering::Relaxed));
            if sender.send((due, buffer[..read].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, chunk)) = chunks.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reading, writing);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a service that returns the bytes it receives.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move {
                    let mut buffer = [0; 1_000];
                    while let Ok(read @ 1..) = from.read(&mut buffer).await {
                        to.write_all(&buffer[..read]).await.unwrap();
                    }
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn what_passes_arrives_whole_and_not_before_the_delay() {
        let proxy = DelayProxy::start(echo().await).unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        let sent: Vec<u8> = (0..100_000_u32).map(|at| at.to_le_bytes()[1]).collect();
        for delay in [0, 40, 0] {
            proxy.delay(Duration::from_millis(delay));
            let begin = Instant::now();
            let (mut from, mut to) = client.split();
            let mut received = vec![0; sent.len()];
            let (wrote, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut received));
            wrote.unwrap();
            read.unwrap();
            assert_eq!(received, sent);
            assert!(begin.elapsed() >= Duration::from_millis(2 * delay), "{delay}");
        }
    }

    #[tokio::test]
    async fn answers_can_be_delayed_alone() {
        let proxy = DelayProxy::start(echo().await).unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.delay_answers(Duration::from_millis(60));
        let begin = Instant::now();
        client.write_all(b"hello").await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(60));
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_closes_the_connection() {
        let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let proxy = DelayProxy::start(nobody).unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        // The connection is closed or reset, but not left open.
        assert!(!matches!(client.read(&mut [0; 8]).await, Ok(1..)));
    }
}
