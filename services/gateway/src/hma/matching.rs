//! `/m/lookup` and `/m/raw_lookup`: whether content is known.
//!
//! A lookup has a complete answer or fails: an incomplete one would look like "not known" for the missing
//! banks. If not every shard answers, the answer is 503. If one answer cannot hold all matches, each bank is
//! searched alone.
//!
//! Beyond HMA, if a request asks for it: `max_distance`, `numeric_distance`, `include_labels`,
//! `include_metadata`, `include_opinions`, `include_coverage` (headers), and many signals in one `POST
//! /m/lookup` of JSON.
//!
//! Reading order: `asked`, `find`, `ratio`, `shown`.

mod asked;
mod find;
mod ratio;
mod shown;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::Request;
use serde_json::{Map, Value, json};
use vigie_model::Hash;

use crate::hma::input::{self, Computed, Sampled};
use crate::hma::json;
use crate::hma::matching::asked::{Batch, Lookup, Shown, Wish};
use crate::hma::matching::find::{Found, find_all, find_one};
use crate::hma::matching::ratio::Draw;
use crate::hma::matching::shown::{by_bank, object, with_coverage};
use crate::hma::refusal::Refusal;
use crate::hma::signals::{hash, name_of, type_named};
use crate::shared::Shared;
use crate::upstream::Caller;

/// Looks up a hash, or the content at a URL.
pub(crate) async fn lookup(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Lookup>,
) -> Result<Response, Refusal> {
    let (wish, draw) = (asked.wish()?, Draw::of(asked.seed.as_deref(), asked.bypasses_draw()?));
    match (asked.signal_type.as_deref(), asked.signal(), asked.by_url()) {
        (Some(signal_type), Some(signal), _) => {
            let hash_type = type_named(signal_type)?;
            let found = find_one(&caller, hash(hash_type, signal)?, &wish).await?;
            let body = by_bank(&caller, &found, &draw, wish.shown).await?;
            Ok(with_coverage(Json(body).into_response(), &found, wish.shown))
        }
        (signal_type, _, Some((by_url, url))) => {
            let only = signal_type.map(type_named).transpose()?;
            let media = by_url.fetch(&shared, url).await?;
            let computed = input::hashes(&caller, &media, asked.types(), Sampled::Sparsely).await?;
            let mut by_type = look_up_all(&caller, &computed, &wish, &draw).await?;
            Ok(match only {
                None => Json(Value::Object(by_type)).into_response(),
                Some(only) => {
                    Json(by_type.remove(&name_of(only)).unwrap_or_else(|| json!({}))).into_response()
                }
            })
        }
        (_, _, None) => Err(Refusal::bad("name a signal_type and a signal, or a url")),
    }
}

/// Looks up a sent file, or many signals in JSON.
pub(crate) async fn lookup_sent(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Lookup>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (head, body) = json::read(&shared, request).await?;
    if json::is_json(&head) {
        return look_up_batch(&caller, &asked, &json::parsed(body.bytes())?).await;
    }
    let (_, media) = input::form_of(&head, body).await?;
    let computed = input::hashes(&caller, &media, asked.types(), Sampled::Sparsely).await?;
    let draw = Draw::of(asked.seed.as_deref(), asked.bypass_coinflip.as_deref() == Some("true"));
    Ok(Json(look_up_all(&caller, &computed, &asked.wish()?, &draw).await?).into_response())
}

/// Looks up many signals: one answer for each, in their order.
async fn look_up_batch(caller: &Caller, asked: &Lookup, body: &Value) -> Result<Response, Refusal> {
    let Batch { hashes, banks } = Batch::of(body)?;
    let wish = asked.wish()?;
    let wish = Wish { banks: banks.or(wish.banks), ..wish };
    let draw = Draw::of(asked.seed.as_deref(), asked.bypasses_draw()?);
    let found = find_all(caller, &hashes, &wish).await?;
    let mut results = Vec::with_capacity(found.len());
    for one in &found {
        results.push(by_bank(caller, one, &draw, wish.shown).await?);
    }
    let answer = Json(json!({ "results": results })).into_response();
    Ok(match found.first() {
        Some(first) => with_coverage(answer, first, wish.shown),
        None => answer,
    })
}

/// Returns the matches of each type, by bank.
async fn look_up_all(
    caller: &Caller,
    computed: &[Computed],
    wish: &Wish,
    draw: &Draw,
) -> Result<Map<String, Value>, Refusal> {
    let mut by_type = Map::new();
    for Computed { hash_type, hash } in computed {
        let hash: Hash = hash.clone().ok_or_else(|| {
            Refusal::bad(format!("the picture has too little detail for {}", name_of(*hash_type)))
        })?;
        let found: Found = find_one(caller, hash, wish).await?;
        by_type.insert(name_of(*hash_type), Value::Object(by_bank(caller, &found, draw, wish.shown).await?));
    }
    Ok(by_type)
}

/// Returns every match of a hash, regardless of the banks' ratios.
pub(crate) async fn raw_lookup(
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Lookup>,
) -> Result<Response, Refusal> {
    let signal = asked.signal.as_deref().ok_or_else(|| Refusal::query("signal", "is required"))?;
    let signal_type =
        asked.signal_type.as_deref().ok_or_else(|| Refusal::query("signal_type", "is required"))?;
    let with_distance = asked.includes_distance()?;
    let (hash_type, wish) = (type_named(signal_type)?, asked.wish()?);
    let found = find_one(&caller, hash(hash_type, signal)?, &wish).await?;
    let mut matches = Vec::with_capacity(found.matches.len());
    for one in &found.matches {
        let is_plain = !with_distance && wish.shown == Shown::default();
        matches.push(if is_plain { one.item.0.into() } else { object(wish.shown, &caller, one).await? });
    }
    let answer = Json(json!({ "matches": matches })).into_response();
    Ok(with_coverage(answer, &found, wish.shown))
}
