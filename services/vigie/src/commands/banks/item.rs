//! `vigie item`: adds, shows, lists, finds and removes items.

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, stream};
use serde::Serialize;
use tokio::sync::oneshot;
use vigie_clients::{DescribedItem, IdempotencyKey, RemovedItem};
use vigie_consortium::Origin;
use vigie_model::fingerprint::VideoPartial;
use vigie_model::{BankRef, Frame, Hash, ItemId, Quality, Sequence};

use crate::cli::{BankAddressArgs, ItemAddArgs, ItemCommand};
use crate::commands::bank_address::connect;
use crate::commands::banks::item_details::Said;
use crate::commands::banks::item_files::{Seen, SeenVideo, prepare};
use crate::commands::banks::item_find::{describe, describe_parts};
use crate::commands::banks::{item_details, item_find, item_holds, item_import, item_revert};
use crate::commands::content::folders::{FoundFile, find_files, left_out};
use crate::commands::content::image_hasher::ImageHasher;
use crate::commands::date::date;
use crate::commands::deadline::deadline;
use crate::commands::lines::{FailedFileLine, ItemObject};
use crate::commands::opinions::here;
use crate::commands::stop::{STOPPING, StopRequests};
use crate::commands::vectors::declared_types;
use crate::output::{ErrorLine, Exit, Output, Printed, counted};

/// Maximum number of items in one page.
const PAGE: u16 = 500;
/// Maximum number of images that are hashed at the same time.
const HASHED_AT_ONCE: usize = 4;
/// Maximum number of items in flight, so that the bank can commit several together.
const ADDED_AT_ONCE: usize = 16;

pub(crate) async fn run(command: ItemCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        ItemCommand::Add(args) if args.hashes.is_some() => item_import::run(*args, output).await,
        ItemCommand::Add(args) => add_images(*args, output).await,
        ItemCommand::Show { item, address } => {
            declared_types::hear(&address, output).await?;
            let (client, deadline) = connect(&address, output)?;
            let item = client.describe_item(ItemId(item), deadline).await?.value;
            output.object(&ShownItem { item: ItemObject::from(&item), said: item_details::object(&item) })?;
            let DescribedItem { id, bank, added_at, .. } = &item;
            output.say(format!("item {id} of {bank}, added {} UTC", date(*added_at)))?;
            output.say(describe_parts(&item.hashes, &item.external_reference, &item.labels))?;
            for hash in &item.hashes {
                output.say(format!("  {:<6} {}", hash.hash_type(), shown(hash)))?;
            }
            item_details::show(&item, output)?;
            Ok(Exit::Done)
        }
        ItemCommand::Update { item, details, labels, no_labels, address } => {
            let update = item_details::update_of(&details, labels, no_labels)?;
            let (client, deadline) = connect(&address, output)?;
            let key = IdempotencyKey::random();
            let updated = client.update_item(ItemId(item), update, key, deadline).await?;
            output.say(format!("updated item {item} (sequence {})", updated.sequence))?;
            output.object(&serde_json::json!({ "updated": item, "sequence": updated.sequence.0 }))?;
            Ok(Exit::Done)
        }
        ItemCommand::List { bank, limit, after, address } => {
            declared_types::hear(&address, output).await?;
            list(&bank, limit, ItemId(after), &address, output).await
        }
        ItemCommand::Find(args) => item_find::run(args, output).await,
        ItemCommand::Removed { bank, by, address } => {
            list_removed(&bank, by.as_deref(), &address, output).await
        }
        ItemCommand::Hold { items, here: true, address, .. } => {
            here::set(items, true, &address, output).await
        }
        ItemCommand::Lift { items, here: true, address } => here::set(items, false, &address, output).await,
        ItemCommand::Held { address, .. } => here::list(&address, output).await,
        ItemCommand::Hold { items, until, address, .. } => {
            item_holds::hold(items, until, &address, output).await
        }
        ItemCommand::Lift { items, address, .. } => item_holds::lift(items, &address, output).await,
        ItemCommand::Revert(args) => item_revert::run(args, output).await,
        ItemCommand::Restore { items, address } => {
            let (client, deadline) = connect(&address, output)?;
            let former: Vec<ItemId> = items.iter().copied().map(ItemId).collect();
            let restored = client.restore_items(&former, IdempotencyKey::random(), deadline).await?;
            for (former, item) in items.iter().zip(&restored.value) {
                output
                    .say(format!("item {former} is back as item {item} (sequence {})", restored.sequence))?;
                output.object(&serde_json::json!({
                    "restored": former, "item_id": item.0, "sequence": restored.sequence.0
                }))?;
            }
            Ok(Exit::Done)
        }
        ItemCommand::Remove { items, programme, reference, case, address } => {
            let (client, deadline) = connect(&address, output)?;
            let ids = item_holds::each_once(items);
            let is_of_origin = programme.is_some() || reference.is_some() || case.is_some();
            let key = IdempotencyKey::random();
            let removed = if is_of_origin {
                let [programme, reference, case] =
                    [programme, reference, case].map(Option::unwrap_or_default);
                let origin = Origin::new(&programme, &reference, &case)?;
                client.withdraw_items(&ids, origin, key, deadline).await?
            } else {
                client.remove_items(&ids, key, deadline).await?
            };
            let count = counted(u64::try_from(ids.len())?, "item");
            let done = if is_of_origin { "withdrew the submissions of" } else { "removed" };
            output.say(format!("{done} {count} (sequence {})", removed.sequence))?;
            let ids: Vec<u64> = ids.iter().map(|item| item.0).collect();
            output.object(&serde_json::json!({ "removed": ids, "sequence": removed.sequence.0 }))?;
            Ok(Exit::Done)
        }
    }
}

