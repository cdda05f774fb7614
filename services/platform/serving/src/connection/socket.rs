//! A connection on which calls can be made, in plain text or over TLS.
//!
//! HTTP/2 begins with some bytes that every client sends at once. A client that connects and does not send
//! them within the time of a handshake is cut off. Otherwise it would keep its slot for as long as it likes,
//! and a server that shuts down would wait for it.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use vigie_tls::{ServerStream, peer_name};

use crate::connection::limited::Limited;
use crate::connection::peer::Peer;

/// The length of the connection preface, which a client sends first (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// A connection on which calls can be made.
pub(crate) struct Socket<Io> {
    io: Wire<Io>,
    peer: Peer,
    /// `None` once the preface has arrived.
    preface: Option<Preface>,
}

enum Wire<Io> {
    Plain(Limited<Io>),
    Secured(Box<ServerStream<Limited<Io>>>),
}

impl<Io> Socket<Io> {
    /// Returns a connection in plain text. The HTTP/2 preface must have arrived by `until`.
    pub(crate) fn plain(io: Limited<Io>, address: Option<SocketAddr>, until: Instant) -> Self {
        let peer = Peer { address, certificate_name: None };
        Self { io: Wire::Plain(io), peer, preface: Some(Preface::new(until)) }
    }

    /// Returns a connection over TLS. The HTTP/2 preface must have arrived by `until`.
    pub(crate) fn secured(
        stream: ServerStream<Limited<Io>>,
        address: Option<SocketAddr>,
        until: Instant,
    ) -> Self {
        let chain = stream.get_ref().1.peer_certificates();
        let certificate_name = chain.and_then(peer_name).map(Arc::from);
        let peer = Peer { address, certificate_name };
        Self { io: Wire::Secured(Box::new(stream)), peer, preface: Some(Preface::new(until)) }
    }
}

/// The part of the HTTP/2 preface that has not arrived yet.
struct Preface {
    bytes_missing: usize,
    until: Pin<Box<Sleep>>,
}

impl Preface {
    fn new(until: Instant) -> Self {
        Self { bytes_missing: PREFACE_BYTES, until: Box::pin(tokio::time::sleep_until(until)) }
    }
}

impl<Io> Socket<Io> {
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for Socket<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = match &mut this.io {
            Wire::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Wire::Secured(io) => Pin::new(io).poll_read(context, buffer),
        };
        let Some(preface) = &mut this.preface else { return read };
        let came = buffer.filled().len() - before;
        preface.bytes_missing = preface.bytes_missing.saturating_sub(came);
        if preface.bytes_missing == 0 {
            this.preface = None;
        } else if preface.until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Socket<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Wire::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Wire::Secured(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Wire::Plain(io) => Pin::new(io).poll_write_vectored(context, slices),
            Wire::Secured(io) => Pin::new(io).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Wire::Plain(io) => io.is_write_vectored(),
            Wire::Secured(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Wire::Plain(io) => Pin::new(io).poll_flush(context),
            Wire::Secured(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Wire::Plain(io) => Pin::new(io).poll_shutdown(context),
            Wire::Secured(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}
