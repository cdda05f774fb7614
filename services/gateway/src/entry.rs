//! The steps before routing, in this order: doubled slashes, a slot, cross-site checks, the caller's
//! credential.

pub(crate) mod client;
mod cross_site;
pub(crate) mod credential;
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
use http::{HeaderValue, Request, StatusCode, header};
use tonic::body::Body;
use tower::Service;
use vigie_clients::Bearer;
use vigie_serving::Origin;

use crate::console::state::Console;
use crate::console::{frame, paths as console};
use crate::entry::credential::Admission;
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

/// The shared state of the entry.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The checks of credentials.
    pub(crate) admission: Arc<Admission>,
    /// The console; `None` if it is disabled.
    pub(crate) console: Option<Console>,
    /// The names by which clients may address the gateway.
    pub(crate) hosts: Hosts,
    /// The limit of concurrent requests.
    pub(crate) slots: Slots,
    /// The credential for requests that carry none.
    pub(crate) bound_to: Option<Bearer>,
    /// The clients of the services.
    pub(crate) upstream: Arc<Upstream>,
    /// The counters of refused requests.
    pub(crate) metrics: Arc<Metrics>,
}

/// The gateway as a service for connections.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    /// The steps before routing.
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
            if answer.status() == StatusCode::NOT_FOUND {
                // The router adds `Allow` if the path has other methods. The header would reveal that the
                // path exists.
                answer.headers_mut().remove(header::ALLOW);
            }
            // An answer is for one caller at one time, so nothing may cache it.
            answer.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            Ok(answer.map(Body::new))
        })
    }
}

/// Returns whether a path needs no credential: the liveness and status of the server, its descriptions, and
/// the login of a follower.
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
    /// Admits a request, with its caller as an extension, or answers it.
    async fn enter(&self, mut request: Request<Body>) -> Result<(Request<Body>, slots::Slot), Response> {
        let origin = request.extensions().get::<Origin>().cloned().unwrap_or_default();
        let door = Door::of(request.uri().path(), self.console.as_ref());
        let refused = |reason: RefusedFor, request: &Request<Body>, problem: Problem| {
            self.metrics.refused(reason);
            door.refused(request, problem)
        };
        match slashes::of(request.uri()) {
            Slashes::Fit => {}
            Slashes::Leading(uri) => *request.uri_mut() = uri,
            Slashes::Inner(location) => return Err(slashes::moved(&location)),
        }
        let slot = self.slots.enter(origin.address);
        let slot = slot.map_err(|problem| refused(RefusedFor::Slots, &request, problem))?;
        let own = match door {
            Door::Feeds => credential::of_follower(request.uri(), request.headers()),
            Door::V1 | Door::Hma => credential::of(request.headers())
                .map_err(|problem| refused(RefusedFor::Credential, &request, problem))?,
            Door::Console(console) => self.arrive(console, &mut request),
        };
        let (method, headers) = (request.method(), request.headers());
        let checked = match (&door, &own) {
            (Door::Console(_), own) => self.hosts.check_page(method, headers, own.is_some()),
            (Door::Feeds | Door::V1 | Door::Hma, None) => self.hosts.check(method, headers),
            (Door::Feeds | Door::V1 | Door::Hma, Some(_)) => Ok(()),
        };
        checked.map_err(|problem| refused(RefusedFor::Site, &request, problem))?;
        let bearer = own.or_else(|| self.bound_to.clone());
        let path = request.uri().path();
        let is_checked = match door {
            Door::Console(_) => !console::is_open(path),
            Door::Feeds | Door::V1 | Door::Hma => bearer.is_some() || !is_open(path),
        };
        if is_checked {
            let checked = self.admission.check(bearer.as_ref(), &origin).await;
            checked.map_err(|problem| refused(RefusedFor::Credential, &request, problem))?;
        }
        let caller = self.upstream.of(bearer);
        // Handlers get the caller as an extension. The credential is removed, so that it cannot reach a log.
        request.headers_mut().remove(header::AUTHORIZATION);
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(ClientAddress(origin.address));
        Ok((request, slot))
    }

    /// Finds the session of a request to the console, adds it as an extension for the frame, and returns the
    /// session's credential.
    fn arrive(&self, console: &Console, request: &mut Request<Body>) -> Option<Bearer> {
        let arrived = console.sessions.of(request.headers(), console.clock.now());
        let bearer = arrived.session.signed_in.as_ref().and_then(|signed_in| signed_in.bearer());
        request.extensions_mut().insert(arrived);
        bearer
    }
}

/// The part of the gateway that owns a path. Each part has its own format for refusals.
#[derive(Debug, Clone, Copy)]
enum Door<'c> {
    /// The HMA-compatible API, and every path that no other part owns.
    Hma,
    /// The REST API of this project.
    V1,
    /// Banks in the exchange formats of hash-sharing programmes.
    Feeds,
    /// The console.
    Console(&'c Console),
}

impl<'c> Door<'c> {
    fn of(path: &str, console: Option<&'c Console>) -> Self {
        let path = format!("/{}", path.trim_start_matches('/'));
        match console {
            Some(console) if console::owns(&path) => Self::Console(console),
            _ if paths::owns(&path) => Self::V1,
            _ if path.starts_with(feeds::PREFIX) => Self::Feeds,
            _ => Self::Hma,
        }
    }

    /// Returns the answer to a request that is refused before routing.
    fn refused(self, request: &Request<Body>, problem: Problem) -> Response {
        match self {
            Self::V1 => problem.into_response(),
            Self::Hma | Self::Feeds => Refusal::from(problem).into_response(),
            Self::Console(console) => {
                let path = request.uri().path_and_query().map_or("/console/", |path| path.as_str());
                frame::refused(console, request.headers(), path, &problem)
            }
        }
    }
}
