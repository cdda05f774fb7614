//! The store on PostgreSQL: one database, which banks on several machines may share, one of them at a time serving.
//!
//! One connection writes, a pool of others reads, and one more holds the lock by which a bank leads. Each is made anew
//! when it is lost, so a restart of the server needs none of the bank.
//!
//! A commit begins with the head's row. Whoever holds it is the only one that numbers changes until its transaction
//! has ended, so sequences are dense and in the order of commits, however many banks write. A connection that is lost
//! before `COMMIT` was sent has written nothing. One that is lost while it is waiting for the answer leaves a
//! transaction that still holds the head or has ended: who then gets to lock the head knows that it has ended, and
//! sees how ([`PostgresStore::outcome`]).
//!
//! Connections speak to the server itself, or to a pooler that keeps a session to a connection: the lock is of the
//! session.

mod connect;
mod insert;
mod lists;

use std::fmt::{self, Debug};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{
    PgConnection, PgDatabaseError, PgPool, PgPoolOptions, PgQueryResult, PgRow, PgSeverity, Postgres,
};
use sqlx::{Connection as _, SqlSafeStr as _};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use vigie_model::change::LogId;
use vigie_model::{Bank, BankId, BankName, Item, ItemId, LogHead, Sequence, UnixMillis};

use self::connect::{CONNECT_MAX, Connector};
use crate::config::DatabaseUrl;
use crate::digests::PartDigest;
use crate::store::read::{self, failed, integer};
use crate::store::{
    AsOf, Batch, ChangePage, ChangeRange, CommitError, Head, ItemPage, ItemRange, Loaded, Placement,
    Recorded, Store, StoreError, StoredBatch,
};

/// The schema, step by step. A step that has been released is never edited: the next one changes what it made.
fn migrations() -> Migrator {
    let step = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![step(
        1,
        "log and state",
        include_str!("../../migrations/postgres/0001_log_and_state.sql"),
    )])
}

/// How long a transaction may take, as the bank sees it: longer than the server lets any of its statements take.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How often a transaction is tried in which nothing was written because of its connection or of another transaction.
const ATTEMPTS_MAX: u32 = 3;
/// A connection that has lain idle for longer is asked whether it lives before it is used.
const TRUSTED: Duration = Duration::from_millis(500);
/// How long it is tried to learn what became of a commit: longer than the server leaves a lost transaction open.
const OUTCOME_MAX: Duration = Duration::from_secs(20);
/// The pause before that is tried again.
const OUTCOME_PAUSE: Duration = Duration::from_millis(200);
/// How long the server may take to say who leads.
const LEAD_MAX: Duration = Duration::from_secs(5);
/// How long the lock of a bank that has stopped asking for it is kept, in milliseconds.
const LEAD_IDLE: &str = "SET idle_session_timeout = 10000";

