//! Sends requests to a programme: a trait, so that tests can script the answers.

use std::future::Future;

use thiserror::Error;

use super::request::{Request, Response};

/// Sends requests to programmes. An implementation bounds bytes, time and redirects, and sends to allowed
/// origins only.
pub trait Fetch: Send + Sync + 'static {
    /// Sends the request and reads the whole answer, whatever its status.
    fn fetch(&self, request: &Request) -> impl Future<Output = Result<Response, FetchError>> + Send;
}

/// Reasons why a request has no answer. The error has no URL, because the query may hold a credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FetchError {
    /// The request goes to an origin that is not allowed.
    #[error("{0} is no allowed origin; add it to the configuration's `origins`")]
    Origin(String),
    /// The connection failed, or broke before the answer was complete.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// The answer took too long.
    #[error("no complete answer within {0} ms (`request_ms_max`)")]
    Slow(u128),
    /// The answer is longer than the limit.
    #[error("the answer has more than {0} bytes (`body_bytes_max`)")]
    TooLong(usize),
    /// The server redirects too often, or to an address that the request must not go to.
    #[error(
        "a redirect cannot be followed: of a request other than GET, to no valid URL, or after `redirects_max` others"
    )]
    Redirect,
    /// The file cannot be read.
    #[error("cannot read the file: {0}")]
    File(String),
}

impl FetchError {
    /// Returns whether the same request may succeed a little later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Slow(_) => true,
            Self::Origin(_) | Self::TooLong(_) | Self::Redirect | Self::File(_) => false,
        }
    }
}
