//! The ports of a cluster in this process.

use std::net::Ipv4Addr;

use anyhow::Context as _;
use tokio::net::TcpListener;

/// Which ports to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// Any that are free.
    Any,
    /// Frontend here, coordinator and bank next, a classifier at the sixth after it, matchers from the tenth
    /// on.
    From(u16),
}

/// Listens on loopback, so many ports after the first.
pub(super) async fn bind(ports: Ports, offset: u16) -> anyhow::Result<TcpListener> {
    let port = match ports {
        Ports::Any => 0,
        Ports::From(first) => first.checked_add(offset).context("the ports go beyond 65535")?,
    };
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    bound.with_context(|| {
        format!("cannot listen on 127.0.0.1:{port}; is another cluster running? (try --port 0)")
    })
}
