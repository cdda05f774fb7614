//! `/v1/reports`: reports of suspected material to the reviewers of the host, and their decisions.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vigie_clients::ReportListing;
use vigie_consortium::cases::{ReportContents, ReportOutcome, ReportReview};
use vigie_consortium::{Classification, OpinionReason};
use vigie_hashes::hex;
use vigie_model::{Distance, ItemId, UnixMillis};

use crate::problem::Problem;
use crate::v1::cases::read::{decision_id, next_after, page, refused, some_id, word};
use crate::v1::faults::at_most;
use crate::v1::items::objects::class_of_text;
use crate::v1::request::{Call, In, Once, Sent};
use crate::v1::values::{at, bank_of, number, text, value};

/// The options of a list of reports.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportOptions {
    /// The position after which the page begins: the `next_after` of the page before.
    after: Option<String>,
    /// Reports of the page, 1 to 100; 100 where it is not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// Only reports that wait for a review.
    waiting: Option<bool>,
}

/// A report that is sent. It has no content and no personal data.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportAsked {
    /// The bank that matched.
    pub(crate) bank: String,
    /// The item that matched.
    #[schema(minimum = 1)]
    item_id: Option<u64>,
    /// The id of the decision, 32 hexadecimal digits.
    decision_id: Option<String>,
    /// Milliseconds since 1970: when the decision was taken.
    decided_at_unix_ms: Option<u64>,
    /// The classes of the material, each `taxonomy/dimension=value`, at most 32.
    #[serde(default, deserialize_with = "at_most::<_, _, 32>")]
    #[schema(max_items = 32)]
    classification: Vec<String>,
    /// The type of the hash that matched.
    hash_type: Option<String>,
    /// Its distance, for vectors in millionths of the metric; only with `hash_type`.
    distance: Option<u32>,
    /// The verdict: `allow`, `log`, `review`, `block` or `escalate`.
    verdict: Option<String>,
    /// Whether a person looked at the whole content; a match alone does not count as such.
    person_looked: Option<bool>,
    /// Whether there is an imminent threat to life or safety.
    #[serde(default)]
    urgent: bool,
    /// The legal basis, at most 64 bytes.
    #[serde(default)]
    legal_basis: String,
    /// The number of a report about the same in a third country, such as a CyberTipline id; at most 64 bytes.
    #[serde(default)]
    third_country_reference: String,
    /// A note for the reviewers, at most 512 bytes.
    #[serde(default)]
    note: String,
    /// An earlier report of the caller's member that this one adds to.
    #[schema(minimum = 1)]
    adds_to: Option<u64>,
}

/// A report that was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SentReport {
    /// Its number.
    report: u64,
    /// The bank that matched.
    bank: String,
    /// The change.
    sequence: u64,
}

/// A page of reports.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportPage {
    /// Reports that wait come first, urgent ones before others. A page may be empty although more follow.
    reports: Vec<ReportObject>,
    /// The `after` of the next page; `null` on the last page.
    next_after: Option<String>,
}

/// A report.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportObject {
    /// Its number.
    report: u64,
    /// The name of the member that sent it.
    member: String,
    /// The caller's name for the bank that matched; `null` where it does not see it.
    bank: Option<String>,
    /// The id of that bank.
    bank_id: u32,
    /// Milliseconds since 1970.
    submitted_at_unix_ms: u64,
    /// The item that matched; `null` where it is not known.
    item_id: Option<u64>,
    /// The id of the decision, 32 hexadecimal digits; `null` where it is not known.
    decision_id: Option<String>,
    /// Milliseconds since 1970: when the decision was taken; `null` where it is not known.
    decided_at_unix_ms: Option<u64>,
    /// The classes of the material, each `taxonomy/dimension=value`.
    classification: Vec<String>,
    /// The type of the hash that matched; `null` where it is not known.
    hash_type: Option<String>,
    /// Its distance, for vectors in millionths of the metric; `null` where it is not known.
    distance: Option<u32>,
    /// The verdict: `allow`, `log`, `review`, `block` or `escalate`; `null` where there was none.
    verdict: Option<String>,
    /// Whether a person looked at the whole content; `null` where that is not known.
    person_looked: Option<bool>,
    /// Whether there is an imminent threat to life or safety.
    urgent: bool,
    /// The legal basis; may be empty.
    legal_basis: String,
    /// The number of a report about the same in a third country; may be empty.
    third_country_reference: String,
    /// A note for the reviewers; may be empty.
    note: String,
    /// The report that this one adds to; `null` for none.
    adds_to: Option<u64>,
    /// The reviewers' decision; `null` until they decide.
    review: Option<ReviewObject>,
}

