//! The work of operators on a cluster, and the output that they get.

mod serving;
mod cli;
mod members;
mod opinions;
mod holds;
mod slow_replica;
mod rolling_restart;
mod reshard;
mod feed_mutations;
mod traces;
mod followers;
mod latencies;
mod purge;
