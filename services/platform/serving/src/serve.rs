//! Runs one server from its listener to its last answer.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use prost::Message as _;
use thiserror::Error;
use tokio_util::sync::CancellationToken as Shutdown;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::{Layer as _, Service};
use vigie_rpc::in_process::LocalServers;
use vigie_telemetry::OpenFiles;
use vigie_telemetry::trace::Tracer;
use vigie_tls::Http;

use crate::admission::slots::Slots;
use crate::authorization::guard::{Guard, GuardLayer};
use crate::authorization::identity::IdentityLayer;
use crate::call::absent::AbsentLayer;
use crate::call::answers::{AnswerBudget, AnswersLayer};
use crate::call::health_watch::HealthWatchLayer;
use crate::call::in_flight::{Exceptions, InFlightLayer};
use crate::call::inflate::InflateLayer;
use crate::call::message_limit::MessageLimitLayer;
use crate::call::methods::Methods;
use crate::call::observed::ObservedLayer;
use crate::config::ServingConfig;
use crate::connection::any::AnyListener;
use crate::connection::carry::{Carried, Connections, Protocol};
use crate::connection::handshakes::Handshakes;
use crate::connection::limited::{Limits, limited};
use crate::connection::listener::Listener;
use crate::load::Load;
use crate::refusal_log::RefusalLog;

