//! `/v1/decisions`: records of decisions about matched content, their basis, and their outcomes.
//!
//! Hashes to compare with a record are sent in a body, because URLs may be logged on the way.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vigie_clients::Code;
use vigie_consortium::cases::{
    Action, Basis, Complaint, DecisionListing, DecisionOutcome, MediaKind, QueryDigest, RecordedDecision,
    RecordedMatch, Review,
};
use vigie_hashes::hex;
use vigie_model::{Decided, UnixMillis};

use crate::problem::Problem;
use crate::v1::cases::read::{decision_id, next_after, page, refused, word};
use crate::v1::faults::at_most;
use crate::v1::items::facts::FactsObject;
use crate::v1::matching::DecisionObject;
use crate::v1::request::{Call, In, Once, Sent};
use crate::v1::values::{HashObject, at, given, hashes};

/// The options of a list of decisions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionOptions {
    /// The position after which the page begins: the `next_after` of the page before.
    after: Option<String>,
    /// Decisions of the page, 1 to 100; 100 where it is not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// Only decisions taken at this time or later, in milliseconds since 1970.
    from_unix_ms: Option<u64>,
    /// Only decisions taken before this time, in milliseconds since 1970.
    #[param(minimum = 1)]
    before_unix_ms: Option<u64>,
}

/// A page of decisions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionPage {
    /// Ordered by the time at which they were taken. A page may be empty although more follow.
    decisions: Vec<RecordObject>,
    /// The `after` of the next page; `null` on the last page.
    next_after: Option<String>,
}

/// The record of a decision, without the content and without its hashes.
#[derive(Debug, Serialize, ToSchema)]
struct RecordObject {
    /// The id of the decision, 32 hexadecimal digits.
    decision_id: String,
    /// Milliseconds since 1970.
    decided_at_unix_ms: u64,
    /// The kind of the query: `image`, `hashes` or `undecoded`.
    kind: String,
    /// Where the content appeared, as the caller said; may be empty.
    surface: String,
    /// The matches in banks that keep records, the nearest first; at most 16.
    matches: Vec<RecordedMatchObject>,
    /// Further matches in such banks.
    matches_omitted: u32,
    /// Matches that count, in all banks.
    counting: u32,
    /// Whether a person looked at the whole content; `null` where that is not known.
    person_looked: Option<bool>,
    /// The outcome that the member has set; `null` where it has set none.
    outcome: Option<DecisionOutcomeObject>,
    /// Milliseconds since 1970: when the last part of the record is deleted.
    kept_until_unix_ms: u64,
    /// The decision of the member's policy; `null` where it had none.
    decision: Option<DecisionObject>,
}

/// A match as it was when the decision was taken.
#[derive(Debug, Serialize, ToSchema)]
struct RecordedMatchObject {
    /// The item; `null` where the caller's member may not see it.
    item_id: Option<u64>,
    /// The caller's name for its bank; `null` where it does not see it.
    bank: Option<String>,
    /// Its bank's id.
    bank_id: u32,
    /// The type of the hash that matched.
    hash_type: String,
    /// Differing bits, or for vectors millionths of the metric.
    distance: u32,
    /// The orientation of the content when it matched, such as `original` or `rotate-90`.
    variant: String,
    /// Whether the match counts for the decision: the policy's bank rules and allow-lists do not exclude it.
    counts: bool,
    /// The members' opinions on the item at that time, and other facts; `null` where there were none, or the
    /// caller's member may not see the item.
    facts: Option<FactsObject>,
}

