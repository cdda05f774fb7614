//! A listener of any kind as one type, so that the server behind it is compiled once and not for each kind.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_stream::{Stream, StreamExt as _};
use vigie_tls::Tls;

use crate::connection::listener::Listener;

/// A [`Listener`] whose kind is known only at run time.
pub struct AnyListener {
    address: Option<SocketAddr>,
    tls: Option<Tls>,
    incoming: Pin<Box<dyn Stream<Item = io::Result<AnyConnection>> + Send>>,
}

impl AnyListener {
    /// Wraps `listener`.
    #[must_use]
    pub fn new<L: Listener>(listener: L) -> Self {
        let (address, tls) = (listener.address(), listener.tls().cloned());
        let erase = |accepted: io::Result<L::Io>| {
            accepted.map(|io| AnyConnection { peer: L::peer(&io), io: Box::new(io) })
        };
        Self { address, tls, incoming: Box::pin(listener.incoming().map(erase)) }
    }
}

impl fmt::Debug for AnyListener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AnyListener").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Listener for AnyListener {
    type Io = AnyConnection;

    fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    fn peer(io: &AnyConnection) -> Option<SocketAddr> {
        io.peer
    }

    fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    fn incoming(self) -> impl Stream<Item = io::Result<AnyConnection>> + Send {
        self.incoming
    }
}

/// The traits that a connection needs.
trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection of any kind.
pub struct AnyConnection {
    peer: Option<SocketAddr>,
    io: Box<dyn Io>,
}

impl fmt::Debug for AnyConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AnyConnection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl AsyncRead for AnyConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for AnyConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(context)
    }
}
