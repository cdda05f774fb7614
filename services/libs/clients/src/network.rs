//! How connections are made: by TCP, or as a simulation has it.

use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Channel, Endpoint};

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
#[derive(Debug, Clone, Default)]
pub struct Network(Option<Arc<dyn Connect>>);

impl Network {
    /// TCP.
    #[must_use]
    pub const fn tcp() -> Self {
        Self(None)
    }

    /// Another one.
    #[must_use]
    pub fn of(connect: impl Connect) -> Self {
        Self(Some(Arc::new(connect)))
    }

    /// Every address that a host has now, by the system's resolver.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match &self.0 {
            None => Ok(tokio::net::lookup_host((host, port)).await?.collect()),
            Some(connect) => connect.resolve(host, port).await,
        }
    }

    /// A channel that connects when it is first used, and again whenever the connection is lost.
    pub(crate) fn channel(&self, endpoint: &Endpoint) -> Channel {
        let Some(connect) = self.0.clone() else { return endpoint.connect_lazy() };
        endpoint.connect_with_connector_lazy(tower::service_fn(move |uri: Uri| {
            let connecting = connect.connect(uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
            async move { Ok::<_, io::Error>(TokioIo::new(connecting.await?)) }
        }))
    }
}
