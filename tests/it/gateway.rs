//! The gateway of a cluster, over HTTP.

mod client;
mod hma;
mod v1;
