//! Measures how long changes of the bank take until searches of this replica use them, and reports this to
//! the bank's statistics.
//!
//! A latency begins with the commit of a change, by the bank's clock, and ends when the replica has applied
//! it, by this machine's clock. If the clocks differ, it is wrong by the difference, but never below 0. The
//! bank sends only the time of the first change of a range, so a reported latency is an upper bound. Changes
//! that are applied while the replica is not ready are not counted, because no search waits for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use vigie_clients::{EndpointError, IdempotencyKey, Network, StatisticsClient};
use vigie_model::{ChangeKind, FeedRange, UnixMillis};
use vigie_statistics::{Histogram, LatencyKind};

/// The interval between two reports.
const EVERY: Duration = Duration::from_secs(10);
/// The time limit of one report.
const REPORT_MAX: Duration = Duration::from_secs(3);

/// The numbers of items that a range adds and removes, and the commit time of its first change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timed {
    committed: Option<UnixMillis>,
    added: u64,
    removed: u64,
}

impl Timed {
    pub(crate) fn of(range: &FeedRange) -> Self {
        let mut timed = Self { committed: range.first_committed, added: 0, removed: 0 };
        for change in &range.changes {
            match change.kind {
                ChangeKind::ItemAdded(_) => timed.added += 1,
                ChangeKind::ItemRemoved { .. } => timed.removed += 1,
                ChangeKind::ItemHeldSet { .. }
                | ChangeKind::ItemStandingSet { .. }
                | ChangeKind::BankCreated { .. }
                | ChangeKind::BankRenamed { .. }
                | ChangeKind::BankEnabledSet { .. }
                | ChangeKind::BankDeleted { .. } => {}
            }
        }
        timed
    }
}

/// The latencies that have been counted and not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Mutex<BTreeMap<LatencyKind, Histogram>>);

impl Latencies {
    /// Counts the changes of a range that has just been applied.
    pub(crate) fn count(&self, timed: Timed, now: UnixMillis) {
        let Timed { committed: Some(committed), added, removed } = timed else { return };
        if added == 0 && removed == 0 {
            return;
        }
        let latency_ms = now.0.saturating_sub(committed.0);
        // No code panics while the lock is held.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, count) in [(LatencyKind::AddToMatchable, added), (LatencyKind::RemovalToGone, removed)] {
            if count > 0 {
                held.entry(kind).or_default().record_many(latency_ms, count);
            }
        }
    }

    fn take(&self) -> Vec<(LatencyKind, Histogram)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

/// Reports the latencies of one replica.
#[derive(Debug)]
pub(crate) struct LatencyReports {
    latencies: Arc<Latencies>,
    bank: StatisticsClient,
    /// A report that the bank has not confirmed. It keeps its idempotency key, so that it is not counted
    /// twice if only the confirmation was lost.
    pending: Option<(IdempotencyKey, Vec<(LatencyKind, Histogram)>)>,
    is_lost: bool,
}

impl LatencyReports {
    /// Reports to the bank at this endpoint.
    ///
    /// Errors: the endpoint is malformed.
    pub(crate) fn new(
        latencies: Arc<Latencies>,
        bank: &str,
        network: &Network,
    ) -> Result<Self, EndpointError> {
        let bank = StatisticsClient::among(&[bank.to_owned()], network)?;
        Ok(Self { latencies, bank, pending: None, is_lost: false })
    }

    /// Reports every [`EVERY`], as long as the future is polled.
    pub(crate) async fn run(&mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.report(Instant::now() + REPORT_MAX).await;
        }
    }

    /// Reports the rest, once.
    pub(crate) async fn finish(&mut self) {
        self.report(Instant::now() + REPORT_MAX).await;
        if self.pending.is_some() {
            tracing::info!("latencies were not reported to the statistics before the end");
        }
    }

    /// Sends one report. It stays in `pending` until the bank answers, so a report that is cancelled midway
    /// is sent again with the same key.
    async fn report(&mut self, deadline: Instant) {
        if self.pending.is_none() {
            let taken = Some(self.latencies.take()).filter(|taken| !taken.is_empty());
            self.pending = taken.map(|taken| (IdempotencyKey::random(), taken));
        }
        let Some((key, latencies)) = &self.pending else { return };
        match self.bank.record_latencies(latencies, key.clone(), deadline).await {
            Ok(()) => {
                self.pending = None;
                self.is_lost = false;
            }
            // A bank of an older version counts no latencies. A report that it will never accept must not
            // block later ones.
            Err(error) if matches!(error.code(), Code::InvalidArgument | Code::Unimplemented) => {
                self.pending = None;
                if !std::mem::replace(&mut self.is_lost, true) {
                    tracing::info!(%error, "the bank refuses latencies, which are dropped");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_lost, true) {
                    tracing::info!(%error, "latencies cannot be reported to the statistics; they are kept and reported later");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{BankId, Change, ItemId, LogId, Sequence};

    use super::*;

    fn removal(sequence: u64) -> Change {
        let kind = ChangeKind::ItemRemoved { item: ItemId(sequence), bank: BankId(1) };
        Change { sequence: Sequence(sequence), kind }
    }

    fn held(sequence: u64) -> Change {
        let kind = ChangeKind::ItemHeldSet { item: ItemId(sequence), bank: BankId(1), held: true };
        Change { sequence: Sequence(sequence), kind }
    }

    fn range(changes: Vec<Change>, first_committed: Option<u64>) -> FeedRange {
        FeedRange {
            log: LogId([7; 16]),
            after: Sequence(0),
            through: Sequence(9),
            head: Sequence(9),
            head_committed: None,
            chain: None,
            changes,
            first_committed: first_committed.map(UnixMillis),
            digest: None,
            members_on: false,
        }
    }

    #[tokio::test]
    async fn a_report_that_is_dropped_half_way_is_sent_again_with_its_key() {
        // The server accepts connections and answers nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let bank = format!("http://{}", silent.local_addr().unwrap());
        let latencies = Arc::new(Latencies::default());
        let mut reports = LatencyReports::new(Arc::clone(&latencies), &bank, &Network::tcp()).unwrap();
        latencies.count(Timed::of(&range(vec![removal(1)], Some(1_000))), UnixMillis(1_012));
        let mut expected = Histogram::default();
        expected.record(12);
        let mut keys = Vec::new();
        for _ in 0..2 {
            let report = reports.report(Instant::now() + REPORT_MAX);
            tokio::time::timeout(Duration::from_millis(50), report).await.unwrap_err();
            let (key, sent) = reports.pending.clone().unwrap();
            assert_eq!(sent, [(LatencyKind::RemovalToGone, expected.clone())]);
            keys.push(format!("{key:?}"));
        }
        assert_eq!(keys[0], keys[1]);
        assert_eq!(latencies.take(), []);
    }

    #[test]
    fn changes_count_by_kind_from_the_first_commit_of_their_range() {
        let latencies = Latencies::default();
        let count = |changes, committed, now| {
            latencies.count(Timed::of(&range(changes, committed)), UnixMillis(now));
        };
        count(vec![removal(1), held(2), removal(3)], Some(1_000), 1_012);
        // The clock of the bank is ahead.
        count(vec![removal(4)], Some(1_000), 990);
        // No item is added or removed; then one is removed at an unknown time.
        count(vec![held(5)], Some(1_000), 9_000);
        count(vec![removal(6)], None, 9_000);
        let mut expected = Histogram::default();
        [12, 12, 0].into_iter().for_each(|latency| expected.record(latency));
        assert_eq!(latencies.take(), [(LatencyKind::RemovalToGone, expected)]);
        assert_eq!(latencies.take(), []);
    }
}
