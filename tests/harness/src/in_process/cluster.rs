//! A cluster with every role in this process, whose data folder is removed with it.

use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use vigie::local_cluster::{LocalCluster, LocalClusterConfig};
use vigie_clients::{BankClient, Deadline, IdempotencyKey, MatchAnswer, MatchClient};
use vigie_model::{BankName, Content, ItemContent, ItemId, MatchCall, Matched, SearchOptions, Sequence};

use super::role::in_this_process;

/// A cluster with clients.
#[derive(Debug)]
pub struct Cluster {
    running: LocalCluster,
    /// A client of the bank.
    pub bank: BankClient,
    /// A client of the frontend.
    pub matching: MatchClient,
    _data: TempDir,
}

/// Returns the configuration of a cluster in a folder. It is large, so it is no variable of a future.
fn configured(data: &Path, edit: impl FnOnce(&mut LocalClusterConfig)) -> LocalClusterConfig {
    let mut config = LocalClusterConfig::new(data);
    edit(&mut config);
    config.frontend = in_this_process(config.frontend);
    config
}

impl Cluster {
    /// Starts a cluster of 4 shards and waits until it is ready.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(|_| {}).await
    }

    /// Starts a cluster with a changed configuration.
    pub async fn start_with(edit: impl FnOnce(&mut LocalClusterConfig)) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        // Boxed, to keep the futures of the tests small.
        let mut running = Box::pin(LocalCluster::start(configured(data.path(), edit))).await?;
        running.wait_ready(soon()).await?;
        let (bank, matching) = (running.bank_client()?, running.match_client()?);
        Ok(Self { running, bank, matching, _data: data })
    }

    /// Creates a bank.
    pub async fn create_bank(&self, name: &str) -> anyhow::Result<BankName> {
        let name: BankName = name.parse()?;
        self.bank.create_bank(&name, IdempotencyKey::random(), soon()).await?;
        Ok(name)
    }

    /// Adds items to a bank in batches; returns their ids and the sequence of the last batch.
    pub async fn add(
        &self,
        bank: &BankName,
        items: Vec<ItemContent>,
    ) -> anyhow::Result<(Vec<ItemId>, Sequence)> {
        let mut ids = Vec::new();
        let mut sequence = Sequence::ZERO;
        for batch in items.chunks(1_000) {
            let added = self.bank.add_items(bank, batch.to_vec(), IdempotencyKey::random(), soon()).await?;
            ids.extend(added.value);
            sequence = added.sequence;
        }
        Ok((ids, sequence))
    }

    /// Sends one match call with a batch of contents.
    pub async fn ask(&self, contents: Vec<Content>, options: SearchOptions) -> anyhow::Result<MatchAnswer> {
        let call = MatchCall {
            contents,
            options,
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        Ok(self.matching.match_content(call, soon()).await?)
    }

    /// Sends one match call with one content.
    pub async fn ask_one(&self, content: Content, options: SearchOptions) -> anyhow::Result<Matched> {
        let answer = self.ask(vec![content], options).await?;
        let result = answer.results.into_iter().next();
        let result = result.ok_or_else(|| anyhow::anyhow!("the answer is empty"))?;
        result.map_err(|failure| anyhow::anyhow!("{:?}: {}", failure.code, failure.message))
    }

    /// Stops every role; returns the error of any of them.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.running.stop().await
    }
}

impl Deref for Cluster {
    type Target = LocalCluster;

    fn deref(&self) -> &LocalCluster {
        &self.running
    }
}

impl DerefMut for Cluster {
    fn deref_mut(&mut self) -> &mut LocalCluster {
        &mut self.running
    }
}

/// Returns a deadline of one minute, which only a stuck call misses.
#[must_use]
pub fn soon() -> Deadline {
    Deadline::now() + Duration::from_secs(60)
}

/// Returns options for an answer as of `sequence`.
#[must_use]
pub fn as_of(sequence: Sequence) -> SearchOptions {
    SearchOptions { min_sequence: sequence, ..SearchOptions::default() }
}
