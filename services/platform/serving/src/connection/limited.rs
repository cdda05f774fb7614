//! Bounds the connections of a server, and cuts them off when its drain time is up.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::{CancellationToken as Shutdown, WaitForCancellationFutureOwned};

use crate::load::{Counted, Load};

/// Those of `incoming` for which there is room. One more is closed as it comes: its client sees that at once, where a
/// connection that nobody accepts would leave it waiting.
pub(crate) fn limited<Io>(
    incoming: impl Stream<Item = io::Result<Io>> + Send,
    connections_max: usize,
    load: Load,
    cut_off: Shutdown,
) -> impl Stream<Item = io::Result<Limited<Io>>> + Send
where
    Io: Send,
{
    let room = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    incoming.filter_map(move |accepted| {
        let io = match accepted {
            Ok(io) => io,
            Err(error) => return Some(Err(error)),
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            load.refuse_connection();
            return None;
        };
        let cut_off = Box::pin(cut_off.clone().cancelled_owned());
        Some(Ok(Limited { io, cut_off, _permit: permit, _counted: load.connected() }))
    })
}

/// A connection that is counted.
pub(crate) struct Limited<Io> {
    io: Io,
    cut_off: Pin<Box<WaitForCancellationFutureOwned>>,
    _permit: OwnedSemaphorePermit,
    _counted: Counted,
}

impl<Io> Limited<Io> {
    pub(crate) const fn get_ref(&self) -> &Io {
        &self.io
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Limited<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut_off.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Limited<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
