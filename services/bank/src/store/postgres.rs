//! The store on PostgreSQL: one database, which banks on several machines may share; one of them at a time
//! serves.
//!
//! A single connection writes, a pool of connections reads, and one more holds the leader's lock. A lost
//! connection is opened again, so a restart of the server needs no restart of the bank.
//!
//! A commit begins by locking the head's row. Only the transaction that holds this lock numbers changes,
//! until it ends, so sequences are dense and in commit order however many banks write. A connection that is
//! lost before `COMMIT` was sent has written nothing. One that is lost while it waits for the answer leaves a
//! transaction that either still holds the head or has ended. A later transaction that locks the head
//! therefore knows that the first one has ended, and reads the outcome ([`PostgresStore::outcome`]).
//!
//! Each new connection reads the certificates and the file of passwords again ([`Connector`]), so both can be
//! replaced without a restart of the bank. Open connections keep using the ones that they began with.
//!
//! Connections go to the server itself, or to a pooler that assigns each session its own server connection:
//! the lock belongs to the session.

mod connect;
mod exchanges;
mod documents;
mod insert;
mod integrity;
mod lead;
mod lists;
mod migrate;
mod purges;
mod published;
mod touched;
mod writer;

use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Connection as _;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions, PgRow, Postgres};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use vigie_audit::tree::{NodeHash, StoredIndex};
use vigie_log::{
    ChangePage, ChangeRange, Head, LogId, LogRead, LogStore, Recorded, Sequence, StoredBatch, UnixMillis,
};
use vigie_model::{Bank, BankId, Item, ItemId, Standing};

use self::connect::{CONNECT_MAX, Connector};
use self::lead::{LEAD_IDLE, LEAD_MAX, Session};
use self::writer::{ANSWER_MAX, Work, Writer, begin, late, roll_back, run};
use crate::config::DatabaseUrl;
use crate::plan::digests::PartDigest;
use crate::store::changes::{ChangesPage, ChangesQuery};
use crate::store::error::{CommitError, StoreError, failed};
use crate::store::published::{ListPage, ListQuery, StoredList};
use crate::store::records::{
    AsOf, AuditHead, Batch, EntryPage, EntryRange, FoundPage, HeadRow, HeldRange, ItemPage, ItemRange,
    ItemRows, ItemSearch, KeptUndo, Loaded, Placement, PurgedPage, Rows, StoredRecord, Undo,
};
use crate::store::sql::audit;
use crate::store::sql::changes;
use crate::store::sql::find;
use crate::store::sql::published as sql_published;
use crate::store::sql::purges::{due, erase_is_due, page_of};
use crate::store::sql::read::{self, integer};
use crate::store::sql::rechain;
use crate::store::sql::records;
use crate::store::{
    Integrity, Purging, ReadAudit, ReadBanks, ReadChanges, ReadDigests, ReadHolds, ReadItems, ReadLists,
    ReadState, Store,
};

/// The most time spent on finding the outcome of a commit: longer than the server keeps a lost transaction
/// open.
const OUTCOME_MAX: Duration = Duration::from_secs(20);
/// The pause between two attempts to find the outcome.
const OUTCOME_PAUSE: Duration = Duration::from_millis(200);

/// A bank's store on a PostgreSQL database.
pub(crate) struct PostgresStore {
    connector: Connector,
    writer: Mutex<Writer>,
    readers: PgPool,
    /// The session that holds the leader's lock, or tries to get it.
    lead: Mutex<Option<Session>>,
    log_id: LogId,
}

impl Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("location", &self.connector.location()).finish_non_exhaustive()
    }
}

read::reader!(PgConnection, PgRow);

impl PostgresStore {
    /// Opens the store for a bank, and brings its schema up to date.
    pub(crate) async fn open(
        url: &DatabaseUrl,
        allow_unflushed: bool,
        read_connections_max: u32,
    ) -> Result<Self, StoreError> {
        let connector = Connector::new(url, allow_unflushed);
        let mut connection = connector.connect().await?;
        migrate::bring_up_to_date(&mut connection, connector.location()).await?;
        // This connection does not have the settings of a writer.
        connection.close().await.map_err(failed("migrate"))?;
        Self::new(connector, read_connections_max).await
    }

    /// Opens an existing store for reading only, while a bank may run on it.
    pub(crate) async fn open_to_read(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let connector = Connector::new(url, true);
        let location = connector.location().to_owned();
        let mut connection = connector.connect_to_read().await?;
        let outdated = rechain::is_outdated(&mut connection).await?;
        connection.close().await.map_err(failed("close a connection"))?;
        if outdated { Err(StoreError::Outdated { location }) } else { Self::new(connector, 1).await }
    }

