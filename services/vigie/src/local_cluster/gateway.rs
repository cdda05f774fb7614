//! The gateway of a cluster in this process.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;
use vigie_clients::Network;
use vigie_telemetry::Telemetry;

use crate::local_cluster::ports::Ports;
use crate::local_cluster::role::Role;

/// The port of the gateway, from the first one on.
const PORT: u16 = 40;

/// Where the gateway listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpAt {
    /// Nowhere.
    Off,
    /// On loopback, at the fortieth port after the first; any free one where that is any.
    #[default]
    Beside,
    /// Here.
    Address(SocketAddr),
}

impl HttpAt {
    /// The listener, if there is to be one.
    pub(super) async fn bind(self, ports: Ports) -> anyhow::Result<Option<TcpListener>> {
        let address = match self {
            Self::Off => return Ok(None),
            Self::Address(address) => address,
            Self::Beside => {
                let port = match ports {
                    Ports::Any => 0,
                    Ports::From(first) => {
                        first.checked_add(PORT).with_context(|| format!("port {first} is too high"))?
                    }
                };
                (Ipv4Addr::LOCALHOST, port).into()
            }
        };
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| {
            format!("cannot listen on {address} for HTTP; choose another address by --http, or --http off")
        })?;
        Ok(Some(listener))
    }
}

/// What the gateway calls.
pub(super) struct Behind<'r> {
    pub(super) frontend: &'r Role,
    pub(super) coordinator: &'r Role,
    pub(super) bank: &'r Role,
    /// By which it calls them.
    pub(super) network: &'r Network,
}

/// Starts the gateway of these roles.
pub(super) fn start(
    config: vigie_gateway::Config,
    listener: TcpListener,
    behind: &Behind<'_>,
    telemetry: Telemetry,
) -> anyhow::Result<Role> {
    let mut config = config;
    config.frontend = vec![behind.frontend.url()];
    config.coordinator = vec![behind.coordinator.url()];
    config.directory.bank = vec![behind.bank.url()];
    Role::gateway(config, listener, behind.network.clone(), telemetry)
}