/// Why a server could not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The descriptors for reflection do not decode.
    #[error("cannot offer reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The descriptors do not tell the methods.
    #[error("cannot tell the methods of the server")]
    Descriptors(#[from] prost::DecodeError),
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

/// The contract of the cluster, as each of its servers describes it.
#[derive(Debug, Clone, Copy)]
pub struct Reflection {
    /// The encoded descriptors of all that a call, or the details of its status, may carry.
    pub descriptors: &'static [u8],
    /// Each service of the cluster, and the role that serves it.
    pub roles: &'static [(&'static str, &'static str)],
}

/// The services of one server.
#[derive(Debug)]
pub struct Routes {
    builder: RoutesBuilder,
    health: Health,
    exceptions: Exceptions,
    load: Load,
    reflection: Reflection,
    tracer: Tracer,
    guard: Option<Arc<dyn Guard>>,
    local: Option<LocalServers>,
}

impl Routes {
    /// Health and reflection (v1 and v1alpha), and no service yet. Health says `NOT_SERVING` until it is set. Fails if the
    /// descriptors do not decode.
    pub fn new(reflection: Reflection) -> Result<Self, ServeError> {
        prost_types::FileDescriptorSet::decode(reflection.descriptors)?;
        let reporter = HealthReporter::new();
        let mut builder = RoutesBuilder::default();
        builder.add_service(tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(reporter.clone()),
        ));
        let never_refused = vec!["/grpc.health.".to_owned(), "/grpc.reflection.".to_owned()];
        let exceptions = Exceptions { never_refused, bulk: Vec::new() };
        let health = Health { reporter, services: Vec::new() };
        let (load, tracer, guard, local) = (Load::default(), Tracer::default(), None, None);
        Ok(Self { builder, health, exceptions, load, reflection, tracer, guard, local })
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

    /// Has each call decided on by a guard, health checks and reflection among them.
    #[must_use]
    pub fn guarded_by(self, guard: Arc<dyn Guard>) -> Self {
        Self { guard: Some(guard), ..self }
    }

    /// Has the server among those that the rest of this process calls as functions, where there are such, until it drains. Its endpoint
    /// there is `http://` and the address where it listens.
    #[must_use]
    pub fn among(self, local: Option<LocalServers>) -> Self {
        Self { local, ..self }
    }

    /// Adds reflection, which lists what is served here and describes all of the contract.
    fn with_reflection(mut self) -> Result<Self, ServeError> {
        let described = || {
            let builder = self.descriptors().into_iter().fold(
                tonic_reflection::server::Builder::configure(),
                tonic_reflection::server::Builder::register_encoded_file_descriptor_set,
            );
            let listed = self.health.services.iter().chain(&SHARED_SERVICES);
            listed.fold(builder, |builder, service| builder.with_service_name(*service))
        };
        let (v1, v1alpha) = (described().build_v1()?, described().build_v1alpha()?);
        self.builder.add_service(v1).add_service(v1alpha);
        Ok(self)
    }

    /// The methods that are served.
    fn methods(&self) -> Result<Methods, ServeError> {
        Ok(Methods::of(&self.descriptors(), &self.health.services, &SHARED_SERVICES)?)
    }

    /// The descriptors of the contract, and of what every server offers.
    fn descriptors(&self) -> [&'static [u8]; 4] {
        use tonic_reflection::pb::{v1, v1alpha};
        let health = tonic_health::pb::FILE_DESCRIPTOR_SET;
        [self.reflection.descriptors, health, v1::FILE_DESCRIPTOR_SET, v1alpha::FILE_DESCRIPTOR_SET]
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

/// A number that differs between servers, and not between runs of a simulation.
pub(crate) fn seed(address: Option<SocketAddr>) -> u64 {
    // Its keys are fixed.
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    hasher.finish()
}

/// Serves until `shutdown`, then says `NOT_SERVING`, waits the lame-duck time, stops listening, and answers what it
/// had accepted for at most `drain_ms_max`. Connections without calls end at once.
///
/// Long streams are the handlers' own: they watch the same token and end. Health watchers are ended here. What outlasts
/// the drain is cut off, and a warning says how many calls that were.
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
    let Routes { builder, health, exceptions, load, tracer, reflection, guard, local } =
        routes.with_reflection()?;
    let absent = AbsentLayer::new(methods.clone(), health.services.clone(), reflection.roles);
    methods.of_streams().for_each(|method| load.durations.expect_stream_requests(method));
    let observed = ObservedLayer { methods, durations: load.durations.clone(), tracer };
    let tls = listener.tls().cloned();
    let (draining, refusals) = (Shutdown::new(), RefusalLog::default());
    let endpoint = listener.address().map(|address| format!("http://{address}"));
    let (limits, seed) = (limits(config), seed(listener.address()));
    let slots = Slots::new(config, message_bytes_max, load.clone(), seed);
    let incoming = limited(listener.incoming(), AnyListener::peer, limits, load.clone(), refusals.clone());
    let incoming =
        Handshakes::new(incoming, tls, Http::Two, load.clone(), AnyListener::peer, refusals.clone());
    // Innermost, for one method only: its streams would hold the drain up.
    let service = HealthWatchLayer { draining: draining.clone() }.layer(builder.routes().prepare());
    // So that what was refused takes no part in it.
    let answers = AnswerBudget::new(config.answer_bytes_in_flight_max, load.clone());
    let service = AnswersLayer(answers).layer(service);
    // So that what a message becomes is bounded by the same limits as what arrives of it.
    let service = InflateLayer::new(message_bytes_max, config).layer(service);
    // So that a message too large, or one too many, is refused by its length before its bytes arrive, and one that does not
    // arrive is ended.
    let service = MessageLimitLayer::new(message_bytes_max, config, refusals.clone()).layer(service);
    // So that a flood is refused before anything of it is read.
    let service = InFlightLayer::new(slots, exceptions, config).layer(service);
    // So that fair shares go by who calls, and a call that may not go on takes no slot.
    let service = GuardLayer(guard).layer(service);
    // So that a caller who has the address of another role reads which one it needs, however busy this one is.
    let service = absent.layer(service);
    // So that what is refused is told too.
    let service = observed.layer(service);
    // First, for those behind it go by who calls.
    let service = IdentityLayer.layer(service);
    let carried = Carried { protocol: Protocol::http2(config), seed, of_identity_max: limits.of_identity };
    let mut connections =
        Connections::new(service, carried, config, draining.clone(), load, refusals.clone());
    let within = Arc::new(connections.within());
    let serving = async move {
        {
            // The port is closed at the end of this, and the rest of the process finds the server no more.
            let _stay = local.zip(endpoint).map(|(local, endpoint)| local.add(&endpoint, within));
            let mut accepting = std::pin::pin!(connections.accept(incoming));
            tokio::select! {
                () = &mut accepting => return,
                () = shutdown.cancelled() => {}
            }
            health.set(false).await;
            tokio::select! {
                () = &mut accepting => return,
                () = tokio::time::sleep(config.lame_duck()) => {}
            }
        }
        draining.cancel();
        drain(&mut connections, config).await;
    };
    tokio::select! {
        () = serving => {}
        () = refusals.tell_left_out() => {}
    }
    Ok(())
}

/// Waits until the connections have ended, at most the drain time, and logs the calls that are cut off.
pub(crate) async fn drain<S>(connections: &mut Connections<S>, config: &ServingConfig)
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    if tokio::time::timeout(config.drain_max(), connections.ended()).await.is_err() {
        let calls = connections.open_calls();
        if calls > 0 {
            let drain_ms = config.drain_ms_max;
            tracing::warn!(calls, drain_ms, "calls were cut off: they outlasted the drain time");
        }
    }
}

/// How many connections there may be. Says so if they are fewer than was configured.
pub(crate) fn limits(config: &ServingConfig) -> Limits {
    let files = OpenFiles::now();
    let limits = Limits::new(config, files);
    if limits.all < config.connections_max {
        tracing::warn!(
            connections_max = limits.all,
            configured = config.connections_max,
            open_files_max = files.soft,
            "the process may not open enough files for all connections: raise its hard limit"
        );
    }
    limits
}
