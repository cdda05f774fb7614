//! Runs one server from its listener to its last answer.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::pin::Pin;

use thiserror::Error;
use tokio_util::sync::CancellationToken as Shutdown;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::Service;
use vigie_telemetry::trace::Tracer;

use crate::admission::answers::AnswerBytes;
use crate::admission::slots::Slots;
use crate::authorization::identity::IdentityLayer;
use crate::call::answers::AnswersLayer;
use crate::call::health_watch::HealthWatchLayer;
use crate::call::in_flight::{Exceptions, InFlightLayer};
use crate::call::message_limit::MessageLimitLayer;
use crate::call::methods::Methods;
use crate::call::observed::ObservedLayer;
use crate::config::ServingConfig;
use crate::connection::any::AnyListener;
use crate::connection::handshakes::Handshakes;
use crate::connection::limited::limited;
use crate::connection::listener::Listener;
use crate::load::Load;

/// Calls of one connection that may be withdrawn before they are accepted; beyond it the connection is closed.
const PENDING_RESETS_MAX: usize = 4_096;

/// Why a server could not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The descriptors for reflection do not decode.
    #[error("cannot offer reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The descriptors do not tell the methods.
    #[error("cannot tell the methods of the server")]
    Descriptors(#[from] prost::DecodeError),
    /// The transport failed.
    #[error("cannot serve")]
    Transport(#[from] tonic::transport::Error),
}

/// Whether the service answers, as gRPC health checks see it.
///
/// A service without a state of its own is serving from the start. One that has to load first says so with
/// [`Health::set`].
#[derive(Debug, Clone)]
pub struct Health {
    reporter: HealthReporter,
    services: Vec<&'static str>,
}

impl Health {
    /// Sets the health of the process and of each of its services.
    pub async fn set(&self, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in self.services.iter().chain([&""]) {
            self.reporter.set_service_status(*service, status).await;
        }
    }
}

/// What reflection tells: the encoded descriptors of all packages.
#[derive(Debug, Clone, Copy)]
pub struct Reflection(pub &'static [u8]);

/// The services of one server.
#[derive(Debug)]
pub struct Routes {
    builder: RoutesBuilder,
    health: Health,
    exceptions: Exceptions,
    load: Load,
    reflection: Reflection,
    tracer: Tracer,
}

impl Routes {
    /// Health and reflection (v1 and v1alpha), and no service yet. Health says `NOT_SERVING` until it is set.
    pub fn new(reflection: Reflection) -> Result<Self, ServeError> {
        let reporter = HealthReporter::new();
        let mut builder = RoutesBuilder::default();
        let described = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(reflection.0)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        builder.add_service(described().build_v1()?).add_service(described().build_v1alpha()?).add_service(
            tonic_health::pb::health_server::HealthServer::new(
                tonic_health::server::HealthService::from_health_reporter(reporter.clone()),
            ),
        );
        let never_refused = vec!["/grpc.health.".to_owned(), "/grpc.reflection.".to_owned()];
        let exceptions = Exceptions { never_refused, bulk: Vec::new() };
        let health = Health { reporter, services: Vec::new() };
        Ok(Self { builder, health, exceptions, load: Load::default(), reflection, tracer: Tracer::default() })
    }

    /// Adds a service.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.builder.add_service(service);
        self.health.services.push(S::NAME);
        self
    }

    /// Never refuses this method for want of room: it is how others see that the service lives.
    #[must_use]
    pub fn never_refusing(mut self, service: &str, method: &str) -> Self {
        self.exceptions.never_refused.push(format!("/{service}/{method}"));
        self
    }

    /// Takes every call of this method for bulk work, whatever its caller says.
    #[must_use]
    pub fn bulk(mut self, service: &str, method: &str) -> Self {
        self.exceptions.bulk.push(format!("/{service}/{method}"));
        self
    }

    /// Traces calls, but for those that ask whether the server lives.
    #[must_use]
    pub fn traced_by(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// The methods that are served.
    fn methods(&self) -> Result<Methods, ServeError> {
        use tonic_reflection::pb::{v1, v1alpha};
        let descriptors = [
            self.reflection.0,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            v1::FILE_DESCRIPTOR_SET,
            v1alpha::FILE_DESCRIPTOR_SET,
        ];
        Ok(Methods::of(&descriptors, &self.health.services, &SHARED_SERVICES)?)
    }

    /// The handle that tells what the server has to do and what it refuses.
    #[must_use]
    pub fn load(&self) -> Load {
        self.load.clone()
    }

    /// The handle by which the service tells whether it answers.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }
}

/// What every server offers.
const SHARED_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];
/// The most bytes of a call's headers.
const HEADERS_BYTES_MAX: u32 = 16 << 10;

/// A number that differs between servers, and not between runs of a simulation.
fn seed(address: Option<SocketAddr>) -> u64 {
    // Its keys are fixed.
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    hasher.finish()
}

/// Serves until `shutdown`, then says `NOT_SERVING`, waits the lame-duck time, stops listening, and answers what it
/// had accepted for at most `drain_ms_max`.
///
/// Long streams are the handlers' own: they watch the same token and end. Health watchers are ended here. What outlasts
/// the drain is cut off.
pub async fn serve(
    listener: impl Listener,
    routes: Routes,
    message_bytes_max: usize,
    config: &ServingConfig,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    boxed(AnyListener::new(listener), routes, message_bytes_max, config, shutdown).await
}

/// Boxes the server here: a future is compiled by the crate that first awaits or boxes it, and a server is the largest one
/// there is.
fn boxed(
    listener: AnyListener,
    routes: Routes,
    message_bytes_max: usize,
    config: &ServingConfig,
    shutdown: Shutdown,
) -> Pin<Box<dyn Future<Output = Result<(), ServeError>> + Send + '_>> {
    Box::pin(serve_any(listener, routes, message_bytes_max, config, shutdown))
}

