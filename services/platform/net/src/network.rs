//! How connections are made: by TCP or by a simulation; in plain text or over TLS, as the endpoint's scheme says.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use rand::seq::SliceRandom as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{self, Endpoint};
use tower::Service;
use vigie_rpc::LocalServers;
use vigie_tls::Tls;

use crate::bearer::Bearer;
use crate::channel::Channel;
use crate::endpoint::{self, EndpointError};
use crate::notice::Notice;

/// A connection.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// Makes connections.
pub trait Connect: Debug + Send + Sync + 'static {
    /// Connects to a host and port.
    fn connect(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Connection>>>;

    /// Looks up every address of a host. By default there are no names.
    fn resolve(&self, _host: &str, _port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(std::future::ready(Err(io::Error::from(io::ErrorKind::Unsupported))))
    }
}

/// The network that clients use.
///
/// `http://` endpoints are reached in plain text, `https://` endpoints over the network's TLS.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// TCP, unless there is another.
    connect: Option<Arc<dyn Connect>>,
    tls: Option<Tls>,
    /// The name in the servers' certificates, where that is not the host of the endpoint.
    server_name: Option<Arc<str>>,
    /// Reports calls that take long, if anybody waits to read that.
    notice: Option<Notice>,
    /// Carried by every call to a service of ours.
    bearer: Option<Bearer>,
    /// The servers of this process that are called as functions.
    local: Option<LocalServers>,
}

impl Network {
    /// TCP by the system's resolver.
    #[must_use]
    pub const fn tcp() -> Self {
        Self { connect: None, tls: None, server_name: None, notice: None, bearer: None, local: None }
    }

    /// A network on which `connect` makes the connections.
    #[must_use]
    pub fn of(connect: impl Connect) -> Self {
        Self { connect: Some(Arc::new(connect)), ..Self::tcp() }
    }

    /// The same network, on which `https://` endpoints are reached by this TLS.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// The same network, on which the certificate of a server has to be for `name`, whatever its address: for addresses that
    /// were found by that name.
    #[must_use]
    pub fn expecting(self, name: &str) -> Self {
        Self { server_name: Some(name.into()), ..self }
    }

    /// The same network, on which calls that take long are reported.
    #[must_use]
    pub fn noticing(self, notice: Notice) -> Self {
        Self { notice: Some(notice), ..self }
    }

    /// The same network, on which every call carries this credential. Whoever sets it sees to it that endpoints in plain text are on
    /// this machine ([`is_plaintext_off_loopback`](crate::is_plaintext_off_loopback)), or that others may read it.
    #[must_use]
    pub fn bearing(self, bearer: Option<Bearer>) -> Self {
        Self { bearer, ..self }
    }

    /// The same network, on which the servers of this process are called as functions, by the endpoints at which they listen. While a
    /// server is not among them, calls to its endpoint go over a connection.
    #[must_use]
    pub fn with_local(self, servers: LocalServers) -> Self {
        Self { local: Some(servers), ..self }
    }

    /// The credential that calls carry, for a caller that makes its own on [`Network::connect`].
    #[must_use]
    pub const fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_ref()
    }

    /// The credentials of a call to this endpoint, for messages; `None` where it carries none.
    pub(crate) fn credentials(&self, endpoint: &Uri) -> Option<Arc<str>> {
        let tls = self.tls.as_ref().filter(|_| is_secure(endpoint));
        let certificate = tls.and_then(|tls| tls.config().certificate.as_ref());
        let certificate = certificate.map(|file| format!("certificate {}", file.display()));
        match (&self.bearer, certificate) {
            (Some(bearer), Some(certificate)) => Some(format!("{} and {certificate}", bearer.name()).into()),
            (Some(bearer), None) => Some(bearer.name().into()),
            (None, certificate) => certificate.map(Into::into),
        }
    }

    /// Where calls that take long are reported.
    pub(crate) const fn notice(&self) -> Option<&Notice> {
        self.notice.as_ref()
    }

    /// Looks up every address that a host has now.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match &self.connect {
            None => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            Some(connect) => connect.resolve(host, port).await,
        }
    }

    /// Returns a channel to a service that is none of ours, such as a collector, and gets no credential of ours. A call on it is
    /// given up after `timeout`.
    ///
    /// # Errors
    ///
    /// The text is no endpoint.
    pub fn channel_to(&self, endpoint: &str, timeout: Duration) -> Result<transport::Channel, EndpointError> {
        Ok(self.connection(&endpoint::settings(endpoint)?.timeout(timeout)))
    }

    /// Returns a channel to a service of ours.
    pub(crate) fn channel(&self, endpoint: &Arc<str>, settings: &Endpoint) -> Channel {
        let local = self.local.clone().map(|servers| (servers, Arc::clone(endpoint)));
        Channel::new(self.connection(settings), self.bearer.clone(), local)
    }

    /// Returns a channel that connects when it is first used, and again whenever the connection is lost.
    fn connection(&self, endpoint: &Endpoint) -> transport::Channel {
        let network = self.clone();
        let timeout = endpoint.get_connect_timeout();
        endpoint.connect_with_connector_lazy(tower::service_fn(move |uri: Uri| {
            let network = network.clone();
            async move { Ok::<_, io::Error>(TokioIo::new(network.connect(&uri, timeout).await?)) }
        }))
    }

    /// Makes one connection to an endpoint, for a caller that keeps it itself. TCP may take as long as `timeout`; TLS follows
    /// where the endpoint asks for it.
    pub async fn connect(&self, uri: &Uri, timeout: Option<Duration>) -> io::Result<Box<dyn Connection>> {
        let host = uri.host().unwrap_or_default();
        let secure = is_secure(uri);
        let io = match &self.connect {
            Some(connect) => {
                let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
                connect.connect(host, port).await?
            }
            None => {
                let mut tcp = HttpConnector::new_with_resolver(AnyOrder);
                tcp.enforce_http(false);
                tcp.set_nodelay(true);
                tcp.set_connect_timeout(timeout);
                Box::new(tcp.call(uri.clone()).await.map_err(io::Error::other)?.into_inner())
            }
        };
        if !secure {
            return Ok(io);
        }
        let Some(tls) = &self.tls else {
            let why = "the endpoint asks for TLS, of which nothing is configured";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        };
        let name = self.server_name.as_deref().unwrap_or(host);
        Ok(Box::new(tls.connect(name, io).await?))
    }
}

/// Looks names up, and returns their addresses in an order drawn at random: the system's is always the same, so that every
/// connection would be to the first of several servers behind one name.
#[derive(Debug, Clone, Copy)]
struct AnyOrder;

impl Service<Name> for AnyOrder {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            // The connector puts in the port.
            let mut addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            addresses.shuffle(&mut rand::rng());
            Ok(addresses.into_iter())
        })
    }
}

fn is_secure(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}
