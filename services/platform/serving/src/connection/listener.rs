//! Where connections come from: a TCP port, or a simulated network; in plain text or over TLS.

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

    /// Where it listens, for people to read.
    fn address(&self) -> Option<SocketAddr>;

    /// Who is at the other end of a connection, if the network tells.
    fn peer(_io: &Self::Io) -> Option<SocketAddr> {
        None
    }

    /// The TLS that is spoken on its connections; by default they are plain text.
    fn tls(&self) -> Option<&Tls> {
        None
    }

    /// Every connection as it comes. One that fails to come does not end the stream.
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

/// Another listener, on whose connections TLS is spoken if there is any.
#[derive(Debug)]
pub struct Secured<L> {
    listener: L,
    tls: Option<Tls>,
}

impl<L> Secured<L> {
    /// Speaks `tls` on the connections of `listener`; without it, plain text.
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
