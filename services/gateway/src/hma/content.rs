//! `/c/bank/NAME/content` and `/signal`: the banked content.
//!
//! A content id is an item's id. A note and metadata are details of the item. The time until which content is
//! disabled is a hold by the bank's owner.

pub(super) mod metadata;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::{Extension, Json};
use http::Request;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vigie_clients::{Code, DescribedItem, IdempotencyKey};
use vigie_consortium::{Details, Expiry, Text};
use vigie_model::{Hash, ItemContent, ItemDraft, ItemId, UnixMillis};
use vigie_proto::bank::ContributedItem;

use crate::hma::banks;
use crate::hma::input::{self, ByUrl, Sampled};
use crate::hma::json;
use crate::hma::refusal::Refusal;
use crate::hma::signals::{hash, name_of, text_of, type_named};
use crate::media::form::is_form;
use crate::shared::Shared;
use crate::upstream::Caller;

/// The longest note, in characters.
const NOTE_LEN_MAX: usize = 255;
/// The longest time for which content may be disabled, in seconds: five years.
const DISABLED_SECONDS_MAX: u64 = 5 * 365 * 86_400;
/// HMA's number for permanently disabled content.
const DISABLED: u64 = 0;
/// HMA's number for enabled content.
const ENABLED: u64 = 1;

/// Reads a note of at most 255 characters, without control characters such as line breaks.
fn note(value: &Value) -> Result<Text<{ Details::NOTE_LEN_MAX }>, Refusal> {
    let text = match value {
        Value::Null => "",
        Value::String(text) => text,
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(Refusal::bad("a note is a text"));
        }
    };
    if text.chars().count() > NOTE_LEN_MAX {
        return Err(Refusal::bad(format!("a note has at most {NOTE_LEN_MAX} characters")));
    }
    Text::new(text).map_err(|error| Refusal::bad(format!("note: {error}")))
}

/// Reads the details of new content.
fn details(said: &Map<String, Value>) -> Result<Details, Refusal> {
    let mut details = Details::default();
    if let Some(value) = said.get("metadata").filter(|value| !value.is_null()) {
        details.metadata = metadata::of_request(value)?;
    }
    if let Some(value) = said.get("note") {
        details.note = note(value)?;
    }
    Ok(details)
}

/// Adds content: the file of a form, or the file at a URL.
pub(crate) async fn add(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(by): Query<ByUrl>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let bank = banks::of_path(&caller, &name).await?;
    let (head, body) = json::read(&shared, request).await?;
    let (media, said) = match by.url.as_deref().filter(|url| !url.is_empty()) {
        Some(url) => {
            let said = match json::is_json(&head) && !body.bytes().is_empty() {
                true => json::parsed(body.bytes())?,
                false if is_form(&head.headers) => {
                    return Err(Refusal::bad("send a file or a url, not both"));
                }
                false => json!({}),
            };
            drop(body);
            (by.fetch(&shared, url).await?, said)
        }
        None => {
            let (form, media) = input::form_of(&head, body).await?;
            let mut said = Map::new();
            if let Some(text) = form.field("metadata") {
                let value = serde_json::from_str(text).map_err(|_| Refusal::bad("metadata is not JSON"))?;
                said.insert("metadata".to_owned(), value);
            }
            if let Some(text) = form.field("note") {
                said.insert("note".to_owned(), text.into());
            }
            (media, Value::Object(said))
        }
    };
    let said = said.as_object().ok_or_else(|| Refusal::bad("the body is not a JSON object"))?;
    let details = details(said)?;
    let computed = input::hashes(&caller, &media, by.types.as_deref(), Sampled::Densely).await?;
    let hashes = computed.into_iter().map(|one| {
        let name = name_of(one.hash_type);
        one.hash.ok_or_else(|| Refusal::bad(format!("the picture has too little detail for {name}")))
    });
    let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
    bank_hashes(&caller, &bank.name, hashes, details).await
}

/// Adds content by its hashes.
pub(crate) async fn add_signals(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let bank = banks::of_path(&caller, &name).await?;
    let Value::Object(mut said) = json::value(&shared, request).await? else {
        return Err(Refusal::bad("the body is not a JSON object of signals"));
    };
    let note = said.remove("note");
    let hashes = said.iter().map(|(name, value)| {
        let hash_type = type_named(name)?;
        let text = value.as_str().ok_or_else(|| Refusal::bad("a signal is a text"))?;
        hash(hash_type, text)
    });
    let hashes = hashes.collect::<Result<Vec<Hash>, Refusal>>()?;
    if hashes.is_empty() {
        return Err(Refusal::bad("there are no signals"));
    }
    let said = note.map(|note| ("note".to_owned(), note)).into_iter().collect();
    bank_hashes(&caller, &bank.name, hashes, details(&said)?).await
}

