//! `vigie item hold` and `vigie item lift`: keep items from matching, and let them match again.

use vigie_clients::IdempotencyKey;
use vigie_model::ItemId;

use crate::cli::{BankAddressArgs, When};
use crate::commands::bank_address::connect;
use crate::commands::date::{date, now};
use crate::output::{Exit, Output, counted};

/// Holds items until a given time.
pub(super) async fn hold(
    items: Vec<u64>,
    until: When,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(address, output)?;
    let (ids, until) = (each_once(items), until.expiry("--until", now())?);
    let held = client.hold_items(&ids, until, IdempotencyKey::random(), deadline).await?;
    let end = until.moment().map_or_else(|| "lifted".to_owned(), |end| format!("{} UTC", date(end)));
    output.say(format!("{} held until {end} (sequence {})", items_are(held.value), held.sequence))?;
    output.object(&serde_json::json!({
        "held": ids.iter().map(|item| item.0).collect::<Vec<_>>(),
        "until_unix_ms": until.moment().map(|end| end.0),
        "sequence": held.sequence.0
    }))?;
    Ok(Exit::Done)
}

/// Lifts the caller's holds of items.
pub(super) async fn lift(
    items: Vec<u64>,
    address: &BankAddressArgs,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let (client, deadline) = connect(address, output)?;
    let ids = each_once(items);
    let lifted = client.lift_holds(&ids, IdempotencyKey::random(), deadline).await?;
    let count = counted(u64::try_from(ids.len())?, "item");
    output.say(format!("lifted your holds of {count} (sequence {})", lifted.sequence))?;
    if lifted.value > 0 {
        output.note(format!("{} still held by another: see `vigie item show`", items_are(lifted.value)));
    }
    output.object(&serde_json::json!({
        "lifted": ids.iter().map(|item| item.0).collect::<Vec<_>>(),
        "still_held": lifted.value,
        "sequence": lifted.sequence.0
    }))?;
    Ok(Exit::Done)
}

/// Returns the ids sorted and without duplicates.
pub(crate) fn each_once(items: Vec<u64>) -> Vec<ItemId> {
    let mut ids: Vec<ItemId> = items.into_iter().map(ItemId).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn items_are(count: u32) -> String {
    format!("{} {}", counted(count.into(), "item"), if count == 1 { "is" } else { "are" })
}
