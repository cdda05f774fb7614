//! The gateway of a cluster, over HTTP.

mod client;
mod v1;