async fn serve_any(
    listener: AnyListener,
    routes: Routes,
    message_bytes_max: usize,
    config: &ServingConfig,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    let methods = routes.methods()?;
    let Routes { builder, health, exceptions, load, tracer, .. } = routes;
    let observed = ObservedLayer { methods, durations: load.durations.clone(), tracer };
    let answer_within = std::time::Duration::from_millis(config.deadline_ms_max);
    let (draining, cut_off) = (Shutdown::new(), Shutdown::new());
    // However this ends, no connection outlives it.
    let _cut_off = cut_off.clone().drop_guard();
    let seed = seed(listener.address());
    let tls = listener.tls().cloned();
    let incoming = limited(listener.incoming(), config.connections_max, load.clone(), cut_off);
    let incoming = Handshakes::new(incoming, tls, load.clone(), AnyListener::peer);
    let answers = AnswerBytes::new(config.answer_bytes_in_flight_max, load.clone());
    let slots = Slots::new(config, message_bytes_max, load, seed);
    let server = tonic::transport::Server::builder()
        .max_concurrent_streams(config.streams_per_connection_max)
        // Streams that were reset before they were accepted, beyond which the peer is taken for an attacker
        // (CVE-2023-44487) and loses its connection with all calls on it: twenty by default, which a coordinator that
        // withdraws what others have answered comes to.
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
        // Names and a deadline: some hundred bytes. Said here so that no other default comes by an upgrade.
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        // Windows that hold a whole image or a page of the feed: the default 64 KiB costs a round trip for each.
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(20)))
        // First, for those behind it go by who calls.
        .layer(IdentityLayer)
        // Next, so that what is refused is told too.
        .layer(observed)
        // Next, so that a flood is refused before anything of it is read.
        .layer(InFlightLayer::new(slots, exceptions, answer_within))
        // Next, so that a message too large, or one too many, is refused by its length before its bytes arrive.
        .layer(MessageLimitLayer::new(message_bytes_max))
        // Next, so that what was refused takes no part in it.
        .layer(AnswersLayer(answers))
        // Innermost, for one method only: its streams would hold the drain up.
        .layer(HealthWatchLayer { draining: draining.clone() })
        .serve_with_incoming_shutdown(
            builder.routes().prepare(),
            incoming,
            draining.clone().cancelled_owned(),
        );
    let mut server = std::pin::pin!(server);

    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = shutdown.cancelled() => {}
    }
    health.set(false).await;
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = tokio::time::sleep(config.lame_duck()) => {}
    }
    draining.cancel();
    match tokio::time::timeout(config.drain_max(), server).await {
        Ok(ended) => Ok(ended?),
        Err(_) => {
            tracing::warn!(
                drain_ms = config.drain_ms_max,
                "calls were cut off: they outlasted the drain time"
            );
            Ok(())
        }
    }
}
