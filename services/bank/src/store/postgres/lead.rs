//! The session whose lock determines which bank leads.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use vigie_log::{LogId, Sequence};

use crate::store::error::{StoreError, failed};
use crate::store::sql::read;

/// The longest wait for the server's answer on who leads.
pub(super) const LEAD_MAX: Duration = Duration::from_secs(5);
/// Sets the time for which the server keeps the lock of a bank that has stopped asking: 10,000 milliseconds.
pub(super) const LEAD_IDLE: &str = "SET idle_session_timeout = 10000";

/// A session that holds the log's lock for as long as it is open, or tries to get it.
pub(super) struct Session {
    pub(super) connection: PgConnection,
    pub(super) leads: bool,
}

impl Session {
    pub(super) async fn lead(&mut self, log: LogId) -> Result<Option<Sequence>, StoreError> {
        if !self.leads {
            self.leads = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(lock_of(log))
                .fetch_one(&mut self.connection)
                .await
                .map_err(failed("lock the log"))?;
        }
        // The leader asks too: the answer shows that its session is alive.
        let newest = read::sequence(&mut self.connection).await?;
        Ok(self.leads.then_some(newest))
    }
}

/// Returns the number of a log's lock: the first half of its id.
fn lock_of(log: LogId) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&log.0[..8]);
    i64::from_be_bytes(first)
}
