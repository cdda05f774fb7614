//! The one durable truth: banks, items and the log of their changes.
//!
//! Every change gets a number, 1, 2, 3 and so on, in the order in which it is committed. Callers write and read;
//! matchers follow the log from any number on and so come to the same state.
//!
//! Always true:
//!
//! - What was acknowledged is committed and flushed.
//! - Sequences are dense and in the order of commits, so a follower can prove that it has missed nothing.
//! - A write is done as a whole or not at all; with an idempotency key it is done once, however often it is sent.
//! - Changes of one transaction are covered by one link of a chain of hashes ([`verify()`]).
//! - Queues, groups, pages, followers and what is kept in memory are bounded, and reads never wait for writes.
//!
//! The log itself, its feed and the question who serves are the crate `vigie-log`. Here is what it does not know: banks and
//! items, how writes to them are planned, where they are stored, and how a follower loads the present state.
//!
//! Reading order: [`Config`], `server` and what it waits for, `grpc`, `error`; then a write's way through `log`, `plan` and `store`, and what becomes of a removed item in `plan/purge`; then `load`;
//! and `upkeep`, which proves, copies and purges stores.

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

/// Why a bank could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The settings have faults; all of them are told.
    #[error("the bank's settings have faults: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The store cannot be opened or read.
    #[error("cannot open the bank's store")]
    Store(#[from] StoreFailure),
    /// The server failed.
    #[error("cannot run the bank's server")]
    Serve(#[from] ServeError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for the audit")]
    Randomness,
    /// The writer of the log ended by a fault of its own.
    #[error("the writer of the log ended unexpectedly")]
    Writer,
    /// Another bank has taken over.
    #[error("another bank on the same store serves now; start this one again, and it stands by")]
    Superseded,
    /// The sweeper ended by a fault of its own.
    #[error("the sweeper ended unexpectedly")]
    Sweeper,
}

/// Runs a bank until `shutdown`.
///
/// It is healthy once its store is open and the head of its log is known, and while no other bank serves on the same
/// store: until then it stands by, and answers every call with `UNAVAILABLE`. A database that is out of reach at the start is
/// waited for. On shutdown it answers what it has accepted
/// and ends the streams of its followers.
pub async fn run(config: Config, listener: impl Listener, shutdown: Shutdown) -> Result<(), RunError> {
    run_with(config, listener, shutdown, &Telemetry::default()).await
}

/// Runs a bank until `shutdown`, as [`run`] does; its metrics, and how it is, go to `telemetry`.
pub async fn run_with(
    config: Config,
    listener: impl Listener,
    shutdown: Shutdown,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    boxed(config, AnyListener::new(listener), shutdown, telemetry).await
}

/// Boxes a bank here, on one type of listener: a future is compiled by the crate that first awaits or boxes it, and the crates
/// that run a bank should not each compile one.
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

/// Runs a bank on a simulated disk, with a clock that tells milliseconds since 1970.
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

/// Creates the store that the settings name, or brings its schema up to date, and leaves it at that.
pub fn migrate(config: &Config) -> BoxFuture<'_, Result<(), RunError>> {
    Box::pin(migrate_store(config))
}

async fn migrate_store(config: &Config) -> Result<(), RunError> {
    let store = store::open(&location(config)?, config).await.map_err(StoreFailure::from)?;
    store.close().await;
    Ok(())
}

/// Where the store is, of settings without a fault.
fn location(config: &Config) -> Result<Location, RunError> {
    let faults = config.faults();
    let location = Location::parse(&config.store).filter(|_| faults.is_empty());
    location.ok_or(RunError::Config(faults))
}
