//! `/v1/referrals`: referrals and removal orders of authorised bodies, and the measures that members took. No
//! log and no error text contains a URL.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vigie_clients::{MemberMeasure, ReferralListing, ReferralsListed};
use vigie_consortium::MemberName;
use vigie_consortium::cases::{
    Ground, IssuingState, Measure, MeasureOutcome, Priority, ReferralTarget, ReferralUrl, ReferralWords,
    RemovalOrder,
};

use crate::problem::Problem;
use crate::v1::cases::read::{next_after, page, refused, word};
use crate::v1::faults::at_most;
use crate::v1::request::{Call, In, Once, Sent};
use crate::v1::values::{HashObject, at, number, text, value};

/// The options of a list of referrals.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReferralOptions {
    /// The position after which the page begins: the `next_after` of the page before.
    after: Option<String>,
    /// Referrals of the page, 1 to 100; 100 where it is not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// Only referrals with a pending outcome.
    open: Option<bool>,
    /// Only removal orders with a pending outcome after their deadline.
    overdue: Option<bool>,
}

/// A referral or a removal order that is added. It has either a `url` or a `hash`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReferralAsked {
    /// The name of the authorised body, 1 to 128 bytes.
    body: String,
    /// The URL that it is about, 1 to 2048 bytes.
    url: Option<String>,
    /// The hash that it is about.
    hash: Option<HashObject>,
    /// Makes it a removal order (Regulation (EU) 2021/784), due one hour after receipt.
    removal_order: Option<OrderAsked>,
    /// The legal basis, at most 64 bytes.
    #[serde(default)]
    legal_basis: String,
    /// `normal`, `high` or `urgent`; `normal` where it is not given.
    priority: Option<String>,
    /// The names of the members that it is addressed to, at most 1000; if empty, every active member except
    /// the host.
    #[serde(default, deserialize_with = "at_most::<_, _, 1000>")]
    #[schema(max_items = 1000)]
    members: Vec<String>,
}

/// The details that make a referral a removal order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderAsked {
    /// Its reference number, 1 to 64 bytes.
    reference: String,
    /// Milliseconds since 1970: when it was received, not in the future.
    received_at_unix_ms: u64,
    /// The member state that issued it: two letters, such as `FR`.
    issuing_state: String,
}

/// A referral that was added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AddedReferral {
    /// Its number.
    referral: u64,
    /// Milliseconds since 1970: the deadline of a removal order; `null` for a referral.
    deadline_unix_ms: Option<u64>,
    /// The change.
    sequence: u64,
}

/// A page of referrals.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReferralPage {
    /// Open ones come first. A page may be empty although more follow.
    referrals: Vec<ReferralObject>,
    /// The `after` of the next page; `null` on the last page.
    next_after: Option<String>,
}

/// A referral, or a removal order.
#[derive(Serialize, ToSchema)]
struct ReferralObject {
    /// Its number.
    referral: u64,
    /// The name of the authorised body.
    body: String,
    /// The URL that it is about; `null` where it is about a hash.
    url: Option<String>,
    /// The hash that it is about; `null` where it is about a URL.
    hash: Option<HashObject>,
    /// The order; `null` for a referral.
    removal_order: Option<OrderObject>,
    /// The legal basis; may be empty.
    legal_basis: String,
    /// `normal`, `high` or `urgent`.
    priority: &'static str,
    /// Milliseconds since 1970.
    added_at_unix_ms: u64,
    /// Whether the deadline has passed while the outcome of a member of `members` is pending.
    overdue: bool,
    /// The measures of members: those of all that it is addressed to for the host, and the caller's own for
    /// others.
    members: Vec<MeasureObject>,
}

/// A removal order.
#[derive(Debug, Serialize, ToSchema)]
struct OrderObject {
    /// Its reference number.
    reference: String,
    /// Milliseconds since 1970.
    received_at_unix_ms: u64,
    /// The member state that issued it.
    issuing_state: String,
    /// Milliseconds since 1970: the deadline.
    deadline_unix_ms: u64,
}

