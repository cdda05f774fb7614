//! Connections to the server: their settings, and the server's guarantees that are checked before a write.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Row as _};
use tokio::time::timeout;

use crate::config::DatabaseUrl;
use crate::store::error::{StoreError, failed};

/// The most time of one statement on the server. It distinguishes a hung server or disk from a slow one.
const STATEMENT_MAX: Duration = Duration::from_secs(20);
/// The longest wait of a statement for a row that another transaction has locked, above all the head.
pub(super) const LOCK_MAX: Duration = Duration::from_secs(10);
/// The longest time that a transaction may be open without a statement before the server ends its connection.
/// A bank that hangs holds the head no longer than this. Less than the time that others wait for the head.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// The most time for opening a connection.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Opens connections. Each reads the password and the certificates from their files again.
#[derive(Clone)]
pub(super) struct Connector {
    url: DatabaseUrl,
    location: String,
    allow_unflushed: bool,
}

impl Connector {
    /// Makes a connector for this database.
    pub(super) fn new(url: &DatabaseUrl, allow_unflushed: bool) -> Self {
        Self { url: url.clone(), location: url.to_string(), allow_unflushed }
    }

    /// Returns the name that errors and logs use instead of the URL.
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    fn options(&self) -> Result<PgConnectOptions, StoreError> {
        let options = self.url.options().map_err(|source| self.failed_to_open(source))?;
        Ok(options.application_name("vigie-bank").disable_statement_logging().options([
            ("statement_timeout", millis(STATEMENT_MAX)),
            ("lock_timeout", millis(LOCK_MAX)),
            ("idle_in_transaction_session_timeout", millis(IDLE_MAX)),
            // Reads of one transaction see one snapshot. Writers choose another level themselves.
            ("default_transaction_isolation", "repeatable read".to_owned()),
            // The server notices within half a minute that a bank's machine is gone, and releases its locks.
            ("tcp_keepalives_idle", "10".to_owned()),
            ("tcp_keepalives_interval", "5".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
            ("tcp_user_timeout", "15000".to_owned()),
        ]))
    }

    /// Returns the options of connections that only read.
    pub(super) fn read_only(&self) -> Result<PgConnectOptions, StoreError> {
        Ok(self.options()?.options([("default_transaction_read_only", "on")]))
    }

    pub(super) fn failed_to_open(&self, source: sqlx::Error) -> StoreError {
        StoreError::Open { location: self.location.clone(), source }
    }

    async fn connect_with(&self, options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
        let connecting = timeout(CONNECT_MAX, options.connect()).await;
        connecting.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(|source| self.failed_to_open(source))
    }

    /// Opens a connection for writing, to a server that flushes what it acknowledges.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.connect_with(&self.options()?).await?;
        self.check(&mut connection).await?;
        Ok(connection)
    }

    /// Opens a connection for reading an existing store.
    pub(super) async fn connect_to_read(&self) -> Result<PgConnection, StoreError> {
        self.connect_with(&self.read_only()?).await
    }

    /// Refuses a server that acknowledges commits before they are flushed, or that takes no writes.
    async fn check(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let row = sqlx::query(
            "SELECT current_setting('synchronous_commit'), current_setting('fsync'), \
             current_setting('full_page_writes'), pg_is_in_recovery()",
        )
        .fetch_one(connection)
        .await
        .map_err(failed("report its settings"))?;
        let settings = ["synchronous_commit", "fsync", "full_page_writes"];
        for (index, setting) in settings.into_iter().enumerate() {
            let value: String = row.try_get(index).map_err(failed("report its settings"))?;
            if value == "off" && !self.allow_unflushed {
                return Err(StoreError::Unflushed { location: self.location.clone(), setting });
            }
        }
        if row.try_get(3).map_err(failed("report its settings"))? {
            return Err(StoreError::ReadOnly { location: self.location.clone() });
        }
        Ok(())
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}
