//! The whole cluster as the tests see it: started by the harness, fed and asked through its own clients.
//!
//! Reading order: [`material`] (hashes and pictures to bank and ask for), [`workload`] (writers and readers that hold a cluster
//! to what it acknowledged), [`crash`] (kills processes under it), [`faults`] (replicas that die, stop, and are cut off under it),
//! [`metrics`] (what a process reports of itself), [`collector`] (of traces).

pub mod material;
pub mod workload;
pub mod crash;
pub mod faults;
pub mod metrics;
pub mod collector;
