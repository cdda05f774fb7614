//! Performs the TLS handshakes of new connections, many at once, and logs those that are refused.
//!
//! A handshake waits for its peer, so each is a task of its own: neither a slow peer nor a hostile one keeps
//! others from being accepted. Handshakes are bounded in number, in all and for each host, and in time. A
//! connection counts from the moment it is accepted ([`crate::connection::limited`]), so one that never ends
//! its handshake counts as a connection too.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::Stream;
use vigie_tls::{Http, Refused, Tls, TlsConfig};

use crate::connection::counts::{Counts, Host, host_of};
use crate::connection::limited::Limited;
use crate::connection::socket::Socket;
use crate::load::Load;
use crate::refusal_log::RefusalLog;

/// The divisor of the limit for each host: one host may have an eighth of all handshakes.
const PART_OF_HOST: usize = 8;

/// The outcome of a handshake: a connection, or the peer and the reason of the refusal.
type Outcome<Io> = Result<Socket<Io>, (Option<SocketAddr>, Refused)>;

/// A stream of the connections on which calls can be made.
pub(crate) struct Handshakes<S, Io> {
    /// `None` once the stream has ended.
    incoming: Option<Pin<Box<S>>>,
    tls: Option<Tls>,
    http: Http,
    /// The longest time from accepting a connection to the first bytes of HTTP/2 on it.
    longest: Duration,
    load: Load,
    peer: fn(&Io) -> Option<SocketAddr>,
    under_way: JoinSet<Outcome<Io>>,
    hosts: Counts<Host>,
    log: RefusalLog,
}

impl<S, Io> Handshakes<S, Io> {
    /// Yields the connections of `incoming` whose TLS handshake succeeded. Without `tls`, yields all of them
    /// at once.
    pub(crate) fn new(
        incoming: S,
        tls: Option<Tls>,
        http: Http,
        load: Load,
        peer: fn(&Io) -> Option<SocketAddr>,
        log: RefusalLog,
    ) -> Self {
        let incoming = Some(Box::pin(incoming));
        let longest = tls
            .as_ref()
            .map_or_else(|| TlsConfig::default().handshake_max(), |tls| tls.config().handshake_max());
        let hosts = Counts::new(tls.as_ref().map_or(0, |tls| tls.config().handshakes_max / PART_OF_HOST));
        Self { incoming, tls, http, longest, load, peer, under_way: JoinSet::new(), hosts, log }
    }
}

// The only field that must not move is boxed.
impl<S, Io> Unpin for Handshakes<S, Io> {}

impl<S, Io> Stream for Handshakes<S, Io>
where
    S: Stream<Item = io::Result<Limited<Io>>>,
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Item = io::Result<Socket<Io>>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            while let Poll::Ready(Some(ended)) = this.under_way.poll_join_next(context) {
                match ended {
                    Ok(Ok(socket)) => return Poll::Ready(Some(Ok(socket))),
                    Ok(Err((peer, refused))) => {
                        this.load.refuse_handshake();
                        this.log.add(peer, refused);
                    }
                    // The task was aborted with the runtime, or it panicked. Its connection is closed.
                    Err(error) => tracing::error!(%error, "a handshake was aborted or panicked"),
                }
            }
            let Some(incoming) = &mut this.incoming else {
                return if this.under_way.is_empty() { Poll::Ready(None) } else { Poll::Pending };
            };
            let io = match incoming.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(io))) => io,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => {
                    this.incoming = None;
                    continue;
                }
                Poll::Pending => return Poll::Pending,
            };
            let address = (this.peer)(io.get_ref());
            let until = Instant::now() + this.longest;
            let Some(tls) = &this.tls else {
                return Poll::Ready(Some(Ok(Socket::plain(io, address, until))));
            };
            if this.under_way.len() >= tls.config().handshakes_max {
                this.load.refuse_handshake();
                this.log.add(address, Refused::TooMany);
                continue;
            }
            let Some(entered) = this.hosts.enter(host_of(address)) else {
                this.load.refuse_handshake();
                this.log.add(address, Refused::TooManyOfHost);
                continue;
            };
            let (tls, http) = (tls.clone(), this.http);
            this.under_way.spawn(async move {
                let _entered = entered;
                match tls.accept_for(http, io).await {
                    Ok(stream) => Ok(Socket::secured(stream, address, until)),
                    Err(refused) => Err((address, refused)),
                }
            });
        }
    }
}
