//! The gateway of a cluster in this process.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;
use vigie_clients::Network;
use vigie_telemetry::Telemetry;

use crate::local_cluster::ports::Ports;
use crate::local_cluster::role::Role;

/// Offset of the gateway's port from the first port.
const PORT: u16 = 40;

/// The address that the gateway listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpAt {
    /// The gateway does not run.
    Off,
    /// On loopback, at port `first + 40`, or at any free port with [`Ports::Any`].
    #[default]
    Beside,
    /// At this address.
    Address(SocketAddr),
}

impl HttpAt {
    /// Binds the listener; `None` if the gateway does not run.
    pub(super) async fn bind(self, ports: Ports) -> anyhow::Result<Option<TcpListener>> {
        let address = match self {
            Self::Off => return Ok(None),
            Self::Address(address) => address,
            Self::Beside => {
                let port = match ports {
                    Ports::Any => 0,
                    Ports::From(first) => first.checked_add(PORT).with_context(|| {
                        format!("port {first} is too high: HTTP needs the port {PORT} after it")
                    })?,
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

/// The roles that the gateway calls.
pub(super) struct Behind<'r> {
    pub(super) frontend: &'r Role,
    pub(super) coordinator: &'r Role,
    pub(super) bank: &'r Role,
    /// Network settings for these calls.
    pub(super) network: &'r Network,
}

/// Starts the gateway in front of these roles.
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
