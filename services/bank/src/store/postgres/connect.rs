//! Connections to the server: the settings of each, and what a server must promise before anything is written to it.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Row as _};
use tokio::time::timeout;

use crate::config::DatabaseUrl;
use crate::store::error::{StoreError, failed};

/// How long the server may take for one statement. A hung server or disk is told from a slow one by it.
const STATEMENT_MAX: Duration = Duration::from_secs(20);
/// How long a statement may wait for a row that another transaction holds, the head's above all.
pub(super) const LOCK_MAX: Duration = Duration::from_secs(10);
/// How long a transaction may lie open without a statement before the server ends its connection. A bank that hangs
/// holds the head for no longer. Less than what others wait for the head.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// How long a connection may take to be made.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Makes connections. Each takes the password and the certificates as their files are at that moment.
#[derive(Clone)]
pub(super) struct Connector {
    url: DatabaseUrl,
    location: String,
    allow_unflushed: bool,
}

impl Connector {
    /// To this database.
    pub(super) fn new(url: &DatabaseUrl, allow_unflushed: bool) -> Self {
        Self { url: url.clone(), location: url.to_string(), allow_unflushed }
    }

    /// What errors and logs say instead of the URL.
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    fn options(&self) -> Result<PgConnectOptions, StoreError> {
        let options = self.url.options().map_err(|source| self.failed_to_open(source))?;
        Ok(options.application_name("vigie-bank").disable_statement_logging().options([
            ("statement_timeout", millis(STATEMENT_MAX)),
            ("lock_timeout", millis(LOCK_MAX)),
            ("idle_in_transaction_session_timeout", millis(IDLE_MAX)),
            // What is read together is of one moment. Writers say otherwise themselves.
            ("default_transaction_isolation", "repeatable read".to_owned()),
            // The server notices within half a minute that a bank's machine is gone, and gives up its locks.
            ("tcp_keepalives_idle", "10".to_owned()),
            ("tcp_keepalives_interval", "5".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
            ("tcp_user_timeout", "15000".to_owned()),
        ]))
    }

    /// For connections that only read.
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

    /// A connection to write with, to a server that keeps what it has acknowledged.
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.connect_with(&self.options()?).await?;
        self.check(&mut connection).await?;
        Ok(connection)
    }

    /// A connection to look at a store that is there.
    pub(super) async fn connect_to_read(&self) -> Result<PgConnection, StoreError> {
        self.connect_with(&self.read_only()?).await
    }

    /// Refuses a server that acknowledges commits before they are flushed, or that takes none.
    async fn check(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let row = sqlx::query(
            "SELECT current_setting('synchronous_commit'), current_setting('fsync'), \
             current_setting('full_page_writes'), pg_is_in_recovery()",
        )
        .fetch_one(connection)
        .await
        .map_err(failed("tell its settings"))?;
        let settings = ["synchronous_commit", "fsync", "full_page_writes"];
        for (index, setting) in settings.into_iter().enumerate() {
            let value: String = row.try_get(index).map_err(failed("tell its settings"))?;
            if value == "off" && !self.allow_unflushed {
                return Err(StoreError::Unflushed { location: self.location.clone(), setting });
            }
        }
        if row.try_get(3).map_err(failed("tell its settings"))? {
            return Err(StoreError::ReadOnly { location: self.location.clone() });
        }
        Ok(())
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}