/// See the module.
pub(crate) struct PostgresStore {
    connector: Connector,
    writer: Mutex<Writer>,
    readers: PgPool,
    /// Holds the lock, or tries to get it.
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
        let connector = Connector::new(url, allow_unflushed)?;
        let mut connection = connector.connect().await?;
        // Two banks that start at once take turns: sqlx locks the database meanwhile.
        sqlx::query("SET statement_timeout = 0").execute(&mut connection).await.map_err(failed("migrate"))?;
        migrations()
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|source| StoreError::Migrate { location: connector.location().to_owned(), source })?;
        // Its settings are not those of a writer.
        connection.close().await.map_err(failed("migrate"))?;
        Self::new(connector, read_connections_max).await
    }

    /// Opens a store that is there, only to read it; a bank may run on it.
    pub(crate) async fn open_to_read(url: &DatabaseUrl) -> Result<Self, StoreError> {
        Self::new(Connector::new(url, true)?, 1).await
    }

    async fn new(connector: Connector, read_connections_max: u32) -> Result<Self, StoreError> {
        let failed_to_open = |source| StoreError::Open { location: connector.location().to_owned(), source };
        let readers = PgPoolOptions::new()
            .max_connections(read_connections_max)
            .acquire_timeout(CONNECT_MAX)
            .connect_with(connector.read_only())
            .await
            .map_err(failed_to_open)?;
        let log_id = read::log_id(&mut *acquire(&readers).await?).await?;
        let writer = Mutex::new(Writer::new(connector.clone()));
        Ok(Self { connector, writer, readers, lead: Mutex::new(None), log_id })
    }

    async fn reader(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        acquire(&self.readers).await
    }

    async fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().await
    }

    /// Whether a batch is there, once its transaction has ended.
    async fn settled(&self, batch: &Batch) -> Result<Option<bool>, StoreError> {
        let LogHead { sequence, chain, .. } = batch.head.log;
        let mut connection = self.connector.connect().await?;
        begin(&mut connection).await?;
        // Whoever has moved the head and not ended yet still has it.
        let floor: i64 = sqlx::query_scalar("SELECT floor FROM head WHERE id = 1 FOR UPDATE")
            .fetch_one(&mut connection)
            .await
            .map_err(failed("lock the head"))?;
        let found = read::batches(&mut connection, Sequence(sequence.0.saturating_sub(1)), 1).await?;
        roll_back(&mut connection).await?;
        let there = found.first().is_some_and(|found| (found.last, found.chain) == (sequence, chain));
        // A batch that the log no longer keeps may have been there.
        Ok(if there { Some(true) } else { (floor < integer(sequence.0)).then_some(false) })
    }

    /// Asks by the session that is kept, or else by a new one.
    async fn ask(&self, kept: &mut Option<Session>) -> Result<Option<Sequence>, StoreError> {
        // Taken out meanwhile: a session that was left in the middle of something is not used again.
        if let Some(mut session) = kept.take() {
            match session.lead(self.log_id).await {
                Ok(newest) => {
                    *kept = Some(session);
                    return Ok(newest);
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    leads = session.leads,
                    "the connection that tells who leads is lost"
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

/// A session that has the lock of the log, for as long as it lives, or tries to get it.
struct Session {
    connection: PgConnection,
    leads: bool,
}

impl Session {
    async fn lead(&mut self, log: LogId) -> Result<Option<Sequence>, StoreError> {
        if !self.leads {
            self.leads = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(lock_of(log))
                .fetch_one(&mut self.connection)
                .await
                .map_err(failed("lock the log"))?;
        }
        // Asked even by who knows the answer: it shows that the session lives.
        let newest = read::sequence(&mut self.connection).await?;
        Ok(self.leads.then_some(newest))
    }
}

/// The number of a log's lock: the first half of its id.
fn lock_of(log: LogId) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&log.0[..8]);
    i64::from_be_bytes(first)
}

async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, StoreError> {
    pool.acquire().await.map_err(failed("take a connection"))
}

async fn run(connection: &mut PgConnection, statement: &'static str) -> Result<PgQueryResult, sqlx::Error> {
    sqlx::query(statement).execute(connection).await
}

/// Begins a transaction whose statements each see what is committed, as the wait for the head needs it.
async fn begin(connection: &mut PgConnection) -> Result<(), StoreError> {
    run(connection, "BEGIN ISOLATION LEVEL READ COMMITTED").await.map(drop).map_err(failed("begin"))
}

async fn roll_back(connection: &mut PgConnection) -> Result<(), StoreError> {
    run(connection, "ROLLBACK").await.map(drop).map_err(failed("roll back"))
}

/// The connection that writes. It is made when it is needed, and dropped when it may be in any state but the one
/// between two transactions.
struct Writer {
    connector: Connector,
    connection: Option<(PgConnection, Instant)>,
}

impl Writer {
    const fn new(connector: Connector) -> Self {
        Self { connector, connection: None }
    }

    /// The connection, to be put back where all went well. What is dropped is ended by the server, its transaction
    /// with it.
    async fn take(&mut self) -> Result<PgConnection, StoreError> {
        if let Some((mut connection, used_at)) = self.connection.take() {
            let lives = used_at.elapsed() < TRUSTED
                || timeout(CONNECT_MAX, connection.ping()).await.is_ok_and(|pinged| pinged.is_ok());
            if lives {
                return Ok(connection);
            }
        }
        self.connector.connect().await
    }

    fn put_back(&mut self, connection: PgConnection) {
        self.connection = Some((connection, Instant::now()));
    }

    /// Reads with it.
    async fn read<T>(
        &mut self,
        read: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.take().await?;
        let value = in_time(read(&mut connection)).await?;
        self.put_back(connection);
        Ok(value)
    }

    /// Writes in one transaction, and commits if there is something to commit.
    async fn write_once(&mut self, work: Work<'_>) -> Result<Option<bool>, CommitError> {
        let mut connection = self.take().await.map_err(CommitError::Refused)?;
        let written = in_time(async {
            begin(&mut connection).await?;
            match work.run(&mut connection).await {
                Ok(Some(done)) => Ok(Some(done)),
                Ok(None) => roll_back(&mut connection).await.map(|()| None),
                Err(error) => {
                    // The first error is the one to tell; a connection that does not roll back is dropped.
                    roll_back(&mut connection).await.ok();
                    Err(error)
                }
            }
        });
        let written = written.await.map_err(CommitError::Refused)?;
        if written.is_some() {
            let committed = timeout(ANSWER_MAX, run(&mut connection, "COMMIT")).await;
            match committed {
                Ok(Ok(_)) => {}
                Ok(Err(source)) if is_refusal(&source) => {
                    return Err(CommitError::Refused(failed("commit")(source)));
                }
                Ok(Err(source)) => return Err(CommitError::Unknown(failed("commit")(source))),
                Err(_) => return Err(CommitError::Unknown(failed("commit")(sqlx::Error::PoolTimedOut))),
            }
        }
        self.put_back(connection);
        Ok(written)
    }

    /// Writes, and again where nothing was written and another attempt may go through.
    async fn write(&mut self, work: Work<'_>) -> Result<Option<bool>, CommitError> {
        for _ in 1..ATTEMPTS_MAX {
            match self.write_once(work).await {
                Err(CommitError::Refused(error)) if is_passing(&error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a transaction is tried again");
                }
                outcome => return outcome,
            }
        }
        self.write_once(work).await
    }

    /// Sweeps in one transaction; tells whether there may be more to do. Whoever asks again finds what is left to do,
    /// and need not know what became of the step before.
    async fn sweep(&mut self, work: Work<'_>) -> Result<bool, StoreError> {
        match self.write(work).await {
            Ok(more) => Ok(more.unwrap_or_default()),
            Err(CommitError::StaleHead) => Ok(true),
            Err(CommitError::Refused(error) | CommitError::Unknown(error)) => Err(error),
        }
    }
}

/// What is done in one transaction.
#[derive(Debug, Clone, Copy)]
enum Work<'a> {
    Batch(&'a Batch),
    SweepItems { rows_max: u32 },
    SweepKeys { before: UnixMillis, rows_max: u32 },
    Cut { through: Sequence, rows_max: u32 },
}

impl Work<'_> {
    /// Whether there may be more to do; `None` where there is nothing to commit.
    async fn run(self, connection: &mut PgConnection) -> Result<Option<bool>, StoreError> {
        match self {
            Self::Batch(batch) => Ok(insert::batch(connection, batch).await?.then_some(false)),
            Self::SweepItems { rows_max } => insert::sweep_items(connection, rows_max).await.map(Some),
            Self::SweepKeys { before, rows_max } => {
                insert::sweep_keys(connection, before, rows_max).await.map(Some)
            }
            Self::Cut { through, rows_max } => insert::cut(connection, through, rows_max).await.map(Some),
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(ANSWER_MAX, work).await.unwrap_or_else(|_| Err(late()))
}

fn late() -> StoreError {
    failed("answer in time")(sqlx::Error::PoolTimedOut)
}

/// Whether the server itself says that it did not commit, and goes on. It may end a connection with an error too, and
/// that says nothing of the commit.
fn is_refusal(error: &sqlx::Error) -> bool {
    let database = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    database.is_some_and(|error| matches!(error.severity(), PgSeverity::Error))
}

/// Whether nothing was written for a reason that may be gone: a connection that was lost, or another transaction.
fn is_passing(error: &StoreError) -> bool {
    let StoreError::Database { source, .. } = error else { return false };
    match source.as_database_error().and_then(|error| error.code()) {
        // Serialization failure, deadlock, a connection ended by an administrator or by a crash.
        Some(code) => ["40001", "40P01", "57P01", "57P02", "25P03"].contains(&&*code),
        None => matches!(source, sqlx::Error::Io(_)),
    }
}

/// Reads with a connection of the pool, in bounded time: a server that has gone without a word must not hold up those who
/// read. A connection that did not answer is closed and not put back.
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
impl Store for PostgresStore {
    fn log_id(&self) -> LogId {
        self.log_id
    }

    async fn lead(&self) -> Result<Option<Sequence>, StoreError> {
        let mut kept = self.lead.lock().await;
        let asked = timeout(LEAD_MAX, self.ask(&mut kept)).await;
        asked.unwrap_or_else(|_| Err(failed("say who leads")(sqlx::Error::PoolTimedOut)))
    }

    async fn load(&self) -> Result<Loaded, StoreError> {
        self.writer().await.read(async |connection| read::load(connection).await).await
    }

    async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let written = self.writer().await.write(Work::Batch(batch)).await?;
        written.map(drop).ok_or(CommitError::StaleHead)
    }

    async fn outcome(&self, batch: &Batch) -> Result<Option<bool>, StoreError> {
        let until = Instant::now() + OUTCOME_MAX;
        loop {
            match timeout_at(until, self.settled(batch)).await {
                Ok(Ok(settled)) => return Ok(settled),
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot tell yet what became of a commit"
                    );
                }
                Err(_) => return Ok(None),
            }
            sleep(OUTCOME_PAUSE).await;
        }
    }

    async fn newest(&self) -> Result<Sequence, StoreError> {
        self.writer().await.read(async |connection| read::sequence(connection).await).await
    }

    async fn placements(&self, items: &[ItemId]) -> Result<Vec<Placement>, StoreError> {
        self.writer().await.read(async |connection| lists::placements(connection, items).await).await
    }

    async fn bank_digests(&self, bank: BankId) -> Result<Vec<PartDigest>, StoreError> {
        self.writer().await.read(async |connection| read::bank_digests(connection, bank).await).await
    }

    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, StoreError> {
        self.writer().await.read(async |connection| lists::recorded(connection, keys).await).await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        read!(self, |connection| read::head(connection)).map(|head| head.log)
    }

    async fn bank(&self, name: &BankName) -> Result<AsOf<Option<Bank>>, StoreError> {
        read!(self, |connection| read::bank(connection, name))
    }

    async fn banks(&self, after: BankId, limit: u16) -> Result<AsOf<Vec<Bank>>, StoreError> {
        read!(self, |connection| read::banks(connection, after, limit))
    }

    async fn item(&self, item: ItemId) -> Result<AsOf<Option<(Item, BankName)>>, StoreError> {
        read!(self, |connection| read::item(connection, item))
    }

    async fn items(
        &self,
        bank: &BankName,
        after: ItemId,
        limit: u16,
    ) -> Result<AsOf<Option<Vec<Item>>>, StoreError> {
        read!(self, |connection| read::items(connection, bank, after, limit))
    }

    async fn state(&self) -> Result<(Head, Vec<Bank>), StoreError> {
        read!(self, |connection| read::state(connection))
    }

    async fn item_page(&self, range: &ItemRange) -> Result<ItemPage, StoreError> {
        read!(self, |connection| read::item_page(connection, range))
    }

    async fn digests(&self, after: (BankId, u16), limit: u16) -> Result<Vec<PartDigest>, StoreError> {
        read!(self, |connection| read::digests(connection, after, limit))
    }

    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, StoreError> {
        read!(self, |connection| read::changes(connection, range))
    }

    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, StoreError> {
        read!(self, |connection| read::batches(connection, after, limit))
    }

    async fn sweep_items(&self, rows_max: u32) -> Result<bool, StoreError> {
        self.writer().await.sweep(Work::SweepItems { rows_max }).await
    }

    async fn sweep_keys(&self, before: UnixMillis, rows_max: u32) -> Result<bool, StoreError> {
        self.writer().await.sweep(Work::SweepKeys { before, rows_max }).await
    }

    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, StoreError> {
        read!(self, |connection| read::last_before(connection, time))
    }

    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, StoreError> {
        self.writer().await.sweep(Work::Cut { through, rows_max }).await
    }

    async fn close(&self) {
        self.readers.close().await;
        let written = self.writer.lock().await.connection.take().map(|(connection, _)| connection);
        let led = self.lead.lock().await.take().map(|session| session.connection);
        for connection in [written, led].into_iter().flatten() {
            // So that the next bank need not wait until the server notices.
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a connection did not close");
            }
        }
    }
}
