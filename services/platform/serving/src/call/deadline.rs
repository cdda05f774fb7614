//! The deadline of a call, within the limits of its server.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;
pub use vigie_rpc::deadline::within;

use crate::config::ServingConfig;

/// Returns the instant by which the call with these headers has to be answered.
#[must_use]
pub fn of(metadata: &MetadataMap, config: &ServingConfig) -> Instant {
    let default = Duration::from_millis(config.deadline_ms_default);
    vigie_rpc::deadline::read(metadata.as_ref(), default, Duration::from_millis(config.deadline_ms_max))
}
