//! The gateway of a cluster, over HTTP.

pub(crate) mod client;
mod feeds;
mod hma;
mod v1;
