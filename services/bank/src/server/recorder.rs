//! Records the calls that the bank has counted itself in its audit.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vigie_access::{Counted, Event, Tally};
use vigie_audit::salt::Salts;
use vigie_audit::tree::LeafIndex;
use vigie_consortium::{Caller, Method, Process};

use crate::log::{CurrentTerm, term};
use crate::plan::audit::{About, NewEntry};
use crate::plan::write::{Action, Author, Write};

/// How long a counted call waits until it is recorded.
const RECORD_EVERY: Duration = Duration::from_secs(5);
/// How long that may take.
const RECORD_MAX: Duration = Duration::from_secs(3);
/// Counts that are recorded in one write.
const COUNTS_MAX: usize = 1_000;

/// Records the calls that the bank has counted itself.
#[derive(Debug)]
pub(crate) struct Recorder {
    tally: Arc<Tally>,
    current: CurrentTerm,
    salts: Arc<Salts>,
    /// Writes so far: each has a key of its own.
    writes: u64,
    /// Counts that are not known to be recorded, and the key of the write.
    pending: Vec<(String, Vec<NewEntry>)>,
}

impl Recorder {
    pub(crate) const fn new(tally: Arc<Tally>, current: CurrentTerm, salts: Arc<Salts>) -> Self {
        Self { tally, current, salts, writes: 0, pending: Vec::new() }
    }

    /// Records again and again, for as long as it is polled.
    pub(crate) async fn run(&mut self) {
        loop {
            tokio::time::sleep(RECORD_EVERY).await;
            self.record().await;
        }
    }

    /// Records what has been counted, if this bank serves.
    pub(crate) async fn record(&mut self) {
        // While a report is pending, the tally keeps newer counts, within its own bound.
        if self.pending.is_empty() {
            for counts in self.tally.take_all().chunks(COUNTS_MAX) {
                self.writes += 1;
                // With a space: no caller's key has one.
                let random = u128::from_be_bytes(self.salts.of(LeafIndex(u64::MAX - self.writes)));
                let key = format!("recorder {random:032x}");
                self.pending.push((key, counts.iter().map(entry).collect()));
            }
        }
        while let Some((key, entries)) = self.pending.last() {
            let Ok(term) = term(&self.current) else { return };
            let by = Author { caller: Caller::Process(Process::Bank), method: Method::RecordCalls };
            let write = Write { by, action: Action::Record(entries.clone()) };
            let deadline = Instant::now() + RECORD_MAX;
            let written =
                tokio::time::timeout_at(deadline, term.log.write(write, Some(key.clone()), deadline));
            match written.await {
                Ok(Ok(_)) => drop(self.pending.pop()),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "counted calls are not in the audit yet");
                    return;
                }
                Err(_) => return,
            }
        }
    }
}

fn entry(counted: &Counted) -> NewEntry {
    let Counted { who, counts, calls, items, since } = *counted;
    let Event { action, code, item, bank } = counts.event();
    NewEntry {
        by: who,
        action: action.to_owned(),
        code,
        about: About {
            banks: bank.into_iter().collect(),
            first_item: item,
            items,
            sequence: None,
            card: None,
        },
        calls,
        since: Some(since),
    }
}
