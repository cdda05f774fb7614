//! The ports of a cluster in this process.

use std::net::Ipv4Addr;

use anyhow::Context as _;
use tokio::net::TcpListener;

/// The ports that the roles listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// Any free ports.
    Any,
    /// The frontend listens on this port, the coordinator and the bank on the next two, a classifier on the
    /// sixth after it, and matchers from the tenth after it on.
    From(u16),
}

/// Listens on loopback, at port `first + offset`, or at any free port with [`Ports::Any`].
pub(super) async fn bind(ports: Ports, offset: u16) -> anyhow::Result<TcpListener> {
    let port = match ports {
        Ports::Any => 0,
        Ports::From(first) => first
            .checked_add(offset)
            .with_context(|| format!("port {first} is too high: a role needs the port {offset} after it"))?,
    };
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    bound.with_context(|| {
        format!("cannot listen on 127.0.0.1:{port}; is another cluster running? (try --port 0)")
    })
}
