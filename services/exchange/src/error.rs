//! The errors of an exchange process.

use thiserror::Error;
use vigie_clients::EndpointError;

use crate::asking::fetch::FetchError;

/// Reasons why an exchange process could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration has these faults.
    #[error("the configuration has faults: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The bank's endpoint is malformed.
    #[error("cannot reach the bank")]
    Bank(#[from] EndpointError),
    /// The HTTP client cannot be made.
    #[error("cannot create the HTTP client")]
    Fetch(#[from] FetchError),
}
