//! `/c/banks` and `/c/bank/NAME`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::{Request, StatusCode};
use serde_json::{Map, Value, json};
use vigie_clients::{BankListing, CallError, Code, IdempotencyKey};
use vigie_model::{BankName, BankRef, MatchRatio};

use crate::hma::input::boolean;
use crate::hma::json;
use crate::hma::refusal::Refusal;
use crate::shared::Shared;
use crate::upstream::Caller;

/// The most banks of one page of the bank service's list.
const PAGE: u16 = 1_000;
/// The most banks that are listed.
const LISTED_MAX: usize = 100_000;

/// Returns a bank in HMA's form.
pub(crate) fn shown(bank: &BankListing) -> Value {
    json!({ "matching_enabled_ratio": ratio_of(bank), "name": bank.name.to_string() })
}

/// Returns the ratio of a bank: 0 for a disabled bank, which takes part in no lookup.
fn ratio_of(bank: &BankListing) -> f64 {
    if bank.enabled { bank.match_ratio.get() } else { 0.0 }
}

/// Lists up to `max` banks that the caller sees.
pub(crate) async fn all(caller: &Caller, max: usize) -> Result<Vec<BankListing>, Refusal> {
    let mut all = Vec::new();
    let mut after = None;
    while all.len() < max {
        let page = caller.banks().list_banks(after, PAGE, caller.deadline()).await?.value;
        let is_last = page.len() < usize::from(PAGE);
        after = page.last().map(|bank| bank.id);
        all.extend(page);
        if is_last {
            break;
        }
    }
    all.truncate(max);
    Ok(all)
}

/// Finds the bank of a path. A name that no bank can have is answered as a missing bank.
pub(crate) async fn of_path(caller: &Caller, name: &str) -> Result<BankListing, Refusal> {
    let none = || Refusal::not_found("bank not found");
    let name: BankRef = name.parse().map_err(|_| none())?;
    match caller.banks().get_bank(&name, caller.deadline()).await {
        Ok(bank) => Ok(bank.value),
        Err(error) if error.code() == Code::NotFound => Err(none()),
        Err(error) => Err(error.into()),
    }
}

/// Lists the banks.
pub(crate) async fn list(Extension(caller): Extension<Caller>) -> Result<Json<Vec<Value>>, Refusal> {
    Ok(Json(all(&caller, LISTED_MAX).await?.iter().map(shown).collect()))
}

/// Shows a bank.
pub(crate) async fn show(
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(shown(&of_path(&caller, &name).await?)))
}

/// Checks a name by HMA's rules for a new bank.
pub(crate) fn new_name(text: &str) -> Result<BankName, Refusal> {
    let begins = text.as_bytes().first().is_some_and(|first| first.is_ascii_uppercase() || *first == b'_');
    let inner = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let name = text.parse().ok().filter(|_| begins && text.as_bytes().iter().all(inner));
    name.ok_or_else(|| Refusal::bad("a bank's name is 1 to 255 of A-Z 0-9 _ and begins with a letter or _"))
}

/// Reads a ratio: a number, or a text of one.
fn ratio(value: &Value) -> Result<MatchRatio, Refusal> {
    let wrong = || Refusal::body("enabled_ratio", "is no number");
    let ratio: f64 = match value {
        Value::Number(number) => number.as_f64().ok_or_else(wrong)?,
        Value::String(text) => text.trim().parse().map_err(|_| wrong())?,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Err(wrong()),
    };
    ratio.try_into().map_err(|_| Refusal::bad("a ratio is 0.0 to 1.0"))
}