/// The outcome of a decision.
#[derive(Debug, Serialize, ToSchema)]
struct DecisionOutcomeObject {
    /// The action that the member took on the content; `null` for none.
    action: Option<&'static str>,
    /// Whether a person looked at the whole content before that; `null` where that is not known.
    person_looked: Option<bool>,
    /// The result of a later review: `confirmed` or `overturned`; `null` for none.
    review: Option<&'static str>,
    /// The user's complaint: `received`, `rejected` or `upheld`; `null` for none.
    complaint: Option<&'static str>,
    /// The basis on which the content was found: `own`, `trusted-flagger`, `notice`, `order` or
    /// `article-9-order`; `null` where that is not known.
    basis: Option<&'static str>,
    /// The kind of the content; `null` for that of the query.
    media: Option<&'static str>,
    /// Milliseconds since 1970: since when the member has hosted the content; `null` where that is not known.
    hosted_since_unix_ms: Option<u64>,
    /// Milliseconds since 1970: when the member acted; `null` where it did not.
    acted_at_unix_ms: Option<u64>,
    /// Milliseconds since 1970: when the member set the outcome.
    set_at_unix_ms: u64,
}

/// A decision, and the rule by which it was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainedObject {
    /// The record.
    #[serde(flatten)]
    record: RecordObject,
    /// The condition of the rule that decided, in the version of that time: an expression, or of a score rule
    /// a sentence; `null` where no rule decided.
    rule_condition: Option<String>,
}

/// Hashes of a content.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompareAsked {
    /// 1 to 16 hashes of one content, such as `/v1/hash` answers.
    #[serde(deserialize_with = "at_most::<_, _, 16>")]
    #[schema(min_items = 1, max_items = 16)]
    hashes: Vec<HashObject>,
}

/// Whether a decision was about a content.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Compared {
    /// The id of the decision.
    decision_id: String,
    /// Whether the query of the decision had one of the hashes. At most 16 hashes of a query are recorded.
    same_query: bool,
}

/// The whole outcome of a decision: a field that is not given is unset. `action` is required, so that a
/// request without a body does not unset everything.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OutcomeAsked {
    /// The action that the member took on the content: `removed`, `disabled`, `demoted`, `age-restricted`,
    /// `interaction-restricted`, `labelled` or `other`; `null` for none.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    action: Option<String>,
    /// Whether a person looked at the whole content before that.
    person_looked: Option<bool>,
    /// The result of a later review: `confirmed` or `overturned`.
    review: Option<String>,
    /// The user's complaint: `received`, `rejected` or `upheld`.
    complaint: Option<String>,
    /// The basis on which the content was found: `own`, `trusted-flagger`, `notice`, `order` or
    /// `article-9-order`.
    basis: Option<String>,
    /// The kind of the content: `image`, `video`, `text`, `audio` or `other`; that of the query where it is
    /// not given.
    media: Option<String>,
    /// Milliseconds since 1970: since when the member has hosted the content, not in the future.
    hosted_since_unix_ms: Option<u64>,
    /// Milliseconds since 1970: when the member acted, not in the future. Where it is not given: when the
    /// decision was taken, if its verdict blocks, or else when the action was first named.
    acted_at_unix_ms: Option<u64>,
    /// The `set_at_unix_ms` of the outcome that is replaced; 0 if none was set. If the outcome was set at
    /// another time, nothing is changed and the answer is 409.
    expected_set_at_unix_ms: Option<u64>,
}

/// A decision with a new outcome.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutcomeSet {
    /// The id of the decision.
    decision_id: String,
    /// Items on which the outcome put a negative opinion of the member.
    opinions_put: u32,
    /// The change, or the newest change of the log if the write made none.
    sequence: u64,
}

impl OutcomeAsked {
    fn read(&self) -> Result<DecisionOutcome, Problem> {
        let action = |name: &String| word("action", name, Action::ALL, Action::name);
        let review = |name: &String| word("review", name, Review::ALL, Review::name);
        let complaint = |name: &String| word("complaint", name, Complaint::ALL, Complaint::name);
        let basis = |name: &String| word("basis", name, Basis::ALL, Basis::name);
        let media = |name: &String| word("media", name, MediaKind::ALL, MediaKind::name);
        Ok(DecisionOutcome {
            action: self.action.as_ref().map(action).transpose()?,
            person_looked: self.person_looked,
            review: self.review.as_ref().map(review).transpose()?,
            complaint: self.complaint.as_ref().map(complaint).transpose()?,
            basis: self.basis.as_ref().map(basis).transpose()?,
            media: self.media.as_ref().map(media).transpose()?,
            hosted_since: at("hosted_since_unix_ms", self.hosted_since_unix_ms)?,
            acted_at: at("acted_at_unix_ms", self.acted_at_unix_ms)?,
        })
    }
}