    async fn new(connector: Connector, read_connections_max: u32) -> Result<Self, StoreError> {
        let readers = PgPoolOptions::new()
            .max_connections(read_connections_max)
            .acquire_timeout(CONNECT_MAX)
            .connect_with(connector.read_only()?)
            .await
            .map_err(|source| connector.failed_to_open(source))?;
        let log_id = read::log_id(&mut *acquire(&readers).await?).await?;
        let writer = Mutex::new(Writer::new(connector.clone()));
        Ok(Self { connector, writer, readers, lead: Mutex::new(None), log_id })
    }

    async fn reader(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        match self.readers.acquire().await {
            // The pool has the password as of the bank's start; its file may hold a newer one.
            Err(refused) if is_password_refused(&refused) => {
                self.readers.set_connect_options(self.connector.read_only()?);
                acquire(&self.readers).await
            }
            acquired => acquired.map_err(failed("take a connection")),
        }
    }

    async fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().await
    }

    /// Returns whether a batch is stored, once its transaction has ended.
    async fn settled(&self, head: &Head) -> Result<Option<bool>, StoreError> {
        let Head { sequence, chain, .. } = *head;
        let mut connection = self.connector.connect().await?;
        begin(&mut connection).await?;
        // A transaction that has moved the head and has not ended yet still holds this lock.
        let floor: i64 = sqlx::query_scalar("SELECT floor FROM head WHERE id = 1 FOR UPDATE")
            .fetch_one(&mut connection)
            .await
            .map_err(failed("lock the head"))?;
        let found = read::batches(&mut connection, sequence.before(), 1).await?;
        roll_back(&mut connection).await?;
        let there = found.first().is_some_and(|found| (found.last, found.chain) == (sequence, chain));
        // A batch that the log no longer keeps may have been stored.
        Ok(if there { Some(true) } else { (floor < integer(sequence.0)).then_some(false) })
    }

    /// Asks on the kept session, or on a new one.
    async fn ask(&self, kept: &mut Option<Session>) -> Result<Option<Sequence>, StoreError> {
        // Taken out for the duration: a session whose call was interrupted is not used again.
        if let Some(mut session) = kept.take() {
            match session.lead(self.log_id).await {
                Ok(newest) => {
                    *kept = Some(session);
                    return Ok(newest);
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    leads = session.leads,
                    "lost the connection that holds the leader's lock"
                ),
            }
        }
        let mut session = Session { connection: self.connector.connect().await?, leads: false };
        if let Err(error) = run(&mut session.connection, LEAD_IDLE).await {
            tracing::debug!(%error, "the server keeps the lock of a bank that hangs");
        }
        let newest = session.lead(self.log_id).await?;
        *kept = Some(session);
        Ok(newest)
    }
}

/// Returns whether the server refused the user or the password, by the error classes of the SQL standard and
/// PostgreSQL.
fn is_password_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "28P01" || code == "28000")
}

async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, StoreError> {
    pool.acquire().await.map_err(failed("take a connection"))
}

/// Reads on a connection of the pool, in bounded time: a server that has stopped responding must not block
/// readers. A connection that did not answer is closed and not returned to the pool.
macro_rules! read {
    ($self:ident, |$connection:ident| $read:expr) => {{
        let mut pooled = $self.reader().await?;
        let $connection = &mut *pooled;
        match timeout(ANSWER_MAX, $read).await {
            Ok(answer) => answer,
            Err(_) => {
                drop(pooled.detach());
                Err(late())
            }
        }
    }};
}

#[async_trait]
impl LogRead for PostgresStore {
    type Error = StoreError;

    fn log_id(&self) -> LogId {
        self.log_id
    }

    async fn head(&self) -> Result<Head, StoreError> {
        Ok(self.head_row().await?.head)
    }

    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, StoreError> {
        read!(self, |connection| read::changes(connection, range))
    }

    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, StoreError> {
        read!(self, |connection| read::batches(connection, after, limit))
    }

    async fn committed_at(&self, last: Sequence) -> Result<Option<UnixMillis>, StoreError> {
        read!(self, |connection| read::committed_at(connection, last))
    }

    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, StoreError> {
        read!(self, |connection| read::last_before(connection, time))
    }
}

