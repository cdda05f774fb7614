//! Decides whether a call may go on, before anything of its body is read and before it has a slot. Who decides is the service's user.

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

/// The other end of the connection that a call came by.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Its address; none where the network has no addresses.
    pub address: Option<IpAddr>,
    /// The name in its certificate, which the handshake has checked.
    pub certificate_name: Option<Arc<str>>,
}

impl Origin {
    /// The other end of a connection.
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
    /// Lets the call in. `told` is called when its answer begins, with the code of a call that fails there, and else with `OK`; not where
    /// the caller goes before that.
    #[must_use]
    pub fn telling(told: impl FnOnce(Code) + Send + 'static) -> Self {
        Self(Some(Box::new(told)))
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admission").field(&self.0.is_some()).finish()
    }
}

/// Decides whether calls may go on.
pub trait Guard: fmt::Debug + Send + Sync + 'static {
    /// Decides on a call by its method, which is its path, and its headers. What is put into the extensions goes with the call to its
    /// handler; a [`crate::ClientIdentity`] there takes the place of that of the connection, for fair shares and for logs.
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
        // The one that is ready goes with the call.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let origin = parts.extensions.get::<Peer>().map(Origin::of).unwrap_or_default();
            let Admission(told) = match guard.admit(&mut parts, origin).await {
                Ok(admission) => admission,
                Err(status) => return Ok(status.into_http()),
            };
            let answer = inner.call(Request::from_parts(parts, body)).await?;
            if let Some(told) = told {
                let code = answer.headers().get(Status::GRPC_STATUS);
                told(code.map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes())));
            }
            Ok(answer)
        })
    }
}