/// Reads a switch: a boolean, or a text or number of one.
pub(crate) fn enabled(value: &Value) -> Result<bool, Refusal> {
    let enabled = match value {
        Value::Bool(enabled) => Some(*enabled),
        Value::String(text) => boolean(text),
        Value::Number(number) if number.as_u64() == Some(1) => Some(true),
        Value::Number(number) if number.as_u64() == Some(0) => Some(false),
        Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    enabled.ok_or_else(|| Refusal::body("enabled", "is no boolean"))
}

/// Reads the ratio of a new bank. `enabled` counts only if the ratio is given as null, as in HMA.
fn ratio_of_new(asked: &Map<String, Value>) -> Result<MatchRatio, Refusal> {
    match asked.get("enabled_ratio") {
        None => Ok(MatchRatio::ALWAYS),
        Some(Value::Null) => {
            let is_enabled =
                asked.get("enabled").filter(|value| !value.is_null()).map(enabled).transpose()?;
            Ok(switched(is_enabled.unwrap_or(true)))
        }
        Some(value) => ratio(value),
    }
}

/// Returns the ratio of an enabled or disabled bank.
const fn switched(is_on: bool) -> MatchRatio {
    if is_on { MatchRatio::ALWAYS } else { MatchRatio::NEVER }
}

/// Returns HMA's refusal of a taken name, with the text that clients look for.
fn taken(error: CallError) -> Refusal {
    if error.code() == Code::AlreadyExists {
        return Refusal::forbidden("a bank of that name already exists");
    }
    error.into()
}

/// Creates a bank.
pub(crate) async fn create(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let asked = json::object(&shared, request).await?;
    let name =
        asked.get("name").and_then(Value::as_str).ok_or_else(|| Refusal::body("name", "is required"))?;
    let ratio = ratio_of_new(&asked)?;
    let bank = create_bank(&caller, &new_name(name)?, ratio).await?;
    Ok((StatusCode::CREATED, Json(shown(&bank))).into_response())
}

/// Creates a bank with a ratio.
pub(crate) async fn create_bank(
    caller: &Caller,
    name: &BankName,
    ratio: MatchRatio,
) -> Result<BankListing, Refusal> {
    let created = caller
        .banks()
        .create_bank_with_ratio(name, ratio, IdempotencyKey::random(), caller.deadline())
        .await
        .map_err(taken)?;
    caller.newest().wrote(created.sequence);
    Ok(created.value)
}

/// Renames a bank, or changes its ratio.
pub(crate) async fn change(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let asked = json::object(&shared, request).await?;
    let given = |key: &str| asked.get(key).filter(|value| !value.is_null());
    let new = given("name")
        .map(|name| name.as_str().ok_or_else(|| Refusal::body("name", "is not a string")))
        .transpose()?;
    let new = new.map(new_name).transpose()?;
    let is_on = given("enabled").map(enabled).transpose()?;
    let ratio = given("enabled_ratio").map(ratio).transpose()?;
    let mut bank = of_path(&caller, &name).await?;
    if let Some(new) = new.filter(|new| bank.name.name != *new) {
        let renamed = caller
            .banks()
            .rename_bank(&bank.name, &new, IdempotencyKey::random(), caller.deadline())
            .await
            .map_err(taken)?;
        caller.newest().wrote(renamed.sequence);
        bank = renamed.value;
    }
    if let Some(ratio) = ratio.or(is_on.map(switched)) {
        if !bank.enabled && ratio > MatchRatio::NEVER {
            let key = IdempotencyKey::random();
            let enabled = caller.banks().set_bank_enabled(&bank.name, true, key, caller.deadline()).await?;
            caller.newest().wrote(enabled.sequence);
        }
        let key = IdempotencyKey::random();
        let set = caller.banks().set_bank_match_ratio(&bank.name, ratio, key, caller.deadline()).await?;
        caller.newest().wrote(set.sequence);
        bank = set.value;
    }
    let mut answer = shown(&bank);
    if let (Some(is_on), None) = (is_on, ratio) {
        // HMA answers a switch as a whole number.
        answer["matching_enabled_ratio"] = u8::from(is_on).into();
    }
    Ok(Json(answer))
}

/// Deletes a bank, whether or not it exists.
pub(crate) async fn delete(
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    if let Ok(name) = name.parse::<BankRef>() {
        match caller.banks().delete_bank(&name, IdempotencyKey::random(), caller.deadline()).await {
            Ok(deleted) => caller.newest().wrote(deleted.sequence),
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Json(json!({ "message": "Done" })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_as_numbers_and_as_texts() {
        let of = |text: &str| ratio_of_new(serde_json::from_str::<Value>(text).unwrap().as_object().unwrap());
        assert_eq!(of("{}"), Ok(MatchRatio::ALWAYS));
        assert_eq!(of(r#"{"enabled_ratio":"1"}"#), Ok(MatchRatio::ALWAYS));
        assert_eq!(of(r#"{"enabled_ratio":0.25}"#).unwrap().get(), 0.25);
        assert_eq!(of(r#"{"enabled":false}"#), Ok(MatchRatio::ALWAYS));
        assert_eq!(of(r#"{"enabled":false,"enabled_ratio":null}"#), Ok(MatchRatio::NEVER));
        for bad in [
            r#"{"enabled_ratio":7.5}"#,
            r#"{"enabled_ratio":"x"}"#,
            r#"{"enabled_ratio":"NaN"}"#,
            r#"{"enabled_ratio":true}"#,
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn new_names_are_those_of_hma() {
        for good in ["A", "_X9", "COOP_ORG_1"] {
            assert_eq!(new_name(good).unwrap().as_str(), good);
        }
        for bad in ["", "a", "9A", "A-B", "A.B", "É", "A/B"] {
            assert!(new_name(bad).is_err(), "{bad}");
        }
    }
}
