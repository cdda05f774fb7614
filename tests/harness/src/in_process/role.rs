//! A role in this process, which can be stopped and started again at the same address.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use vigie::local_cluster::role;
use vigie_sandbox::Requirement;
use vigie_telemetry::Telemetry;

/// The configuration of a role.
#[derive(Debug, Clone)]
pub enum Config {
    /// A bank.
    Bank(vigie_bank::Config),
    /// A matcher.
    Matcher(vigie_matcher::Config),
    /// A coordinator.
    Coordinator(vigie_coordinator::Config),
    /// A frontend. Boxed, because its configuration is larger than the others.
    Frontend(Box<vigie_frontend::Config>),
}

impl From<vigie_bank::Config> for Config {
    fn from(config: vigie_bank::Config) -> Self {
        Self::Bank(config)
    }
}

impl From<vigie_matcher::Config> for Config {
    fn from(config: vigie_matcher::Config) -> Self {
        Self::Matcher(config)
    }
}

impl From<vigie_coordinator::Config> for Config {
    fn from(config: vigie_coordinator::Config) -> Self {
        Self::Coordinator(config)
    }
}

impl From<vigie_frontend::Config> for Config {
    fn from(config: vigie_frontend::Config) -> Self {
        Self::Frontend(Box::new(config))
    }
}

/// An address that a role will listen on; it is known before the role is started.
#[derive(Debug)]
pub struct Slot {
    listener: TcpListener,
    address: SocketAddr,
}

impl Slot {
    /// Reserves a free port.
    pub async fn take() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Returns the endpoint of the role that will be started here.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts a role on the reserved port.
    pub fn start(self, config: impl Into<Config>, telemetry: Telemetry) -> anyhow::Result<Role> {
        let mut role = Role { address: self.address, config: config.into(), running: None };
        role.start_on(self.listener, telemetry)?;
        Ok(role)
    }
}

/// A role with its configuration. Dropping it asks the role to stop.
#[derive(Debug)]
pub struct Role {
    address: SocketAddr,
    config: Config,
    running: Option<role::Role>,
}

impl Role {
    /// Starts a role on any free port, without telemetry.
    pub async fn start(config: impl Into<Config>) -> anyhow::Result<Self> {
        Slot::take().await?.start(config, Telemetry::default())
    }

    /// Returns the address on which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns whether it is started and not stopped.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Stops it as an orchestrator does, and waits until it has ended; returns the role's own error.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.running.take().context("the role does not run")?.stop().await
    }

    /// Asks it to stop, without waiting.
    pub fn cancel(&self) {
        if let Some(running) = &self.running {
            running.cancel();
        }
    }

    /// Stops it and starts it again at the same address. It then has no telemetry, because the previous
    /// telemetry has already been marked as stopped.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        // Connections that have just ended may occupy the port for a moment.
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        self.start_on(listener, Telemetry::default())
    }

    fn start_on(&mut self, listener: TcpListener, telemetry: Telemetry) -> anyhow::Result<()> {
        self.running = Some(match self.config.clone() {
            Config::Bank(config) => role::Role::bank(config, listener, telemetry)?,
            Config::Matcher(config) => role::Role::matcher(config, listener, telemetry)?,
            Config::Coordinator(config) => role::Role::coordinator(config, listener, telemetry)?,
            Config::Frontend(config) => role::Role::frontend(in_this_process(*config), listener, telemetry)?,
        });
        Ok(())
    }
}

/// Turns decoder processes off, unless the configuration names a program for them: this process's own program
/// is a test and cannot be one.
pub(super) fn in_this_process(mut config: vigie_frontend::Config) -> vigie_frontend::Config {
    if config.decoder_program.is_none() {
        config.sandbox = Requirement::Off;
    }
    config
}

impl Drop for Role {
    fn drop(&mut self) {
        self.cancel();
    }
}