impl From<&RecordedMatch> for RecordedMatchObject {
    fn from(found: &RecordedMatch) -> Self {
        Self {
            item_id: found.item.map(|item| item.0),
            bank: found.bank_name.as_ref().map(ToString::to_string),
            bank_id: found.bank.0,
            hash_type: found.hash_type.to_string(),
            distance: found.distance.0,
            variant: found.variant.to_string(),
            counts: found.counts,
            facts: found.facts.as_deref().map(Into::into),
        }
    }
}

impl From<&(DecisionOutcome, UnixMillis)> for DecisionOutcomeObject {
    fn from((outcome, set_at): &(DecisionOutcome, UnixMillis)) -> Self {
        Self {
            action: outcome.action.map(Action::name),
            person_looked: outcome.person_looked,
            review: outcome.review.map(Review::name),
            complaint: outcome.complaint.map(Complaint::name),
            basis: outcome.basis.map(Basis::name),
            media: outcome.media.map(MediaKind::name),
            hosted_since_unix_ms: outcome.hosted_since.map(|since| since.0),
            acted_at_unix_ms: outcome.acted_at.map(|at| at.0),
            set_at_unix_ms: set_at.0,
        }
    }
}

impl From<&DecisionListing> for RecordObject {
    fn from(listing: &DecisionListing) -> Self {
        let DecisionListing { record, outcome, kept_until } = listing;
        let RecordedDecision { id, decided_at, decided, kind, surface, matches, matches_omitted, counting } =
            record;
        // A record stores its id only once, outside the decision.
        let decided = decided.clone().map(|decided| Decided { id: Some(*id), ..decided });
        Self {
            decision_id: hex::encode(id),
            decided_at_unix_ms: decided_at.0,
            kind: kind.to_string(),
            surface: surface.to_string(),
            matches: matches.iter().map(Into::into).collect(),
            matches_omitted: *matches_omitted,
            counting: *counting,
            person_looked: outcome.as_ref().and_then(|(outcome, _)| outcome.person_looked),
            outcome: outcome.as_ref().map(Into::into),
            kept_until_unix_ms: kept_until.0,
            decision: decided.as_ref().map(Into::into),
        }
    }
}

/// Lists the recorded decisions of the caller's member
#[utoipa::path(
    get, path = "/decisions", tag = "decisions", params(DecisionOptions),
    responses((status = 200, description = "A page of decisions", body = DecisionPage))
)]
pub(crate) async fn list_decisions(call: Call<DecisionOptions>) -> Result<Json<DecisionPage>, Problem> {
    let DecisionOptions { after, limit, from_unix_ms, before_unix_ms } = &call.options;
    let page = page(after.as_deref(), *limit)?;
    let (from, before) = (from_unix_ms.map(UnixMillis), at("before_unix_ms", *before_unix_ms)?);
    let (decisions, next) = call.caller.decisions().list(page, from, before, call.deadline()).await?;
    Ok(Json(DecisionPage {
        decisions: decisions.iter().map(Into::into).collect(),
        next_after: next_after(&next)?,
    }))
}

/// Shows the basis of a decision, and its outcome
#[utoipa::path(
    get, path = "/decisions/{decision_id}", tag = "decisions",
    params(("decision_id" = String, Path, description = "Its id, 32 hexadecimal digits")),
    responses((status = 200, description = "The record of the decision", body = ExplainedObject))
)]
pub(crate) async fn show_decision(call: Call, In(id): In<String>) -> Result<Json<ExplainedObject>, Problem> {
    let explained = call.caller.decisions().explain(decision_id(&id)?, &[], call.deadline()).await?;
    Ok(Json(ExplainedObject {
        record: (&explained.listing).into(),
        rule_condition: given(&explained.rule_condition),
    }))
}

