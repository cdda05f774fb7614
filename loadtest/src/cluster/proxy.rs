//! A TCP proxy that delays what it passes on, as a long way or a slow machine would.
//!
//! The delay is a pipeline: what was read at one moment is written the delay later, and reading goes on meanwhile, so it
//! costs time and not throughput. Changing it holds for what is read from then on; the order of bytes stays.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Read at a time.
const CHUNK: usize = 32 << 10;
/// Chunks on their way in each direction of a connection; the next is read when one has been written.
const CHUNKS_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct DelayProxy {
    address: SocketAddr,
    delay_us: Arc<AtomicU64>,
    task: AbortHandle,
}

impl DelayProxy {
    /// Passes on to `to`, at first without a delay.
    pub(super) async fn start(to: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let delay_us = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&delay_us);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let delay = Arc::clone(&delay);
                tokio::spawn(async move {
                    // Where the service is not there, the client finds its connection closed.
                    if let Ok(service) = TcpStream::connect(to).await {
                        pass(client, service, &delay).await;
                    }
                });
            }
        });
        Ok(Self { address, delay_us, task: task.abort_handle() })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn delay(&self, by: Duration) {
        self.delay_us.store(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until either side has closed.
async fn pass(client: TcpStream, service: TcpStream, delay: &AtomicU64) {
    // Without it the proxy would delay small writes by itself; a socket that refuses is as good as closed.
    if client.set_nodelay(true).is_err() || service.set_nodelay(true).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_service, to_service) = service.into_split();
    tokio::select! {
        () = one_way(from_client, to_service, delay) => {}
        () = one_way(from_service, to_client, delay) => {}
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

    /// A service that sends back what it gets.
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
        let proxy = DelayProxy::start(echo().await).await.unwrap();
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
    async fn a_service_that_is_not_there_closes_the_connection() {
        let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
        let proxy = DelayProxy::start(nobody).await.unwrap();
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        // Ended or broken off, but not left open.
        assert!(!matches!(client.read(&mut [0; 8]).await, Ok(1..)));
    }
}
