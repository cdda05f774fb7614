//! Assembles and runs an exchange process.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use vigie_access::WallClock;
use vigie_clients::{BankClient, ExchangeClient, Network, OpinionClient};
use vigie_consortium::Process;
use vigie_serving::Shutdown;
use vigie_telemetry::Telemetry;

use crate::asking::fetch::Fetch;
use crate::asking::http::HttpFetch;
use crate::asking::origins::Origins;
use crate::bank::Bank;
use crate::bank::remote::RemoteBank;
use crate::config::Config;
use crate::credentials::Vault;
use crate::error::RunError;
use crate::following::follower::Shared;
use crate::following::supervisor::{Standing, supervise};
use crate::metrics::Metrics;

/// Follows the exchanges of a bank until `shutdown`. The bank is reached through `network`. Metrics and the
/// health condition are reported to `telemetry`.
///
/// The process is ready once it holds the lease and has listed the exchanges. Another process that waits for
/// the lease is a standby.
///
/// Errors: the configuration has faults, or a client cannot be made.
pub async fn run_with(
    config: Config,
    shutdown: Shutdown,
    network: &Network,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(RunError::Config(faults));
    }
    let own = |fault| RunError::Config(vec![format!("processes.{fault}")]);
    // Calls with a member's key do not carry the credential of this process.
    let items = BankClient::among(&config.bank, network)?;
    let opinions = OpinionClient::among(&config.bank, network)?;
    let network = config.processes.network(network, Process::Exchange).map_err(own)?;
    let client = ExchangeClient::among(&config.bank, &network)?;
    let origins = Origins::new(&config.origins).map_err(|fault| RunError::Config(vec![fault]))?;
    let fetch = HttpFetch::new(origins, config.files_folder.clone(), config.bounds())?;
    let (vault, clock) = (config.vault(), WallClock::system());
    // The future is boxed in this crate, so that the crates that run an exchange process do not each compile
    // one.
    let bank = RemoteBank::new(client, items, opinions);
    Box::pin(run_on(&config, bank, fetch, vault, clock, shutdown, telemetry)).await
}

/// Follows the exchanges of `bank` until `shutdown`. `fetch` sends the requests to the programmes.
///
/// Errors: the configuration has faults.
pub async fn run_on<B: Bank, F: Fetch>(
    config: &Config,
    bank: B,
    fetch: F,
    vault: Vault,
    clock: WallClock,
    shutdown: Shutdown,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(RunError::Config(faults));
    }
    let shared = Arc::new(Shared {
        bank,
        fetch,
        vault,
        patience: config.patience(),
        interval: Duration::from_secs(config.interval_seconds),
        removal_percent_max: config.removal_percent_max,
        rounds: Semaphore::new(config.rounds_at_once_max),
        metrics: telemetry.register(Metrics::register),
        clock,
    });
    let standing = Arc::new(Standing::default());
    let probed = Arc::clone(&standing);
    telemetry.set_condition(move || probed.condition());
    supervise(shared, config.pace(), standing, shutdown).await;
    Ok(())
}
