//! `/v1/banks/{bank}/items`, `/v1/items`: single items, and lists of items.

pub(crate) mod objects;
pub(super) mod batches;
pub(super) mod facts;
pub(super) mod opinions;
pub(super) mod disputes;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_clients::{ItemSearch, ItemUpdate, Written};
use vigie_consortium::Details;
use vigie_model::{ItemId, Labels};
use vigie_proto::bank::ContributedItem;

use crate::problem::Problem;
use crate::v1::faults::{at_most, some_at_most};
use crate::v1::items::objects::{
    ClassObject, DetailsObject, FoundItemObject, ItemObject, NewItem, RemovedItemObject,
};
use crate::v1::request::{Call, In, Once, PageOptions, Sent, page_size};
use crate::v1::values::{HashObject, bank_of, hashes, item};

/// A page of items of a bank.
#[derive(Serialize, ToSchema)]
pub(crate) struct ItemPage {
    /// Ordered by id. Their `contributor` is empty in lists.
    items: Vec<ItemObject>,
    /// The id after which the next page begins; `null` on the last page.
    next_after: Option<u64>,
    /// The answer is as of this change.
    sequence: u64,
}

/// Items that are to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewItems {
    /// The items, 1 to 1000: either all of them are added, or none.
    #[serde(deserialize_with = "at_most::<_, _, 1000>")]
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<NewItem>,
}

/// Items that were added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AddedItems {
    /// Their ids, in the order of the request.
    item_ids: Vec<u64>,
    /// The number of items that were already in the bank, from the same origin.
    known: u32,
    /// The change that added them. A lookup that asks for it as `min_sequence` finds them.
    sequence: u64,
}

/// The changes to an item; a field that is not given stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemPatch {
    /// Its classes, in place of those that it has.
    #[serde(default, deserialize_with = "some_at_most::<_, _, 32>")]
    #[schema(max_items = 32)]
    classification: Option<Vec<ClassObject>>,
    /// The countries for which the classification holds (ISO 3166-1), in place of those that it has.
    #[serde(default, deserialize_with = "some_at_most::<_, _, 64>")]
    #[schema(max_items = 64)]
    jurisdictions: Option<Vec<String>>,
    /// A note for those who read the item.
    note: Option<String>,
    /// An object of JSON, as text.
    metadata: Option<String>,
    /// Its labels, in place of those that it has: at most 32 of 1 to 128 bytes.
    #[serde(default, deserialize_with = "some_at_most::<_, _, 32>")]
    #[schema(max_items = 32)]
    labels: Option<Vec<String>>,
}

/// A write of one item.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WrittenItem {
    /// Its id.
    item_id: u64,
    /// The change.
    sequence: u64,
}

/// The items to find: those that have one of the hashes, or the text as external reference or label.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FindAsked {
    /// The bank; all that the caller may read where it is not given.
    bank: Option<String>,
    /// At most 4 hashes. Only items with an equal hash are found.
    #[serde(default, deserialize_with = "at_most::<_, _, 4>")]
    #[schema(max_items = 4)]
    hashes: Vec<HashObject>,
    /// The text, at most 512 bytes.
    #[serde(default)]
    text: String,
    /// The id after which the page begins: the `next_after` of the page before.
    after: Option<u64>,
    /// Items of the page, 1 to 1000; 100 where it is not given.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
}

/// A page of the items that are found.
#[derive(Serialize, ToSchema)]
pub(crate) struct FoundPage {
    /// Ordered by id. A page may be empty although more follow: see `next_after`.
    items: Vec<FoundItemObject>,
    /// The id after which the next page begins; `null` on the last page.
    next_after: Option<u64>,
    /// Items that the bank read for this page.
    read: u64,
    /// The answer is as of this change.
    sequence: u64,
}

/// A page of removed items.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedPage {
    /// Ordered by id.
    items: Vec<RemovedItemObject>,
    /// The id after which the next page begins; `null` on the last page.
    next_after: Option<u64>,
}

