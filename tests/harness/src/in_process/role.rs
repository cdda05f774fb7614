//! One role in this process, that can be stopped and started again where it was.

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
    /// A frontend. It is larger than the others.
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

/// An address that a role will listen on, known before the role is started.
#[derive(Debug)]
pub struct Slot {
    listener: TcpListener,
    address: SocketAddr,
}

impl Slot {
    /// Takes any free port.
    pub async fn take() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The endpoint of the role that will be there.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts a role there.
    pub fn start(self, config: impl Into<Config>, telemetry: Telemetry) -> anyhow::Result<Role> {
        let mut role = Role { address: self.address, config: config.into(), running: None };
        role.start_on(self.listener, telemetry)?;
        Ok(role)
    }
}

/// A role with its configuration. It is told to stop when it is dropped.
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

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it has been started and not stopped.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Stops it as an orchestrator does, and waits until it has ended; its own error is an error here.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.running.take().context("the role does not run")?.stop().await
    }

    /// Tells it to stop, and does not wait.
    pub fn cancel(&self) {
        if let Some(running) = &self.running {
            running.cancel();
        }
    }

    /// Stops it and starts it again where it was, without telemetry: what it had knows that it has stopped.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        // The port may be held for a moment by connections that have just ended.
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

/// A frontend without decoder processes, unless it is given a program for them: this process's own program is that of a test.
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
