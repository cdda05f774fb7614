//! `vigie bank sync BANK FILE`: makes a bank equal to a file of hashes.
//!
//! The file is read, compared with the items that the bank lists, and read again to add the missing ones.
//! Items are added before others are removed, so an item whose name changes always matches. No state is kept
//! between runs: after an interrupt, the next run compares again from the start. Each item is added with an
//! origin, so that two concurrent runs add it only once.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use vigie_clients::{BankClient, DescribedItem, IdempotencyKey};
use vigie_model::{BankRef, ItemContent, ItemId, Sequence};
use vigie_proto::bank::WRITE_ITEMS_MAX;

use crate::cli::{BankSyncArgs, DetailsArgs, OriginArgs};
use crate::commands::bank_address::connect;
use crate::commands::banks::adding::{Adding, BATCHES_AT_ONCE, Done, add};
use crate::commands::banks::hash_source::{BadLines, HashSource, WholeFile, show_left_out};
use crate::commands::banks::item_details::Said;
use crate::commands::banks::sync_plan::SyncPlan;
use crate::commands::deadline::deadline as within;
use crate::commands::stop::StopRequests;
use crate::commands::vectors::declared_types;
use crate::output::{Exit, Output, counted};

/// Maximum number of items in one page.
const PAGE: u16 = 1_000;
/// The case in the origin of items, if neither a programme nor a case is given.
const FILE_CASE: &str = "file";

pub(crate) async fn run(args: BankSyncArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let BankSyncArgs {
        bank,
        file,
        reading,
        labels,
        programme,
        case,
        dry_run,
        remove_max,
        ignore_bad,
        address,
    } = args;
    // There is always an origin: without one, two concurrent runs would add an item twice.
    let case = case.or_else(|| programme.is_none().then(|| FILE_CASE.to_owned()));
    let origin = OriginArgs { sync: true, programme, case };
    let said = Said::of(origin, &DetailsArgs::default())?;
    declared_types::hear(&address, output).await?;
    let source = HashSource::new(&file, &reading, labels)?;
    ensure!(!source.is_standard_input(), "a sync reads the file twice, so it cannot be standard input");
    let (client, deadline) = connect(&address, output)?;
    let mut requests = StopRequests::listen();
    let held = client.get_bank(&bank, deadline).await?.value.item_count;

    let (mut plan, bad_lines) = read(&source, reading.rejects.as_deref(), output).await?;
    if bad_lines > 0 && !ignore_bad {
        let bad = counted(bad_lines, "bad line");
        bail!("{} has {bad}, so nothing was changed (--ignore-bad goes on without them)", file.display());
    }
    let listed = compare(&client, &bank, address.timeout_ms, &mut plan, held, output).await?;
    let Listed { kept, canaries, surplus, gone } = &listed;
    let (missing, removed) = (u64::try_from(plan.missing())?, u64::try_from(surplus.len())?);
    if dry_run {
        let would = format!("would add {missing}, keep {kept} and remove {removed}");
        output.say(format!("{bank}: {would}; {}", counted(bad_lines, "bad line")))?;
        output.object(&serde_json::json!({
            "added": missing, "kept": kept, "removed": removed, "canaries": canaries, "bad_lines": bad_lines, "dry_run": true
        }))?;
        return Ok(exit(bad_lines));
    }
    ensure!(
        !remove_max.is_exceeded(*gone, kept + removed),
        "{gone} of {} would be removed, more than --remove-max {remove_max} allows, so nothing was changed",
        counted(kept + removed, "item")
    );

    let adding = Adding {
        client: &client,
        bank: &bank,
        timeout_ms: address.timeout_ms,
        said: &said,
        source,
        after: 0,
        choice: Some(Box::new(move |item: &ItemContent| {
            Ok(plan.adds(item.hashes(), item.external_reference())?)
        })),
        again: |_| "run the same command to continue".to_owned(),
    };
    // The bad lines were already reported when the file was first read.
    let done = add(adding, &mut BadLines::silent(), &mut requests, output).await?;
    // Items that the bank found by their origin are wanted by the file, even if their names differ.
    let asked: HashSet<ItemId> = done.known_ids.iter().copied().collect();
    let surplus: Vec<ItemId> = listed.surplus.iter().copied().filter(|item| !asked.contains(item)).collect();
    let removing = Removing { client: &client, timeout_ms: address.timeout_ms };
    let removed =
        if done.is_stopped { (0, None) } else { removing.all(&surplus, &mut requests, output).await? };
    report(&bank, *kept, bad_lines, &done, removed, surplus.len(), output)
}

fn exit(bad_lines: u64) -> Exit {
    if bad_lines > 0 { Exit::SomeInputsFailed } else { Exit::Done }
}

