//! Puts an exchange process together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use vigie_access::WallClock;
use vigie_serving::Shutdown;
use vigie_telemetry::Telemetry;

use crate::asking::fetch::Fetch;
use crate::bank::Bank;
use crate::config::Config;
use crate::credentials::Vault;
use crate::error::RunError;
use crate::following::follower::Shared;
use crate::following::supervisor::{Standing, supervise};
use crate::metrics::Metrics;

/// Follows the exchanges of a bank, by a way to their programmes, until `shutdown`.
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
        interval: Duration::from_secs(config.interval_s),
        removal_percent_max: config.removal_percent_max,
        rounds: Semaphore::new(config.rounds_at_once_max),
        metrics: telemetry.register(Metrics::register),
        clock,
    });
    let standing = Arc::new(Standing::default());
    let told = Arc::clone(&standing);
    telemetry.tell_condition(move || told.condition());
    supervise(shared, config.pace(), standing, shutdown).await;
    Ok(())
}
