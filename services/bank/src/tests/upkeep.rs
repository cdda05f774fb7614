//! Tests of proofs, copies and migrations of a store.

pub(in crate::tests) mod proof;
mod backup;
mod migration;
mod purge;
mod purges;
mod videos;
