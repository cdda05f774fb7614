//! `vigie item find`: finds items by a hash, an external reference or a label.
//!
//! The bank scans its items, a bounded number in each call. This takes a while on a large bank, but also
//! finds items of disabled banks. `vigie match HASH` searches the index instead.

use anyhow::ensure;
use vigie_clients::ItemSearch;
use vigie_model::{Hash, Item, ItemContent, ItemId};

use crate::cli::ItemFindArgs;
use crate::commands::bank_address::connect;
use crate::commands::deadline::deadline;
use crate::commands::lines::ItemObject;
use crate::commands::vectors::declared_types;
use crate::hash_file::any_hash;
use crate::output::{Exit, Output, counted};

/// Maximum number of items in one page.
const PAGE: u16 = 500;

pub(crate) async fn run(args: ItemFindArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let ItemFindArgs { what, bank, limit, after, address } = args;
    let max = ItemContent::EXTERNAL_REFERENCE_LEN_MAX;
    ensure!(!what.is_empty() && what.len() <= max, "a hash, reference or label has 1 to {max} bytes");
    ensure!(limit > 0, "--limit is 0; it must be 1 or more");
    declared_types::hear(&address, output).await?;
    let (client, begin) = connect(&address, output)?;
    // A reference may look like a hash, so items that match either are found.
    let hashes: Vec<Hash> = any_hash(&what).unwrap_or_default();
    let search = ItemSearch { bank, hashes, text: what };
    let items = client.log_head(begin).await?.items;
    let progress = output.progress(items, "searching");

    let (mut found, mut after) = (0, Some(ItemId(after)).filter(|after| after.0 > 0));
    loop {
        let left = limit - found;
        let size = u16::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = client.find_items(&search, after, size, deadline(address.timeout_ms)).await?.value;
        progress.inc(page.read);
        for (item, bank) in &page.items {
            output.object(&ItemObject::new(item, bank))?;
            progress.suspend(|| output.say(format!("{:>12}  {bank}  {}", item.id, describe(item))))?;
        }
        found += page.items.len();
        let Some(next) = page.next_after else { break };
        after = Some(next);
        if found >= limit {
            let count = counted(u64::try_from(found)?, "item");
            output.note(format!("stopped after {count}; go on with --after {next}, or raise --limit"));
            return Ok(Exit::Done);
        }
    }
    progress.finish_and_clear();
    if found == 0 {
        output.say("no item has that hash, external reference or label")?;
    }
    Ok(Exit::Done)
}

/// Describes an item in one line.
pub(crate) fn describe(item: &Item) -> String {
    let content = &item.content;
    let labels: Vec<String> = content.labels().iter().map(ToString::to_string).collect();
    describe_parts(content.hashes(), content.external_reference().unwrap_or_default(), &labels)
}

/// Describes an item in one line, from its parts.
pub(crate) fn describe_parts(hashes: &[Hash], external_reference: &str, labels: &[String]) -> String {
    let types: Vec<String> = hashes.iter().map(|hash| hash.hash_type().to_string()).collect();
    let types = if types.is_empty() { "hashes not shown".to_owned() } else { types.join("+") };
    let reference = if external_reference.is_empty() { "-" } else { external_reference };
    format!("{types}  {reference}  {}", labels.join(" "))
}
