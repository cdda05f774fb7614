//! What every request passes before it is routed, in this order: doubled slashes, a slot, cross-site checks, the caller's credential.

pub(crate) mod client;
mod cross_site;
mod credential;
mod slashes;
mod slots;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, header};
use tonic::body::Body;
use tower::Service;
use vigie_access::Access;
use vigie_clients::Bearer;
use vigie_serving::Origin;

use crate::entry::slashes::Slashes;
use crate::entry::slots::Slots;
use crate::feeds;
use crate::hma::Refusal;
use crate::metrics::{Metrics, RefusedFor};
use crate::problem::Problem;
use crate::upstream::Upstream;
use crate::v1::paths;

pub(crate) use client::ClientAddress;
pub(crate) use cross_site::Hosts;
pub(crate) use slots::Slots as RequestSlots;

/// What the entry needs.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Who calls.
    pub(crate) access: Access,
    /// By which names the gateway is addressed.
    pub(crate) hosts: Hosts,
    /// How many requests there may be at once.
    pub(crate) slots: Slots,
    /// The credential of requests that carry none.
    pub(crate) bound_to: Option<Bearer>,
    /// The services.
    pub(crate) upstream: Arc<Upstream>,
    /// Counts what is refused.
    pub(crate) metrics: Arc<Metrics>,
}

/// The gateway as a service of connections.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    /// See [`Entry`].
    pub(crate) entry: Arc<Entry>,
    /// The handlers.
    pub(crate) routes: Router,
}

impl Service<Request<Body>> for Gateway {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (entry, routes) = (Arc::clone(&self.entry), self.routes.clone());
        Box::pin(async move {
            let mut answer = match entry.enter(request).await {
                Ok((request, _slot)) => routed(routes, request).await,
                Err(answer) => answer,
            };
            // Answers are of one caller and one moment.
            answer.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            Ok(answer.map(Body::new))
        })
    }
}

/// Whether anybody may ask for a path: whether the server lives, what it offers, and the login of a follower.
fn is_open(path: &str) -> bool {
    const OPEN: [&str; 6] =
        ["/", "/status", "/status/live", "/site-map", "/openapi/openapi.json", "/v1/openapi.json"];
    OPEN.contains(&path) || path.starts_with(feeds::PREFIX) && path.ends_with(feeds::LOGIN)
}

async fn routed(mut routes: Router, request: Request<Body>) -> Response {
    let Ok(answer) = Service::call(&mut routes, request).await;
    answer
}

impl Entry {
    /// Lets a request in, with its caller among its extensions, or answers it.
    async fn enter(&self, mut request: Request<Body>) -> Result<(Request<Body>, slots::Slot), Response> {
        let origin = request.extensions().get::<Origin>().cloned().unwrap_or_default();
        let is_v1 = paths::owns(request.uri().path());
        let refused = |reason: RefusedFor| {
            move |problem: Problem| {
                self.metrics.refused(reason);
                match is_v1 {
                    true => problem.into_response(),
                    false => Refusal::from(problem).into_response(),
                }
            }
        };
        match slashes::of(request.uri()) {
            Slashes::Fit => {}
            Slashes::Leading(uri) => *request.uri_mut() = uri,
            Slashes::Inner(location) => return Err(slashes::moved(&location)),
        }
        let slot = self.slots.enter(origin.address).map_err(refused(RefusedFor::Slots))?;
        let is_feed = request.uri().path().starts_with(feeds::PREFIX);
        let own = match is_feed {
            true => credential::of_follower(request.uri(), request.headers()),
            false => credential::of(request.headers()).map_err(refused(RefusedFor::Credential))?,
        };
        let bearer = match own {
            Some(bearer) => Some(bearer),
            None => {
                self.hosts.check(request.method(), request.headers()).map_err(refused(RefusedFor::Site))?;
                self.bound_to.clone()
            }
        };
        if bearer.is_some() || !is_open(request.uri().path()) {
            let checked = credential::check(&self.access, bearer.as_ref(), &origin).await;
            checked.map_err(refused(RefusedFor::Credential))?;
        }
        let caller = self.upstream.of(bearer);
        // Handlers and their logs have the caller; nothing else of them needs the credential.
        request.headers_mut().remove(header::AUTHORIZATION);
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(ClientAddress(origin.address));
        Ok((request, slot))
    }
}
