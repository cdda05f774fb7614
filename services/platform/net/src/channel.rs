//! The channel of every call to a service. It adds the network's credential, so that no caller can forget it.

mod direct;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::Either;
use http::{Request, Response};
use tonic::body::Body;
use tonic::transport::{self, Error};
use tower::Service;
use vigie_rpc::LocalServers;
use vigie_rpc::in_process::{LocalAnswer, LocalServer};

use crate::bearer::Bearer;

pub use direct::DirectChannel;

/// A connection to an endpoint, for generated clients. Every call on it, including streams, carries the
/// network's credential. If the endpoint is a server of this process, the server is called as a function.
/// Clones share the connection.
#[derive(Debug, Clone)]
pub struct Channel {
    connection: transport::Channel,
    bearer: Option<Bearer>,
    /// The servers of this process, and the endpoint of this channel.
    local: Option<(LocalServers, Arc<str>)>,
    /// The server of this process that gets the next call.
    ready: Option<Arc<dyn LocalServer>>,
}

impl Channel {
    pub(crate) const fn new(
        connection: transport::Channel,
        bearer: Option<Bearer>,
        local: Option<(LocalServers, Arc<str>)>,
    ) -> Self {
        Self { connection, bearer, local, ready: None }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Error;
    type Future = ChannelFuture;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.ready = self.local.as_ref().and_then(|(servers, endpoint)| servers.at(endpoint));
        match &self.ready {
            Some(_) => Poll::Ready(Ok(())),
            None => self.connection.poll_ready(context),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> ChannelFuture {
        if let Some(bearer) = &self.bearer {
            bearer.write(request.headers_mut());
        }
        ChannelFuture(match self.ready.take() {
            Some(server) => Either::Left(server.call(request)),
            None => Either::Right(self.connection.call(request)),
        })
    }
}

/// The future of an answer, from a server of this process or over a connection.
pub struct ChannelFuture(Either<LocalAnswer, <transport::Channel as Service<Request<Body>>>::Future>);

impl Future for ChannelFuture {
    type Output = Result<Response<Body>, Error>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Either::Left(answer) => answer.poll_unpin(context).map(Ok),
            Either::Right(answer) => answer.poll_unpin(context),
        }
    }
}

impl fmt::Debug for ChannelFuture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ChannelFuture").finish_non_exhaustive()
    }
}