/// A member's measure on a referral.
#[derive(Debug, Serialize, ToSchema)]
struct MeasureObject {
    /// The name of the member.
    member: String,
    /// `pending`, `removed`, `disabled`, `not-found`, `declined` or `not-possible`.
    outcome: &'static str,
    /// Why an order cannot be carried out; `null` with other outcomes.
    ground: Option<&'static str>,
    /// Details for the body; `null` while the outcome is pending.
    details: Option<String>,
    /// Milliseconds since 1970: when the measure was taken; `null` while the outcome is pending.
    taken_at_unix_ms: Option<u64>,
}

/// The measure that the caller's member took on a referral.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MeasureAsked {
    /// `removed`, `disabled`, `not-found`, `declined` (only for referrals) or `not-possible`.
    outcome: String,
    /// Why an order cannot be carried out, only with `not-possible`: `force-majeure`, `manifest-errors` or
    /// `too-little-information`.
    ground: Option<String>,
    /// Details for the body, at most 512 bytes; required for `declined`.
    #[serde(default)]
    details: String,
    /// Milliseconds since 1970: when the measure was taken, not in the future; now where it is not given.
    taken_at_unix_ms: Option<u64>,
}

/// A referral with a new outcome.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeasuredReferral {
    /// Its number.
    referral: u64,
    /// The outcome at the caller's member.
    outcome: &'static str,
    /// The change.
    sequence: u64,
}

impl ReferralAsked {
    /// Converts the request to the words of the referral and the names of the members that it is addressed
    /// to.
    ///
    /// # Errors
    ///
    /// [`Problem`] that names the field with a wrong value.
    pub(crate) fn read(self) -> Result<(ReferralWords, Vec<MemberName>), Problem> {
        if self.body.is_empty() {
            return Err(Problem::field("body", "is the name of the authorised body"));
        }
        let target = match (self.url, self.hash) {
            (Some(url), None) => {
                let url = ReferralUrl::new(&url).map_err(|why| Problem::field("url", why))?;
                ReferralTarget::Url(url)
            }
            (None, Some(hash)) => ReferralTarget::Hash(hash.read("hash")?),
            (None, None) => return Err(Problem::field("url", "is required where there is no hash")),
            (Some(_), Some(_)) => {
                return Err(Problem::field("hash", "is given together with url; send only one of the two"));
            }
        };
        let words = ReferralWords {
            body: text("body", &self.body)?,
            target,
            order: self.removal_order.map(OrderAsked::read).transpose()?,
            legal_basis: text("legal_basis", &self.legal_basis)?,
            priority: match self.priority {
                None => Priority::Normal,
                Some(name) => word("priority", &name, Priority::ALL, Priority::name)?,
            },
        };
        let member = |(index, name): (usize, &String)| value(&format!("members[{index}]"), name);
        let members = self.members.iter().enumerate().map(member).collect::<Result<Vec<_>, _>>()?;
        Ok((words, members))
    }
}

impl OrderAsked {
    fn read(self) -> Result<RemovalOrder, Problem> {
        if self.reference.is_empty() {
            return Err(Problem::field("removal_order.reference", "is the reference number of the order"));
        }
        let received_at = "removal_order.received_at_unix_ms";
        let required = || Problem::field(received_at, "is required");
        Ok(RemovalOrder {
            reference: text("removal_order.reference", &self.reference)?,
            received_at: at(received_at, Some(self.received_at_unix_ms))?.ok_or_else(required)?,
            issuing_state: IssuingState::new(&self.issuing_state)
                .map_err(|why| Problem::field("removal_order.issuing_state", why))?,
        })
    }
}

impl MeasureAsked {
    /// Converts the request to a measure.
    ///
    /// # Errors
    ///
    /// [`Problem`] that names the field with a wrong value.
    pub(crate) fn read(&self) -> Result<Measure, Problem> {
        let ground = |name: &String| word("ground", name, Ground::ALL, Ground::name);
        let measure = Measure {
            outcome: word("outcome", &self.outcome, MeasureOutcome::ALL, MeasureOutcome::name)?,
            ground: self.ground.as_ref().map(ground).transpose()?,
            details: text("details", &self.details)?,
            taken_at: at("taken_at_unix_ms", self.taken_at_unix_ms)?,
        };
        measure.check().map_err(|why| Problem::field(why.field(), why))?;
        Ok(measure)
    }
}

