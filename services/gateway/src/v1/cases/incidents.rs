//! `/v1/incidents`, `/v1/incident-subscription`: events, each with a bank of its own. Items are added to that
//! bank as to any other.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vigie_clients::IncidentListing;
use vigie_consortium::cases::{IncidentType, IncidentTypes, IncidentWords};
use vigie_model::BankName;

use crate::problem::Problem;
use crate::v1::cases::read::{next_after, page};
use crate::v1::faults::some_at_most;
use crate::v1::request::{Call, In, Once, Sent};
use crate::v1::values::{number, text, value};

/// The options of a list of incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncidentOptions {
    /// The position after which the page begins: the `next_after` of the page before.
    after: Option<String>,
    /// Incidents of the page, 1 to 100; 100 where it is not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
}

/// An incident that is to be opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentAsked {
    /// Its type: 1 to 64 of a-z 0-9 -, such as `perpetrator-content` or `crisis-protocol`.
    #[serde(rename = "type")]
    of: String,
    /// Its title, at most 128 bytes.
    #[serde(default)]
    title: String,
    /// Why it is opened, at most 512 bytes.
    #[serde(default)]
    reason: String,
    /// The name of its bank; `incident-` and its number where it is not given.
    bank: Option<String>,
}

/// An incident that was opened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenedIncidentObject {
    /// Its number.
    incident: u64,
    /// Its bank, which belongs to the caller's member. Items are added with `/v1/banks/{bank}/items`.
    bank: String,
    /// Members with which the bank is shared.
    members: u32,
    /// The change.
    sequence: u64,
}

/// A page of incidents.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentPage {
    /// Open ones come first. A page may be empty although more follow.
    incidents: Vec<IncidentObject>,
    /// The types that the caller's member subscribes to.
    subscribed: SubscriptionObject,
    /// The `after` of the next page; `null` on the last page.
    next_after: Option<String>,
}

/// An incident.
#[derive(Debug, Serialize, ToSchema)]
struct IncidentObject {
    /// Its number.
    incident: u64,
    /// Its type.
    #[serde(rename = "type")]
    of: String,
    /// Its title; may be empty.
    title: String,
    /// Milliseconds since 1970.
    opened_at_unix_ms: u64,
    /// Why it was opened; may be empty.
    opened_reason: String,
    /// Milliseconds since 1970; `null` while it is open.
    closed_at_unix_ms: Option<u64>,
    /// Why it was closed; `null` while it is open.
    closed_reason: Option<String>,
    /// The caller's name for its bank; `null` where it does not see it.
    bank: Option<String>,
    /// Milliseconds since 1970: when its bank is deleted; `null` while it is open.
    bank_until_unix_ms: Option<u64>,
    /// Whether its bank is deleted.
    bank_deleted: bool,
    /// Items of its bank now, or when the bank was deleted; 0 where the caller does not see it.
    items: u64,
}

/// The types of incidents whose banks a member searches.
#[derive(Debug, Serialize, ToSchema)]
struct SubscriptionObject {
    /// The types, by name; none with `every_type`.
    types: Vec<String>,
    /// Whether every type is included, also types of the future.
    every_type: bool,
}

/// The types that the caller's member subscribes to from now on: `types`, or `every_type`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionAsked {
    /// At most 32 types of 1 to 64 of a-z 0-9 -; an empty list for none.
    #[serde(default, deserialize_with = "some_at_most::<_, _, 32>")]
    #[schema(max_items = 32)]
    types: Option<Vec<String>>,
    /// Whether every type is included, also types of the future.
    #[serde(default)]
    every_type: bool,
}

/// A member's subscription after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscribedObject {
    /// The types that it subscribes to.
    subscribed: SubscriptionObject,
    /// Open incidents whose banks the member searches because of the subscription.
    open_incidents: u32,
    /// The change.
    sequence: u64,
}