/// Hashes each image locally and adds its hashes to the bank. The image does not leave this machine.
async fn add_images(args: ItemAddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(&args.address, output)?;
    let mut requests = StopRequests::listen();
    let files = find_files(&args.paths, output)?;
    let hasher = &ImageHasher::start(HASHED_AT_ONCE.min(files.len())).await?;
    let progress = output.progress(u64::try_from(files.len())?, "adding");
    let said = &Said::of(args.origin, &args.details)?;
    let (client, bank, labels, timeout_ms) = (&client, &args.bank, &args.labels, args.address.timeout_ms);
    let (stopping, stopped) = oneshot::channel::<()>();
    let mut stopping = Some(stopping);
    let added = stream::iter(&files)
        // The files that are in flight at that moment are still awaited.
        .take_until(stopped)
        .map(|file| async move { (file.path.display().to_string(), prepare(file, labels, hasher).await) })
        .buffered(HASHED_AT_ONCE)
        .map(|(file, prepared)| async move {
            let (content, seen) = match prepared {
                Some(Ok(prepared)) => prepared,
                Some(Err(error)) => return Ok(Some((file, Err(error)))),
                None => return Ok(None),
            };
            let types: Vec<String> =
                content.hashes().iter().map(|hash| hash.hash_type().to_string()).collect();
            let (key, deadline) = (IdempotencyKey::random(), deadline(timeout_ms));
            let added = client.contribute_items(bank, vec![said.with(content)], key, deadline);
            let added = added.await.with_context(|| {
                format!("{file} was not acknowledged; of the files after it some may be banked")
            })?;
            let (item, is_known) = (added.value.ids.first().copied(), added.value.known > 0);
            anyhow::Ok(Some((file, Ok(Added { item, is_known, seen, types, sequence: added.sequence }))))
        })
        .buffered(ADDED_AT_ONCE);
    let mut added = Box::pin(added);

    let (mut exit, mut no_images, mut done) = (Exit::Done, 0, 0);
    loop {
        let added = tokio::select! {
            added = added.next() => added,
            () = requests.next() => match stopping.take() {
                Some(stopping) => {
                    drop(stopping);
                    progress.suspend(|| output.note(STOPPING));
                    continue;
                }
                None => bail!("stopped after {}; of the files after that some may be banked", of_files(done, &files)),
            },
        };
        let Some(added) = added else { break };
        progress.inc(1);
        done += 1;
        match added? {
            None => no_images += 1,
            Some((file, added)) => {
                if added.is_err() {
                    exit = Exit::SomeInputsFailed;
                }
                progress.suspend(|| print_added(&file, added, output))?;
            }
        }
    }
    progress.finish_and_clear();
    if let Some(left_out) = left_out(no_images) {
        output.note(left_out);
    }
    if stopping.is_none()
        && let Some(next) = files.get(done)
    {
        output.note(format!(
            "stopped after {}; the next one is {}",
            of_files(done, &files),
            next.path.display()
        ));
        exit = Exit::Interrupted;
    }
    Ok(exit)
}