/// The reviewers' decision on a report.
#[derive(Debug, Serialize, ToSchema)]
struct ReviewObject {
    /// `founded`, `unfounded`, `forwarded`, `duplicate` or `more-information`; after `more-information` the
    /// report still waits.
    outcome: &'static str,
    /// The reason, for the member; may be empty.
    reason: String,
    /// Why the item is wrong, for unfounded reports; `null` where no reason was given.
    opinion_reason: Option<&'static str>,
    /// Milliseconds since 1970: the member does not inform the user before then; `null` where the reviewers
    /// do not ask for it.
    do_not_tell_until_unix_ms: Option<u64>,
    /// Milliseconds since 1970: the member does not remove the content before then; `null` where the
    /// reviewers do not ask for it.
    do_not_remove_until_unix_ms: Option<u64>,
    /// Milliseconds since 1970.
    reviewed_at_unix_ms: u64,
}

/// A decision on a report.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewAsked {
    /// `founded`, `unfounded`, `forwarded`, `duplicate` or `more-information`.
    outcome: String,
    /// The reason, for the member, at most 512 bytes; required for `unfounded` and `more-information`.
    #[serde(default)]
    reason: String,
    /// Why the item is wrong, for the host's opinion on it, only with `unfounded`: `different-content`,
    /// `poor-hash`, `out-of-scope`, `wrong-classification`, `duplicate`, `appeal-upheld` or `other`; `other`
    /// where it is not given.
    opinion_reason: Option<String>,
    /// Milliseconds since 1970: the member does not inform the user before then, at most 550 days from now.
    do_not_tell_until_unix_ms: Option<u64>,
    /// Milliseconds since 1970: the member does not remove the content before then, at most 550 days from
    /// now.
    do_not_remove_until_unix_ms: Option<u64>,
}

/// A report that was decided on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReviewedReport {
    /// Its number.
    report: u64,
    /// The outcome.
    outcome: &'static str,
    /// Whether the decision put a negative opinion of the host on the item.
    opinion_put: bool,
    /// The change.
    sequence: u64,
}

impl ReportAsked {
    /// Converts the request to the contents of a report.
    ///
    /// # Errors
    ///
    /// [`Problem`] that names the field with a wrong value.
    pub(crate) fn read(self) -> Result<ReportContents, Problem> {
        let class =
            |(index, class): (usize, &String)| class_of_text(&format!("classification[{index}]"), class);
        let classes = self.classification.iter().enumerate().map(class).collect::<Result<Vec<_>, _>>()?;
        let hash_type = self.hash_type.map(|name| value("hash_type", &name)).transpose()?;
        if hash_type.is_none() && self.distance.is_some() {
            return Err(Problem::field("distance", "goes with hash_type"));
        }
        let distance = Distance(self.distance.unwrap_or(0));
        Ok(ReportContents {
            item: some_id("item_id", self.item_id)?.map(ItemId),
            decision: self.decision_id.map(|id| decision_id(&id)).transpose()?,
            decided_at: at("decided_at_unix_ms", self.decided_at_unix_ms)?,
            classification: Classification::new(classes)
                .map_err(|why| Problem::field("classification", why))?,
            matched: hash_type.map(|hash_type| (hash_type, distance)),
            verdict: self.verdict.map(|name| value("verdict", &name)).transpose()?,
            person_looked: self.person_looked,
            urgent: self.urgent,
            legal_basis: text("legal_basis", &self.legal_basis)?,
            third_country_reference: text("third_country_reference", &self.third_country_reference)?,
            note: text("note", &self.note)?,
            adds_to: some_id("adds_to", self.adds_to)?,
        })
    }
}

