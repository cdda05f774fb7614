//! `vigie item add BANK --hashes FILE`: a file of hashes, streamed in batches.
//!
//! The file is read on a thread of its own, which waits when the bank is slower. Batches are acknowledged in the order
//! of the file, so a failure or an interrupt can say up to which line everything is in the bank.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, stream};
use indicatif::ProgressBar;
use tokio::sync::{mpsc, oneshot};
use vigie_clients::IdempotencyKey;
use vigie_model::{BankRef, ItemContent, Sequence};

use crate::cli::ItemAddArgs;
use crate::commands::bank_address::connect;
use crate::commands::banks::item_details::Said;
use crate::commands::deadline::deadline as within;
use crate::commands::stop::{STOPPING, StopRequests};
use crate::hash_file::{BadLine, HashFile};
use crate::output::{Exit, Output, Printed, counted};

/// Items of one batch: the most that the bank takes at once.
const BATCH_ITEMS: usize = 1_000;
/// Bytes of one batch, about: a quarter of the message that the bank takes.
const BATCH_BYTES: usize = 1 << 20;
/// Batches that are on their way at once, so that the bank can commit them together.
const BATCHES_AT_ONCE: usize = 4;
/// Bad lines that are told one by one to a person.
const BAD_LINES_TOLD: u64 = 100;

/// Items of the file up to a line, and the lines among them that are none.
#[derive(Debug, Default)]
struct Batch {
    items: Vec<ItemContent>,
    /// Of the items, as they travel.
    bytes: usize,
    bad: Vec<BadLine>,
    through_line: u64,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.items.len() + self.bad.len() >= BATCH_ITEMS || self.bytes >= BATCH_BYTES
    }
}

/// What an item takes in a message, at most: each part with its tag and length.
fn wire_bytes(item: &ItemContent) -> usize {
    const FRAME: usize = 8;
    let hashes = item.hashes().iter().map(|hash| FRAME + hash.as_bytes().len());
    let texts = item.labels().iter().map(AsRef::as_ref).chain(item.external_reference());
    FRAME + hashes.chain(texts.map(|text: &str| FRAME + text.len())).sum::<usize>()
}

pub(crate) async fn run(args: ItemAddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let path = args.hashes.context("--hashes is missing")?;
    let said = Said::of(args.origin, &args.details)?;
    if args.strict {
        check(&path, args.labels.clone(), output).await?;
    }
    let (client, deadline) = connect(&args.address, output)?;
    let mut requests = StopRequests::listen();
    // Before reading on: a bank that is not there is reported at once.
    client.get_bank(&args.bank, deadline).await?;

    let progress = output.byte_progress(size(&path), "adding");
    let (batches, mut received) = mpsc::channel(1);
    let reader = {
        let (path, labels, progress) = (path.clone(), args.labels, progress.clone());
        tokio::task::spawn_blocking(move || {
            read(&path, &labels, args.after_line, progress, |batch| batches.blocking_send(batch).is_ok())
        })
    };
    let (client, bank, timeout_ms) = (&client, &args.bank, args.address.timeout_ms);
    let said = &said;
    let (stopping, stopped) = oneshot::channel::<()>();
    let mut stopping = Some(stopping);
    let mut acknowledged = Box::pin(
        stream::poll_fn(|context| received.poll_recv(context))
            // Batches that are on their way then are waited for.
            .take_until(stopped)
            .map(|batch: Batch| async move {
                let Batch { items, bad, through_line, .. } = batch;
                let count = items.len();
                if items.is_empty() {
                    return Ok((bad, through_line, (0, 0), None));
                }
                let key = IdempotencyKey::random();
                let items = items.into_iter().map(|content| said.with(content)).collect();
                let added = client.contribute_items(bank, items, key, within(timeout_ms)).await?;
                let new = count - (added.value.known as usize).min(count);
                Ok::<_, anyhow::Error>((bad, through_line, (count, new), Some(added.sequence)))
            })
            .buffered(BATCHES_AT_ONCE),
    );

    let mut done = Done { last_line: args.after_line, ..Done::default() };
    loop {
        let batch = tokio::select! {
            batch = acknowledged.next() => batch,
            () = requests.next() => match stopping.take() {
                Some(stopping) => {
                    drop(stopping);
                    progress.suspend(|| output.note(STOPPING));
                    continue;
                }
                None => bail!("{}", done.with_others_open(&path)),
            }
        };
        let Some(batch) = batch else { break };
        let (bad, through_line, (count, new), at) = batch.with_context(|| done.with_others_open(&path))?;
        for line in bad {
            done.bad_lines += 1;
            progress.suspend(|| tell(&line, done.bad_lines, output))?;
        }
        done.added += u64::try_from(new)?;
        done.known += u64::try_from(count - new)?;
        // The last batch of an empty rest has read no line.
        done.last_line = through_line.max(done.last_line);
        done.sequence = at.or(done.sequence);
    }
    drop(acknowledged);
    drop(received);
    let is_stopped = stopping.is_none();
    if !is_stopped {
        // A reader of standard input may wait for it, and would not end now.
        reader.await.context("the file's reader failed")??;
    }
    progress.finish_and_clear();
    done.report(&path, bank, is_stopped, output)
}

/// What is done of a file.
#[derive(Debug, Default)]
struct Done {
    added: u64,
    /// Items that the bank had already.
    known: u64,
    bad_lines: u64,
    /// Every line up to this one is dealt with.
    last_line: u64,
    sequence: Option<Sequence>,
}

