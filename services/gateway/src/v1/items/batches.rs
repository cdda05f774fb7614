//! Writes of many items at once (all of them or none), and holds of one item.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_model::ItemId;

use crate::problem::Problem;
use crate::v1::faults::at_most;
use crate::v1::items::objects::OriginObject;
use crate::v1::request::{Call, In, Once, Sent};
use crate::v1::values::{expiry, item, items, moment};

/// Items of a write.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemIds {
    /// Ids, 1 to 1000.
    #[serde(deserialize_with = "at_most::<_, _, 1000>")]
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<u64>,
}

/// Items that are to be removed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RemoveAsked {
    /// Ids, 1 to 1000.
    #[serde(deserialize_with = "at_most::<_, _, 1000>")]
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<u64>,
    /// Withdraws only the submissions that the caller's member made from this origin. An item is removed with
    /// its last submission.
    origin: Option<OriginObject>,
}

/// Items that are to be held.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldAsked {
    /// Ids, 1 to 1000.
    #[serde(deserialize_with = "at_most::<_, _, 1000>")]
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<u64>,
    /// Milliseconds since 1970; `null`: until the hold is lifted.
    until_unix_ms: Option<u64>,
}

/// The end of a hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldUntil {
    /// Milliseconds since 1970; `null`: until the hold is lifted.
    until_unix_ms: Option<u64>,
}

/// Items that were removed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Removed {
    /// Their ids.
    removed: Vec<u64>,
    /// The change.
    sequence: u64,
}

/// Items that were restored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Restored {
    /// The former and the present id of each item, in the order of the request.
    restored: Vec<RestoredItem>,
    /// The change.
    sequence: u64,
}

/// An item that was restored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RestoredItem {
    /// Its former id.
    restored: u64,
    /// Its id now.
    item_id: u64,
}

/// Items that are held.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Held {
    /// Their ids.
    held: Vec<u64>,
    /// Milliseconds since 1970; `null`: until the hold is lifted.
    until_unix_ms: Option<u64>,
    /// The change.
    sequence: u64,
}

/// Items whose hold by the caller was lifted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Lifted {
    /// Their ids.
    lifted: Vec<u64>,
    /// The number of items that another hold still keeps from matching.
    still_held: u32,
    /// The change.
    sequence: u64,
}

fn ids(items: &[ItemId]) -> Vec<u64> {
    items.iter().map(|item| item.0).collect()
}

/// Removes items
#[utoipa::path(
    post, path = "/items/remove", tag = "items", params(Once), request_body = RemoveAsked,
    responses((status = 200, description = "The items were removed", body = Removed))
)]
pub(crate) async fn remove_items(call: Call, sent: Sent<RemoveAsked>) -> Result<Json<Removed>, Problem> {
    let RemoveAsked { items: asked, origin } = sent.asked;
    let (items, banks) = (items(&asked)?, call.caller.banks());
    let removed = match origin.map(|origin| origin.read("origin")).transpose()? {
        None => banks.remove_items(&items, call.key(), call.deadline()).await?,
        Some(origin) => banks.withdraw_items(&items, origin, call.key(), call.deadline()).await?,
    };
    call.wrote(removed.sequence);
    Ok(Json(Removed { removed: ids(&items), sequence: removed.sequence.0 }))
}

/// Restores removed items
#[utoipa::path(
    post, path = "/items/restore", tag = "items", params(Once), request_body = ItemIds,
    responses((status = 200, description = "The items are restored", body = Restored))
)]
pub(crate) async fn restore_items(call: Call, sent: Sent<ItemIds>) -> Result<Json<Restored>, Problem> {
    let former = items(&sent.asked.items)?;
    let restored = call.caller.banks().restore_items(&former, call.key(), call.deadline()).await?;
    call.wrote(restored.sequence);
    let one = |(former, item): (&ItemId, &ItemId)| RestoredItem { restored: former.0, item_id: item.0 };
    Ok(Json(Restored {
        restored: former.iter().zip(&restored.value).map(one).collect(),
        sequence: restored.sequence.0,
    }))
}

/// Holds items, which then match for nobody
#[utoipa::path(
    post, path = "/items/hold", tag = "items", params(Once), request_body = HoldAsked,
    responses((status = 200, description = "The items are held", body = Held))
)]
pub(crate) async fn hold_items(call: Call, sent: Sent<HoldAsked>) -> Result<Json<Held>, Problem> {
    let HoldAsked { items: asked, until_unix_ms } = sent.asked;
    hold(&call, &items(&asked)?, until_unix_ms).await
}

/// Lifts the caller's holds of items
#[utoipa::path(
    post, path = "/items/lift", tag = "items", params(Once), request_body = ItemIds,
    responses((status = 200, description = "The holds were lifted", body = Lifted))
)]
pub(crate) async fn lift_items(call: Call, sent: Sent<ItemIds>) -> Result<Json<Lifted>, Problem> {
    lift(&call, &items(&sent.asked.items)?).await
}

/// Holds an item, which then matches for nobody
#[utoipa::path(
    post, path = "/items/{item_id}/hold", tag = "items",
    params(("item_id" = u64, Path, description = "Its id"), Once), request_body = Option<HoldUntil>,
    responses((status = 200, description = "The item is held", body = Held))
)]
pub(crate) async fn hold_item(
    call: Call,
    In(id): In<String>,
    sent: Sent<HoldUntil>,
) -> Result<Json<Held>, Problem> {
    hold(&call, &[item(&id)?], sent.asked.until_unix_ms).await
}

/// Lifts the caller's hold of an item
#[utoipa::path(
    delete, path = "/items/{item_id}/hold", tag = "items",
    params(("item_id" = u64, Path, description = "Its id"), Once),
    responses((status = 200, description = "The hold was lifted", body = Lifted))
)]
pub(crate) async fn lift_item(call: Call, In(id): In<String>) -> Result<Json<Lifted>, Problem> {
    lift(&call, &[item(&id)?]).await
}

async fn hold(call: &Call, items: &[ItemId], until_unix_ms: Option<u64>) -> Result<Json<Held>, Problem> {
    let until = expiry("until_unix_ms", until_unix_ms)?;
    let held = call.caller.banks().hold_items(items, until, call.key(), call.deadline()).await?;
    call.wrote(held.sequence);
    Ok(Json(Held { held: ids(items), until_unix_ms: moment(until), sequence: held.sequence.0 }))
}

async fn lift(call: &Call, items: &[ItemId]) -> Result<Json<Lifted>, Problem> {
    let lifted = call.caller.banks().lift_holds(items, call.key(), call.deadline()).await?;
    call.wrote(lifted.sequence);
    Ok(Json(Lifted { lifted: ids(items), still_held: lifted.value, sequence: lifted.sequence.0 }))
}
