//! Why an exchange process could not run.

use thiserror::Error;
use vigie_clients::EndpointError;

use crate::asking::fetch::FetchError;

/// Why an exchange process could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration has these faults.
    #[error("the configuration has faults: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The bank's endpoint is none.
    #[error("cannot reach the bank")]
    Bank(#[from] EndpointError),
    /// The client of HTTP cannot be made.
    #[error("cannot make a client of HTTP")]
    Fetch(#[from] FetchError),
}
