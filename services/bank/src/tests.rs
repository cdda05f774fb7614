//! Tests of the bank through its gRPC services, on a loopback port and with a store of its own: on both kinds
//! of store, except where a test is about the file of one.

mod writes;
mod members;
mod audit;
mod items;
mod restore;
/// Statistics.
mod beside {
    pub(crate) mod statistics;
}
mod two_people;
mod holds;
/// Opinions, probation, disputes, and holds for one member.
mod opinions {
    mod people;
    mod said;
    mod listed;
    mod probation;
    mod disputes;
    mod overdue;
    mod member_holds;
    mod followed;
    mod model;
    mod programmes;
}
mod idempotency;
mod reads;
mod changes;
/// Classifiers: their cards and uses.
mod classifiers {
    mod model_cards;
    mod scores;
}
/// Hash types of vectors, which a deployment declares.
mod vectors {
    mod hash_types;
}
mod exchanges;
/// Reports, referrals, incidents and records of decisions.
mod cases {
    mod reports;
    mod referrals;
    mod incidents;
    mod decisions;
    mod listed;
}
mod feed;
mod failures;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};
use vigie_access::ClusterKey;
use vigie_consortium::{Directory, Process};
use vigie_log::{Clock, Draft, Planner as _, UnixMillis};
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::bank_service_client::BankServiceClient;
use vigie_proto::pb::bank::v1::feed_service_client::FeedServiceClient;
use vigie_proto::pb::model::v1 as pb_model;
use vigie_serving::Shutdown;
use vigie_telemetry::Telemetry;
use vigie_test_postgres::{Database, Server};

use crate::config::{Config, Location};
use crate::plan::audit::Audit;
use crate::plan::write::Write;
use crate::plan::{Known, Planner, State};
use crate::store::sqlite::SqliteStore;
use crate::store::{self, Batch, HeadRow, Source, Store, StoreError};
use crate::{RunError, server};

/// A clock that a test sets.
#[derive(Debug)]
struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.load(Ordering::Relaxed))
    }
}

const NOW: u64 = 1_700_000_000_000;

/// A running bank and clients of its services.
struct Served {
    bank: BankServiceClient<Channel>,
    feed: FeedServiceClient<Channel>,
    channel: Channel,
    /// The credential of a matcher, if the deployment's processes have a key.
    matcher: Option<String>,
    clock: Arc<SetClock>,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), RunError>>,
}

impl Served {
    async fn start(config: Config) -> Self {
        let store = open(&config).await;
        Self::start_on(config, store).await
    }

    async fn start_on(config: Config, store: Arc<dyn Store>) -> Self {
        Self::start_from(config, Source::Open(store), Telemetry::default()).await
    }

    async fn start_from(config: Config, source: Source, telemetry: Telemetry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let key = config.processes.cluster_key.as_ref().map(|path| ClusterKey::read(path).unwrap());
        let matcher = key.map(|key| key.bearer(Process::Matcher).to_string());
        let (clock, shutdown) = (Arc::new(SetClock(AtomicU64::new(NOW))), Shutdown::new());
        let (ends, its_clock) = (shutdown.clone(), Arc::clone(&clock) as Arc<dyn Clock>);
        let task =
            tokio::spawn(
                async move { server::run(config, source, listener, ends, its_clock, &telemetry).await },
            );
        let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
        let (bank, feed) = (BankServiceClient::new(channel.clone()), FeedServiceClient::new(channel.clone()));
        Self { bank, feed, channel, matcher, clock, shutdown, task }
    }

    /// Makes a request of a matcher.
    fn of_matcher<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(bearer) = &self.matcher {
            request.metadata_mut().insert("authorization", format!("Bearer {bearer}").parse().unwrap());
        }
        request
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    async fn create_bank(&self, name: &str) -> Result<pb::CreateBankResponse, Status> {
        let request = pb::CreateBankRequest { name: name.into(), ..Default::default() };
        Ok(self.bank.clone().create_bank(request).await?.into_inner())
    }

    async fn delete_bank(&self, name: &str) -> Result<pb::DeleteBankResponse, Status> {
        let request = pb::DeleteBankRequest { name: name.into(), ..Default::default() };
        Ok(self.bank.clone().delete_bank(request).await?.into_inner())
    }

    async fn add(&self, bank: &str, items: Vec<pb::ItemContent>) -> Result<pb::AddItemsResponse, Status> {
        self.add_with_key(bank, items, "").await
    }

    async fn add_with_key(
        &self,
        bank: &str,
        items: Vec<pb::ItemContent>,
        key: &str,
    ) -> Result<pb::AddItemsResponse, Status> {
        let request = pb::AddItemsRequest { bank: bank.into(), items, idempotency_key: key.into() };
        Ok(self.bank.clone().add_items(request).await?.into_inner())
    }

    async fn remove(&self, item_ids: Vec<u64>) -> Result<pb::RemoveItemsResponse, Status> {
        let request = pb::RemoveItemsRequest { item_ids, ..Default::default() };
        Ok(self.bank.clone().remove_items(request).await?.into_inner())
    }

    async fn item(&self, item_id: u64) -> Result<pb::GetItemResponse, Status> {
        Ok(self.bank.clone().get_item(pb::GetItemRequest { item_id }).await?.into_inner())
    }

    async fn list_items(&self, bank: &str) -> Result<Vec<pb::Item>, Status> {
        let request = pb::ListItemsRequest { bank: bank.into(), page_size: 1_000, ..Default::default() };
        Ok(self.bank.clone().list_items(request).await?.into_inner().items)
    }

