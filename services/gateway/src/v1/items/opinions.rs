//! `/v1/items/{item_id}/opinion`, `/v1/banks/{bank}/opinions`: the members' opinions on items.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vigie_clients::{ListedOpinion, NewOpinion};
use vigie_consortium::{OpinionReason, OpinionWords};
use vigie_model::{OpinionKind, Sequence};

use crate::problem::Problem;
use crate::v1::items::objects::ClassObject;
use crate::v1::request::{Call, In, Once, Sent, page_size};
use crate::v1::values::{HashObject, bank_of, item, text};

/// An opinion on an item.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpinionAsked {
    /// `positive`, `negative` or `seen`.
    kind: String,
    /// The reason, only with `negative`: `different-content`, `poor-hash`, `out-of-scope`,
    /// `wrong-classification`, `duplicate`, `appeal-upheld` or `other`.
    reason: Option<String>,
    /// Whether the owner of the bank is asked to look again, only with `negative`.
    #[serde(default)]
    dispute: bool,
    /// The class that the member thinks is right.
    proposed: Option<ClassObject>,
    /// The hash of the item that the opinion is about; the whole item where it is not given.
    hash: Option<HashObject>,
    /// A programme's own word, where the opinion comes from one; at most 64 bytes.
    #[serde(default)]
    foreign_value: String,
}

/// The result of a write of opinions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WrittenOpinion {
    /// The item.
    item_id: u64,
    /// Whether the write changed an opinion.
    changed: bool,
    /// The change, or the newest change of the log if nothing changed.
    sequence: u64,
}

/// The options of a list of opinions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OpinionOptions {
    /// Opinions on items that changed after this: the `next_after` of the page before; 0 where it is not
    /// given.
    after: Option<u64>,
    /// Items of the page, 1 to 1000; 100 where it is not given. Each may have several opinions, or none that
    /// the caller may see.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
    /// Only the caller's own opinions.
    mine: Option<bool>,
}

/// A page of opinions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpinionPageObject {
    /// Ordered by the latest changes of their items. A page may be empty although more follow.
    opinions: Vec<OpinionObject>,
    /// The `after` of the next page, and of later changes.
    next_after: u64,
    /// Whether more may follow now.
    has_more: bool,
    /// The answer is as of this change.
    sequence: u64,
}

/// The newest opinion of a member on an item, or on one of its hashes.
#[derive(Debug, Serialize, ToSchema)]
struct OpinionObject {
    /// The item.
    item_id: u64,
    /// The index, among the item's hashes, of the hash that the opinion is about, from 0; `null` for the
    /// whole item.
    hash: Option<u32>,
    /// `positive`, `negative` or `seen`; `null` for one that was taken back.
    kind: Option<&'static str>,
    /// The reason; `null` where none was given.
    reason: Option<&'static str>,
    /// Whether the member asks the owner of the bank to look again.
    disputes: bool,
    /// The class that the member thinks is right.
    proposed: Option<ClassObject>,
    /// A programme's own word; empty for none.
    foreign_value: String,
    /// The name of the member; empty where the caller may not know it.
    member: String,
    /// Milliseconds since 1970.
    at_unix_ms: u64,
    /// The change that put the opinion.
    sequence: u64,
    /// Whether the opinion comes from the records of programmes that the member follows. Such an opinion
    /// counts while the member itself has neither a positive nor a negative one.
    of_programme: bool,
}

impl From<&ListedOpinion> for OpinionObject {
    fn from(opinion: &ListedOpinion) -> Self {
        let ListedOpinion { item, hash, kind, words, member, at, sequence, of_programme } = opinion;
        Self {
            item_id: item.0,
            hash: *hash,
            kind: kind.map(OpinionKind::name),
            reason: words.reason.map(OpinionReason::name),
            disputes: words.disputes,
            proposed: words.proposed.as_ref().map(Into::into),
            foreign_value: words.foreign.to_string(),
            member: member.clone(),
            at_unix_ms: at.0,
            sequence: sequence.0,
            of_programme: *of_programme,
        }
    }
}

impl OpinionAsked {
    fn read(self, id: &str) -> Result<NewOpinion, Problem> {
        let named = |name: &String| OpinionKind::ALL.into_iter().find(|one| one.name() == *name);
        let kind =
            named(&self.kind).ok_or_else(|| Problem::field("kind", "is positive, negative or seen"))?;
        let reason = self.reason.map(|name| reason(&name)).transpose()?;
        let is_more = [("reason", reason.is_some()), ("dispute", self.dispute)];
        if let Some((field, _)) = is_more.iter().find(|(_, is_given)| *is_given)
            && kind != OpinionKind::Negative
        {
            return Err(Problem::field(*field, "goes with negative opinions alone"));
        }
        let words = OpinionWords {
            reason,
            disputes: self.dispute,
            proposed: self.proposed.map(|class| class.read("proposed")).transpose()?,
            foreign: text("foreign_value", &self.foreign_value)?,
        };
        let hash = self.hash.map(|hash| hash.read("hash")).transpose()?;
        Ok(NewOpinion { item: item(id)?, hash, kind, words })
    }
}

