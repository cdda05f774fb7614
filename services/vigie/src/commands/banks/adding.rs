//! Adds the items of a file to a bank, as a stream of batches.
//!
//! The file is read on its own thread, which waits when the bank is slower. The batches are acknowledged in
//! the order of the file, so after a failure or an interrupt the command can report up to which line all
//! items are in the bank.

use std::path::Path;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use vigie_clients::{BankClient, IdempotencyKey};
use vigie_formats::files::{BATCH_ITEMS, Batch, LeftOut};
use vigie_model::{BankRef, ItemContent, ItemId, Sequence};

use crate::commands::banks::hash_source::{BadLines, HashSource};
use crate::commands::banks::item_details::Said;
use crate::commands::deadline::deadline as within;
use crate::commands::stop::{STOPPING, StopRequests};
use crate::output::Output;

/// Maximum number of batches in flight, so that the bank can commit several together.
pub(super) const BATCHES_AT_ONCE: usize = 4;

/// Decides whether an item is added. An error ends the reading.
pub(super) type Choice = Box<dyn FnMut(&ItemContent) -> anyhow::Result<bool> + Send>;

/// The arguments of [`add`].
pub(super) struct Adding<'a> {
    pub(super) client: &'a BankClient,
    pub(super) bank: &'a BankRef,
    pub(super) timeout_ms: u64,
    pub(super) said: &'a Said,
    pub(super) source: HashSource,
    /// Lines up to and including this one are skipped.
    pub(super) after: u64,
    /// Decides which items are added; all are if this is `None`.
    pub(super) choice: Option<Choice>,
    /// Returns the advice on how to continue after an interrupt, given the last line that was completed.
    pub(super) again: fn(u64) -> String,
}

/// The progress of adding a file.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) added: u64,
    /// Number of items that the bank already had.
    pub(super) known: u64,
    /// Ids of those items, and of the other items in their batches.
    pub(super) known_ids: Vec<ItemId>,
    /// Every line up to and including this one is completed.
    pub(super) last_line: u64,
    pub(super) sequence: Option<Sequence>,
    pub(super) is_stopped: bool,
    pub(super) left_out: LeftOut,
}

impl Done {
    /// Describes the progress when the outcome of some batches is not known.
    fn with_others_open(&self, path: &Path, again: fn(u64) -> String) -> String {
        let Self { added, last_line, .. } = self;
        format!(
            "all items up to line {last_line} of {} are added, {added} in all; of the {} that follow, some may be ({})",
            path.display(),
            BATCH_ITEMS * BATCHES_AT_ONCE,
            again(*last_line)
        )
    }
}

/// Adds the items of a file, reports its bad lines, and stops at a request to stop.
pub(super) async fn add(
    adding: Adding<'_>,
    bad_lines: &mut BadLines,
    requests: &mut StopRequests,
    output: &mut Output,
) -> anyhow::Result<Done> {
    let Adding { client, bank, timeout_ms, said, source, after, mut choice, again } = adding;
    let path = source.path().to_owned();
    let progress = output.byte_progress(source.size(), "adding");
    let (batches, mut received) = mpsc::channel(1);
    let reader = {
        let progress = progress.clone();
        tokio::task::spawn_blocking(move || {
            let mut fault = None;
            let whole = source.read(after, &progress, |mut batch| {
                if let Some(choice) = &mut choice {
                    match chosen(&mut batch.items, choice) {
                        Ok(()) => {}
                        Err(error) => {
                            fault = Some(error);
                            return false;
                        }
                    }
                }
                batches.blocking_send(batch).is_ok()
            })?;
            fault.map_or(Ok(whole), Err)
        })
    };
    let (stopping, stopped) = oneshot::channel::<()>();
    let mut stopping = Some(stopping);
    let mut acknowledged = Box::pin(
        stream::poll_fn(|context| received.poll_recv(context))
            // The batches that are in flight at that moment are still awaited.
            .take_until(stopped)
            .map(|batch: Batch| async move {
                let Batch { items, bad, through, .. } = batch;
                if items.is_empty() {
                    return Ok((bad, through, 0, None));
                }
                let count = items.len();
                let key = IdempotencyKey::random();
                let items = items.into_iter().map(|content| said.with(content)).collect();
                let added = client.contribute_items(bank, items, key, within(timeout_ms)).await?;
                Ok::<_, anyhow::Error>((bad, through, count, Some(added)))
            })
            .buffered(BATCHES_AT_ONCE),
    );

    let mut done = Done { last_line: after, ..Done::default() };
    loop {
        let batch = tokio::select! {
            batch = acknowledged.next() => batch,
            () = requests.next() => match stopping.take() {
                Some(stopping) => {
                    drop(stopping);
                    progress.suspend(|| output.note(STOPPING));
                    continue;
                }
                None => bail!("{}", done.with_others_open(&path, again)),
            }
        };
        let Some(batch) = batch else { break };
        let (bad, through, count, added) = batch.with_context(|| done.with_others_open(&path, again))?;
        for line in bad {
            progress.suspend(|| bad_lines.report(&line, output))?;
        }
        if let Some(added) = added {
            let known = u64::from(added.value.known).min(count as u64);
            done.added += count as u64 - known;
            done.known += known;
            if known > 0 {
                done.known_ids.extend(added.value.ids);
            }
            done.sequence = Some(added.sequence);
        }
        // If no lines follow `after`, the last batch has read none, and its line number must not replace
        // `after`.
        done.last_line = through.max(done.last_line);
    }
    drop(acknowledged);
    drop(received);
    done.is_stopped = stopping.is_none();
    if !done.is_stopped {
        // After a stop, the reader is not awaited: it may be waiting for standard input, and would not end
        // now.
        done.left_out = reader.await.context("the file's reader failed")??.left_out;
    }
    progress.finish_and_clear();
    bad_lines.finish()?;
    Ok(done)
}

/// Removes the items that `choice` rejects.
fn chosen(items: &mut Vec<ItemContent>, choice: &mut Choice) -> anyhow::Result<()> {
    let mut fault = None;
    items.retain(|item| match choice(item) {
        Ok(is_chosen) => is_chosen,
        Err(error) => {
            fault = Some(error);
            false
        }
    });
    fault.map_or(Ok(()), Err)
}
