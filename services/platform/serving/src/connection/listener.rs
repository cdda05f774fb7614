//! Sources of connections: a TCP port or a simulated network, in plain text or over TLS.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::transport::server::TcpIncoming;
use vigie_tls::Tls;

/// Accepts connections.
pub trait Listener: Send + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Returns the address on which it listens, for people to read.
    fn address(&self) -> Option<SocketAddr>;

    /// Returns the address of the other end of a connection, or `None` if the network gives none.
    fn peer(_io: &Self::Io) -> Option<SocketAddr> {
        None
    }

    /// Returns the TLS settings of its connections. `None`, the default, means plain text.
    fn tls(&self) -> Option<&Tls> {
        None
    }

    /// Yields every connection as it comes. An error in accepting one does not end the stream.
    fn incoming(self) -> impl Stream<Item = io::Result<Self::Io>> + Send;
}

impl Listener for TcpListener {
    type Io = tokio::net::TcpStream;

    fn address(&self) -> Option<SocketAddr> {
        self.local_addr().ok()
    }

    fn peer(io: &Self::Io) -> Option<SocketAddr> {
        io.peer_addr().ok()
    }

    fn incoming(self) -> impl Stream<Item = io::Result<Self::Io>> + Send {
        TcpIncoming::from(self).with_nodelay(Some(true))
    }
}

/// A listener whose connections use TLS if `tls` is given.
#[derive(Debug)]
pub struct Secured<L> {
    listener: L,
    tls: Option<Tls>,
}

impl<L> Secured<L> {
    /// Uses `tls` on the connections of `listener`; without it, plain text.
    pub const fn new(listener: L, tls: Option<Tls>) -> Self {
        Self { listener, tls }
    }
}

impl<L: Listener> Listener for Secured<L> {
    type Io = L::Io;

    fn address(&self) -> Option<SocketAddr> {
        self.listener.address()
    }

    fn peer(io: &L::Io) -> Option<SocketAddr> {
        L::peer(io)
    }

    fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    fn incoming(self) -> impl Stream<Item = io::Result<L::Io>> + Send {
        self.listener.incoming()
    }
}