/// Lists the items of a bank
#[utoipa::path(
    get, path = "/banks/{bank}/items", tag = "items",
    params(("bank" = String, Path, description = "Its name, or `owner/name`, percent-encoded"), PageOptions),
    responses((status = 200, description = "A page of items", body = ItemPage))
)]
pub(super) async fn list_items(
    call: Call<PageOptions>,
    In(bank): In<String>,
) -> Result<Json<ItemPage>, Problem> {
    let (bank, size, after) = (bank_of(&bank)?, call.options.size()?, call.options.after(ItemId)?);
    let page = call.caller.banks().describe_items(&bank, after, size, call.deadline()).await?;
    Ok(Json(ItemPage {
        items: page.value.items.iter().map(Into::into).collect(),
        next_after: page.value.next_after.map(|item| item.0),
        sequence: page.sequence.0,
    }))
}

/// Adds items to a bank
///
/// Either all items are added or none. Items that the bank already has from the same origin are not added
/// again; their ids are returned.
#[utoipa::path(
    post, path = "/banks/{bank}/items", tag = "items",
    params(("bank" = String, Path, description = "Its name, or `owner/name`, percent-encoded"), Once),
    request_body = NewItems,
    responses((status = 201, description = "The ids of the items", body = AddedItems))
)]
pub(super) async fn add_items(
    call: Call,
    In(bank): In<String>,
    sent: Sent<NewItems>,
) -> Result<Response, Problem> {
    let bank = bank_of(&bank)?;
    let items = sent.asked.items.into_iter().enumerate();
    let items = items.map(|(at, item)| item.read(&format!("items[{at}]")));
    let items = items.collect::<Result<Vec<ContributedItem>, _>>()?;
    if items.is_empty() {
        return Err(Problem::field("items", "is empty; it has 1 to 1000"));
    }
    let added = call.caller.banks().contribute_items(&bank, items, call.key(), call.deadline()).await?;
    call.wrote(added.sequence);
    let answer = AddedItems {
        item_ids: added.value.ids.iter().map(|item| item.0).collect(),
        known: added.value.known,
        sequence: added.sequence.0,
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Shows an item
#[utoipa::path(
    get, path = "/items/{item_id}", tag = "items", params(("item_id" = u64, Path, description = "Its id")),
    responses((status = 200, description = "The item", body = ItemObject))
)]
pub(super) async fn show_item(call: Call, In(id): In<String>) -> Result<Json<ItemObject>, Problem> {
    let found = call.caller.banks().describe_item(item(&id)?, call.deadline()).await?;
    Ok(Json((&found.value).into()))
}

/// Changes the details and the labels of an item
///
/// The details are read, changed and written: if two requests change different details at the same time, the
/// later one may undo the earlier one. Matches have the new labels as of the change. A canary stays a canary,
/// and no other item becomes one.
#[utoipa::path(
    patch, path = "/items/{item_id}", tag = "items", params(("item_id" = u64, Path, description = "Its id"), Once),
    request_body = ItemPatch,
    responses((status = 200, description = "The item was changed", body = WrittenItem))
)]
pub(super) async fn change_item(
    call: Call,
    In(id): In<String>,
    sent: Sent<ItemPatch>,
) -> Result<Json<WrittenItem>, Problem> {
    let (id, deadline) = (item(&id)?, call.deadline());
    let ItemPatch { classification, jurisdictions, note, metadata, labels } = sent.asked;
    let labels = labels.map(|labels| Labels::try_from(labels).map_err(|why| Problem::field("labels", why)));
    let labels = labels.transpose()?;
    let changes_details =
        classification.is_some() || jurisdictions.is_some() || note.is_some() || metadata.is_some();
    if labels.is_some() && !changes_details {
        let update = ItemUpdate { details: None, labels };
        let updated = call.caller.banks().update_item(id, update, call.key(), deadline).await?;
        return Ok(written(&call, id, &updated));
    }
    let given = DetailsObject {
        classification: classification.clone().unwrap_or_default(),
        jurisdictions: jurisdictions.clone().unwrap_or_default(),
        note: note.clone().unwrap_or_default(),
        metadata: metadata.clone().unwrap_or_default(),
    };
    let given = given.read("")?;
    let before = call.caller.banks().describe_item(id, deadline).await?.value.details;
    let details = Details {
        classification: if classification.is_some() { given.classification } else { before.classification },
        jurisdictions: if jurisdictions.is_some() { given.jurisdictions } else { before.jurisdictions },
        note: if note.is_some() { given.note } else { before.note },
        metadata: if metadata.is_some() { given.metadata } else { before.metadata },
    };
    let update = ItemUpdate { details: Some(details), labels };
    let updated = call.caller.banks().update_item(id, update, call.key(), deadline).await?;
    Ok(written(&call, id, &updated))
}

