//! The gateway of a cluster, over HTTP.

pub(crate) mod client;
pub(crate) mod console;
mod filled;
mod feeds;
mod hma;
pub(crate) mod v1;
