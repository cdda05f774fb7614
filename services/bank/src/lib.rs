//! The bank service keeps the only durable copy of banks, items and the log of their changes.
//!
//! Every change has a sequence: 1, 2, 3 and so on, in commit order. Callers write and read; matchers follow
//! the log from any sequence and so reach the same state.
//!
//! Always true:
//!
//! - An acknowledged write is committed and flushed.
//! - Sequences are dense and in commit order, so a follower can prove that it has missed nothing.
//! - A write is done as a whole or not at all. With an idempotency key it is done once, however often it is
//!   sent.
//! - One link of a hash chain ([`verify()`]) covers the changes of one transaction.
//! - Queues, groups, pages, followers and caches are bounded, and reads never wait for writes.
//!
//! The crate `vigie-log` holds the log itself, its feed and leader election. This crate holds banks and
//! items: how writes to them are planned, where they are stored, and how a follower loads the present state.
//!
//! Reading order: [`Config`], `server` and `server/waiting`, `grpc`, `error`; then the path of a write
//! through `log`, `plan` and `store`, and the purge of removed items in `plan/purge`; then `load`; and
//! `upkeep`, which proves, copies and purges stores.

mod config;
mod server;
mod grpc;
mod error;
mod log;
mod plan;
mod failure;
mod store;
mod logged;
mod load;
mod upkeep;
#[doc(hidden)]
pub mod simulated;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::BoxFuture;
use thiserror::Error;
use vigie_log::SystemClock;
use vigie_serving::{AnyListener, Listener, ServeError, Shutdown};
use vigie_telemetry::Telemetry;

pub use crate::config::{AuditConfig, Config, StoreUrl};
pub use crate::failure::StoreFailure;
pub use crate::upkeep::backup::{BackupError, backup, restore};
pub use crate::upkeep::verify::{Verified, VerifyError, verify};
pub use vigie_log::Purged;

use crate::config::Location;
use crate::simulated::SimulatedClock;
use crate::store::Source;
use crate::store::memory::MemoryStore;

/// The reasons why a bank could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The settings have faults; all of them are listed.
    #[error("the bank's settings have faults: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The store cannot be opened or read.
    #[error("cannot open the bank's store")]
    Store(#[from] StoreFailure),
    /// The server failed.
    #[error("cannot run the bank's server")]
    Serve(#[from] ServeError),
    /// The operating system returned no random bytes.
    #[error("the operating system returned no random bytes for the audit")]
    Randomness,
    /// The task that writes the log ended unexpectedly.
    #[error("the writer of the log ended unexpectedly")]
    Writer,
    /// Another bank has taken over the store.
    #[error("another bank on the same store serves now; start this one again, and it stands by")]
    Superseded,
    /// The task that sweeps deleted data ended unexpectedly.
    #[error("the sweeper ended unexpectedly")]
    Sweeper,
}

/// Runs a bank until `shutdown`.
///
/// The bank is healthy once its store is open, the head of its log is known, and no other bank serves on the
/// same store. Until then it is a standby and answers every call with `UNAVAILABLE`. It waits for a database
/// that is out of reach at the start. On shutdown it answers the calls that it has accepted and ends the
/// streams of its followers.
pub async fn run(config: Config, listener: impl Listener, shutdown: Shutdown) -> Result<(), RunError> {
    run_with(config, listener, shutdown, &Telemetry::default()).await
}

/// Runs a bank until `shutdown`, as [`run`] does, and reports its metrics and its health to `telemetry`.
pub async fn run_with(
    config: Config,
    listener: impl Listener,
    shutdown: Shutdown,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    boxed(config, AnyListener::new(listener), shutdown, telemetry).await
}

/// Boxes the bank's future in this crate, for one type of listener. A future is compiled by the crate that
/// first awaits or boxes it, and the crates that run a bank should not each compile one.
fn boxed(
    config: Config,
    listener: AnyListener,
    shutdown: Shutdown,
    telemetry: &Telemetry,
) -> BoxFuture<'_, Result<(), RunError>> {
    Box::pin(run_on(config, listener, shutdown, telemetry))
}

async fn run_on(
    config: Config,
    listener: AnyListener,
    shutdown: Shutdown,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    let source = Source::At(location(&config)?);
    server::run(config, source, listener, shutdown, Arc::new(SystemClock), telemetry).await
}

/// Runs a bank on a simulated disk, with a clock that returns milliseconds since 1970.
#[doc(hidden)]
pub async fn run_simulated(
    config: Config,
    disk: simulated::Disk,
    listener: impl Listener,
    shutdown: Shutdown,
    now: Arc<dyn Fn() -> u64 + Send + Sync>,
) -> Result<(), RunError> {
    let store = Arc::new(MemoryStore::open(disk));
    let clock = Arc::new(SimulatedClock(now));
    server::run(config, Source::Open(store), listener, shutdown, clock, &Telemetry::default()).await
}

/// Creates the store that the settings name, or brings its schema up to date; runs no bank.
pub fn migrate(config: &Config) -> BoxFuture<'_, Result<(), RunError>> {
    Box::pin(migrate_store(config))
}

async fn migrate_store(config: &Config) -> Result<(), RunError> {
    let store = store::open(&location(config)?, config).await.map_err(StoreFailure::from)?;
    store.close().await;
    Ok(())
}

/// Returns the store's location, if the settings have no fault.
fn location(config: &Config) -> Result<Location, RunError> {
    let faults = config.faults();
    let location = Location::parse(&config.store).filter(|_| faults.is_empty());
    location.ok_or(RunError::Config(faults))
}
