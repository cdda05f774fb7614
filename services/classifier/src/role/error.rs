//! The errors of running a classifier.

use thiserror::Error;
use vigie_serving::ServeError;

use crate::engines::EnginesError;

/// The reason why a classifier could not run. Models that cannot be served are not an error.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration has these faults.
    #[error("the configuration has faults: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The engines could not be started.
    #[error("cannot start the engines of models")]
    Engines(#[from] EnginesError),
    /// The follower of the directory ended because of an internal fault.
    #[error("the follower of the directory of members ended unexpectedly")]
    Directory,
    /// The server failed.
    #[error("cannot serve scores")]
    Serve(#[from] ServeError),
}