/// Formats a hash for a person. A video is summarised: its frames, the usable ones, and the time of the last
/// one.
fn shown(hash: &Hash) -> String {
    let Some(frames) = hash.frames() else { return hash.to_text() };
    let usable = frames.iter().filter(Frame::is_usable).count();
    let last_ms = frames.iter().last().map_or(0, |frame| frame.time_ms);
    format!(
        "{}, {usable} of them usable, up to {}.{:03} s (--json has them)",
        counted(frames.len() as u64, "frame"),
        last_ms / 1_000,
        last_ms % 1_000
    )
}

fn of_files(done: usize, files: &[FoundFile]) -> String {
    format!("{done} of {} files", files.len())
}

/// An item as `--json` prints it.
#[derive(Serialize)]
struct ShownItem {
    #[serde(flatten)]
    item: ItemObject,
    #[serde(flatten)]
    said: serde_json::Value,
}

/// A file whose hashes are in the bank.
struct Added {
    item: Option<ItemId>,
    /// Whether the bank already had the item.
    is_known: bool,
    seen: Seen,
    types: Vec<String>,
    sequence: Sequence,
}

fn print_added(file: &str, added: Result<Added, ErrorLine>, output: &mut Output) -> Printed {
    let Added { item, is_known, seen, types, sequence } = match added {
        Ok(added) => added,
        Err(error) => {
            output.note(format!("{file}: {}", error.message));
            return output.object(&FailedFileLine { file, error });
        }
    };
    let item = item.map_or(0, |item| item.0);
    let known = if is_known { ", there already" } else { "" };
    let mut object = serde_json::json!({
        "file": file, "item_id": item, "known": is_known, "hash_types": types, "sequence": sequence.0
    });
    match seen {
        Seen::Picture(quality) => {
            let caveat = if quality < Quality::FLOOR_DEFAULT {
                ": too little detail for a PDQ hash, so only exact copies will be recognised"
            } else {
                ""
            };
            output.say(format!(
                "{file}: item {item}{known}, quality {quality} (sequence {sequence}){caveat}"
            ))?;
            object["quality"] = quality.get().into();
        }
        Seen::Video(SeenVideo { frames, usable, partial }) => {
            let caveat =
                if usable == 0 { ": no frame has the detail for a PDQ hash that is trusted" } else { "" };
            let counted = counted(frames as u64, "frame");
            output.say(format!(
                "{file}: item {item}{known}, {counted} of a video (sequence {sequence}){caveat}"
            ))?;
            if let Some(reason) = partial {
                output.note(format!("{file}: only a part of the video is banked ({})", reason.name()));
            }
            object["frames"] = frames.into();
            object["frames_usable"] = usable.into();
            object["partial"] = serde_json::json!(partial.map(VideoPartial::name));
        }
    }
    output.object(&object)
}

async fn list_removed(
    bank: &BankRef,
    by: Option<&str>,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    let mut after = None;
    loop {
        let page = client.list_removed_items(bank, after, PAGE, deadline(address.timeout_ms)).await?;
        for RemovedItem { id, removed_at, removed_by, until, .. } in &page {
            if by.is_some_and(|by| by != removed_by) {
                continue;
            }
            output.object(&serde_json::json!({
                "item_id": id.0, "removed_at_unix_ms": removed_at.0, "removed_by": removed_by,
                "until_unix_ms": until.0
            }))?;
            let (removed_at, until) = (date(*removed_at), date(*until));
            output.say(format!("{id:>8}  {removed_at}  by {removed_by}, until {until}"))?;
        }
        match page.last() {
            Some(last) if page.len() >= usize::from(PAGE) => after = Some(last.id),
            _ => return Ok(Exit::Done),
        }
    }
}

async fn list(
    bank: &BankRef,
    limit: usize,
    after: ItemId,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    let mut after = after;
    let mut left = limit;
    while left > 0 {
        let size = u16::try_from(left).unwrap_or(PAGE).min(PAGE);
        let deadline = deadline(address.timeout_ms);
        let page = client.list_items(bank, Some(after), size, deadline).await?;
        for item in &page.items {
            output.object(&ItemObject::new(item, bank))?;
            output.say(format!("{:>8}  {}  {}", item.id, date(item.added_at), describe(item)).trim_end())?;
        }
        left -= page.items.len().min(left);
        match page.next_after {
            Some(next_after) => after = next_after,
            None => return Ok(Exit::Done),
        }
    }
    output.note(format!(
        "stopped after {}; go on with --after {after}, or raise --limit",
        counted(u64::try_from(limit)?, "item")
    ));
    Ok(Exit::Done)
}