async fn bank_hashes(
    caller: &Caller,
    bank: &vigie_model::BankRef,
    hashes: Vec<Hash>,
    details: Details,
) -> Result<Json<Value>, Refusal> {
    let signals = signals(&hashes);
    let draft = ItemDraft { hashes, ..ItemDraft::default() };
    let content = ItemContent::try_from(draft).map_err(|error| Refusal::bad(error.to_string()))?;
    let item = ContributedItem { content, origin: None, details };
    let key = IdempotencyKey::random();
    let added = caller.banks().contribute_items(bank, vec![item], key, caller.deadline()).await;
    let added = added.map_err(|error| {
        let is_gone = error.code() == Code::NotFound;
        if is_gone { Refusal::not_found("bank not found") } else { error.into() }
    })?;
    caller.newest().wrote(added.sequence);
    let id = added.value.ids.first().map_or(0, |id| id.0);
    Ok(Json(json!({ "id": id, "signals": signals })))
}

fn signals(hashes: &[Hash]) -> Map<String, Value> {
    hashes.iter().map(|hash| (name_of(hash.hash_type()), Value::String(text_of(hash)))).collect()
}

/// Finds the content of a path, which must belong to the bank of the path.
async fn of_path(caller: &Caller, bank: &str, id: &str) -> Result<(Value, DescribedItem), Refusal> {
    let Ok(id) = id.parse::<u64>() else { return Err(Refusal::NoSuchPage) };
    let bank = banks::of_path(caller, bank).await?;
    let none = || Refusal::not_found("content not found");
    match caller.banks().describe_item(ItemId(id), caller.deadline()).await {
        Ok(item) if item.value.bank == bank.name => Ok((banks::shown(&bank), item.value)),
        Ok(_) => Err(none()),
        Err(error) if error.code() == Code::NotFound => Err(none()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the time until which content is disabled, in HMA's numbers.
fn disable_until(item: &DescribedItem) -> u64 {
    match item
        .holds
        .iter()
        .map(|hold| hold.until.moment())
        .max_by_key(|until| until.map_or(u64::MAX, |at| at.0))
    {
        None => ENABLED,
        Some(None) => DISABLED,
        Some(Some(until)) => until.0 / 1_000,
    }
}

/// The query of shown content.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Shown {
    include_signals: Option<String>,
    include_metadata: Option<String>,
}

/// Shows content.
pub(crate) async fn show(
    Extension(caller): Extension<Caller>,
    Path((bank, id)): Path<(String, String)>,
    Query(wanted): Query<Shown>,
) -> Result<Json<Value>, Refusal> {
    let with_signals =
        wanted.include_signals.as_deref().is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let with_metadata =
        !wanted.include_metadata.as_deref().is_some_and(|text| text.eq_ignore_ascii_case("false"));
    let (bank, item) = of_path(&caller, &bank, &id).await?;
    let mut answer = json!({
        "bank": bank, "disable_until_ts": disable_until(&item), "id": item.id.0, "original_media_uri": null
    });
    if with_metadata && let Some(metadata) = metadata::shown(&item) {
        answer["metadata"] = metadata;
    }
    if with_signals {
        answer["signals"] = signals(&item.hashes).into();
    }
    let note = item.details.note.as_str();
    if !note.is_empty() {
        answer["note"] = note.into();
    }
    Ok(Json(answer))
}

/// The requested change of disabled content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disabling {
    Lifted,
    Until(Expiry),
}

/// Reads `disable_until_ts`.
fn disabling(value: &Value, now: UnixMillis) -> Result<Disabling, Refusal> {
    let wrong = || {
        Refusal::bad("disable_until_ts is 0, 1, or a time in seconds since 1970, at most five years ahead")
    };
    let seconds = match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)).ok_or_else(wrong)?,
        Value::String(text) => text.trim().parse().map_err(|_| wrong())?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(wrong()),
    };
    let now_seconds = now.0 / 1_000;
    match seconds {
        DISABLED => Ok(Disabling::Until(Expiry::NEVER)),
        ENABLED => Ok(Disabling::Lifted),
        // The time is in the past: HMA treats such content as enabled.
        past if past <= now_seconds => Ok(Disabling::Lifted),
        later if later <= now_seconds + DISABLED_SECONDS_MAX => {
            Ok(Disabling::Until(Expiry::at(UnixMillis(later * 1_000))))
        }
        _ => Err(wrong()),
    }
}