/// Reads the file for the first time, and returns its items and its number of bad lines.
async fn read(
    source: &HashSource,
    rejects: Option<&Path>,
    output: &mut Output,
) -> anyhow::Result<(SyncPlan, u64)> {
    let mut bad_lines = BadLines::begin(rejects)?;
    let want = |plan: &mut SyncPlan, items: Vec<ItemContent>| {
        for item in &items {
            plan.want(item.hashes(), item.external_reference())?;
        }
        Ok(())
    };
    let (plan, whole) = source.scan(SyncPlan::default(), want, &mut bad_lines, output).await?;
    let WholeFile { left_out, .. } = whole;
    show_left_out(&left_out, output);
    Ok((plan, bad_lines.count()))
}

/// The items that a bank lists, compared with a file.
#[derive(Debug, Default)]
struct Listed {
    kept: u64,
    /// Number of items with the canary label; no file contains them, and a sync does not remove them.
    canaries: u64,
    /// Items that are not in the file.
    surplus: Vec<ItemId>,
    /// Number of the surplus items whose hashes are not in the file under any other name either.
    gone: u64,
}

async fn compare(
    client: &BankClient,
    bank: &BankRef,
    timeout_ms: u64,
    plan: &mut SyncPlan,
    held: u64,
    output: &Output,
) -> anyhow::Result<Listed> {
    let progress = output.progress(held, "comparing");
    let (mut listed, mut after) = (Listed::default(), None);
    loop {
        let page = client.describe_items(bank, after, PAGE, within(timeout_ms)).await?.value;
        for item in &page.items {
            listed.take(item, plan)?;
        }
        progress.inc(u64::try_from(page.items.len())?);
        after = page.next_after;
        if after.is_none() {
            progress.finish_and_clear();
            return Ok(listed);
        }
    }
}

impl Listed {
    fn take(&mut self, item: &DescribedItem, plan: &mut SyncPlan) -> anyhow::Result<()> {
        let DescribedItem { id, hashes, external_reference, labels, submissions, .. } = item;
        ensure!(!hashes.is_empty(), "the bank does not show the hashes of item {id} to this caller");
        if labels.iter().any(|label| label == ItemContent::CANARY_LABEL) {
            self.canaries += 1;
            return Ok(());
        }
        let keys = submissions.iter().map(|(_, submission)| submission.origin.key());
        let names: HashSet<&str> =
            keys.chain([external_reference.as_str()]).filter(|name| !name.is_empty()).collect();
        if plan.stays(hashes, names.into_iter()) {
            self.kept += 1;
        } else {
            self.surplus.push(*id);
            self.gone += u64::from(!plan.has_hashes(hashes));
        }
        Ok(())
    }
}

/// Removes items in batches.
struct Removing<'a> {
    client: &'a BankClient,
    timeout_ms: u64,
}

impl Removing<'_> {
    /// Removes items, and returns how many were removed and the sequence of the last removal. Fewer than all
    /// are removed if the command is stopped.
    async fn all(
        &self,
        items: &[ItemId],
        requests: &mut StopRequests,
        output: &Output,
    ) -> anyhow::Result<(usize, Option<Sequence>)> {
        let progress: ProgressBar = output.progress(u64::try_from(items.len())?, "removing");
        let batch = |items| async move {
            let removed =
                self.client.remove_items(items, IdempotencyKey::random(), within(self.timeout_ms)).await?;
            anyhow::Ok((items.len(), removed.sequence))
        };
        let mut batches =
            Box::pin(stream::iter(items.chunks(WRITE_ITEMS_MAX)).map(batch).buffered(BATCHES_AT_ONCE));
        let (mut count, mut sequence) = (0, None);
        loop {
            let removed = tokio::select! {
                removed = batches.try_next() => removed,
                () = requests.next() => break,
            };
            let failed = || format!("{count} of {} items are removed, and perhaps others", items.len());
            let Some((removed, at)) = removed.with_context(failed)? else { break };
            (count, sequence) = (count + removed, Some(at));
            progress.inc(u64::try_from(removed)?);
        }
        progress.finish_and_clear();
        Ok((count, sequence))
    }
}

fn report(
    bank: &BankRef,
    kept: u64,
    bad_lines: u64,
    done: &Done,
    (removed, removed_at): (usize, Option<Sequence>),
    surplus: usize,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let Done { added, known, sequence, is_stopped, .. } = done;
    let sequence = removed_at.or(*sequence).map_or(0, |sequence| sequence.0);
    let kept = kept + known;
    output.say(format!(
        "{bank}: added {added}, kept {kept}, removed {removed} (sequence {sequence}); {}",
        counted(bad_lines, "bad line")
    ))?;
    let is_stopped = *is_stopped || removed < surplus;
    output.object(&serde_json::json!({
        "added": added, "kept": kept, "removed": removed, "bad_lines": bad_lines, "sequence": sequence, "stopped": is_stopped
    }))?;
    if is_stopped {
        output.note("stopped: run the same command to continue");
        return Ok(Exit::Interrupted);
    }
    Ok(exit(bad_lines))
}
