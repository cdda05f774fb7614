//! Proofs, copies and migrations of a store.

mod proof;
mod backup;
mod migration;
mod purge;
mod purges;
mod videos;
