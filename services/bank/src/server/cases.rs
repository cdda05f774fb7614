//! Ends what cases keep for a limited time: banks of closed incidents, reports older than a year, and records
//! of decisions.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vigie_consortium::{Caller, Document, DocumentKey, DocumentKind, Method, Process};
use vigie_log::Clock;
use vigie_proto::pb::consortium::v1 as pb;

use crate::error::Error;
use crate::log::{CurrentTerm, Term, term};
use crate::plan::cases::known::decode;
use crate::plan::cases::recorded;
use crate::plan::cases::stage::Stage;
use crate::plan::cases::write::{CaseAction, CaseWrite};
use crate::plan::write::{Action, Author, Write};
use crate::store::documents::DocumentRange;
use crate::store::{Store, StoreError};

/// The interval between two rounds.
const EVERY: Duration = Duration::from_secs(2);
/// The pause after a failed round.
const AFTER_A_FAULT: Duration = Duration::from_secs(10);
/// The most time of one write. A bank's deletion is short: its items are swept later.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// The longest time that a report is kept: 12 months (COM(2022) 209, Article 22).
const REPORT_KEPT_MS: u64 = 365 * 24 * 60 * 60 * 1_000;
/// The most documents of one read.
const PAGE: u16 = 100;
/// The most parts of records that one write removes.
const PARTS_PAGE: u16 = 200;
/// The most parts of records that one round compares with the present charters.
const SWEPT_PAGE: u16 = 1_000;
/// The most such writes of one round. Other writes run between them, and the rest waits for the next round.
const PARTS_WRITES_MAX: usize = 50;

/// Finds cases with something due, and has the bank write it.
#[derive(Debug)]
pub(crate) struct CaseKeeper {
    current: CurrentTerm,
    clock: Arc<dyn Clock>,
    /// The last part of a record that was compared with its bank's present charter; the next page begins
    /// after it.
    swept: DocumentKey,
}

/// The reason why a round did not finish. The next round starts again.
enum Stopped {
    Read(StoreError),
    Write(Error),
}

impl CaseKeeper {
    pub(crate) fn new(current: CurrentTerm, clock: Arc<dyn Clock>) -> Self {
        Self { current, clock, swept: DocumentKey::default() }
    }

    /// Runs rounds for as long as it is polled.
    pub(crate) async fn run(&mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            let Ok(term) = term(&self.current) else { continue };
            let Err(stopped) = self.tend(&term).await else { continue };
            match stopped {
                Stopped::Read(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "cannot read the cases that are due");
                }
                Stopped::Write(error) => tracing::warn!(%error, "cannot end a case now"),
            }
            tokio::time::sleep(AFTER_A_FAULT).await;
        }
    }

    /// Does what is due. A failure of one kind does not delay the other kinds.
    async fn tend(&mut self, term: &Term) -> Result<(), Stopped> {
        let outcomes =
            [self.tend_incidents(term).await, self.tend_reports(term).await, self.tend_decisions(term).await];
        outcomes.into_iter().collect()
    }

    async fn tend_incidents(&self, term: &Term) -> Result<(), Stopped> {
        for due in closed_until(&*term.application.store(), self.clock.now().0).await? {
            write(term, CaseAction::EndIncident(due.key), Method::DeleteBank).await?;
        }
        Ok(())
    }

    async fn tend_reports(&self, term: &Term) -> Result<(), Stopped> {
        let (store, now) = (term.application.store(), self.clock.now().0);
        let mut old = Vec::new();
        for stage in Stage::ALL {
            old.extend(old_reports(&*store, stage, now.saturating_sub(REPORT_KEPT_MS)).await?);
        }
        if !old.is_empty() {
            write(term, CaseAction::ForgetReports(old), Method::ReviewReport).await?;
        }
        Ok(())
    }

    /// Ends expired records, and a page of the records whose banks have changed their charter or are gone.
    async fn tend_decisions(&mut self, term: &Term) -> Result<(), Stopped> {
        let (store, now) = (term.application.store(), self.clock.now().0);
        for _ in 0..PARTS_WRITES_MAX {
            let over = parts_until(&*store, now).await?;
            let is_last = over.len() < usize::from(PARTS_PAGE);
            forget(term, over).await?;
            if is_last {
                break;
            }
        }
        let range = DocumentRange {
            after: self.swept.clone(),
            ..DocumentRange::all(DocumentKind::MatchRecord, SWEPT_PAGE)
        };
        let page = store.document_range(&range).await.map_err(Stopped::Read)?;
        let is_last = page.len() < usize::from(SWEPT_PAGE);
        self.swept = page.last().filter(|_| !is_last).map(|last| last.key.clone()).unwrap_or_default();
        let view = term.application.view();
        let now = vigie_model::UnixMillis(now);
        let over = page.iter().filter(|part| !recorded::is_kept(view.directory(), part, now));
        let over: Vec<DocumentKey> = over.map(|part| part.key.clone()).collect();
        for some in over.chunks(PARTS_PAGE.into()) {
            forget(term, some.to_vec()).await?;
        }
        Ok(())
    }
}

/// Returns closed incidents whose bank is kept until `now` at most.
async fn closed_until(store: &dyn Store, now: u64) -> Result<Vec<Document>, Stopped> {
    let range = DocumentRange {
        kind: DocumentKind::Incident,
        after: Stage::Second.begin(),
        before: Some(Stage::Second.key(now.saturating_add(1))),
        limit: PAGE,
    };
    store.document_range(&range).await.map_err(Stopped::Read)
}

/// Returns the oldest reports of a stage that were received before a time. Report numbers ascend with time.
async fn old_reports(store: &dyn Store, stage: Stage, before: u64) -> Result<Vec<DocumentKey>, Stopped> {
    let end = Some(stage.end());
    let range = DocumentRange { kind: DocumentKind::Report, after: stage.begin(), before: end, limit: PAGE };
    let oldest = store.document_range(&range).await.map_err(Stopped::Read)?;
    let is_old = |document: &Document| {
        decode::<pb::StoredReport>(document).is_some_and(|report| report.submitted_at_unix_ms < before)
    };
    Ok(oldest.into_iter().take_while(is_old).map(|document| document.key).collect())
}

/// Returns expired parts of records of decisions.
async fn parts_until(store: &dyn Store, now: u64) -> Result<Vec<DocumentKey>, Stopped> {
    let range = DocumentRange {
        kind: DocumentKind::MatchRecord,
        after: DocumentKey::default(),
        before: Some(DocumentKey::of_numbers(&[now.saturating_add(1)])),
        limit: PARTS_PAGE,
    };
    let over = store.document_range(&range).await.map_err(Stopped::Read)?;
    Ok(over.into_iter().map(|document| document.key).collect())
}

async fn forget(term: &Term, parts: Vec<DocumentKey>) -> Result<(), Stopped> {
    if parts.is_empty() {
        return Ok(());
    }
    write(term, CaseAction::ForgetDecisions(parts), Method::RecordDecisions).await
}

async fn write(term: &Term, action: CaseAction, method: Method) -> Result<(), Stopped> {
    let by = Author { caller: Caller::Process(Process::Bank), method };
    let action = Action::Case(CaseWrite { action, request_digest: [0; 32] });
    let deadline = Instant::now() + WRITE_MAX;
    let written = term.log.write(Write { by, action }, None, deadline);
    let written = tokio::time::timeout_at(deadline, written).await;
    written.unwrap_or(Err(Error::TimeSpent)).map(drop).map_err(Stopped::Write)
}
