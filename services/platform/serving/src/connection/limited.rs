//! Bounds the connections of a server: in all, and for each host.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::{Stream, StreamExt as _};
use vigie_telemetry::OpenFiles;

use crate::config::ServingConfig;
use crate::connection::counts::{Counts, Entered, Host, host_of};
use crate::load::{Counted, Load};
use crate::refusal_log::{Reason, RefusalLog};

/// The limits of a server's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) all: usize,
    pub(crate) of_host: usize,
    pub(crate) of_identity: usize,
}

impl Limits {
    /// Returns the configured limits, reduced to the number of files that the process may open. If there are
    /// more than three connections, neither one host nor one identity can have all of them.
    pub(crate) fn new(config: &ServingConfig, files: OpenFiles) -> Self {
        let all = config.connections_max.min(files.connections(1)).min(Semaphore::MAX_PERMITS);
        let of_one = all - all / 4;
        Self {
            all,
            of_host: config.connections_per_host_max.min(of_one),
            of_identity: config.connections_per_identity_max.min(of_one),
        }
    }
}

/// Yields the connections of `incoming` that are within the limits. A connection beyond them is closed as it
/// comes: its client sees that at once, whereas a connection that nobody accepts would leave the client
/// waiting.
pub(crate) fn limited<Io>(
    incoming: impl Stream<Item = io::Result<Io>> + Send,
    peer: fn(&Io) -> Option<SocketAddr>,
    limits: Limits,
    load: Load,
    refusals: RefusalLog,
) -> impl Stream<Item = io::Result<Limited<Io>>> + Send
where
    Io: Send,
{
    let room = Arc::new(Semaphore::new(limits.all));
    let hosts = Counts::new(limits.of_host);
    incoming.filter_map(move |accepted| {
        let io = match accepted {
            Ok(io) => io,
            Err(error) => return Some(Err(error)),
        };
        let address = peer(&io);
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            load.refuse_connection();
            refusals.add(address, Reason::Connections { max: limits.all });
            return None;
        };
        let Some(host) = hosts.enter(host_of(address)) else {
            load.refuse_connection_of_host();
            refusals.add(address, Reason::ConnectionsOfHost { max: hosts.each_max() });
            return None;
        };
        Some(Ok(Limited { io, _host: host, _permit: permit, _counted: load.connected() }))
    })
}

/// A connection that counts towards the limits until it is dropped.
pub(crate) struct Limited<Io> {
    io: Io,
    _host: Entered<Host>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_host_nor_an_identity_has_all_connections_and_files_bound_them() {
        let limits = |connections_max, soft| {
            let config = ServingConfig { connections_max, ..ServingConfig::default() };
            let Limits { all, of_host, of_identity } =
                Limits::new(&config, OpenFiles { soft: Some(soft), hard: Some(soft) });
            assert_eq!(of_host, of_identity);
            (all, of_host)
        };
        assert_eq!(limits(10_000, 1 << 20), (10_000, 1_000));
        assert_eq!(limits(10_000, 1_024), (768, 576));
        assert_eq!(limits(2, 1_024), (2, 2));
        assert_eq!(limits(1, 1_024), (1, 1));
    }
}
