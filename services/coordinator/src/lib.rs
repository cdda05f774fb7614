//! The coordinator: many matchers as one answer.
//!
//! Always true: an answer accounts for every shard. A shard that did not answer is named as a failure with its reason,
//! and an answer that covers less than the caller asked for fails with `UNAVAILABLE`, the partial answer in its
//! details. A matcher that says another `shard_count` than the rest is never asked.
//!
//! Stateless: what it knows of the topology it has from the matchers themselves.
//!
//! Reading order: `config`, `replicas` (the matchers), `asking` (one search), `coordinator`, `grpc`, `error`, `server`.

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
