//! A role that runs as a task in this process.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use vigie_clients::Network;
use vigie_serving::Shutdown;
use vigie_telemetry::Telemetry;

use crate::traces;

/// A role that runs until it is stopped. If it is dropped, it keeps running for as long as the runtime does.
#[derive(Debug)]
pub struct Role {
    name: String,
    address: SocketAddr,
    shutdown: Shutdown,
    telemetry: Telemetry,
    /// The task; `None` once its outcome has been returned.
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Role {
    /// Starts a bank.
    pub fn bank(
        config: vigie_bank::Config,
        listener: TcpListener,
        telemetry: Telemetry,
    ) -> anyhow::Result<Self> {
        Self::start("bank".to_owned(), listener, telemetry, |listener, shutdown, telemetry| async move {
            Ok(vigie_bank::run_with(config, listener, shutdown, &telemetry).await?)
        })
    }

    /// Starts a matcher.
    pub fn matcher(
        config: vigie_matcher::Config,
        listener: TcpListener,
        telemetry: Telemetry,
    ) -> anyhow::Result<Self> {
        let name = format!("matcher {}", config.shard);
        Self::start(name, listener, telemetry, |listener, shutdown, telemetry| async move {
            Ok(vigie_matcher::run_with(config, listener, shutdown, &Network::tcp(), &telemetry).await?)
        })
    }

    /// Starts a coordinator.
    pub fn coordinator(
        config: vigie_coordinator::Config,
        listener: TcpListener,
        telemetry: Telemetry,
    ) -> anyhow::Result<Self> {
        Self::start(
            "coordinator".to_owned(),
            listener,
            telemetry,
            |listener, shutdown, telemetry| async move {
                Ok(vigie_coordinator::run_with(config, listener, shutdown, &Network::tcp(), &telemetry)
                    .await?)
            },
        )
    }

    /// Starts a frontend.
    pub fn frontend(
        config: vigie_frontend::Config,
        listener: TcpListener,
        telemetry: Telemetry,
    ) -> anyhow::Result<Self> {
        Self::start("frontend".to_owned(), listener, telemetry, |listener, shutdown, telemetry| async move {
            Ok(vigie_frontend::run_with(config, listener, shutdown, &Network::tcp(), &telemetry).await?)
        })
    }

    /// Starts a gateway. It calls the other roles with the settings of `network`.
    pub fn gateway(
        config: vigie_gateway::Config,
        listener: TcpListener,
        network: Network,
        telemetry: Telemetry,
    ) -> anyhow::Result<Self> {
        Self::start("gateway".to_owned(), listener, telemetry, |listener, shutdown, telemetry| async move {
            Ok(vigie_gateway::run_with(config, listener, shutdown, &network, &telemetry).await?)
        })
    }

    /// Starts a classifier.
    pub fn classifier(
        config: vigie_classifier::Config,
        listener: TcpListener,
        telemetry: Telemetry,
    ) -> anyhow::Result<Self> {
        Self::start(
            "classifier".to_owned(),
            listener,
            telemetry,
            |listener, shutdown, telemetry| async move {
                Ok(vigie_classifier::run_with(config, listener, shutdown, &Network::tcp(), &telemetry)
                    .await?)
            },
        )
    }

    /// Starts an exchange process, which does not listen.
    pub fn exchange(config: vigie_exchange::Config, telemetry: Telemetry) -> Self {
        let (shutdown, used) = (Shutdown::new(), telemetry.clone());
        let stop = shutdown.clone();
        let running = async move {
            let network = Network::tcp();
            Ok(vigie_exchange::run_with(config, stop, &network, &used).await?)
        };
        let nowhere = (Ipv4Addr::UNSPECIFIED, 0).into();
        Self::spawn("exchange".to_owned(), nowhere, shutdown, telemetry, running)
    }

    fn start<F>(
        name: String,
        listener: TcpListener,
        telemetry: Telemetry,
        run: impl FnOnce(TcpListener, Shutdown, Telemetry) -> F,
    ) -> anyhow::Result<Self>
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let shutdown = Shutdown::new();
        let address = listener.local_addr()?;
        let running = run(listener, shutdown.clone(), telemetry.clone());
        Ok(Self::spawn(name, address, shutdown, telemetry, running))
    }

    fn spawn(
        name: String,
        address: SocketAddr,
        shutdown: Shutdown,
        telemetry: Telemetry,
        running: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) -> Self {
        let traced = telemetry.clone();
        let task = tokio::spawn(async move {
            let ran = running.await;
            traces::stop(&traced).await;
            ran
        });
        Self { name, address, shutdown, telemetry, task: Some(task) }
    }

    /// Returns the name of the role in errors.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the address that the role listens on; 0.0.0.0:0 if it does not listen.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the metrics and the condition of the role.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        self.telemetry.clone()
    }

    /// Returns the URL of the role.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns whether the role has ended, by itself or because it was stopped.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.task.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Waits until the role ends, and returns its error if it failed. A second call returns at once.
    pub async fn outcome(&mut self) -> anyhow::Result<()> {
        let Some(task) = self.task.take() else { return Ok(()) };
        let name = &self.name;
        task.await
            .with_context(|| format!("the {name} panicked"))?
            .with_context(|| format!("the {name} failed"))
    }

    /// Requests the role to stop, and does not wait for that.
    pub fn cancel(&self) {
        self.telemetry.stopping();
        self.shutdown.cancel();
    }

    /// Stops the role, and waits until it has ended.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.telemetry.stopping();
        self.shutdown.cancel();
        self.outcome().await
    }
}
