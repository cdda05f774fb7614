//! A whole matcher on its own port, as its callers see it.

use std::time::Duration;

use tokio::net::TcpListener;
use vigie_clients::{MatcherClient, Network};
use vigie_model::ReplicaDescription;
use vigie_serving::Shutdown;
use vigie_telemetry::Telemetry;

use super::fake_bank::FakeBank;
use crate::config::Config;
use crate::error::RunError;
use crate::server::run_with;

/// A time limit that no step of these tests reaches.
pub(super) const WITHIN: Duration = Duration::from_secs(20);

/// A running matcher and a client of it.
pub(super) struct Service {
    pub(super) client: MatcherClient,
    pub(super) shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), RunError>>,
}

impl Service {
    /// Starts a matcher that follows `bank`.
    pub(super) async fn start(bank: &FakeBank, config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = MatcherClient::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let (shutdown, config) = (Shutdown::new(), Config { bank: bank.url.clone(), ..config });
        let ends = shutdown.clone();
        let task = tokio::spawn(async move {
            run_with(config, listener, ends, &Network::tcp(), &Telemetry::default()).await
        });
        Self { client, shutdown, task }
    }

    /// Waits until the matcher's description satisfies `is_so`.
    pub(super) async fn until(
        &self,
        what: &str,
        is_so: impl Fn(&ReplicaDescription) -> bool,
    ) -> ReplicaDescription {
        let begun = tokio::time::Instant::now();
        loop {
            let described = self.client.describe(begun + WITHIN).await;
            match described {
                Ok(described) if is_so(&described) => return described,
                other => assert!(begun.elapsed() < WITHIN, "still waiting until {what}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(super) async fn until_ready(&self) -> ReplicaDescription {
        self.until("it is ready", |one| one.unready_reason.is_none()).await
    }

    /// Waits until the matcher ends.
    pub(super) async fn ended(self) {
        tokio::time::timeout(WITHIN, self.task).await.unwrap().unwrap().unwrap();
    }

    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        self.ended().await;
    }
}
