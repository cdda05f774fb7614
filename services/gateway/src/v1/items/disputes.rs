//! `/v1/disputes`, `/v1/held-here`: disputed items, and items that are held for one member.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vigie_clients::{ListedDispute, MemberHeldItem, Outcome};
use vigie_consortium::{Classification, Resolution};
use vigie_model::ItemId;

use crate::problem::Problem;
use crate::v1::faults::at_most;
use crate::v1::items::objects::ClassObject;
use crate::v1::request::{Call, In, Once, PageOptions, Sent, page_size};
use crate::v1::values::{item, place, place_after};

/// The options of a list of disputes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DisputeOptions {
    /// The position after which the page begins: the `next_after` of the page before.
    after: Option<String>,
    /// Disputes of the page, 1 to 1000; 100 where it is not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// Resolved disputes instead of open ones.
    resolved: Option<bool>,
}

/// A page of disputes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisputePageObject {
    /// Open ones are ordered by due time, resolved ones by the time at which they were resolved. A page may
    /// be empty although more follow.
    disputes: Vec<DisputeObject>,
    /// The `after` of the next page; `null` on the last page.
    next_after: Option<String>,
}

/// A dispute about an item.
#[derive(Debug, Serialize, ToSchema)]
struct DisputeObject {
    /// The item.
    item_id: u64,
    /// The caller's name for its bank.
    bank: String,
    /// Milliseconds since 1970.
    opened_at_unix_ms: u64,
    /// Milliseconds since 1970: when it should be resolved.
    due_at_unix_ms: u64,
    /// The name of the member whose opinion opened it; empty where the caller may not know it.
    opened_by: String,
    /// `kept`, `removed` or `reclassified`; `null` while it is open.
    resolution: Option<&'static str>,
    /// Milliseconds since 1970; `null` while it is open.
    resolved_at_unix_ms: Option<u64>,
}

impl From<&ListedDispute> for DisputeObject {
    fn from(dispute: &ListedDispute) -> Self {
        let ListedDispute { item, bank, opened_at, due_at, opened_by, resolved } = dispute;
        Self {
            item_id: item.0,
            bank: bank.to_string(),
            opened_at_unix_ms: opened_at.0,
            due_at_unix_ms: due_at.0,
            opened_by: opened_by.clone(),
            resolution: resolved.map(|(outcome, _)| outcome.name()),
            resolved_at_unix_ms: resolved.map(|(_, at)| at.0),
        }
    }
}

/// The outcome of a dispute.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolutionAsked {
    /// `kept`, `removed` or `reclassified`.
    resolution: String,
    /// The item's new classes, 1 to 32, only with `reclassified`.
    #[serde(default, deserialize_with = "at_most::<_, _, 32>")]
    #[schema(max_items = 32)]
    classification: Vec<ClassObject>,
}

/// A dispute that was resolved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Resolved {
    /// The item.
    item_id: u64,
    /// The outcome.
    resolution: &'static str,
    /// The change.
    sequence: u64,
}

/// An item that is held for the caller's member, or no longer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeldHere {
    /// The item.
    item_id: u64,
    /// Whether it is held.
    held_here: bool,
    /// The change, or the newest change of the log if nothing changed.
    sequence: u64,
}

/// A page of items that are held for the caller's member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeldHerePage {
    /// Ordered by id.
    items: Vec<HeldHereObject>,
    /// The id after which the next page begins; `null` where there is no item after this page.
    next_after: Option<u64>,
}

/// An item that is held for the caller's member alone.
#[derive(Debug, Serialize, ToSchema)]
struct HeldHereObject {
    /// The item.
    item_id: u64,
    /// The caller's name for its bank.
    bank: String,
    /// Milliseconds since 1970.
    since_unix_ms: u64,
    /// Whether flood control holds it, because it matched far too often, and not the member itself.
    flooded: bool,
}

impl From<&MemberHeldItem> for HeldHereObject {
    fn from(held: &MemberHeldItem) -> Self {
        Self {
            item_id: held.item.0,
            bank: held.bank.to_string(),
            since_unix_ms: held.since.0,
            flooded: held.flooded,
        }
    }
}

impl ResolutionAsked {
    fn read(&self) -> Result<(Resolution, Outcome), Problem> {
        let Self { resolution, classification } = self;
        let found = Resolution::ALL.into_iter().find(|one| one.name() == resolution);
        let found = found.ok_or_else(|| Problem::field("resolution", "is kept, removed or reclassified"))?;
        if (found == Resolution::Reclassified) == classification.is_empty() {
            return Err(Problem::field(
                "classification",
                "goes with reclassified, and with no other outcome",
            ));
        }
        let outcome = match found {
            Resolution::Kept => Outcome::Kept,
            Resolution::Removed => Outcome::Removed,
            Resolution::Reclassified => {
                let classes = classification.iter().enumerate();
                let classes = classes.map(|(at, class)| class.read(&format!("classification[{at}]")));
                let classes = Classification::new(classes.collect::<Result<Vec<_>, _>>()?);
                Outcome::Reclassified(classes.map_err(|why| Problem::field("classification", why))?)
            }
        };
        Ok((found, outcome))
    }
}