impl ReviewAsked {
    /// Converts the request to a review.
    ///
    /// # Errors
    ///
    /// [`Problem`] that names the field with a wrong value.
    pub(crate) fn read(&self) -> Result<ReportReview, Problem> {
        let reason = |name: &String| word("opinion_reason", name, &OpinionReason::ALL, OpinionReason::name);
        let review = ReportReview {
            outcome: word("outcome", &self.outcome, ReportOutcome::ALL, ReportOutcome::name)?,
            reason: text("reason", &self.reason)?,
            opinion_reason: self.opinion_reason.as_ref().map(reason).transpose()?,
            do_not_tell_until: at("do_not_tell_until_unix_ms", self.do_not_tell_until_unix_ms)?,
            do_not_remove_until: at("do_not_remove_until_unix_ms", self.do_not_remove_until_unix_ms)?,
        };
        review.check().map_err(|why| Problem::field(why.field(), why))?;
        Ok(review)
    }
}

impl From<&(ReportReview, UnixMillis)> for ReviewObject {
    fn from((review, reviewed_at): &(ReportReview, UnixMillis)) -> Self {
        Self {
            outcome: review.outcome.name(),
            reason: review.reason.to_string(),
            opinion_reason: review.opinion_reason.map(OpinionReason::name),
            do_not_tell_until_unix_ms: review.do_not_tell_until.map(|at| at.0),
            do_not_remove_until_unix_ms: review.do_not_remove_until.map(|at| at.0),
            reviewed_at_unix_ms: reviewed_at.0,
        }
    }
}

impl From<&ReportListing> for ReportObject {
    fn from(report: &ReportListing) -> Self {
        let ReportListing { number, member, bank, bank_id, contents, submitted_at, review } = report;
        Self {
            report: *number,
            member: member.clone(),
            bank: bank.as_ref().map(ToString::to_string),
            bank_id: bank_id.0,
            submitted_at_unix_ms: submitted_at.0,
            item_id: contents.item.map(|item| item.0),
            decision_id: contents.decision.map(|id| hex::encode(&id)),
            decided_at_unix_ms: contents.decided_at.map(|at| at.0),
            classification: contents.classification.iter().map(ToString::to_string).collect(),
            hash_type: contents.matched.map(|(of, _)| of.to_string()),
            distance: contents.matched.map(|(_, distance)| distance.0),
            verdict: contents.verdict.map(|verdict| verdict.name().to_ascii_lowercase()),
            person_looked: contents.person_looked,
            urgent: contents.urgent,
            legal_basis: contents.legal_basis.to_string(),
            third_country_reference: contents.third_country_reference.to_string(),
            note: contents.note.to_string(),
            adds_to: contents.adds_to,
            review: review.as_ref().map(Into::into),
        }
    }
}

/// Sends a report of suspected material to the reviewers of the host
#[utoipa::path(
    post, path = "/reports", tag = "cases", params(Once), request_body = ReportAsked,
    responses((status = 201, description = "The report is with the reviewers", body = SentReport))
)]
pub(crate) async fn submit_report(call: Call, sent: Sent<ReportAsked>) -> Result<Response, Problem> {
    let bank = bank_of(&sent.asked.bank)?;
    let contents = sent.asked.read()?;
    let sent = call.caller.reports().submit(&bank, contents, call.key(), call.deadline()).await;
    let sent = sent.map_err(refused)?;
    let location = [(header::LOCATION, format!("/v1/reports/{}", sent.value))];
    let answer = SentReport { report: sent.value, bank: bank.to_string(), sequence: sent.sequence.0 };
    Ok((StatusCode::CREATED, location, Json(answer)).into_response())
}

/// Lists reports
///
/// Returns the reports of the caller's member; the host gets all.
#[utoipa::path(
    get, path = "/reports", tag = "cases", params(ReportOptions),
    responses((status = 200, description = "A page of reports", body = ReportPage))
)]
pub(crate) async fn list_reports(call: Call<ReportOptions>) -> Result<Json<ReportPage>, Problem> {
    let ReportOptions { after, limit, waiting } = &call.options;
    let (page, waiting) = (page(after.as_deref(), *limit)?, waiting.unwrap_or(false));
    let (reports, next) = call.caller.reports().list(page, waiting, call.deadline()).await?;
    Ok(Json(ReportPage { reports: reports.iter().map(Into::into).collect(), next_after: next_after(&next)? }))
}

