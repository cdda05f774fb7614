//! Matches in HMA's form, with extensions if a request asks for them.

use std::collections::BTreeMap;

use axum::response::Response;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use vigie_clients::Code;
use vigie_model::{BankRef, Facts, Match, OpinionKind};

use crate::hma::content::metadata;
use crate::hma::matching::asked::Shown;
use crate::hma::matching::find::Found;
use crate::hma::matching::ratio::Draw;
use crate::hma::refusal::Refusal;
use crate::hma::signals::distance;
use crate::upstream::Caller;

/// The share of shards that answered, 0 to 1.
const COVERAGE: HeaderName = HeaderName::from_static("x-vigie-coverage");
/// The last change that the answer includes.
const SEQUENCE: HeaderName = HeaderName::from_static("x-vigie-sequence");

/// Returns a match as a JSON object.
pub(super) async fn object(shown: Shown, caller: &Caller, found: &Match) -> Result<Value, Refusal> {
    let far = match shown.numbers {
        true => json!(found.distance.0),
        false => json!(distance(found)),
    };
    let mut object = json!({ "bank_content_id": found.item.0, "distance": far });
    if shown.labels {
        object["labels"] = json!(found.labels);
        object["external_reference"] = json!(found.external_reference);
        object["signal_type"] = json!(crate::hma::signals::name_of(found.hash_type));
        object["exact"] = json!(found.exact);
    }
    if shown.opinions {
        object["opinions"] = opinions(found.facts.as_deref());
    }
    // An item without an id belongs to a bank whose details the caller may not read.
    if shown.metadata && found.item.0 > 0 {
        match caller.banks().describe_item(found.item, caller.deadline()).await {
            Ok(item) => {
                object["metadata"] = metadata::shown(&item.value).unwrap_or(Value::Null);
                object["note"] = json!(item.value.details.note.as_str());
            }
            // The item was removed since, or may not be read.
            Err(error) if matches!(error.code(), Code::NotFound | Code::PermissionDenied) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(object)
}

/// Returns the members' opinions on an item; null if there are none or the caller may not see them.
fn opinions(facts: Option<&Facts>) -> Value {
    let Some(facts) = facts else { return Value::Null };
    json!({
        "positives": facts.positives,
        "negatives": facts.negatives,
        "seen": facts.seen,
        "mine": facts.mine.map(OpinionKind::name),
        "dispute_open": facts.dispute_open,
    })
}

/// Returns the matches of the banks that take part, by bank.
pub(super) async fn by_bank(
    caller: &Caller,
    found: &Found,
    draw: &Draw,
    shown: Shown,
) -> Result<Map<String, Value>, Refusal> {
    let mut by_bank: BTreeMap<&BankRef, Vec<&Match>> = BTreeMap::new();
    for one in &found.matches {
        by_bank.entry(&one.bank_name).or_default().push(one);
    }
    let mut taking_part = Map::new();
    for (bank, matches) in by_bank {
        if !draw.takes_part(caller, bank).await? {
            continue;
        }
        let mut objects = Vec::with_capacity(matches.len());
        for one in matches {
            objects.push(object(shown, caller, one).await?);
        }
        taking_part.insert(bank.to_string(), Value::Array(objects));
    }
    Ok(taking_part)
}

/// Adds headers with the coverage to the answer, if they were requested.
pub(super) fn with_coverage(mut answer: Response, found: &Found, shown: Shown) -> Response {
    if shown.coverage {
        if let Some(coverage) = &found.coverage {
            let text = coverage.fraction().to_string();
            if let Ok(value) = HeaderValue::from_str(&text) {
                answer.headers_mut().insert(COVERAGE, value);
            }
        }
        answer.headers_mut().insert(SEQUENCE, found.sequence.0.into());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opinions_are_shown_as_counts_and_the_own_word() {
        assert_eq!(opinions(None), Value::Null);
        let facts =
            Facts { positives: 2, negatives: 1, mine: Some(OpinionKind::Negative), ..Facts::default() };
        let expected =
            json!({ "positives": 2, "negatives": 1, "seen": 0, "mine": "negative", "dispute_open": false });
        assert_eq!(opinions(Some(&facts)), expected);
        assert_eq!(opinions(Some(&Facts::default()))["mine"], Value::Null);
    }
}
