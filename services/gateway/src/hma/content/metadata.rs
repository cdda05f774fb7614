//! HMA's metadata of content: three keys that callers may set, and one that exchanges set.
//!
//! The caller's keys are stored in the item's metadata under [`KEPT_UNDER`], so that other systems' data
//! there is kept.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use vigie_clients::DescribedItem;
use vigie_consortium::Metadata;

use crate::hma::refusal::Refusal;
use crate::hma::signals::{name_of, text_of};

/// The key in the item's metadata.
const KEPT_UNDER: &str = "hma";
/// The keys that a caller may set.
const OF_USER: [&str; 3] = ["content_id", "content_uri", "json"];
/// The key that exchanges set, which is dropped from requests.
const OF_EXCHANGES: &str = "collab";

/// Reads the metadata of a request.
pub(super) fn of_request(value: &Value) -> Result<Metadata, Refusal> {
    let given = value.as_object().ok_or_else(|| Refusal::bad("metadata is not a JSON object"))?;
    if given.keys().any(|key| !OF_USER.contains(&key.as_str()) && *key != OF_EXCHANGES) {
        return Err(Refusal::bad("metadata may have content_id, content_uri and json"));
    }
    let kept: Map<String, Value> = OF_USER
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), given.get(key).filter(|value| !value.is_null())?.clone())))
        .collect();
    if kept.is_empty() {
        return Ok(Metadata::default());
    }
    let text = json!({ KEPT_UNDER: kept }).to_string();
    Metadata::new(&text).map_err(|error| Refusal::bad(error.to_string()))
}

/// Returns the caller's keys of an item, with null for missing ones; `None` if none is set.
pub(super) fn of_user(item: &DescribedItem) -> Option<Value> {
    let metadata: Map<String, Value> = serde_json::from_str(item.details.metadata.as_str()).ok()?;
    let kept = metadata.get(KEPT_UNDER)?.as_object()?;
    let all = OF_USER.map(|key| (key.to_owned(), kept.get(key).cloned().unwrap_or(Value::Null)));
    Some(Value::Object(all.into_iter().collect()))
}

/// Returns the exchanges that an item comes from, each with the item's hashes in HMA's form.
pub(super) fn collab(item: &DescribedItem) -> Option<Value> {
    let mut exchanges: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (_, submission) in &item.submissions {
        let programme = submission.origin.programme();
        if !programme.is_empty() {
            let keys = item
                .hashes
                .iter()
                .map(|hash| format!("('{}', '{}')", name_of(hash.hash_type()), text_of(hash)));
            exchanges.entry(programme).or_insert_with(|| keys.collect());
        }
    }
    (!exchanges.is_empty()).then(|| json!(exchanges))
}

/// Returns the metadata of an item to show; `None` if there is none.
pub(in crate::hma) fn shown(item: &DescribedItem) -> Option<Value> {
    let (user, collab) = (of_user(item), collab(item));
    if user.is_none() && collab.is_none() {
        return None;
    }
    let mut shown = user.unwrap_or_else(|| json!({ "content_id": null, "content_uri": null, "json": null }));
    shown[OF_EXCHANGES] = collab.unwrap_or(Value::Null);
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_keys_are_kept_and_another_is_refused() {
        let of = |value: Value| of_request(&value);
        let kept = of(json!({ "content_id": "a", "json": { "b": [1] }, "collab": "dropped" })).unwrap();
        let kept: Value = serde_json::from_str(kept.as_str()).unwrap();
        assert_eq!(kept, json!({ "hma": { "content_id": "a", "json": { "b": [1] } } }));
        assert!(of(json!({ "other": 1 })).is_err() && of(json!([])).is_err());
        assert_eq!(of(json!({})).unwrap(), Metadata::default());
        assert!(of(json!({ "json": "x".repeat(5_000) })).is_err());
    }
}
