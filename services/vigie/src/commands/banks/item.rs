//! `vigie item`: adds, shows, lists and removes items.

use std::path::Path;

use anyhow::Context as _;
use futures::{StreamExt as _, stream};
use vigie_clients::IdempotencyKey;
use vigie_model::{BankName, Item, ItemContent, ItemDraft, ItemId, Quality, Sequence};

use crate::cli::{BankAddressArgs, ItemAddArgs, ItemCommand};
use crate::commands::banks::bank::connect;
use crate::commands::banks::item_import;
use crate::commands::content::image_file;
use crate::commands::content::image_hasher::ImageHasher;
use crate::commands::date::date;
use crate::commands::deadline::deadline;
use crate::commands::lines::{FailedFileLine, ItemObject};
use crate::hash_file::file_name;
use crate::output::{ErrorLine, Exit, Output, Printed, counted};

/// Items of one page.
const PAGE: u16 = 500;
/// Images that are hashed at once.
const HASHED_AT_ONCE: usize = 4;
/// Items that are on their way at once, so that the bank can commit them together.
const ADDED_AT_ONCE: usize = 16;

pub(crate) async fn run(command: ItemCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        ItemCommand::Add(args) if args.hashes.is_some() => item_import::run(args, output).await,
        ItemCommand::Add(args) => add_images(args, output).await,
        ItemCommand::Show { item, address } => {
            let (client, deadline) = connect(&address)?;
            let (item, bank) = client.get_item(ItemId(item), deadline).await?.value;
            output.object(&ItemObject::new(&item, bank.as_str()))?;
            output.say(format!("item {} of {bank}, added {} UTC", item.id, date(item.added_at)))?;
            output.say(describe(&item))?;
            for hash in item.content.hashes() {
                output.say(format!("  {:<6} {}", hash.hash_type(), hash.to_text()))?;
            }
            Ok(Exit::Done)
        }
        ItemCommand::List { bank, limit, after, address } => {
            list(&bank, limit, ItemId(after), &address, output).await
        }
        ItemCommand::Remove { items, address } => {
            let (client, deadline) = connect(&address)?;
            let mut ids: Vec<ItemId> = items.into_iter().map(ItemId).collect();
            ids.sort_unstable();
            ids.dedup();
            let removed = client.remove_items(&ids, IdempotencyKey::random(), deadline).await?;
            let count = counted(u64::try_from(ids.len())?, "item");
            output.say(format!("removed {count} (sequence {})", removed.sequence))?;
            let ids: Vec<u64> = ids.iter().map(|item| item.0).collect();
            output.object(&serde_json::json!({ "removed": ids, "sequence": removed.sequence.0 }))?;
            Ok(Exit::Done)
        }
    }
}

/// Hashes each image here and banks its hashes. The image stays where it is.
async fn add_images(args: ItemAddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(&args.address)?;
    let hasher = &ImageHasher::start(HASHED_AT_ONCE.min(args.files.len())).await?;
    let progress = output.progress(u64::try_from(args.files.len())?, "adding");
    let (client, bank, labels, timeout_ms) = (&client, &args.bank, &args.labels, args.address.timeout_ms);
    let mut added = stream::iter(&args.files)
        .map(|path| async move { (path.display().to_string(), prepare(path, labels, hasher).await) })
        .buffered(HASHED_AT_ONCE)
        .map(|(file, prepared)| async move {
            let (content, quality) = match prepared {
                Ok(prepared) => prepared,
                Err(error) => return Ok((file, Err(error))),
            };
            let types: Vec<String> =
                content.hashes().iter().map(|hash| hash.hash_type().to_string()).collect();
            let (key, deadline) = (IdempotencyKey::random(), deadline(timeout_ms));
            let added = client.add_items(bank, vec![content], key, deadline).await.with_context(|| {
                format!("{file} was not acknowledged; of the files after it some may be banked")
            })?;
            anyhow::Ok((
                file,
                Ok(Added { item: added.value.first().copied(), quality, types, sequence: added.sequence }),
            ))
        })
        .buffered(ADDED_AT_ONCE);

    let mut exit = Exit::Done;
    while let Some(added) = added.next().await {
        let (file, added) = added?;
        if added.is_err() {
            exit = Exit::SomeInputsFailed;
        }
        progress.suspend(|| tell(&file, added, output))?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(exit)
}

/// An image whose hashes are in the bank.
struct Added {
    item: Option<ItemId>,
    quality: Quality,
    types: Vec<String>,
    sequence: Sequence,
}

fn tell(file: &str, added: Result<Added, ErrorLine>, output: &mut Output) -> Printed {
    let Added { item, quality, types, sequence } = match added {
        Ok(added) => added,
        Err(error) => {
            output.note(format!("{file}: {}", error.message));
            return output.object(&FailedFileLine { file, error });
        }
    };
    let item = item.map_or(0, |item| item.0);
    let caveat = if quality < Quality::FLOOR_DEFAULT {
        ": too little detail for a PDQ hash, so only exact copies will be recognised"
    } else {
        ""
    };
    output.say(format!("{file}: item {item}, quality {quality} (sequence {sequence}){caveat}"))?;
    output.object(&serde_json::json!({
        "file": file, "item_id": item, "quality": quality.get(), "hash_types": types, "sequence": sequence.0
    }))
}

/// The item of an image file. A PDQ hash that is not to be trusted is left out.
async fn prepare(
    path: &Path,
    labels: &[String],
    hasher: &ImageHasher,
) -> Result<(ItemContent, Quality), ErrorLine> {
    let fingerprint = image_file::fingerprint(path, hasher).await?;
    let trusted = fingerprint.picture.quality() >= Quality::FLOOR_DEFAULT;
    let hashes = fingerprint.banked_hashes().into_iter();
    let hashes = hashes.filter(|hash| trusted || !hash.hash_type().has_quality_floor()).collect();
    let draft = ItemDraft { hashes, labels: labels.to_vec(), external_reference: file_name(path) };
    let content = ItemContent::try_from(draft)
        .map_err(|error| ErrorLine { code: "invalid_argument".to_owned(), message: error.to_string() })?;
    Ok((content, fingerprint.picture.quality()))
}

async fn list(
    bank: &BankName,
    limit: usize,
    after: ItemId,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, _) = connect(address)?;
    let mut after = after;
    let mut left = limit;
    while left > 0 {
        let size = u16::try_from(left).unwrap_or(PAGE).min(PAGE);
        let deadline = deadline(address.timeout_ms);
        let page = client.list_items(bank, Some(after), size, deadline).await?.value;
        for item in &page {
            output.object(&ItemObject::new(item, bank.as_str()))?;
            output.say(format!("{:>8}  {}  {}", item.id, date(item.added_at), describe(item)).trim_end())?;
        }
        left -= page.len().min(left);
        match page.last() {
            Some(last) if page.len() == usize::from(size) => after = last.id,
            _ => return Ok(Exit::Done),
        }
    }
    output.note(format!(
        "stopped after {}; go on with --after {after}, or raise --limit",
        counted(u64::try_from(limit)?, "item")
    ));
    Ok(Exit::Done)
}

fn describe(item: &Item) -> String {
    let types: Vec<String> = item.content.hashes().iter().map(|hash| hash.hash_type().to_string()).collect();
    let labels = item.content.labels().join(" ");
    format!("{}  {}  {labels}", types.join("+"), item.content.external_reference().unwrap_or("-"))
}