/// Shows a report
#[utoipa::path(
    get, path = "/reports/{number}", tag = "cases", params(("number" = u64, Path, description = "Its number")),
    responses((status = 200, description = "The report", body = ReportObject))
)]
pub(crate) async fn show_report(call: Call, In(text): In<String>) -> Result<Json<ReportObject>, Problem> {
    let number = number(&text)?;
    let found = call.caller.reports().get(number, call.deadline()).await?;
    let found = found.ok_or_else(|| Problem::not_found(format!("there is no report {number}")))?;
    Ok(Json((&found).into()))
}

/// Decides on a report
///
/// The member can read the outcome and the reason. An unfounded report puts a negative opinion of the host on
/// the item, if the host may put opinions on it; a later decision takes the opinion back.
#[utoipa::path(
    post, path = "/reports/{number}/review", tag = "cases",
    params(("number" = u64, Path, description = "Its number"), Once), request_body = ReviewAsked,
    responses((status = 200, description = "The decision is made", body = ReviewedReport))
)]
pub(crate) async fn review_report(
    call: Call,
    In(text): In<String>,
    sent: Sent<ReviewAsked>,
) -> Result<Json<ReviewedReport>, Problem> {
    let (number, review) = (number(&text)?, sent.asked.read()?);
    let outcome = review.outcome.name();
    let done = call.caller.reports().review(number, review, call.key(), call.deadline()).await;
    let done = done.map_err(refused)?;
    call.wrote(done.sequence);
    Ok(Json(ReviewedReport { report: number, outcome, opinion_put: done.value, sequence: done.sequence.0 }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vigie_model::HashType;

    use super::*;

    fn read(value: Value) -> Result<ReportContents, Problem> {
        serde_json::from_value::<ReportAsked>(value).unwrap().read()
    }

    #[test]
    fn a_report_is_read_as_it_is_shown() {
        let asked = json!({
            "item_id": 7, "decision_id": "0f".repeat(16), "decided_at_unix_ms": 9, "classification": ["iwf/category=A"],
            "hash_type": "pdq", "distance": 4, "verdict": "block", "person_looked": false, "urgent": true,
            "legal_basis": "own initiative", "third_country_reference": "123", "note": "n", "adds_to": 3
        });
        let mut whole = asked.clone();
        whole["bank"] = json!("known");
        let contents = read(whole).unwrap();
        assert_eq!(contents.matched, Some((HashType::PDQ, Distance(4))));
        let shown = serde_json::to_value(ReportObject::from(&ReportListing {
            number: 5,
            member: "acme".to_owned(),
            bank: None,
            bank_id: vigie_model::BankId(2),
            contents,
            submitted_at: UnixMillis(1),
            review: None,
        }))
        .unwrap();
        for (field, value) in asked.as_object().unwrap() {
            assert_eq!(&shown[field], value, "{field}");
        }
        assert_eq!(read(json!({ "bank": "known" })).unwrap(), ReportContents::default());
    }

    #[test]
    fn the_field_of_a_wrong_report_or_review_is_named() {
        for (field, value, at) in [
            ("item_id", json!(0), "item_id"),
            ("decision_id", json!("0f"), "decision_id"),
            ("decided_at_unix_ms", json!(0), "decided_at_unix_ms"),
            ("classification", json!(["iwf/category=A", "iwf"]), "classification[1]"),
            ("classification", json!(["iwf/category=Z"]), "classification[0]"),
            ("hash_type", json!("x"), "hash_type"),
            ("distance", json!(3), "distance"),
            ("verdict", json!("perhaps"), "verdict"),
            ("legal_basis", json!("x".repeat(65)), "legal_basis"),
            ("note", json!("a\nb"), "note"),
            ("adds_to", json!(0), "adds_to"),
        ] {
            let problem = read(json!({ "bank": "known", field: value })).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(at));
        }
        for (review, at) in [
            (json!({ "outcome": "perhaps" }), "outcome"),
            (json!({ "outcome": "unfounded" }), "reason"),
            (json!({ "outcome": "founded", "opinion_reason": "other" }), "opinion_reason"),
            (json!({ "outcome": "unfounded", "reason": "r", "opinion_reason": "ugly" }), "opinion_reason"),
            (json!({ "outcome": "founded", "do_not_tell_until_unix_ms": 0 }), "do_not_tell_until_unix_ms"),
        ] {
            let asked: ReviewAsked = serde_json::from_value(review).unwrap();
            assert_eq!(asked.read().unwrap_err().field.as_deref(), Some(at));
        }
    }
}
