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

/// The reasons why a server could not run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The descriptors for reflection do not decode.
    #[error("cannot offer reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The service descriptors, from which the list of methods is made, do not decode.
    #[error("cannot list the methods of the server")]
    Descriptors(#[from] prost::DecodeError),
}

/// The handle with which a service sets the health that gRPC health checks report.
///
/// A service without a state of its own is serving from the start. A service that has to load data first
/// calls [`Health::set`] when it has done so.
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

/// Describes the contract of the whole cluster. Each server gets the same description.
#[derive(Debug, Clone, Copy)]
pub struct Reflection {
    /// The encoded descriptors of every message that a call, or the details of a status, may carry.
    pub descriptors: &'static [u8],
    /// Each service of the cluster, with the role that serves it.
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
    /// Returns routes with health and reflection (v1 and v1alpha), and no other service yet. Health reports
    /// `NOT_SERVING` until [`Health::set`] is called. Fails if the descriptors do not decode.
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

    /// Exempts this method from refusal under load: other processes use it to see whether the service is
    /// alive.
    #[must_use]
    pub fn never_refusing(mut self, service: &str, method: &str) -> Self {
        self.exceptions.never_refused.push(format!("/{service}/{method}"));
        self
    }

    /// Treats every call of this method as bulk work, whatever priority the caller gives it.
    #[must_use]
    pub fn bulk(mut self, service: &str, method: &str) -> Self {
        self.exceptions.bulk.push(format!("/{service}/{method}"));
        self
    }

    /// Traces the calls of the added services with `tracer`; not those of health checks and reflection.
    #[must_use]
    pub fn traced_by(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Asks `guard` to decide on each call, including health checks and reflection.
    #[must_use]
    pub fn guarded_by(self, guard: Arc<dyn Guard>) -> Self {
        Self { guard: Some(guard), ..self }
    }

    /// Registers the server in `local`, so that the rest of this process can call it as a function until it
    /// drains. The server's endpoint there is `http://` and the address on which it listens. `None` registers
    /// nothing.
    #[must_use]
    pub fn among(self, local: Option<LocalServers>) -> Self {
        Self { local, ..self }
    }

    /// Adds reflection, which lists the services of this server and describes the whole contract.
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

    /// Returns the methods that this server has.
    fn methods(&self) -> Result<Methods, ServeError> {
        Ok(Methods::of(&self.descriptors(), &self.health.services, &SHARED_SERVICES)?)
    }

    /// Returns the descriptors of the contract and of the services that every server has.
    fn descriptors(&self) -> [&'static [u8]; 4] {
        use tonic_reflection::pb::{v1, v1alpha};
        let health = tonic_health::pb::FILE_DESCRIPTOR_SET;
        [self.reflection.descriptors, health, v1::FILE_DESCRIPTOR_SET, v1alpha::FILE_DESCRIPTOR_SET]
    }

    /// Returns the handle that reports how many calls the server has in hand, and how many it refuses.
    #[must_use]
    pub fn load(&self) -> Load {
        self.load.clone()
    }

    /// Returns the handle with which the service reports whether it answers.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }
}

/// The services that every server has.
const SHARED_SERVICES: [&str; 3] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

/// Returns a number that differs between servers, but not between runs of a simulation.
pub(crate) fn seed(address: Option<SocketAddr>) -> u64 {
    // `DefaultHasher::new` uses fixed keys.
    let mut hasher = DefaultHasher::new();
    address.hash(&mut hasher);
    hasher.finish()
}

/// Serves until `shutdown`. Then reports `NOT_SERVING`, waits the lame-duck time, stops listening, and
/// answers the accepted calls for at most `drain_ms_max`. Connections without calls end at once.
///
/// The handlers of long streams watch the same token and end them. This function ends the streams of health
/// watchers. Calls that outlast the drain time are cut off, and a warning logs their number.
pub async fn serve(
    listener: impl Listener,
    routes: Routes,
    message_bytes_max: usize,
    config: &ServingConfig,
    shutdown: Shutdown,
) -> Result<(), ServeError> {
    boxed(AnyListener::new(listener), routes, message_bytes_max, config, shutdown).await
}

/// Boxes the server in this crate: a future is compiled by the crate that first awaits or boxes it, and a
/// server is the largest future there is.
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
    // Innermost, and for one method only: the streams of health watchers would hold up the drain.
    let service = HealthWatchLayer { draining: draining.clone() }.layer(builder.routes().prepare());
    // Behind the refusing layers, so that a refused call takes no part in the budget of answers.
    let answers = AnswerBudget::new(config.answer_bytes_in_flight_max, load.clone());
    let service = AnswersLayer(answers).layer(service);
    // An inflated message is bounded by the same limits as the bytes that arrive.
    let service = InflateLayer::new(message_bytes_max, config).layer(service);
    // A message that is too large, or one too many, is refused by its length before its bytes arrive; a call
    // whose message does not arrive is ended.
    let service = MessageLimitLayer::new(message_bytes_max, config, refusals.clone()).layer(service);
    // A flood of calls is refused before any of their bodies is read.
    let service = InFlightLayer::new(slots, exceptions, config).layer(service);
    // Fair shares are kept by caller, so the caller must be known first; and a call that is not permitted
    // takes no slot.
    let service = GuardLayer(guard).layer(service);
    // A caller with the address of another role learns which role it needs, however busy this server is.
    let service = absent.layer(service);
    // Outside the layers that refuse, so that refused calls are recorded too.
    let service = observed.layer(service);
    // Outermost, because the layers behind it depend on the caller's identity.
    let service = IdentityLayer.layer(service);
    let carried = Carried { protocol: Protocol::http2(config), seed, of_identity_max: limits.of_identity };
    let mut connections =
        Connections::new(service, carried, config, draining.clone(), load, refusals.clone());
    let within = Arc::new(connections.within());
    let serving = async move {
        {
            // At the end of this block the port is closed, and the rest of the process no longer finds the
            // server.
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
        () = refusals.log_left_out() => {}
    }
    Ok(())
}

/// Waits until the connections have ended, at most the drain time, and logs how many calls are then cut off.
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

/// Returns how many connections the server may have. Logs a warning if they are fewer than configured.
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
