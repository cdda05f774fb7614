//! Where connections come from: a TCP port, or a simulated network.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::transport::server::{Connected, TcpIncoming};

/// Accepts connections.
pub trait Listener: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static;

    /// Where it listens, for people to read.
    fn address(&self) -> Option<SocketAddr>;

    /// Every connection as it comes. One that fails to come does not end the stream.
    fn incoming(self) -> impl Stream<Item = io::Result<Self::Io>> + Send;
}

impl Listener for TcpListener {
    type Io = tokio::net::TcpStream;

    fn address(&self) -> Option<SocketAddr> {
        self.local_addr().ok()
    }

    fn incoming(self) -> impl Stream<Item = io::Result<Self::Io>> + Send {
        TcpIncoming::from(self).with_nodelay(Some(true))
    }
}
