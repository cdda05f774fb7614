//! A log that is kept in memory, for tests of logging. Panics if the log is not UTF-8.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::fmt::MakeWriter;

/// The captured log. Clones share it.
#[derive(Debug, Clone)]
pub struct CapturedLog(Arc<Mutex<Vec<u8>>>);

/// A second subscriber, which lives as long as the process. `tracing` decides once for each log statement
/// whether its lines are wanted, when a thread first reaches the statement. While the process has only one
/// subscriber, the subscriber of that thread decides: if the thread of another test has none, the lines are
/// lost for every thread. With two subscribers, both are asked.
static SECOND: OnceLock<Dispatch> = OnceLock::new();

impl Default for CapturedLog {
    fn default() -> Self {
        SECOND.get_or_init(|| Dispatch::new(NoSubscriber::new()));
        Self(Arc::default())
    }
}

const NOT_TEXT: &str = "a log is UTF-8";

impl CapturedLog {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the whole log.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.bytes().clone()).expect(NOT_TEXT)
    }

    /// Returns the whole log, and empties it.
    #[must_use]
    pub fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.bytes())).expect(NOT_TEXT)
    }

    /// Returns the lines that contain `what`.
    #[must_use]
    pub fn lines(&self, what: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
    }
}

impl io::Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for CapturedLog {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
