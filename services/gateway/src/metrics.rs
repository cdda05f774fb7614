//! The metrics of a gateway's requests: by route and status, never by content.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::MatchedPath;
use http::{Method, Request, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use vigie_telemetry::register_gauge;

use crate::cluster::{Cluster, State};

/// The bounds of durations, in seconds.
const BOUNDS: [f64; 14] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The route of requests to unknown paths.
const NO_ROUTE: &str = "none";

/// The metrics of a gateway. Clones share the same counters.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: Family<Labels, Histogram>,
    refused: Family<Reason, Counter>,
    fetches: Family<Outcome, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

/// The reason why the entry refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusedFor {
    /// Too many concurrent requests.
    Slots,
    /// A page of another site sent the request, or its host name is not one of the gateway's.
    Site,
    /// The credential is invalid.
    Credential,
}

impl RefusedFor {
    const ALL: [Self; 3] = [Self::Slots, Self::Site, Self::Credential];

    const fn name(self) -> &'static str {
        match self {
            Self::Slots => "slots",
            Self::Site => "site",
            Self::Credential => "credential",
        }
    }
}

/// Returns the method as a label; other methods are refused.
const fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// The route and method of a request.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    path: Option<MatchedPath>,
    method: &'static str,
}

impl Route {
    /// Returns the route and method of a request after routing.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self { path: request.extensions().get().cloned(), method: method_name(request.method()) }
    }
}

impl Metrics {
    /// Registers the metrics, including the state of the cluster.
    pub(crate) fn register(registry: &mut Registry, cluster: &Cluster) -> Self {
        let metrics = Self {
            requests: Family::new_with_constructor(|| Histogram::new(BOUNDS)),
            refused: Family::default(),
            fetches: Family::default(),
        };
        for reason in RefusedFor::ALL {
            drop(metrics.refused.get_or_create_owned(&Reason { reason: reason.name() }));
        }
        for outcome in ["ok", "failed"] {
            drop(metrics.fetches.get_or_create_owned(&Outcome { outcome }));
        }
        registry.register_with_unit(
            "vigie_gateway_request",
            "How long requests took, by route, method and status",
            Unit::Seconds,
            metrics.requests.clone(),
        );
        registry.register(
            "vigie_gateway_requests_refused",
            "Requests that were refused before they were routed, by reason",
            metrics.refused.clone(),
        );
        registry.register(
            "vigie_gateway_fetches",
            "Files that were fetched by their URLs, by outcome",
            metrics.fetches.clone(),
        );
        let cluster = cluster.clone();
        register_gauge(
            registry,
            "vigie_gateway_status",
            "Whether the whole cluster answers, as /status says it: 1 or 0",
            move || if cluster.state() == State::Ready { 1.0 } else { 0.0 },
        );
        metrics
    }

    /// Counts a request that was answered.
    pub(crate) fn answered(&self, route: &Route, status: StatusCode, took: Duration) {
        let path = route.path.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
        let labels = Labels { route: path.to_owned(), method: route.method, status: status.as_u16() };
        self.requests.get_or_create_owned(&labels).observe(took.as_secs_f64());
    }

    /// Counts a request that was refused.
    pub(crate) fn refused(&self, reason: RefusedFor) {
        self.refused.get_or_create_owned(&Reason { reason: reason.name() }).inc();
    }

    /// Counts a fetch.
    pub(crate) fn fetched(&self, is_ok: bool) {
        let outcome = if is_ok { "ok" } else { "failed" };
        self.fetches.get_or_create_owned(&Outcome { outcome }).inc();
    }
}

/// Measures each request after routing.
pub(crate) async fn measure(
    axum::extract::State(metrics): axum::extract::State<Arc<Metrics>>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    let (route, begun) = (Route::of(&request), tokio::time::Instant::now());
    let answer = next.run(request).await;
    metrics.answered(&route, answer.status(), begun.elapsed());
    answer
}
