//! The coordinator presents many matchers as one search service.
//!
//! Always true: an answer accounts for every shard. A shard that did not answer is listed as a failure with
//! its reason. An answer that covers less than the caller asked for fails with `UNAVAILABLE`, with the
//! partial answer in the status details. A matcher that reports another `shard_count` than the set in use is
//! never asked. A matcher may serve several shards, which it answers for in one call; the shards that are
//! asked together are disjoint groups, so no item is searched twice.
//!
//! The coordinator is stateless: it learns the topology from the matchers themselves.
//!
//! Reading order: `config`, `replicas` (the matchers), `asking` (one search), `coordinator`, `grpc`, `error`,
//! `server`.

mod config;
mod server;
mod grpc;
mod error;
mod replicas;
mod asking;
mod coordinator;

pub use config::Config;
pub use coordinator::Coordinator;
pub use error::{RunError, SearchError};
pub use server::{run, run_with};

#[cfg(test)]
mod tests;
