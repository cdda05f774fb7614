//! The simulated network, for listeners of services and for connections of clients.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{FutureExt as _, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;
use turmoil::net::{TcpListener, TcpStream};
use vigie_clients::Network;
use vigie_net::{Connect, Connection};
use vigie_serving::Listener;

/// The port of every service; each has a host of its own.
const PORT: u16 = 7_740;

/// Returns the endpoint of the service on a host.
pub(crate) fn endpoint(host: &str) -> String {
    format!("http://{host}:{PORT}")
}

/// Returns the network of the running host.
pub(crate) fn network() -> Network {
    Network::of(Simulated)
}

#[derive(Debug)]
struct Simulated;

impl Connect for Simulated {
    fn connect(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Connection>>> {
        let at = (host.to_owned(), port);
        async move { Ok(Box::new(TcpStream::connect(at).await?) as Box<dyn Connection>) }.boxed()
    }
}

/// A listening port of the running host.
pub(crate) struct SimulatedListener(TcpListener);

impl SimulatedListener {
    pub(crate) async fn bind() -> io::Result<Self> {
        Ok(Self(TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?))
    }
}

impl Listener for SimulatedListener {
    type Io = SimulatedStream;

    fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    fn incoming(self) -> impl Stream<Item = io::Result<SimulatedStream>> + Send {
        futures::stream::unfold(self.0, |listener| async move {
            let accepted = listener.accept().await.map(|(stream, _)| SimulatedStream(stream));
            Some((accepted, listener))
        })
    }
}

/// An accepted connection.
pub(crate) struct SimulatedStream(TcpStream);

impl Connected for SimulatedStream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for SimulatedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for SimulatedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