/// Checks whether a decision was about a content
///
/// The hashes of the content are compared with digests of the hashes of the query, and are not recorded.
#[utoipa::path(
    post, path = "/decisions/{decision_id}/compare", tag = "decisions",
    params(("decision_id" = String, Path, description = "Its id, 32 hexadecimal digits")), request_body = CompareAsked,
    responses((status = 200, description = "Whether the query had one of the hashes", body = Compared))
)]
pub(crate) async fn compare_hashes(
    call: Call,
    In(id): In<String>,
    sent: Sent<CompareAsked>,
) -> Result<Json<Compared>, Problem> {
    let id = decision_id(&id)?;
    let hashes = hashes("hashes", &sent.asked.hashes)?;
    if hashes.is_empty() {
        return Err(Problem::field(
            "hashes",
            format!("is empty; it has 1 to {}", RecordedDecision::DIGESTS_MAX),
        ));
    }
    let digests: Vec<QueryDigest> = hashes.iter().map(QueryDigest::of).collect();
    let explained = call.caller.decisions().explain(id, &digests, call.deadline()).await?;
    let unanswered =
        || Problem::of_code(Code::FailedPrecondition, "the deployment's secret is another one since");
    let same_query = explained.same_query.ok_or_else(unanswered)?;
    Ok(Json(Compared { decision_id: hex::encode(&id), same_query }))
}

/// Sets the outcome of a decision
///
/// The new outcome replaces the former one. An upheld complaint puts a negative opinion of the member on the
/// items that counted. No later outcome takes the opinion back, because another complaint may rest on it.
#[utoipa::path(
    put, path = "/decisions/{decision_id}/outcome", tag = "decisions",
    params(("decision_id" = String, Path, description = "Its id, 32 hexadecimal digits"), Once),
    request_body = OutcomeAsked,
    responses((status = 200, description = "The outcome is set", body = OutcomeSet))
)]
pub(crate) async fn set_decision_outcome(
    call: Call,
    In(id): In<String>,
    sent: Sent<OutcomeAsked>,
) -> Result<Json<OutcomeSet>, Problem> {
    let (id, outcome) = (decision_id(&id)?, sent.asked.read()?);
    let expected = sent.asked.expected_set_at_unix_ms.map(UnixMillis);
    let set = call.caller.decisions().set_outcome(id, outcome, expected, call.key(), call.deadline()).await;
    let set = set.map_err(refused)?;
    call.wrote(set.sequence);
    let (opinions_put, sequence) = (set.value, set.sequence.0);
    Ok(Json(OutcomeSet { decision_id: hex::encode(&id), opinions_put, sequence }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: Value) -> Result<DecisionOutcome, Problem> {
        serde_json::from_value::<OutcomeAsked>(value).unwrap().read()
    }

    #[test]
    fn an_outcome_is_read_as_it_is_shown() {
        let asked = json!({
            "action": "age-restricted", "person_looked": true, "review": "confirmed", "complaint": "rejected",
            "basis": "article-9-order", "media": "video", "hosted_since_unix_ms": 7, "acted_at_unix_ms": 8
        });
        let outcome = read(asked.clone()).unwrap();
        let shown = serde_json::to_value(DecisionOutcomeObject::from(&(outcome, UnixMillis(9)))).unwrap();
        for (field, value) in asked.as_object().unwrap() {
            assert_eq!(&shown[field], value, "{field}");
        }
        assert_eq!(shown["set_at_unix_ms"], 9);
        assert_eq!(read(json!({ "action": null })).unwrap(), DecisionOutcome::default());
        let empty = serde_json::from_value::<OutcomeAsked>(json!({})).unwrap_err();
        assert!(empty.to_string().contains("action"), "{empty}");
    }

    #[test]
    fn the_field_of_a_wrong_outcome_is_named() {
        for field in ["action", "review", "complaint", "basis", "media"] {
            let mut asked = json!({ "action": null });
            asked[field] = json!("perhaps");
            assert_eq!(read(asked).unwrap_err().field.as_deref(), Some(field));
        }
        let at = read(json!({ "action": null, "hosted_since_unix_ms": 0 })).unwrap_err();
        assert_eq!(at.field.as_deref(), Some("hosted_since_unix_ms"));
    }
}
