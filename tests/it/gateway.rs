//! The gateway of a cluster, over HTTP.

mod client;
mod feeds;
mod hma;
mod v1;
