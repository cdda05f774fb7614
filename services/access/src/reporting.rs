//! Reports counted calls to the bank, which keeps the audit.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use vigie_clients::{AuditClient, CountedCalls, EndpointError, IdempotencyKey, Network};

use crate::tally::{Counted, Event, Tally, Who};
use crate::wall_clock::WallClock;

/// The interval between two reports of refused calls.
const EVERY: Duration = Duration::from_secs(5);
/// The interval between two reports of searches, in milliseconds.
const HOUR_MS: u64 = 3_600_000;
/// The most time of one report.
const REPORT_MAX: Duration = Duration::from_secs(3);
/// The most counts of one report.
const COUNTS_MAX: usize = 1_000;

/// The reports of one server.
#[derive(Debug)]
pub(crate) struct Reporting {
    tally: Arc<Tally>,
    clock: WallClock,
    bank: AuditClient,
    /// Reports that the bank has not confirmed. Each keeps its idempotency key, so that a report whose answer
    /// was lost is not recorded twice.
    pending: Vec<(IdempotencyKey, Vec<Counted>)>,
    is_lost: bool,
}

impl Reporting {
    pub(crate) fn new(
        tally: Arc<Tally>,
        clock: WallClock,
        banks: &[String],
        network: &Network,
    ) -> Result<Self, EndpointError> {
        let bank = AuditClient::among(banks, network)?;
        Ok(Self { tally, clock, bank, pending: Vec::new(), is_lost: false })
    }

    /// Reports periodically, for as long as it is polled.
    pub(crate) async fn run(&mut self) {
        let mut hour = self.hour();
        loop {
            tokio::time::sleep(EVERY).await;
            // While a report is pending, the tally keeps newer counts, within its own bound.
            if self.pending.is_empty() {
                let now = self.hour();
                let is_new_hour = std::mem::replace(&mut hour, now) != now;
                self.add(if is_new_hour { self.tally.take_all() } else { self.tally.take() });
            }
            self.report(Instant::now() + REPORT_MAX).await;
        }
    }

    /// Reports the remaining counts, once.
    pub(crate) async fn finish(&mut self) {
        self.add(self.tally.take_all());
        self.report(Instant::now() + REPORT_MAX).await;
        let lost =
            self.pending.iter().flat_map(|(_, counts)| counts).map(|counted| counted.calls).sum::<u64>();
        if lost > 0 {
            tracing::warn!(calls = lost, "calls were not reported to the audit before the end");
        }
    }

    fn hour(&self) -> u64 {
        self.clock.now().0 / HOUR_MS
    }

    fn add(&mut self, counts: Vec<Counted>) {
        let reports = counts.chunks(COUNTS_MAX).map(|counts| (IdempotencyKey::random(), counts.to_vec()));
        self.pending.extend(reports);
    }

    async fn report(&mut self, deadline: Instant) {
        while let Some((key, counts)) = self.pending.last() {
            let calls = counts.iter().map(|counted| CountedCalls::from(*counted)).collect();
            match self.bank.record_calls(calls, key.clone(), deadline).await {
                Ok(()) => {
                    self.pending.pop();
                    if std::mem::take(&mut self.is_lost) {
                        tracing::info!("calls are reported to the audit again");
                    }
                }
                // A bank of an older version may not know a method. A report that it will never accept must
                // not block the others.
                Err(error) if error.code() == Code::InvalidArgument => {
                    tracing::error!(%error, counts = counts.len(), "the bank refuses a report of calls, which is dropped");
                    self.pending.pop();
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_lost, true) {
                        tracing::warn!(%error, "calls cannot be reported to the audit; they are kept and reported later");
                    }
                    return;
                }
            }
        }
    }
}

impl From<Counted> for CountedCalls {
    fn from(counted: Counted) -> Self {
        let Counted { who: Who { member, principal }, counts, calls, items, since } = counted;
        let Event { action, code, item, bank } = counts.event();
        let method = action.to_owned();
        Self { member, principal, method, code, calls, item_count: items, since, item, bank }
    }
}