/// The end of an incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClosingAsked {
    /// Why, at most 512 bytes.
    #[serde(default)]
    reason: String,
    /// Days for which its bank is kept for the after-action report, at most 365; 0 deletes it within seconds,
    /// 30 where it is not given.
    #[schema(maximum = 365)]
    keep_days: Option<u16>,
}

/// An incident that was closed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClosedIncidentObject {
    /// Its number.
    incident: u64,
    /// Days for which its bank is kept.
    keep_days: u16,
    /// The change.
    sequence: u64,
}

impl IncidentAsked {
    /// Converts the request to the words of the incident and the name of its bank, if one is given.
    ///
    /// # Errors
    ///
    /// [`Problem`] that names the field with a wrong value.
    pub(crate) fn read(&self) -> Result<(IncidentWords, Option<BankName>), Problem> {
        let words = IncidentWords {
            of: IncidentType::new(&self.of).map_err(|why| Problem::field("type", why))?,
            title: text("title", &self.title)?,
            reason: text("reason", &self.reason)?,
        };
        Ok((words, self.bank.as_ref().map(|name| value("bank", name)).transpose()?))
    }
}

impl SubscriptionAsked {
    /// Converts the request to the types of incidents.
    ///
    /// # Errors
    ///
    /// [`Problem`] that names the field with a wrong value.
    pub(crate) fn read(&self) -> Result<IncidentTypes, Problem> {
        match (&self.types, self.every_type) {
            (None, true) => Ok(IncidentTypes::Every),
            (Some(types), false) => IncidentTypes::only(types).map_err(|why| Problem::field("types", why)),
            (None, false) => Err(Problem::field("types", "is required without every_type; [] for none")),
            (Some(_), true) => {
                Err(Problem::field("types", "is given together with every_type; send only one of the two"))
            }
        }
    }
}

impl From<&IncidentTypes> for SubscriptionObject {
    fn from(types: &IncidentTypes) -> Self {
        match types {
            IncidentTypes::Every => Self { types: Vec::new(), every_type: true },
            IncidentTypes::Only(types) => {
                Self { types: types.iter().map(ToString::to_string).collect(), every_type: false }
            }
        }
    }
}

impl From<&IncidentListing> for IncidentObject {
    fn from(incident: &IncidentListing) -> Self {
        let IncidentListing { number, of, title, opened_at, opened_reason, closed, bank, items } = incident;
        let closed = closed.as_ref();
        Self {
            incident: *number,
            of: of.to_string(),
            title: title.clone(),
            opened_at_unix_ms: opened_at.0,
            opened_reason: opened_reason.clone(),
            closed_at_unix_ms: closed.map(|closed| closed.at.0),
            closed_reason: closed.map(|closed| closed.reason.clone()),
            bank: bank.as_ref().map(ToString::to_string),
            bank_until_unix_ms: closed.map(|closed| closed.bank_until.0),
            bank_deleted: closed.is_some_and(|closed| closed.is_bank_deleted),
            items: *items,
        }
    }
}

/// Opens an incident with a bank of its own
///
/// The bank requires no confirmations, and every member that subscribes to the type searches it at once.
#[utoipa::path(
    post, path = "/incidents", tag = "cases", params(Once), request_body = IncidentAsked,
    responses((status = 201, description = "The incident is open", body = OpenedIncidentObject))
)]
pub(crate) async fn open_incident(call: Call, sent: Sent<IncidentAsked>) -> Result<Response, Problem> {
    let (words, bank) = sent.asked.read()?;
    let opened = call.caller.incidents().open(words, bank.as_ref(), call.key(), call.deadline()).await?;
    call.wrote(opened.sequence);
    let answer = OpenedIncidentObject {
        incident: opened.value.number,
        bank: opened.value.bank.to_string(),
        members: opened.value.members,
        sequence: opened.sequence.0,
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Lists incidents, and the subscription of the caller's member
#[utoipa::path(
    get, path = "/incidents", tag = "cases", params(IncidentOptions),
    responses((status = 200, description = "A page of incidents", body = IncidentPage))
)]
pub(crate) async fn list_incidents(call: Call<IncidentOptions>) -> Result<Json<IncidentPage>, Problem> {
    let page = page(call.options.after.as_deref(), call.options.limit)?;
    let ((incidents, next), types) = call.caller.incidents().list(page, call.deadline()).await?;
    Ok(Json(IncidentPage {
        incidents: incidents.iter().map(Into::into).collect(),
        subscribed: (&types).into(),
        next_after: next_after(&next)?,
    }))
}

