//! Matches as they are shown: as HMA does, and with more where a request asks for it.

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
/// The change up to which the answer holds all.
const SEQUENCE: HeaderName = HeaderName::from_static("x-vigie-sequence");

/// A match.
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
    // An item without an id is of a bank whose details the caller may not read.
    if shown.metadata && found.item.0 > 0 {
        match caller.banks().describe_item(found.item, caller.deadline()).await {
            Ok(item) => {
                object["metadata"] = metadata::shown(&item.value).unwrap_or(Value::Null);
                object["note"] = json!(item.value.details.note.as_str());
            }
            // It was removed since, or may not be read.
            Err(error) if matches!(error.code(), Code::NotFound | Code::PermissionDenied) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(object)
}

/// What members say of an item; `null` where they say nothing, or the caller may not know.
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

/// The matches of the banks that take part, by bank.
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

/// The answer, with headers of what was searched where they are asked for.
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
