//! Decides whether a call may go on, before any of its body is read and before it has a slot. The service
//! supplies the guard that decides.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::connection::peer::Peer;

/// The other end of the connection on which a call arrived.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The peer's address. `None` where the network has no addresses.
    pub address: Option<IpAddr>,
    /// The name in the peer's certificate, which the handshake has checked.
    pub certificate_name: Option<Arc<str>>,
}

impl Origin {
    /// Returns the origin of the calls of a connection with this peer.
    pub(crate) fn of(peer: &Peer) -> Self {
        let address = peer.address.map(|address| address.ip());
        Self { address, certificate_name: peer.certificate_name.clone() }
    }
}

/// The decision of a [`Guard`].
pub type Decision<'a> = Pin<Box<dyn Future<Output = Result<Admission, Status>> + Send + 'a>>;

/// A call that a guard lets in.
#[derive(Default)]
pub struct Admission(Option<Box<dyn FnOnce(Code) + Send>>);

impl Admission {
    /// Lets the call in, and calls `report` when its answer begins: with the code of a call that fails
    /// there, otherwise with `OK`. `report` is not called if the caller has gone by then.
    #[must_use]
    pub fn reporting(report: impl FnOnce(Code) + Send + 'static) -> Self {
        Self(Some(Box::new(report)))
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.0.is_some()).finish()
    }
}

/// Decides whether calls may go on.
pub trait Guard: fmt::Debug + Send + Sync + 'static {
    /// Decides on a call by its path, which names the method, and its headers. The extensions that the guard
    /// adds go with the call to its handler. A [`crate::ClientIdentity`] among them replaces the
    /// connection's, for fair shares and logs.
    fn admit<'a>(&'a self, call: &'a mut Parts, origin: Origin) -> Decision<'a>;
}

/// Asks a guard, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct GuardLayer(pub(crate) Option<Arc<dyn Guard>>);

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.0.clone() }
    }
}

/// The service of [`GuardLayer`].
#[derive(Debug, Clone)]
pub(crate) struct Guarded<S> {
    inner: S,
    guard: Option<Arc<dyn Guard>>,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(guard) = self.guard.clone() else { return Box::pin(self.inner.call(request)) };
        // The service that is ready takes the call; its clone stays here.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let origin = parts.extensions.get::<Peer>().map(Origin::of).unwrap_or_default();
            let Admission(report) = match guard.admit(&mut parts, origin).await {
                Ok(admission) => admission,
                Err(status) => return Ok(status.into_http()),
            };
            let answer = inner.call(Request::from_parts(parts, body)).await?;
            if let Some(report) = report {
                let code = answer.headers().get(Status::GRPC_STATUS);
                report(code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes())));
            }
            Ok(answer)
        })
    }
}
