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
//! - What was removed is in no file once `purge_hours` are over.
//! - What was saved is used whole, as it was saved, or not at all.
//! - What searches reach is compared with what the shard should hold from time to time, and memory and files with their
//!   checksums. A shard that differs leaves readiness and is rebuilt.
//! - Readers never wait for the follower.
//!
//! Reading order: `config`; `shard` (what a replica holds: which PDQ engine, records, stores, the state and how a range of
//! the log is applied, loading from the bank's present state); `saving` (a shard in the matcher's folder); `sharing` (snapshots in an
//! object store, from here to there and from there to here); `searching` (one search over a shard, where it runs, and
//! when it ends); `following` (keeps the state up with the log, saves and publishes it, and describes the replica); then
//! `grpc` and `here` (the two ways to it), `error`, `metrics`, `server`.

mod config;
mod server;
mod grpc;
mod here;
mod error;
mod metrics;
/// What a shard is and holds.
mod shard {
    pub(crate) mod pdq;
    pub(crate) mod indexes;
    pub(crate) mod rows;
    pub(crate) mod fields;
    pub(crate) mod records;
    pub(crate) mod stores;
    pub(crate) mod banks;
    pub(crate) mod beside {
        pub(crate) mod by_item;
        pub(crate) mod interning;
        pub(crate) mod marks;
    }
    pub(crate) mod selection;
    pub(crate) mod contradiction;
    pub(crate) mod removals;
    pub(crate) mod state;
    pub(crate) mod audit;
    pub(crate) mod loading;
}
/// A shard in the matcher's folder.
mod saving {
    pub(crate) mod folder;
    pub(crate) mod standings;
    pub(crate) mod manifest;
    pub(crate) mod snapshot;
    pub(crate) mod plan;
}
/// Snapshots in an object store.
mod sharing {
    pub(crate) mod replica_number;
    pub(crate) mod store_config;
    pub(crate) mod objects;
    pub(crate) mod publication;
    pub(crate) mod bootstrap;
}
/// One search over a shard.
mod searching {
    pub(crate) mod found;
    pub(crate) mod video;
    pub(crate) mod describing;
    pub(crate) mod search;
    pub(crate) mod running;
    pub(crate) mod answering;
}
/// What keeps a shard up with the log, and what it says of itself.
mod following {
    pub(crate) mod feed;
    pub(crate) mod replica;
    pub(crate) mod keeping;
    pub(crate) mod scrub;
    pub(crate) mod follow;
    pub(crate) mod latencies;
    pub(crate) mod memory;
    pub(crate) mod presence;
}

pub use config::Config;
pub use error::RunError;
pub use saving::folder::FolderError;
pub use server::{run, run_with};
pub use shard::pdq::PdqEngine;
pub use sharing::replica_number::ReplicaNumber;
pub use sharing::store_config::{StoreOptions, StoreUrl};

#[cfg(test)]
mod tests;