impl From<&RemovalOrder> for OrderObject {
    fn from(order: &RemovalOrder) -> Self {
        Self {
            reference: order.reference.to_string(),
            received_at_unix_ms: order.received_at.0,
            issuing_state: order.issuing_state.to_string(),
            deadline_unix_ms: order.deadline().0,
        }
    }
}

impl From<&MemberMeasure> for MeasureObject {
    fn from(one: &MemberMeasure) -> Self {
        let measure = one.measure.as_ref();
        Self {
            member: one.member.clone(),
            outcome: measure.map_or("pending", |measure| measure.outcome.name()),
            ground: measure.and_then(|measure| measure.ground).map(Ground::name),
            details: measure.map(|measure| measure.details.to_string()),
            taken_at_unix_ms: measure.and_then(|measure| measure.taken_at).map(|at| at.0),
        }
    }
}

impl From<&ReferralListing> for ReferralObject {
    fn from(referral: &ReferralListing) -> Self {
        let ReferralListing { number, words, added_at, members, overdue } = referral;
        let (url, hash) = match &words.target {
            ReferralTarget::Url(url) => (Some(url.reveal().to_owned()), None),
            ReferralTarget::Hash(hash) => (None, Some(hash.into())),
        };
        Self {
            referral: *number,
            body: words.body.to_string(),
            url,
            hash,
            removal_order: words.order.as_ref().map(Into::into),
            legal_basis: words.legal_basis.to_string(),
            priority: words.priority.name(),
            added_at_unix_ms: added_at.0,
            overdue: *overdue,
            members: members.iter().map(Into::into).collect(),
        }
    }
}

/// Adds a referral of an authorised body, or a removal order
#[utoipa::path(
    post, path = "/referrals", tag = "cases", params(Once), request_body = ReferralAsked,
    responses((status = 201, description = "The addressed members can read it", body = AddedReferral))
)]
pub(crate) async fn add_referral(call: Call, sent: Sent<ReferralAsked>) -> Result<Response, Problem> {
    let (words, members) = sent.asked.read()?;
    let deadline_unix_ms = words.order.as_ref().map(|order| order.deadline().0);
    let added = call.caller.referrals().add(words, &members, call.key(), call.deadline()).await;
    let added = added.map_err(refused)?;
    let answer = AddedReferral { referral: added.value, deadline_unix_ms, sequence: added.sequence.0 };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Lists referrals with their outcomes
///
/// Returns the referrals that are addressed to the caller's member; the host gets all.
#[utoipa::path(
    get, path = "/referrals", tag = "cases", params(ReferralOptions),
    responses((status = 200, description = "A page of referrals", body = ReferralPage))
)]
pub(crate) async fn list_referrals(call: Call<ReferralOptions>) -> Result<Json<ReferralPage>, Problem> {
    let ReferralOptions { after, limit, open, overdue } = &call.options;
    let page = page(after.as_deref(), *limit)?;
    // An overdue referral is also open.
    let listed = match (open.unwrap_or(false), overdue.unwrap_or(false)) {
        (_, true) => ReferralsListed::Overdue,
        (true, false) => ReferralsListed::Open,
        (false, false) => ReferralsListed::All,
    };
    let (referrals, next) = call.caller.referrals().list(page, listed, call.deadline()).await?;
    Ok(Json(ReferralPage {
        referrals: referrals.iter().map(Into::into).collect(),
        next_after: next_after(&next)?,
    }))
}

