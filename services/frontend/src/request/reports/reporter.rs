//! Has the bank take what was gathered, again and again, each report once.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;
use vigie_clients::{CallError, IdempotencyKey};

/// How long a report may take.
const REPORT_MAX: Duration = Duration::from_secs(3);

/// Where what is reported is gathered.
pub(super) trait Source {
    /// One thing that is reported.
    type Report: Clone;
    /// The client that takes it to the bank.
    type Client;

    /// How long it waits until it is reported.
    const EVERY: Duration;
    /// How many of them one call reports.
    const REPORTS_MAX: usize;
    /// What they are, for the log.
    const WHAT: &'static str;

    /// Takes what was gathered.
    fn take(&self) -> Vec<Self::Report>;

    /// Notes that the bank refuses some of it.
    fn dropped(&self, _reports: usize) {}

    /// Reports some of it.
    async fn send(
        client: &Self::Client,
        reports: &[Self::Report],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), CallError>;
}

/// Reports of one frontend.
#[derive(Debug)]
pub(super) struct Reporter<S: Source> {
    source: S,
    /// `None` for a frontend that knows no bank.
    client: Option<S::Client>,
    /// Reports that the bank has not confirmed. Each keeps its key: one that was taken without a word is not
    /// taken twice.
    pending: Vec<(IdempotencyKey, Vec<S::Report>)>,
    is_lost: bool,
}

impl<S: Source> Reporter<S> {
    pub(super) const fn new(source: S, client: Option<S::Client>) -> Self {
        Self { source, client, pending: Vec::new(), is_lost: false }
    }

    /// Reports again and again, for as long as it is polled.
    pub(super) async fn run(&mut self) {
        loop {
            tokio::time::sleep(S::EVERY).await;
            self.report(Instant::now() + REPORT_MAX).await;
        }
    }

    /// Reports what is left, once.
    pub(super) async fn finish(&mut self) {
        self.report(Instant::now() + REPORT_MAX).await;
        if !self.pending.is_empty() {
            tracing::warn!("{} were not reported to the bank before the end", S::WHAT);
        }
    }

    async fn report(&mut self, deadline: Instant) {
        // While a report is pending, what is newer waits within the bound of its source.
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
                // A bank of an older version takes none of it, and what it will never take must not keep the
                // rest back.
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
