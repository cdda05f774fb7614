//! Who calls: the one place where that is decided.
//!
//! A caller is who its certificate says, if it showed one; the handshake has checked that. Otherwise nobody knows, and the
//! caller is told from others by its address alone. What is decided here goes with the call: fair shares are kept by it,
//! the access log tells it, and a handler finds it in [`crate::Call::identity`].
//!
//! API keys and bearer tokens belong into [`identify`]: it sees the connection and the headers of each call before anything
//! else does. A credential that is there and wrong has to fail the call in [`Identity`] with `UNAUTHENTICATED`, before the
//! call has a place; and its text must not reach a log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Extensions, Request};
use tower::{Layer, Service};

/// Who calls, as far as that is known for certain: the SPIFFE ID or the DNS name in a client's certificate. A request has it
/// as an extension.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientIdentity(pub Arc<str>);

/// The other end of a connection. Each of its requests has it as an extension.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// None where the network does not tell.
    pub(crate) address: Option<SocketAddr>,
    /// What its certificate says, which has been checked.
    pub(crate) certificate_name: Option<Arc<str>>,
}

/// See the module.
fn identify(extensions: &Extensions) -> Option<ClientIdentity> {
    let certificate_name = extensions.get::<Peer>()?.certificate_name.clone();
    certificate_name.map(ClientIdentity)
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdentityLayer;

impl<S> Layer<S> for IdentityLayer {
    type Service = Identity<S>;

    fn layer(&self, inner: S) -> Identity<S> {
        Identity { inner }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Identity<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Identity<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(identity) = identify(request.extensions()) {
            request.extensions_mut().insert(identity);
        }
        self.inner.call(request)
    }
}
