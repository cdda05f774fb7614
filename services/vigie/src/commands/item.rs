//! `vigie item`: adds, shows, lists and removes items.

use vigie_clients::IdempotencyKey;
use vigie_model::{BankName, HashType, Item, ItemContent, ItemDraft, ItemId, Quality};

use super::bank::connect;
use super::lines::{FailedFileLine, ItemObject};
use super::{image_file, item_import};
use crate::cli::{BankAddressArgs, ItemAddArgs, ItemCommand};
use crate::output::{ErrorLine, Exit, Output};

/// Items of one page.
const PAGE: u16 = 500;

pub(super) async fn run(command: ItemCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        ItemCommand::Add(args) if args.hashes.is_some() => item_import::run(args, output).await,
        ItemCommand::Add(args) => add_images(args, output).await,
        ItemCommand::Show { item, address } => {
            let (client, deadline) = connect(&address)?;
            let (item, bank) = client.get_item(ItemId(item), deadline).await?.value;
            output.object(&ItemObject::new(&item, bank.as_str()))?;
            output.say(format!("item {} of {bank}", item.id))?;
            output.say(describe(&item))?;
            for hash in item.content.hashes() {
                output.say(format!("  {:<6} {}", hash.hash_type().name(), hash.to_hex()))?;
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
            output.say(format!("removed {} items (sequence {})", ids.len(), removed.sequence))?;
            let ids: Vec<u64> = ids.iter().map(|item| item.0).collect();
            output.object(&serde_json::json!({ "removed": ids, "sequence": removed.sequence.0 }))?;
            Ok(Exit::Done)
        }
    }
}

/// Hashes each image here and banks its hashes. The image stays where it is.
async fn add_images(args: ItemAddArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(&args.address)?;
    let mut exit = Exit::Done;
    for path in &args.files {
        let file = path.display().to_string();
        let prepared = match image_file::fingerprint(path).await {
            Err(error) => Err(error),
            Ok(fingerprint) => {
                let trusted = fingerprint.quality >= Quality::FLOOR_DEFAULT;
                let hashes = fingerprint.banked_hashes().into_iter();
                let hashes = hashes.filter(|hash| trusted || hash.hash_type() != HashType::Pdq).collect();
                let draft =
                    ItemDraft { hashes, labels: args.labels.clone(), external_reference: file_name(path) };
                let content = ItemContent::try_from(draft);
                content.map(|content| (content, fingerprint.quality)).map_err(|error| ErrorLine {
                    code: "invalid_argument".to_owned(),
                    message: error.to_string(),
                })
            }
        };
        let (content, quality) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                exit = Exit::SomeInputsFailed;
                output.note(format!("{file}: {}", error.message));
                output.object(&FailedFileLine { file: &file, error })?;
                continue;
            }
        };
        let types: Vec<&str> = content.hashes().iter().map(|hash| hash.hash_type().name()).collect();
        let key = IdempotencyKey::random();
        let added = client
            .add_items(&args.bank, vec![content], key, super::deadline(args.address.timeout_ms))
            .await?;
        let item = added.value.first().map_or(0, |item| item.0);
        let caveat = if quality < Quality::FLOOR_DEFAULT {
            ": too little detail for a PDQ hash, so only exact copies will be recognised"
        } else {
            ""
        };
        output
            .say(format!("{file}: item {item}, quality {quality} (sequence {}){caveat}", added.sequence))?;
        output.object(&serde_json::json!({
            "file": file, "item_id": item, "quality": quality.get(), "hash_types": types,
            "sequence": added.sequence.0
        }))?;
    }
    Ok(exit)
}

/// The external reference of a banked image: its file's name, cut to what fits, without what would not be accepted.
fn file_name(path: &std::path::Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut kept = String::new();
    for letter in name.chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > ItemContent::EXTERNAL_REFERENCE_LEN_MAX {
            break;
        }
        kept.push(letter);
    }
    kept
}

async fn list(
    bank: &BankName,
    limit: usize,
    after: ItemId,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(address)?;
    let mut after = after;
    let mut left = limit;
    while left > 0 {
        let size = u16::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = client.list_items(bank, Some(after), size, deadline).await?.value;
        for item in &page {
            output.object(&ItemObject::new(item, bank.as_str()))?;
            output.say(format!("{:>12}  {}", item.id, describe(item)))?;
        }
        left -= page.len().min(left);
        match page.last() {
            Some(last) if page.len() == usize::from(size) => after = last.id,
            _ => return Ok(Exit::Done),
        }
    }
    output.note(format!("stopped after {limit} items; go on with --after {after}, or raise --limit"));
    Ok(Exit::Done)
}

fn describe(item: &Item) -> String {
    let types: Vec<&str> = item.content.hashes().iter().map(|hash| hash.hash_type().name()).collect();
    let labels = item.content.labels().join(" ");
    format!("{}  {}  {labels}", types.join("+"), item.content.external_reference().unwrap_or("-"))
}