impl Done {
    /// What is known where the outcome of some batches is not.
    fn with_others_open(&self, path: &Path) -> String {
        let Self { added, last_line, .. } = self;
        format!(
            "all items up to line {last_line} of {} are added, {added} in all; of the {} that follow, some may be \
             (--after-line {last_line} goes on there, and adds those again)",
            path.display(),
            BATCH_ITEMS * BATCHES_AT_ONCE
        )
    }

    fn report(
        &self,
        path: &Path,
        bank: &BankRef,
        is_stopped: bool,
        output: &mut Output,
    ) -> anyhow::Result<Exit> {
        let Self { added, known, bad_lines, last_line, sequence } = *self;
        let sequence = sequence.map_or(0, |sequence| sequence.0);
        let (items, bad) = (counted(added, "item"), counted(bad_lines, "bad line"));
        let there = if known > 0 { format!("; {known} there already") } else { String::new() };
        output.say(format!("added {items} to {bank} (sequence {sequence}){there}; {bad}"))?;
        if is_stopped {
            output.object(&serde_json::json!({
                "added": added, "known": known, "bad_lines": bad_lines, "sequence": sequence,
                "stopped_after_line": last_line,
            }))?;
            output.note(format!(
                "stopped after line {last_line} of {}: the same command with --after-line {last_line} adds the rest",
                path.display()
            ));
            return Ok(Exit::Interrupted);
        }
        output.object(&serde_json::json!({
            "added": added, "known": known, "bad_lines": bad_lines, "sequence": sequence
        }))?;
        let is_empty = added == 0 && known == 0;
        if is_empty {
            output.note(format!("{} holds no item", path.display()));
        }
        Ok(if bad_lines > 0 || is_empty { Exit::SomeInputsFailed } else { Exit::Done })
    }
}

/// Reads the whole file once and refuses it if any line is bad.
async fn check(path: &Path, labels: Vec<String>, output: &mut Output) -> anyhow::Result<()> {
    if path == Path::new("-") {
        bail!("--strict reads the file twice, so it cannot be standard input");
    }
    let checked = path.to_owned();
    let bad = tokio::task::spawn_blocking(move || {
        let mut bad = Vec::new();
        read(&checked, &labels, 0, ProgressBar::hidden(), |batch| {
            bad.extend(batch.bad);
            true
        })?;
        Ok::<_, anyhow::Error>(bad)
    })
    .await??;
    for (line, told) in bad.iter().zip(1..) {
        tell(line, told, output)?;
    }
    if !bad.is_empty() {
        let bad = counted(u64::try_from(bad.len())?, "bad line");
        bail!("{} has {bad}, so nothing was added", path.display());
    }
    Ok(())
}

fn tell(line: &BadLine, told: u64, output: &mut Output) -> Printed {
    let BadLine { line, reason } = line;
    if told <= BAD_LINES_TOLD {
        output.note(format!("line {line}: {reason}"));
    } else if told == BAD_LINES_TOLD + 1 {
        output.note("further bad lines are only counted");
    }
    output.object(&serde_json::json!({
        "line": line, "error": { "code": "bad_line", "message": reason }
    }))
}

/// Reads the file after a line and hands it on in batches, until it ends or nobody takes them any more.
fn read(
    path: &Path,
    labels: &[String],
    after_line: u64,
    progress: ProgressBar,
    mut hand_on: impl FnMut(Batch) -> bool,
) -> anyhow::Result<()> {
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?)
    };
    let mut batch = Batch::default();
    for line in HashFile::open(progress.wrap_read(source), labels)? {
        let (number, item) = line.with_context(|| format!("cannot read {}", path.display()))?;
        if number <= after_line {
            continue;
        }
        batch.through_line = number;
        match item {
            Ok(item) => {
                batch.bytes += wire_bytes(&item);
                batch.items.push(item);
            }
            Err(bad) => batch.bad.push(bad),
        }
        if batch.is_full() && !hand_on(std::mem::take(&mut batch)) {
            return Ok(());
        }
    }
    hand_on(batch);
    Ok(())
}

fn size(path: &PathBuf) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_the_largest_items_stay_well_below_a_message() {
        let pdq: Vec<String> =
            (0..ItemContent::HASHES_MAX).map(|number| format!("\"{number:064x}\"")).collect();
        let labels: Vec<String> =
            (10..42).map(|number| format!("\"{}\"", number.to_string().repeat(64))).collect();
        let line = format!(
            "{{\"pdq\":[{}],\"labels\":[{}],\"external_reference\":\"{}\"}}\n",
            pdq.join(","),
            labels.join(","),
            "x".repeat(ItemContent::EXTERNAL_REFERENCE_LEN_MAX)
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), line.repeat(1_500)).unwrap();
        let mut batches = Vec::new();
        read(file.path(), &[], 0, ProgressBar::hidden(), |batch| {
            batches.push(batch);
            true
        })
        .unwrap();
        assert_eq!(batches.iter().map(|batch| batch.items.len()).sum::<usize>(), 1_500);
        assert!(batches.iter().all(|batch| batch.bytes < 2 * BATCH_BYTES && batch.bad.is_empty()));
        let largest = wire_bytes(&batches[0].items[0]);
        assert!(largest > 64 * 32 + 32 * 128 + 512, "{largest}");
    }
}
