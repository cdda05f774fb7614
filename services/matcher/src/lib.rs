//! A matcher: one replica of one shard. It follows the bank's log and answers searches.
//!
//! Disposable: what it holds can be rebuilt from the bank at any time, and is whenever there is a doubt. Snapshots in its
//! folder only save time: after a restart it goes on from the last one. So do those in an object store, where one
//! replica may publish them for another to begin with.
//!
//! Always true:
//!
//! - An answer is that of one moment, says as of which sequence it is, and holds every change of the shard up to that
//!   one. A removed item does not match at or after its removal.
//! - A gap in the feed is never stepped over: the follower reconnects after the last change that it has.
//! - A change that contradicts what the shard holds is a broken invariant: the shard leaves readiness and is rebuilt. So
//!   is a digest of the bank's that differs from the shard's own.
//! - A shard that has never held, by that digest, what the bank holds does not answer.
//! - What was saved is used whole, as it was saved, or not at all.
//! - Readers never wait for the follower.
//!
//! Reading order: `config`, `pdq` (which engine), `folder`, `stores` and `records` (what a shard holds),
//! `shard` (the state: apply a range), `loading` (a shard from the bank's present state), `manifest` and `snapshot` (a
//! shard from what was saved), `replica_number`, `store_config` and `objects` (the object store), `publication` and `bootstrap` (a snapshot
//! from here to there, and from there to here), `found` and `search` (one search over a shard), `running`
//! (where a search runs, and when it ends), `keeping` (when snapshots are saved
//! and published), `feed` (keeps the state up with the log), `presence` and `memory` (what the replica says of itself),
//! `grpc`, `error`, `metrics`, `server`.

mod config;
mod store_config;
mod replica_number;
mod server;
mod grpc;
mod error;
mod metrics;
mod pdq;
mod folder;
mod stores;
mod records;
mod shard;
mod loading;
mod manifest;
mod snapshot;
mod objects;
mod publication;
mod bootstrap;
mod found;
mod search;
mod running;
mod keeping;
mod feed;
mod memory;
mod presence;

pub use config::Config;
pub use error::RunError;
pub use folder::FolderError;
pub use pdq::PdqEngine;
pub use replica_number::ReplicaNumber;
pub use server::{run, run_with};
pub use store_config::{StoreOptions, StoreUrl};

#[cfg(test)]
mod tests;
