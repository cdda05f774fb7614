//! Records in the audit the calls that this bank itself has counted.

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

/// The interval between two records.
const RECORD_EVERY: Duration = Duration::from_secs(5);
/// The most time of one write.
const RECORD_MAX: Duration = Duration::from_secs(3);
/// The most counts of one write.
const COUNTS_MAX: usize = 1_000;

/// Records the calls that this bank itself has counted.
#[derive(Debug)]
pub(crate) struct Recorder {
    tally: Arc<Tally>,
    current: CurrentTerm,
    salts: Arc<Salts>,
    /// Number of writes so far: each has its own idempotency key.
    writes: u64,
    /// Counts that are not known to be recorded, each group with the key of its write.
    pending: Vec<(String, Vec<NewEntry>)>,
}

impl Recorder {
    pub(crate) const fn new(tally: Arc<Tally>, current: CurrentTerm, salts: Arc<Salts>) -> Self {
        Self { tally, current, salts, writes: 0, pending: Vec::new() }
    }

    /// Records periodically, for as long as it is polled.
    pub(crate) async fn run(&mut self) {
        loop {
            tokio::time::sleep(RECORD_EVERY).await;
            self.record().await;
        }
    }

    /// Records the present counts, if this bank serves.
    pub(crate) async fn record(&mut self) {
        // While counts are pending, the tally keeps newer ones, within its own bound.
        if self.pending.is_empty() {
            for counts in self.tally.take_all().chunks(COUNTS_MAX) {
                self.writes += 1;
                // The space keeps it apart: no caller's key has one.
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