fn reason(name: &str) -> Result<OpinionReason, Problem> {
    let known = OpinionReason::ALL.map(OpinionReason::name).join(", ");
    let found = OpinionReason::ALL.into_iter().find(|one| one.name() == name);
    found.ok_or_else(|| Problem::field("reason", format!("is unknown; use one of {known}")))
}

/// Puts the opinion of the caller's member on an item
///
/// The newest opinion of a member on an item, or on one of its hashes, counts. `seen` replaces no other
/// opinion, and counts once a day.
#[utoipa::path(
    put, path = "/items/{item_id}/opinion", tag = "opinions",
    params(("item_id" = u64, Path, description = "Its id"), Once), request_body = OpinionAsked,
    responses((status = 200, description = "The opinion counts", body = WrittenOpinion))
)]
pub(crate) async fn put_opinion(
    call: Call,
    In(id): In<String>,
    sent: Sent<OpinionAsked>,
) -> Result<Json<WrittenOpinion>, Problem> {
    let opinion = sent.asked.read(&id)?;
    let item_id = opinion.item.0;
    let put = call.caller.opinions().put_opinions(vec![opinion], call.key(), call.deadline()).await?;
    call.wrote(put.sequence);
    Ok(Json(WrittenOpinion { item_id, changed: put.value > 0, sequence: put.sequence.0 }))
}

/// Takes back the opinions of the caller's member on an item and its hashes
#[utoipa::path(
    delete, path = "/items/{item_id}/opinion", tag = "opinions",
    params(("item_id" = u64, Path, description = "Its id"), Once),
    responses((status = 200, description = "The member has no opinion on the item", body = WrittenOpinion))
)]
pub(crate) async fn withdraw_opinion(
    call: Call,
    In(id): In<String>,
) -> Result<Json<WrittenOpinion>, Problem> {
    let id = item(&id)?;
    let withdrawn = call.caller.opinions().withdraw_opinions(&[id], call.key(), call.deadline()).await?;
    call.wrote(withdrawn.sequence);
    let (changed, sequence) = (withdrawn.value > 0, withdrawn.sequence.0);
    Ok(Json(WrittenOpinion { item_id: id.0, changed, sequence }))
}

/// Lists opinions on items of a bank
///
/// Returns a feed in the order of the latest changes of the items: an item that changes is returned again
/// with all its opinions. The owner of the bank sees all of them; another member sees its own, and those on
/// the items that it contributed.
#[utoipa::path(
    get, path = "/banks/{bank}/opinions", tag = "opinions",
    params(("bank" = String, Path, description = "Its name, or `owner/name`, percent-encoded"), OpinionOptions),
    responses((status = 200, description = "A page of opinions", body = OpinionPageObject))
)]
pub(crate) async fn list_opinions(
    call: Call<OpinionOptions>,
    In(bank): In<String>,
) -> Result<Json<OpinionPageObject>, Problem> {
    let OpinionOptions { after, limit, mine } = &call.options;
    let (bank, after, size) = (bank_of(&bank)?, Sequence(after.unwrap_or(0)), page_size(*limit)?);
    let opinions = call.caller.opinions();
    let page = opinions.list_opinions(&bank, after, mine.unwrap_or(false), size, call.deadline()).await?;
    Ok(Json(OpinionPageObject {
        opinions: page.value.opinions.iter().map(Into::into).collect(),
        next_after: page.value.next_after.0,
        has_more: page.value.has_more,
        sequence: page.sequence.0,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Result<NewOpinion, Problem> {
        serde_json::from_value::<OpinionAsked>(value).unwrap().read("7")
    }

    #[test]
    fn an_opinion_is_read_with_all_that_is_said_beside_it() {
        let whole = read(json!({
            "kind": "negative", "reason": "poor-hash", "dispute": true, "foreign_value": "NOT_HELPFUL",
            "proposed": { "taxonomy": "iwf", "dimension": "category", "value": "A" },
            "hash": { "type": "md5", "hash": "01".repeat(16) }
        }))
        .unwrap();
        assert_eq!((whole.kind, whole.words.reason), (OpinionKind::Negative, Some(OpinionReason::PoorHash)));
        assert_eq!(whole.words.proposed.unwrap().to_string(), "iwf/category=A");
        assert_eq!(whole.hash, Some(vigie_model::Hash::md5([1; 16])));
        assert_eq!(read(json!({ "kind": "seen" })).unwrap().kind, OpinionKind::Seen);
    }

    #[test]
    fn the_field_of_a_wrong_opinion_is_named() {
        for (value, field) in [
            (json!({ "kind": "bad" }), "kind"),
            (json!({ "kind": "positive", "reason": "other" }), "reason"),
            (json!({ "kind": "seen", "dispute": true }), "dispute"),
            (json!({ "kind": "negative", "reason": "ugly" }), "reason"),
            (json!({ "kind": "negative", "foreign_value": "x".repeat(65) }), "foreign_value"),
            (json!({ "kind": "positive", "hash": { "type": "md5", "hash": "0" } }), "hash.hash"),
            (
                json!({ "kind": "positive", "proposed": { "taxonomy": "iwf", "dimension": "category", "value": "Z" } }),
                "proposed",
            ),
        ] {
            assert_eq!(read(value).unwrap_err().field.as_deref(), Some(field));
        }
    }
}
