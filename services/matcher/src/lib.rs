//! A matcher is one replica of one shard. It follows the bank's log and answers searches.
//!
//! A matcher is disposable: its data can be rebuilt from the bank at any time, and is rebuilt whenever it is
//! in doubt. Snapshots only save time. After a restart, a matcher continues from the last snapshot in its
//! folder. One replica may also publish its snapshots in an object store, and another replica then starts
//! from them.
//!
//! Always true:
//!
//! - An answer is of one moment. It reports the sequence of that moment, and takes into account every change
//!   of the shard up to it. A removed item does not match at or after its removal.
//! - A gap in the feed is never skipped: the follower reconnects after the last change that it has.
//! - A change that contradicts the state of the shard is a broken invariant, and so is a digest of the bank
//!   that differs from the shard's own. In both cases the shard leaves readiness and is rebuilt.
//! - A shard does not answer until a digest of the bank has proved once that it holds what the bank holds.
//! - A removed item is in no file once `purge_hours` have passed.
//! - A snapshot is used complete and unchanged, or not at all.
//! - The hashes that searches reach are regularly compared with those that the shard should hold, and memory
//!   and files with their checksums. A shard that differs leaves readiness and is rebuilt.
//! - Readers never wait for the follower.
//!
//! Reading order: `config`; `shard` (the data of a replica: the choice of the PDQ engine, records, stores,
//! the state, applying a range of the log, loading from the bank's present state); `saving` (a shard in the
//! matcher's folder); `sharing` (snapshots to and from an object store); `searching` (one search over a
//! shard, its thread, and its end); `following` (keeps the state up to date with the log, saves and publishes
//! it, and describes the replica); then `grpc` and `here` (the two ways to call a matcher), `error`,
//! `metrics`, `server`.

mod config;
mod server;
mod grpc;
mod here;
mod error;
mod metrics;
/// The data of a shard.
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
/// A shard's files in the matcher's folder.
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
/// A search over a shard.
mod searching {
    pub(crate) mod asked;
    pub(crate) mod found;
    pub(crate) mod stills;
    pub(crate) mod video;
    pub(crate) mod describing;
    pub(crate) mod search;
    pub(crate) mod running;
    pub(crate) mod answering;
}
/// Keeps a shard up to date with the log, and reports its state.
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