/// Lists disputes
///
/// Returns the disputes about items in banks of the caller's member, and those that its opinions opened.
#[utoipa::path(
    get, path = "/disputes", tag = "opinions", params(DisputeOptions),
    responses((status = 200, description = "A page of disputes", body = DisputePageObject))
)]
pub(crate) async fn list_disputes(call: Call<DisputeOptions>) -> Result<Json<DisputePageObject>, Problem> {
    let DisputeOptions { after, limit, resolved } = &call.options;
    let (after, size) = (after.as_deref().map(place_after).transpose()?, page_size(*limit)?);
    let (opinions, resolved) = (call.caller.opinions(), resolved.unwrap_or(false));
    let page = opinions.list_disputes(resolved, after.as_ref(), size, call.deadline()).await?;
    Ok(Json(DisputePageObject {
        disputes: page.disputes.iter().map(Into::into).collect(),
        next_after: page.next.as_ref().map(place),
    }))
}

/// Resolves the dispute about an item of an own bank
///
/// The charter's hold of the item ends, and earlier negative opinions do not count for another hold.
#[utoipa::path(
    post, path = "/disputes/{item_id}/resolution", tag = "opinions",
    params(("item_id" = u64, Path, description = "The item's id"), Once), request_body = ResolutionAsked,
    responses((status = 200, description = "The dispute is resolved", body = Resolved))
)]
pub(crate) async fn resolve_dispute(
    call: Call,
    In(id): In<String>,
    sent: Sent<ResolutionAsked>,
) -> Result<Json<Resolved>, Problem> {
    let (id, (resolution, outcome)) = (item(&id)?, sent.asked.read()?);
    let resolved = call.caller.opinions().resolve_dispute(id, &outcome, call.key(), call.deadline()).await?;
    call.wrote(resolved.sequence);
    Ok(Json(Resolved { item_id: id.0, resolution: resolution.name(), sequence: resolved.sequence.0 }))
}

/// Holds an item for the caller's member alone
#[utoipa::path(
    put, path = "/items/{item_id}/hold/here", tag = "opinions",
    params(("item_id" = u64, Path, description = "Its id"), Once),
    responses((status = 200, description = "The item no longer matches for that member", body = HeldHere))
)]
pub(crate) async fn hold_here(call: Call, In(id): In<String>) -> Result<Json<HeldHere>, Problem> {
    set_here(&call, item(&id)?, true).await
}

/// Lets an item that was held for the caller's member alone match there again
#[utoipa::path(
    delete, path = "/items/{item_id}/hold/here", tag = "opinions",
    params(("item_id" = u64, Path, description = "Its id"), Once),
    responses((status = 200, description = "The item is not held for that member", body = HeldHere))
)]
pub(crate) async fn lift_here(call: Call, In(id): In<String>) -> Result<Json<HeldHere>, Problem> {
    set_here(&call, item(&id)?, false).await
}

async fn set_here(call: &Call, item: ItemId, held: bool) -> Result<Json<HeldHere>, Problem> {
    let set = call.caller.opinions().set_member_hold(&[item], held, call.key(), call.deadline()).await?;
    call.wrote(set.sequence);
    Ok(Json(HeldHere { item_id: item.0, held_here: held, sequence: set.sequence.0 }))
}

/// Lists the items that are held for the caller's member alone
#[utoipa::path(
    get, path = "/held-here", tag = "opinions", params(PageOptions),
    responses((status = 200, description = "A page of items", body = HeldHerePage))
)]
pub(crate) async fn list_held_here(call: Call<PageOptions>) -> Result<Json<HeldHerePage>, Problem> {
    let (size, after) = (call.options.size()?, call.options.after(ItemId)?);
    let items = call.caller.opinions().list_member_holds(after, size, call.deadline()).await?;
    // A page may be shorter than requested, because the caller may have lost sight of some banks.
    let next_after = items.last().map(|last| last.item.0);
    Ok(Json(HeldHerePage { items: items.iter().map(Into::into).collect(), next_after }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes_go_with_one_outcome_alone() {
        let read =
            |value: serde_json::Value| serde_json::from_value::<ResolutionAsked>(value).unwrap().read();
        let class = json!({ "taxonomy": "iwf", "dimension": "category", "value": "A" });
        assert_eq!(read(json!({ "resolution": "kept" })).unwrap(), (Resolution::Kept, Outcome::Kept));
        let found = read(json!({ "resolution": "reclassified", "classification": [class] })).unwrap();
        assert!(matches!(found, (Resolution::Reclassified, Outcome::Reclassified(_))));
        for (value, field) in [
            (json!({ "resolution": "forgotten" }), "resolution"),
            (json!({ "resolution": "reclassified" }), "classification"),
            (json!({ "resolution": "removed", "classification": [class] }), "classification"),
            (
                json!({ "resolution": "reclassified", "classification": [{ "taxonomy": "iwf", "dimension": "category", "value": "Z" }] }),
                "classification[0]",
            ),
        ] {
            assert_eq!(read(value).unwrap_err().field.as_deref(), Some(field));
        }
    }
}
