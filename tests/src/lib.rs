//! The whole cluster as the tests see it: started in this process or as the real binary, fed and asked through its
//! own clients.
//!
//! Reading order: [`cluster`] (every role in this process), [`material`] (hashes and pictures to bank and ask for),
//! [`process`] (the real binary, to be killed), [`slow_link`], [`isolation`] (hosts for processes, to be cut off),
//! [`fleet`] (a process for each role), [`workload`] (writers and readers that hold a cluster to what it said), [`crash`]
//! (kills processes under it), [`faults`] (replicas that die, stop, and are cut off under it), [`metrics`] (what a process tells of
//! itself), [`collector`] (of traces).

pub mod cluster;
pub mod material;
pub mod process;
pub mod slow_link;
pub mod isolation;
pub mod fleet;
pub mod workload;
pub mod crash;
pub mod faults;
pub mod metrics;
pub mod collector;