/// Removes an item
#[utoipa::path(
    delete, path = "/items/{item_id}", tag = "items", params(("item_id" = u64, Path, description = "Its id"), Once),
    responses((status = 200, description = "The item was removed", body = WrittenItem))
)]
pub(super) async fn remove_item(call: Call, In(id): In<String>) -> Result<Json<WrittenItem>, Problem> {
    let id = item(&id)?;
    let removed = call.caller.banks().remove_items(&[id], call.key(), call.deadline()).await?;
    Ok(written(&call, id, &removed))
}

fn written(call: &Call, id: ItemId, made: &Written<()>) -> Json<WrittenItem> {
    call.wrote(made.sequence);
    Json(WrittenItem { item_id: id.0, sequence: made.sequence.0 })
}

/// Finds items by hash, external reference or label
///
/// The bank reads a bounded number of its items for each page. Items of disabled banks are found too.
#[utoipa::path(
    post, path = "/items/find", tag = "items", request_body = FindAsked,
    responses((status = 200, description = "A page of items", body = FoundPage))
)]
pub(super) async fn find_items(call: Call, sent: Sent<FindAsked>) -> Result<Json<FoundPage>, Problem> {
    let FindAsked { bank, hashes: asked, text, after, limit } = sent.asked;
    let search = ItemSearch {
        bank: bank.map(|bank| bank_of(&bank)).transpose()?,
        hashes: hashes("hashes", &asked)?,
        text,
    };
    if search.hashes.is_empty() && search.text.is_empty() {
        return Err(Problem::bad("name a hash or a text"));
    }
    let (size, after) = (page_size(limit)?, after.map(ItemId));
    let found = call.caller.banks().find_items(&search, after, size, call.deadline()).await?;
    Ok(Json(FoundPage {
        items: found.value.items.iter().map(Into::into).collect(),
        next_after: found.value.next_after.map(|item| item.0),
        read: found.value.read,
        sequence: found.sequence.0,
    }))
}

/// Lists removed items of a bank that can be restored
#[utoipa::path(
    get, path = "/banks/{bank}/removed", tag = "items",
    params(("bank" = String, Path, description = "Its name, or `owner/name`, percent-encoded"), PageOptions),
    responses((status = 200, description = "A page of removed items", body = RemovedPage))
)]
pub(super) async fn list_removed_items(
    call: Call<PageOptions>,
    In(bank): In<String>,
) -> Result<Json<RemovedPage>, Problem> {
    let (bank, size, after) = (bank_of(&bank)?, call.options.size()?, call.options.after(ItemId)?);
    let items = call.caller.banks().list_removed_items(&bank, after, size, call.deadline()).await?;
    let is_full = items.len() >= usize::from(size);
    Ok(Json(RemovedPage {
        next_after: items.last().filter(|_| is_full).map(|item| item.id.0),
        items: items.iter().map(Into::into).collect(),
    }))
}
