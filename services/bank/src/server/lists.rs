//! Adds to the published lists the items that banks got from an earlier version, page by page, while the bank
//! serves.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vigie_consortium::{Caller, Method, Process};
use vigie_model::{Item, ItemId};

use crate::error::Error;
use crate::log::{CurrentTerm, Term, term};
use crate::plan::write::{Action, Author, Write};
use crate::store::published::StoredList;
use crate::store::{ItemRows, Store, StoreError};

/// The interval between two attempts, until all lists are whole.
const EVERY: Duration = Duration::from_secs(1);
/// The pause after a failure.
const AFTER_A_FAULT: Duration = Duration::from_secs(10);
/// The most time of one write.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// The most items of one write.
const ITEMS: u16 = if cfg!(test) { 7 } else { 500 };
/// The most bytes of these items.
const ITEM_BYTES_MAX: usize = 4 << 20;
/// The pause between two writes, which leaves most of the time to others.
const PAUSE: Duration = Duration::from_millis(20);

/// The reason why a round did not finish.
enum Stopped {
    Read(StoreError),
    Write(Error),
}

/// Completes the lists, then waits for as long as it is polled. A new term has no other lists to complete
/// than the term before.
pub(crate) async fn complete(current: CurrentTerm) {
    let mut pause = EVERY;
    loop {
        tokio::time::sleep(pause).await;
        pause = EVERY;
        let Ok(term) = term(&current) else { continue };
        match complete_all(&term).await {
            Ok(()) => return std::future::pending().await,
            Err(Stopped::Read(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "cannot complete the lists of banks now");
            }
            Err(Stopped::Write(error)) => tracing::warn!(%error, "cannot complete the lists of banks now"),
        }
        pause = AFTER_A_FAULT;
    }
}

async fn complete_all(term: &Arc<Term>) -> Result<(), Stopped> {
    let store = term.application.store();
    for list in store.lists().await.map_err(Stopped::Read)? {
        complete_one(term, &*store, list).await?;
    }
    Ok(())
}

async fn complete_one(term: &Term, store: &dyn Store, list: StoredList) -> Result<(), Stopped> {
    let StoredList { bank, listed_through: mut after, unlisted_through: end, .. } = list;
    while after < end {
        let page = store.items(bank, after, (ITEMS, ITEM_BYTES_MAX)).await.map_err(Stopped::Read)?;
        // The bank was deleted.
        let Some(ItemRows { items, is_cut }) = page.value else { return Ok(()) };
        let last = items.last().map_or(end, |item| item.id);
        let through = if is_cut { last.min(end) } else { end };
        let items: Vec<ItemId> =
            items.iter().map(|item: &Item| item.id).filter(|id| *id <= through).collect();
        let by = Author { caller: Caller::Process(Process::Bank), method: Method::SetItemHold };
        let write = Write { by, action: Action::ListItems { bank, items, through } };
        let deadline = Instant::now() + WRITE_MAX;
        let written = tokio::time::timeout_at(deadline, term.log.write(write, None, deadline)).await;
        written.unwrap_or(Err(Error::TimeSpent)).map_err(Stopped::Write)?;
        after = through;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
