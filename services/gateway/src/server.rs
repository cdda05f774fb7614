//! Assembles a gateway and runs it.

use std::sync::Arc;

use axum::{Router, middleware};
use thiserror::Error;
use vigie_access::{Access, Membership, WallClock, fetch_keys};
use vigie_clients::{CoordinatorClient, EndpointError, Network};
use vigie_consortium::Process;
use vigie_serving::{Listener, Shutdown};
use vigie_telemetry::{Condition, Telemetry};

use crate::cluster::Cluster;
use crate::config::Config;
use crate::console;
use crate::console::provider::Provider;
use crate::console::session::Sessions;
use crate::console::state::Console;
use crate::entry::credential::Admission;
use crate::entry::{Entry, Gateway, Hosts, RequestSlots};
use crate::feeds;
use crate::hma;
use crate::hma::exchanges::credentials::Folder as CredentialsFolder;
use crate::media::bodies::Bodies;
use crate::media::fetching::Fetcher;
use crate::metrics::{Metrics, measure};
use crate::shared::Shared;
use crate::upstream::Upstream;
use crate::v1;

/// The reasons why a gateway could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration has faults, each beginning with its key.
    #[error("the configuration has faults: {}", .0.join("; "))]
    Config(Vec<String>),
    /// An endpoint is invalid.
    #[error("an endpoint cannot be called")]
    Endpoint(#[from] EndpointError),
    /// URLs cannot be fetched.
    #[error("cannot set up the fetching of URLs")]
    Fetching(#[from] reqwest::Error),
    /// The directory of members is no longer followed.
    #[error("the directory of members is no longer followed")]
    Directory,
}

/// Answers HTTP on `listener` until `shutdown`, and calls the cluster on `network`; reports its metrics and
/// health to `telemetry`.
///
/// # Errors
///
/// The configuration has faults, or a required part ended.
pub async fn run_with(
    config: Config,
    listener: impl Listener,
    shutdown: Shutdown,
    network: &Network,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(RunError::Config(faults));
    }
    let fault = |table: &'static str| move |fault: String| RunError::Config(vec![format!("{table}{fault}")]);
    let bound_to = config.bound_to().map_err(fault(""))?;
    // Calls on behalf of callers carry the callers' credentials; only the gateway's own calls carry that of a
    // process of the deployment.
    let own = config.processes.network(network, Process::Frontend).map_err(fault("processes."))?;
    let mut members = Membership::start(&config.directory, &own, WallClock::system())?;
    let access = Access::new(&config.access, config.processes.clone(), &fetch_keys(), members.source());
    let access = access.map_err(RunError::Config)?.counting(members.tally());
    let cluster = Cluster::new(&config);
    let watching = cluster.watch(&config, &own, WallClock::system())?;
    let metrics = Arc::new(telemetry.register(|registry| Metrics::register(registry, &cluster)));
    let admission = Arc::new(Admission::new(access));
    let shared = Shared {
        cluster: cluster.clone(),
        bodies: Bodies::new(&config),
        fetcher: Fetcher::new(&config.fetch, Arc::clone(&metrics))?,
        credentials: CredentialsFolder(config.credentials_folder.clone()),
        feeds_pass_on: config.feeds_pass_on,
        public_url: config.public_url.as_deref().map(Into::into),
        speaks_tls: listener.tls().is_some(),
    };
    let console = match config.console.enabled {
        true => Some(console(&config, &shared, &admission, &own)?),
        false => None,
    };
    let entry = Entry {
        metrics: Arc::clone(&metrics),
        admission,
        console: console.clone(),
        hosts: Hosts::new(&config.own_hosts()),
        slots: RequestSlots::new(config.requests_in_flight_max),
        bound_to,
        upstream: Arc::new(Upstream::new(&config, network)?),
    };
    let gateway = Gateway { entry: Arc::new(entry), routes: routes(shared, console, metrics) };
    let (followed, seen) = (members.followed().cloned(), cluster.clone());
    telemetry.set_condition(move || {
        let directory = followed.as_ref().and_then(|followed| followed.unready_reason());
        Condition::starting(directory.or(seen.unready_reason()).map(ToOwned::to_owned))
    });
    let load = vigie_serving::Load::default();
    telemetry.register(|registry| load.register(registry));
    tracing::info!(frontend = ?config.frontend, bank = ?config.directory.bank, "starting");
    let outcome = tokio::select! {
        () = vigie_serving::serve_http(listener, gateway, load, &config.serving, shutdown) => Ok(()),
        () = members.run() => Err(RunError::Directory),
        () = watching => Ok(()),
    };
    members.finish().await;
    outcome
}

/// Makes the console of a gateway.
fn console(
    config: &Config,
    shared: &Shared,
    admission: &Arc<Admission>,
    own: &Network,
) -> Result<Console, RunError> {
    let fault = |fault: String| RunError::Config(vec![format!("console.{fault}")]);
    let key = config.console.session_key().map_err(fault)?;
    let provider = Provider::of(&config.console.oidc, &config.access.credentials);
    let provider = provider.map_err(|why| fault(format!("oidc.{why}")))?;
    let is_secure =
        shared.speaks_tls || shared.public_url.as_ref().is_some_and(|url| url.starts_with("https:"));
    let coordinator = match config.coordinator.is_empty() {
        true => None,
        false => Some(CoordinatorClient::new_on(&config.coordinator, own)?),
    };
    Ok(Console {
        sessions: Arc::new(Sessions::new(&key, is_secure, config.console.session_lifetime())),
        provider: provider.map(Arc::new),
        public_url: shared.public_url.clone(),
        admission: Arc::clone(admission),
        cluster: shared.cluster.clone(),
        coordinator,
        bodies: shared.bodies.clone(),
        fetcher: shared.fetcher.clone(),
        clock: WallClock::system(),
    })
}

/// Returns every route, and the answers to unknown paths and methods.
fn routes(shared: Shared, console: Option<Console>, metrics: Arc<Metrics>) -> Router {
    let pages = console.map_or_else(Router::new, console::routes);
    hma::routes()
        .merge(feeds::routes())
        .merge(pages)
        .fallback(hma::no_such_page)
        .method_not_allowed_fallback(hma::no_such_method)
        .nest("/v1", v1::routes(shared.cluster.clone(), shared.bodies.clone()))
        .with_state(shared)
        .layer(middleware::from_fn_with_state(metrics, measure))
}
