//! Sends collected reports to the bank repeatedly, each report once.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use vigie_clients::{CallError, IdempotencyKey};

/// The longest time that a report may take.
const REPORT_MAX: Duration = Duration::from_secs(3);

/// A collection of reports.
pub(super) trait Source {
    /// The type of a report's entries.
    type Report: Clone;
    /// The client that sends the reports to the bank.
    type Client;

    /// The interval between reports.
    const EVERY: Duration;
    /// The most entries of one call.
    const REPORTS_MAX: usize;
    /// The name of the entries in log lines.
    const WHAT: &'static str;

    /// Takes the collected entries.
    fn take(&self) -> Vec<Self::Report>;

    /// Notes that the bank refused this number of entries.
    fn dropped(&self, _reports: usize) {}

    /// Sends some entries.
    async fn send(
        client: &Self::Client,
        reports: &[Self::Report],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), CallError>;
}

/// The reporter of one source in one frontend.
#[derive(Debug)]
pub(super) struct Reporter<S: Source> {
    source: S,
    /// `None` if the frontend has no bank configured.
    client: Option<S::Client>,
    /// Reports that the bank has not confirmed. Each keeps its idempotency key, so that a report whose
    /// confirmation was lost is not counted twice.
    pending: Vec<(IdempotencyKey, Vec<S::Report>)>,
    is_lost: bool,
}

impl<S: Source> Reporter<S> {
    pub(super) const fn new(source: S, client: Option<S::Client>) -> Self {
        Self { source, client, pending: Vec::new(), is_lost: false }
    }

    /// Sends reports repeatedly, for as long as it is polled.
    pub(super) async fn run(&mut self) {
        loop {
            tokio::time::sleep(S::EVERY).await;
            self.report(Instant::now() + REPORT_MAX).await;
        }
    }

    /// Sends the remaining reports, once.
    pub(super) async fn finish(&mut self) {
        self.report(Instant::now() + REPORT_MAX).await;
        if !self.pending.is_empty() {
            tracing::warn!("{} were not reported to the bank before the end", S::WHAT);
        }
    }

    async fn report(&mut self, deadline: Instant) {
        // While a report is pending, newer entries wait within the bound of their source.
        if self.pending.is_empty() {
            let taken = self.source.take();
            let reports = taken.chunks(S::REPORTS_MAX).map(|some| (IdempotencyKey::random(), some.to_vec()));
            self.pending.extend(reports);
        }
        let Some(client) = &self.client else { return self.pending.clear() };
        while let Some((key, reports)) = self.pending.last() {
            match S::send(client, reports, key.clone(), deadline).await {
                Ok(()) => {
                    self.pending.pop();
                    self.is_lost = false;
                }
                // A bank of an older version accepts none of these. Reports that it will never accept must
                // not delay the rest.
                Err(error) if matches!(error.code(), Code::InvalidArgument | Code::Unimplemented) => {
                    let reports = reports.len();
                    tracing::warn!(%error, reports, "the bank refuses {}, which are dropped", S::WHAT);
                    self.source.dropped(reports);
                    self.pending.pop();
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_lost, true) {
                        tracing::warn!(%error, "{} cannot be reported to the bank now; they are kept and reported later", S::WHAT);
                    }
                    return;
                }
            }
        }
    }
}
