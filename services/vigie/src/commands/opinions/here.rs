//! `vigie item hold --here`, `lift --here` and `held --here`: hold items for the caller's member only. They
//! still match for every other member.

use vigie_clients::{IdempotencyKey, MemberHeldItem};

use crate::cli::BankAddressArgs;
use crate::commands::banks::item_holds::each_once;
use crate::commands::date::date;
use crate::commands::deadline::deadline;
use crate::commands::opinions::connect::connect;
use crate::output::{Exit, Output, counted};

/// Maximum number of items in one page.
const PAGE: u16 = 500;

/// Holds items for the caller's member, or lifts these holds.
pub(crate) async fn set(
    items: Vec<u64>,
    held: bool,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(address, output)?;
    let ids = each_once(items);
    let set = client.set_member_hold(&ids, held, IdempotencyKey::random(), deadline).await?;
    let (of, changed) = (counted(u64::try_from(ids.len())?, "item"), set.value);
    let done = if held { "held here" } else { "lifted here" };
    output.say(format!("{done}: {changed} of {of} changed (sequence {})", set.sequence))?;
    output.object(&serde_json::json!({
        "items": ids.iter().map(|item| item.0).collect::<Vec<_>>(), "held_here": held, "changed": changed,
        "sequence": set.sequence.0
    }))?;
    Ok(Exit::Done)
}

/// Lists the items that are held for the caller's member.
pub(crate) async fn list(address: &BankAddressArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (client, _) = connect(address, output)?;
    let mut after = None;
    loop {
        let page = client.list_member_holds(after, PAGE, deadline(address.timeout_ms)).await?;
        for MemberHeldItem { item, bank, since, flooded } in &page {
            output.object(&serde_json::json!({
                "item_id": item.0, "bank": bank.to_string(), "since_unix_ms": since.0, "flooded": flooded
            }))?;
            let by = if *flooded { " by flood control: it matched far too often" } else { "" };
            output.say(format!("{:>8}  {bank}  held here since {} UTC{by}", item.0, date(*since)))?;
        }
        // A page may be shorter than requested, because the caller can no longer see some of the banks.
        match page.last() {
            Some(last) => after = Some(last.item),
            None => return Ok(Exit::Done),
        }
    }
}