#[async_trait]
impl LogStore<Rows> for PostgresStore {
    async fn lead(&self) -> Result<Option<Sequence>, StoreError> {
        let mut kept = self.lead.lock().await;
        let asked = timeout(LEAD_MAX, self.ask(&mut kept)).await;
        asked.unwrap_or_else(|_| Err(failed("say who leads")(sqlx::Error::PoolTimedOut)))
    }

    async fn newest(&self) -> Result<Sequence, StoreError> {
        self.writer().await.read(async |connection| read::sequence(connection).await).await
    }

    async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let written = self.writer().await.write(Work::Batch(batch)).await?;
        written.map(drop).ok_or(CommitError::StaleHead)
    }

    async fn outcome(&self, head: &Head) -> Result<Option<bool>, StoreError> {
        let until = Instant::now() + OUTCOME_MAX;
        loop {
            match timeout_at(until, self.settled(head)).await {
                Ok(Ok(settled)) => return Ok(settled),
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the outcome of a commit is not known yet"
                    );
                }
                Err(_) => return Ok(None),
            }
            sleep(OUTCOME_PAUSE).await;
        }
    }

    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, StoreError> {
        self.writer().await.read(async |connection| lists::recorded(connection, keys).await).await
    }

    async fn sweep_keys(&self, before: UnixMillis, rows_max: u32) -> Result<bool, StoreError> {
        self.writer().await.sweep(Work::SweepKeys { before, rows_max }).await
    }

    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, StoreError> {
        self.writer().await.sweep(Work::Cut { through, rows_max }).await
    }

    async fn purge(&self, sequence: Sequence) -> Result<bool, StoreError> {
        self.writer().await.sweep(Work::Purge { sequence }).await
    }

    async fn close(&self) {
        self.readers.close().await;
        let written = self.writer.lock().await.connection.take().map(|(connection, _)| connection);
        let led = self.lead.lock().await.take().map(|session| session.connection);
        for connection in [written, led].into_iter().flatten() {
            // The next bank then need not wait until the server notices.
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a connection did not close");
            }
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn sweep_items(&self, rows_max: u32) -> Result<bool, StoreError> {
        self.writer().await.sweep(Work::SweepItems { rows_max }).await
    }

    async fn integrity(&self) -> Result<Integrity, StoreError> {
        integrity::check(&mut *self.reader().await?).await
    }
}

#[async_trait]
impl Purging for PostgresStore {
    async fn purge_due(&self, now: UnixMillis, rows_max: u32) -> Result<PurgedPage, StoreError> {
        let mut writer = self.writer().await;
        let due = writer.read(async |connection| due(connection, now, rows_max).await).await?;
        if !due.is_empty() {
            writer.sweep(Work::PurgeItems { due: &due }).await?;
        }
        Ok(page_of(&due, rows_max))
    }

    async fn erase_is_due(&self, now: UnixMillis) -> Result<bool, StoreError> {
        read!(self, |connection| erase_is_due(connection, now))
    }

    async fn erase(&self, rewrite: bool) -> Result<(), StoreError> {
        // Writes wait at this lock. At the tables they would be refused after a while.
        let _writer = self.writer().await;
        let mut connection = self.connector.connect().await?;
        let erased = purges::erase(&mut connection, rewrite).await;
        connection.close().await.map_err(failed("close a connection"))?;
        erased
    }
}

#[async_trait]
impl ReadState for PostgresStore {
    async fn load(&self) -> Result<Loaded, StoreError> {
        self.writer().await.read(async |connection| read::load(connection, lists::NODES).await).await
    }

    async fn head_row(&self) -> Result<HeadRow, StoreError> {
        read!(self, |connection| read::head_row(connection))
    }

    async fn head_and_banks(&self) -> Result<(HeadRow, Vec<Bank>), StoreError> {
        read!(self, |connection| read::head_and_banks(connection))
    }
}

#[async_trait]
impl ReadBanks for PostgresStore {
    async fn banks(&self, ids: &[BankId]) -> Result<AsOf<Vec<Bank>>, StoreError> {
        read!(self, |connection| read::banks(connection, lists::BANKS, ids))
    }
}

#[async_trait]
impl ReadItems for PostgresStore {
    async fn placements(&self, items: &[ItemId]) -> Result<Vec<Placement>, StoreError> {
        let read = async |connection: &mut PgConnection| {
            lists::each_item(connection, items, |item| Placement::of(&item)).await
        };
        self.writer().await.read(read).await
    }

    async fn contents(&self, items: &[ItemId]) -> Result<Vec<Item>, StoreError> {
        let read =
            async |connection: &mut PgConnection| lists::each_item(connection, items, |item| item).await;
        self.writer().await.read(read).await
    }

