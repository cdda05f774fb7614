//! Identifies callers. No other file does.
//!
//! A caller with a client certificate is identified by the name in it, which the handshake has checked. Any
//! other caller is unknown, and is distinguished by its address alone. The identity goes with the call: fair
//! shares are kept by it, the access log shows it, and a handler finds it in [`crate::Call::identity`].
//!
//! If a server has a guard ([`super::guard`]), the guard checks the credentials that the call itself carries,
//! and may replace the identity.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Extensions, Request};
use tower::{Layer, Service};

use crate::connection::peer::Peer;

/// The caller's proven identity: the SPIFFE ID or the DNS name in the client's certificate, or the identity
/// that a guard has set. An extension of each request of a known caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientIdentity(pub Arc<str>);

/// Returns the caller's identity according to the extensions of its request.
fn identify(extensions: &Extensions) -> Option<ClientIdentity> {
    let certificate_name = extensions.get::<Peer>()?.certificate_name.clone();
    certificate_name.map(ClientIdentity)
}

/// Identifies the caller of each request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdentityLayer;

impl<S> Layer<S> for IdentityLayer {
    type Service = Identity<S>;

    fn layer(&self, inner: S) -> Identity<S> {
        Identity { inner }
    }
}

/// The service of [`IdentityLayer`].
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