    /// Replaces the labels of an item.
    async fn relabel(&self, item_id: u64, labels: &[&str]) -> Result<u64, Status> {
        let labels = Some(item_labels(labels));
        let request = pb::UpdateItemRequest { item_id, labels, ..Default::default() };
        Ok(self.bank.clone().update_item(request).await?.into_inner().sequence)
    }

    async fn head(&self) -> pb::GetLogHeadResponse {
        self.bank.clone().get_log_head(pb::GetLogHeadRequest {}).await.unwrap().into_inner()
    }
}

/// The place where the bank of a test keeps its data, deleted with the test.
#[derive(Debug)]
enum Bed {
    Sqlite(TempDir),
    Postgres(Database<'static>),
}

impl Bed {
    fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// Makes a new database; `None` if there is no PostgreSQL, which was reported.
    fn postgres() -> Option<Self> {
        Some(Self::Postgres(Server::shared()?.database()))
    }

    /// Makes an empty place of the same kind.
    fn another(&self) -> Self {
        match self {
            Self::Sqlite(_) => Self::sqlite(),
            Self::Postgres(_) => Self::postgres().unwrap(),
        }
    }

    /// Returns the settings of a bank in it.
    fn config(&self) -> Config {
        let store = match self {
            Self::Sqlite(directory) => format!("sqlite:{}", directory.path().join("bank.db").display()),
            Self::Postgres(database) => database.url(),
        };
        // A busy machine may take long for a write of many megabytes.
        let serving = vigie_serving::ServingConfig {
            deadline_ms_default: 60_000,
            ..vigie_serving::ServingConfig::default().without_lame_duck()
        };
        Config { store: store.into(), heartbeat_ms: 20, serving, ..Config::default() }
    }
}

/// Makes tests of functions that take a [`Bed`]: each runs on both stores. Those after `threads:` have two
/// worker threads.
macro_rules! on_both_stores {
    ($($test:ident),* $(,)? $(; threads: $($threaded:ident),* $(,)?)?) => {
        mod on_sqlite {
            use crate::tests::Bed;

            $(#[tokio::test]
            async fn $test() {
                Box::pin(super::$test(Bed::sqlite())).await;
            })*
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $threaded() {
                Box::pin(super::$threaded(Bed::sqlite())).await;
            })*)?
        }

        mod on_postgres {
            use crate::tests::Bed;

            $(#[tokio::test]
            async fn $test() {
                if let Some(bed) = Bed::postgres() {
                    Box::pin(super::$test(bed)).await;
                }
            })*
            $($(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $threaded() {
                if let Some(bed) = Bed::postgres() {
                    Box::pin(super::$threaded(bed)).await;
                }
            })*)?
        }
    };
}
use on_both_stores;

/// Returns a directory, and the settings of a bank on SQLite in it.
fn on_file() -> (TempDir, Config) {
    let bed = Bed::sqlite();
    let config = bed.config();
    match bed {
        Bed::Sqlite(directory) => (directory, config),
        Bed::Postgres(_) => unreachable!(),
    }
}

/// Opens the store of a bank, exclusively.
async fn open(config: &Config) -> Arc<dyn Store> {
    let location = Location::parse(&config.store).unwrap();
    loop {
        match store::open(&location, config).await {
            // Another test has just started a process, which holds every open file until it executes its
            // program.
            Err(StoreError::InUse { .. }) => tokio::task::yield_now().await,
            opened => break opened.unwrap(),
        }
    }
}

/// Opens the store of a bank beside a running bank.
async fn open_beside(config: &Config) -> Arc<dyn Store> {
    match Location::parse(&config.store).unwrap() {
        Location::Postgres(_) => open(config).await,
        location @ (Location::File(_) | Location::Memory) => {
            Arc::new(SqliteStore::open_unlocked(&location, 1).await.unwrap())
        }
    }
}

/// Returns an item with two hashes that differ for each number.
fn item(number: u64) -> pb::ItemContent {
    let pdq = [number.to_be_bytes(); 4].concat();
    let md5 = [number.to_be_bytes(); 2].concat();
    let hash = |hash_type: pb_model::HashType, value| pb_model::Hash { hash_type: hash_type.into(), value };
    pb::ItemContent {
        hashes: vec![hash(pb_model::HashType::Pdq, pdq), hash(pb_model::HashType::Md5, md5)],
        labels: vec!["known".into()],
        external_reference: format!("case-{number}"),
        ..Default::default()
    }
}

fn item_labels(labels: &[&str]) -> pb::ItemLabels {
    pb::ItemLabels { labels: labels.iter().map(|label| (*label).to_owned()).collect() }
}

fn items(numbers: std::ops::Range<u64>) -> Vec<pb::ItemContent> {
    numbers.map(item).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, code: Code, text: &str) -> Status {
    let status = outcome.unwrap_err();
    assert_eq!(status.code(), code, "{}", status.message());
    assert!(status.message().contains(text), "{:?} does not say {text:?}", status.message());
    status
}

/// Returns the batch of these writes on a store without banks.
pub(crate) fn batch_of(HeadRow { head, counts }: HeadRow, writes: &[Write]) -> Batch {
    let mut state = State::new(counts, Vec::new(), Directory::new(), Audit::empty());
    let draft = Draft::new(head, UnixMillis(NOW));
    let mut planner = Planner::new(&mut state, Known::default(), draft, 10_000);
    writes.iter().for_each(|write| drop(planner.plan(write).unwrap()));
    let planned = planner.finish();
    planned.draft.seal(planned.rows, Vec::new())
}
