//! Makes connections: over TCP or in a simulation; in plain text or over TLS, according to the endpoint's
//! scheme.

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

/// The traits of a connection.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// Makes connections.
pub trait Connect: Debug + Send + Sync + 'static {
    /// Connects to a host and port.
    fn connect(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Connection>>>;

    /// Looks up every address of a host. The default implementation fails with `Unsupported`.
    fn resolve(&self, _host: &str, _port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(std::future::ready(Err(io::Error::from(io::ErrorKind::Unsupported))))
    }
}

/// The network that clients use.
///
/// `http://` endpoints are reached in plain text, `https://` endpoints over the network's TLS.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Makes the connections. `None` for TCP.
    connect: Option<Arc<dyn Connect>>,
    tls: Option<Tls>,
    /// The name that the servers' certificates must have, if it is not the host of the endpoint.
    server_name: Option<Arc<str>>,
    /// Reports calls that take long, if somebody reads such reports.
    notice: Option<Notice>,
    /// The credential on every call to a service of ours.
    bearer: Option<Bearer>,
    /// The servers of this process that are called as functions.
    local: Option<LocalServers>,
}

impl Network {
    /// Returns a network over TCP, with the system's resolver.
    #[must_use]
    pub const fn tcp() -> Self {
        Self { connect: None, tls: None, server_name: None, notice: None, bearer: None, local: None }
    }

    /// Returns a network on which `connect` makes the connections.
    #[must_use]
    pub fn of(connect: impl Connect) -> Self {
        Self { connect: Some(Arc::new(connect)), ..Self::tcp() }
    }

    /// Returns the same network, on which `https://` endpoints use this TLS.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Returns the same network, on which the certificate of a server must be for `name`, whatever its
    /// address: for addresses that were found by that name.
    #[must_use]
    pub fn expecting(self, name: &str) -> Self {
        Self { server_name: Some(name.into()), ..self }
    }

    /// Returns the same network, on which calls that take long are reported.
    #[must_use]
    pub fn noticing(self, notice: Notice) -> Self {
        Self { notice: Some(notice), ..self }
    }

    /// Returns the same network, on which every call carries this credential. The caller ensures that
    /// endpoints in plain text are on this machine
    /// ([`is_plaintext_off_loopback`](crate::is_plaintext_off_loopback)), or that others may read the
    /// credential.
    #[must_use]
    pub fn bearing(self, bearer: Option<Bearer>) -> Self {
        Self { bearer, ..self }
    }

    /// Returns the same network, on which the servers of this process are called as functions, by the
    /// endpoints at which they listen. While a server is not among `servers`, calls to its endpoint use a
    /// connection.
    #[must_use]
    pub fn with_local(self, servers: LocalServers) -> Self {
        Self { local: Some(servers), ..self }
    }

    /// Returns the credential that calls carry, for a caller that uses [`Network::connect`] itself.
    #[must_use]
    pub const fn bearer(&self) -> Option<&Bearer> {
        self.bearer.as_ref()
    }

    /// Returns the name of the credentials of a call to this endpoint, for messages; `None` if it carries
    /// none.
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

    /// Returns the reports of calls that take long.
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

    /// Returns a channel to a foreign service, such as a collector, which gets no credential of ours. A call
    /// on it fails after `timeout`.
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

    /// Makes one connection to an endpoint, for a caller that manages it itself. TCP may take as long as
    /// `timeout`; TLS follows if the endpoint's scheme is `https`.
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
            let why = "the endpoint asks for TLS, and no TLS is configured";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        };
        let name = self.server_name.as_deref().unwrap_or(host);
        Ok(Box::new(tls.connect(name, io).await?))
    }
}

/// Looks up names, and returns their addresses in random order. The system's order is always the same, so
/// every connection would be to the first of several servers behind one name.
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
            // The connector sets the port.
            let mut addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            addresses.shuffle(&mut rand::rng());
            Ok(addresses.into_iter())
        })
    }
}

fn is_secure(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}