    async fn known_records(
        &self,
        items: &[ItemId],
        content: &[u64],
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let read = async |connection: &mut PgConnection| {
            let mut found = records::of_items(connection, lists::RECORDS, items).await?;
            found.extend(records::of_content(connection, lists::RECORDS, content).await?);
            Ok(found)
        };
        self.writer().await.read(read).await
    }

    async fn undos(&self, items: &[ItemId], bytes_max: usize) -> Result<(Vec<KeptUndo>, bool), StoreError> {
        let read = async |connection: &mut PgConnection| {
            records::undos(connection, lists::UNDOS, items, bytes_max).await
        };
        self.writer().await.read(read).await
    }

    async fn undos_of(&self, bank: BankId, after: ItemId, limit: u16) -> Result<Vec<Undo>, StoreError> {
        read!(self, |connection| records::undos_of(connection, bank, after, limit))
    }

    async fn records(&self, items: &[ItemId]) -> Result<Vec<StoredRecord>, StoreError> {
        read!(self, |connection| records::of_items(connection, lists::RECORDS, items))
    }

    async fn item(&self, item: ItemId) -> Result<AsOf<Option<Item>>, StoreError> {
        read!(self, |connection| read::item(connection, item))
    }

    async fn items(
        &self,
        bank: BankId,
        after: ItemId,
        bounds: (u16, usize),
    ) -> Result<AsOf<Option<ItemRows>>, StoreError> {
        read!(self, |connection| read::items(connection, bank, after, bounds))
    }

    async fn find_items(&self, search: &ItemSearch) -> Result<AsOf<FoundPage>, StoreError> {
        read!(self, |connection| find::find(connection, &lists::FIND, search))
    }

    async fn item_page(&self, range: &ItemRange) -> Result<ItemPage, StoreError> {
        read!(self, |connection| read::item_page(connection, range))
    }
}

#[async_trait]
impl ReadChanges for PostgresStore {
    async fn bank_changes(&self, query: &ChangesQuery) -> Result<Option<ChangesPage>, StoreError> {
        read!(self, |connection| changes::bank_changes(connection, query, lists::RECORDS))
    }
}

#[async_trait]
impl ReadLists for PostgresStore {
    async fn list_page(&self, query: &ListQuery) -> Result<Option<ListPage>, StoreError> {
        read!(self, |connection| sql_published::list_page(connection, query))
    }

    async fn lists(&self) -> Result<Vec<StoredList>, StoreError> {
        read!(self, |connection| sql_published::lists(connection))
    }
}

#[async_trait]
impl ReadHolds for PostgresStore {
    async fn held_items(&self, range: HeldRange) -> Result<Vec<ItemId>, StoreError> {
        read!(self, |connection| records::held_items(connection, range))
    }

    async fn standings(&self, range: HeldRange) -> Result<Vec<(ItemId, Arc<Standing>)>, StoreError> {
        read!(self, |connection| records::standings(connection, range))
    }

    async fn ended_holds(&self, now: UnixMillis, count_max: u32) -> Result<Vec<ItemId>, StoreError> {
        read!(self, |connection| records::ended_holds(connection, now, count_max))
    }
}

#[async_trait]
impl ReadDigests for PostgresStore {
    async fn bank_digests(&self, bank: BankId) -> Result<Vec<PartDigest>, StoreError> {
        self.writer().await.read(async |connection| read::bank_digests(connection, bank).await).await
    }

    async fn digests(&self, after: (BankId, u16), limit: u16) -> Result<Vec<PartDigest>, StoreError> {
        read!(self, |connection| read::digests(connection, after, limit))
    }
}

#[async_trait]
impl ReadAudit for PostgresStore {
    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        read!(self, |connection| audit::head(connection, lists::NODES))
    }

    async fn audit_entries(&self, range: &EntryRange) -> Result<EntryPage, StoreError> {
        read!(self, |connection| audit::entries(connection, range))
    }

    async fn audit_hashes(&self, positions: &[StoredIndex]) -> Result<Vec<NodeHash>, StoreError> {
        read!(self, |connection| audit::hashes(connection, lists::NODES, positions))
    }

    async fn audit_hashes_from(
        &self,
        from: StoredIndex,
        limit: u16,
    ) -> Result<Vec<(StoredIndex, NodeHash)>, StoreError> {
        read!(self, |connection| audit::hashes_from(connection, from, limit))
    }
}
