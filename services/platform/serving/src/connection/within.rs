//! Calls from this process to its own server: they use no connection, and pass the same layers as all other
//! calls.

use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use http::{Extensions, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower::Service;
use tower::util::ServiceExt as _;
use vigie_rpc::in_process::{LocalAnswer, LocalServer};

use crate::connection::open_calls::ConnectionCalls;
use crate::connection::peer::Peer;

/// The address of these callers: that of a caller over loopback.
const NEAR: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A server as the rest of its process calls it.
pub(crate) struct Within<S> {
    service: S,
    calls: ConnectionCalls,
}

impl<S> Within<S> {
    /// Calls `service`, and counts each call as open in `calls`.
    pub(crate) const fn new(service: S, calls: ConnectionCalls) -> Self {
        Self { service, calls }
    }
}

impl<S> fmt::Debug for Within<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Within").finish_non_exhaustive()
    }
}

impl<S> LocalServer for Within<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    fn call(&self, mut request: Request<Body>) -> LocalAnswer {
        // A connection would not carry the caller's extensions: only the headers prove who calls.
        *request.extensions_mut() = Extensions::new();
        request.extensions_mut().insert(Peer { address: Some(NEAR), certificate_name: None });
        request.extensions_mut().insert(self.calls.clone());
        let answer = self.service.clone().oneshot(request);
        Box::pin(async move {
            // A panic of a handler ends its own call, as it would end one stream of a connection, and not its
            // caller.
            match AssertUnwindSafe(answer).catch_unwind().await {
                Ok(Ok(answer)) => answer,
                Err(_) => Status::internal("the call ended by a fault of the server").into_http(),
            }
        })
    }
}