/// Closes an incident
///
/// Its bank is no longer searched, and is deleted after some days.
#[utoipa::path(
    post, path = "/incidents/{number}/close", tag = "cases",
    params(("number" = u64, Path, description = "Its number"), Once), request_body = ClosingAsked,
    responses((status = 200, description = "The incident is closed", body = ClosedIncidentObject))
)]
pub(crate) async fn close_incident(
    call: Call,
    In(of): In<String>,
    sent: Sent<ClosingAsked>,
) -> Result<Json<ClosedIncidentObject>, Problem> {
    let (number, reason) = (number(&of)?, text("reason", &sent.asked.reason)?);
    let days_max = IncidentWords::KEEP_DAYS_MAX;
    let keep_days = sent.asked.keep_days;
    if keep_days.is_some_and(|days| days > days_max) {
        return Err(Problem::field("keep_days", format!("must be at most {days_max}")));
    }
    let incidents = call.caller.incidents();
    let closed = incidents.close(number, reason, keep_days, call.key(), call.deadline()).await?;
    call.wrote(closed.sequence);
    Ok(Json(ClosedIncidentObject {
        incident: number,
        keep_days: keep_days.unwrap_or(IncidentWords::KEEP_DAYS_DEFAULT),
        sequence: closed.sequence.0,
    }))
}

/// Sets the types of incidents whose banks the caller's member searches
///
/// They replace the former types. The banks of open incidents are searched at once.
#[utoipa::path(
    put, path = "/incident-subscription", tag = "cases", params(Once), request_body = SubscriptionAsked,
    responses((status = 200, description = "The subscription is set", body = SubscribedObject))
)]
pub(crate) async fn subscribe(
    call: Call,
    sent: Sent<SubscriptionAsked>,
) -> Result<Json<SubscribedObject>, Problem> {
    let types = sent.asked.read()?;
    let subscribed = (&types).into();
    let set = call.caller.incidents().subscribe(types, call.key(), call.deadline()).await?;
    call.wrote(set.sequence);
    Ok(Json(SubscribedObject { subscribed, open_incidents: set.value, sequence: set.sequence.0 }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_subscription_names_its_types_or_every_one() {
        let read = |value: Value| serde_json::from_value::<SubscriptionAsked>(value).unwrap().read();
        assert_eq!(read(json!({ "every_type": true })).unwrap(), IncidentTypes::Every);
        let two = read(json!({ "types": ["b", "a"] })).unwrap();
        let shown = serde_json::to_value(SubscriptionObject::from(&two)).unwrap();
        assert_eq!(shown, json!({ "types": ["a", "b"], "every_type": false }));
        assert_eq!(read(json!({ "types": [] })).unwrap(), IncidentTypes::Only(Vec::new()));
        // A request without a body leaves the subscription unchanged.
        for wrong in [json!({}), json!({ "types": ["A"] }), json!({ "types": [], "every_type": true })] {
            assert_eq!(read(wrong).unwrap_err().field.as_deref(), Some("types"));
        }
    }

    #[test]
    fn the_field_of_a_wrong_incident_is_named() {
        for (asked, field) in [
            (json!({ "type": "A b" }), "type"),
            (json!({ "type": "a", "title": "x".repeat(129) }), "title"),
            (json!({ "type": "a", "reason": "x\ny" }), "reason"),
            (json!({ "type": "a", "bank": "a b" }), "bank"),
        ] {
            let asked: IncidentAsked = serde_json::from_value(asked).unwrap();
            assert_eq!(asked.read().unwrap_err().field.as_deref(), Some(field));
        }
    }
}