/// Sets the measure of the caller's member on a referral
#[utoipa::path(
    put, path = "/referrals/{number}/outcome", tag = "cases",
    params(("number" = u64, Path, description = "Its number"), Once), request_body = MeasureAsked,
    responses((status = 200, description = "The outcome is set", body = MeasuredReferral))
)]
pub(crate) async fn set_referral_outcome(
    call: Call,
    In(text): In<String>,
    sent: Sent<MeasureAsked>,
) -> Result<Json<MeasuredReferral>, Problem> {
    let (number, measure) = (number(&text)?, sent.asked.read()?);
    let outcome = measure.outcome.name();
    let set = call.caller.referrals().set_outcome(number, measure, call.key(), call.deadline()).await;
    let set = set.map_err(refused)?;
    Ok(Json(MeasuredReferral { referral: number, outcome, sequence: set.sequence.0 }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vigie_model::UnixMillis;

    use super::*;

    fn read(value: Value) -> Result<(ReferralWords, Vec<MemberName>), Problem> {
        serde_json::from_value::<ReferralAsked>(value).map_err(|_| "a form").unwrap().read()
    }

    #[test]
    fn a_referral_is_read_as_it_is_shown() {
        let order = json!({ "reference": "FR-7", "received_at_unix_ms": 5, "issuing_state": "FR" });
        let md5 = json!({ "hash_type": "md5", "hash": "07".repeat(16) });
        for (target, value) in [("url", json!("https://example.test/page")), ("hash", md5)] {
            let mut asked = json!({ "body": "IRU", "priority": "high", "legal_basis": "2021/784" });
            asked[target] = value;
            asked["removal_order"] = order.clone();
            let mut whole = asked.clone();
            whole["members"] = json!(["acme", "umbra"]);
            let (words, members) = read(whole).unwrap();
            assert_eq!(members.len(), 2);
            let (added_at, overdue) = (UnixMillis(6), false);
            let listing = ReferralListing { number: 9, words, added_at, members: Vec::new(), overdue };
            let shown = serde_json::to_value(ReferralObject::from(&listing)).unwrap();
            asked["removal_order"]["deadline_unix_ms"] = json!(3_600_005);
            for (field, value) in asked.as_object().unwrap() {
                assert_eq!(&shown[field], value, "{field}");
            }
        }
    }

    #[test]
    fn the_field_of_a_wrong_referral_is_named_and_no_url_is_repeated() {
        let url = "https://example.test/secret";
        let order = |reference: &str, at: u64, state: &str| json!({ "reference": reference, "received_at_unix_ms": at, "issuing_state": state });
        for (edit, field) in [
            (json!({ "body": "" }), "body"),
            (json!({ "url": null }), "url"),
            (json!({ "url": "secret\n" }), "url"),
            (json!({ "url": format!("{url}{}", "x".repeat(2_048)) }), "url"),
            (json!({ "hash": { "hash_type": "md5", "hash": "07".repeat(16) } }), "hash"),
            (json!({ "url": null, "hash": { "hash_type": "md5", "hash": "secret" } }), "hash.hash"),
            (json!({ "removal_order": order("", 5, "FR") }), "removal_order.reference"),
            (json!({ "removal_order": order("7", 0, "FR") }), "removal_order.received_at_unix_ms"),
            (json!({ "removal_order": order("7", 5, "fr") }), "removal_order.issuing_state"),
            (json!({ "priority": url }), "priority"),
            (json!({ "members": ["acme", url] }), "members[1]"),
        ] {
            let mut asked = json!({ "body": "IRU", "url": url });
            asked.as_object_mut().unwrap().extend(edit.as_object().unwrap().clone());
            let problem = read(asked).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field));
            assert!(!format!("{problem:?}").contains("secret"), "{problem:?}");
        }
    }

    #[test]
    fn the_field_of_a_wrong_outcome_is_named() {
        for (asked, field) in [
            (json!({ "outcome": "pending" }), "outcome"),
            (json!({ "outcome": "removed", "ground": "force-majeure" }), "ground"),
            (json!({ "outcome": "not-possible" }), "ground"),
            (json!({ "outcome": "not-possible", "ground": "no" }), "ground"),
            (json!({ "outcome": "declined" }), "details"),
            (json!({ "outcome": "removed", "taken_at_unix_ms": 0 }), "taken_at_unix_ms"),
        ] {
            let asked: MeasureAsked = serde_json::from_value(asked).unwrap();
            assert_eq!(asked.read().unwrap_err().field.as_deref(), Some(field));
        }
    }
}
