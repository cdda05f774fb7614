//! The fixtures of the tests of whole clusters, which the harness starts and the tests use through the
//! cluster's own clients.
//!
//! Reading order: [`material`] (hashes and pictures for banks and queries), [`workload`] (writers and readers
//! that check a cluster against what it acknowledged), [`crash`] (kills processes under it), [`faults`]
//! (replicas that die, stop, and are cut off under it), [`metrics`] (the metrics of a process), [`collector`]
//! (of traces).

pub mod material;
pub mod workload;
pub mod crash;
pub mod faults;
pub mod metrics;
pub mod collector;