/// Converts a number without a fraction, if an integer holds it exactly.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn whole(number: f64) -> Option<u64> {
    let is_whole = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
    is_whole.then_some(number as u64)
}

/// Disables or enables content, or changes its note.
pub(crate) async fn change(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path((bank, id)): Path<(String, String)>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let asked = json::value(&shared, request).await?;
    let asked = asked.as_object().ok_or_else(|| Refusal::bad("the body is not a JSON object"))?;
    let now = vigie_access::WallClock::system().now();
    let disabling = asked.get("disable_until_ts").map(|value| disabling(value, now)).transpose()?;
    let note = asked.get("note").map(note).transpose()?;
    let (shown_bank, item) = of_path(&caller, &bank, &id).await?;
    let ids = [item.id];
    if let Some(disabling) = disabling {
        let key = IdempotencyKey::random();
        let held = match disabling {
            Disabling::Until(until) => caller.banks().hold_items(&ids, until, key, caller.deadline()).await?,
            Disabling::Lifted => caller.banks().lift_holds(&ids, key, caller.deadline()).await?,
        };
        caller.newest().wrote(held.sequence);
    }
    if let Some(note) = note {
        let details = Details { note, ..item.details.clone() };
        let key = IdempotencyKey::random();
        let updated = caller.banks().update_item(item.id, details, key, caller.deadline()).await?;
        caller.newest().wrote(updated.sequence);
    }
    let item = caller.banks().describe_item(item.id, caller.deadline()).await?.value;
    let note = item.details.note.as_str();
    Ok(Json(json!({
        "bank": shown_bank,
        "collab_metadata": metadata::collab(&item).unwrap_or_else(|| json!({})),
        "disable_until_ts": disable_until(&item),
        "id": item.id.0,
        "note": if note.is_empty() { Value::Null } else { note.into() },
        "original_media_uri": null,
        "user_metadata": metadata::of_user(&item).unwrap_or(Value::Null),
    })))
}

/// Removes content.
pub(crate) async fn delete(
    Extension(caller): Extension<Caller>,
    Path((bank, id)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let Ok(id) = id.parse::<u64>() else { return Err(Refusal::NoSuchPage) };
    let bank = banks::of_path(&caller, &bank).await?;
    let deleted = |count: u32| Ok(Json(json!({ "deleted": count })));
    let is_there = match caller.banks().get_item(ItemId(id), caller.deadline()).await {
        Ok(found) => found.value.1 == bank.name,
        Err(error) if error.code() == Code::NotFound => false,
        Err(error) => return Err(error.into()),
    };
    if !is_there {
        return deleted(0);
    }
    match caller.banks().remove_items(&[ItemId(id)], IdempotencyKey::random(), caller.deadline()).await {
        Ok(removed) => {
            caller.newest().wrote(removed.sequence);
            deleted(1)
        }
        // Another request removed it first.
        Err(error) if error.code() == Code::NotFound => deleted(0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_until_which_content_is_disabled_are_checked() {
        let now = UnixMillis(1_800_000_000_000);
        let of = |text: &str| disabling(&serde_json::from_str(text).unwrap(), now);
        assert_eq!(of("0"), Ok(Disabling::Until(Expiry::NEVER)));
        assert_eq!(of("1"), Ok(Disabling::Lifted));
        assert_eq!(of("\"1\""), Ok(Disabling::Lifted));
        assert_eq!(of("1831536000"), Ok(Disabling::Until(Expiry::at(UnixMillis(1_831_536_000_000)))));
        assert_eq!(of("1831536000.0"), of("\"1831536000\""));
        assert_eq!(of("1700000000"), Ok(Disabling::Lifted));
        for bad in ["-1", "9999999999", "null", "true", "1.5", "\"x\"", "[]"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_note_has_at_most_255_characters() {
        assert!(note(&json!("n".repeat(255))).is_ok() && note(&json!("é".repeat(255))).is_ok());
        assert!(note(&json!("n".repeat(256))).is_err() && note(&json!(5)).is_err());
        assert_eq!(note(&Value::Null).unwrap().as_str(), "");
    }
}
