//! `/m/lookup` and `/m/raw_lookup`: whether content is known.
//!
//! An answer is whole or there is none: a lookup that not every shard answers, or whose matches are more than one answer holds, would
//! look like "not known" for the banks that are missing. The first is 503; of the second each bank is asked alone.

mod ratio;

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::Request;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vigie_clients::{Code, MatchAnswer};
use vigie_model::{
    BankRef, Content, Hash, Limit, Match, MatchCall, Matched, MinCoverage, QueryHash, SearchOptions, Variant,
};

use crate::hma::banks;
use crate::hma::input::{self, ByUrl, Computed};
use crate::hma::matching::ratio::Draw;
use crate::hma::refusal::Refusal;
use crate::hma::signals::{distance, hash, name_of, type_named};
use crate::problem::Problem;
use crate::server::Shared;
use crate::upstream::Caller;

/// The most banks that are asked alone because one answer could not hold all matches.
const BANKS_ASKED_ALONE_MAX: usize = 256;

/// The query of a lookup.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Lookup {
    signal_type: Option<String>,
    signal: Option<String>,
    banks: Option<String>,
    seed: Option<String>,
    bypass_coinflip: Option<String>,
    include_distance: Option<String>,
    #[serde(flatten)]
    by_url: ByUrl,
}

impl Lookup {
    fn signal(&self) -> Option<&str> {
        self.signal.as_deref().filter(|signal| !signal.is_empty())
    }

    /// The banks that are named; `None` for all.
    fn banks(&self) -> Option<Vec<BankRef>> {
        let names = self.banks.as_deref()?;
        // A name that no bank can have names no bank.
        Some(names.split(',').filter_map(|name| name.trim().parse().ok()).collect())
    }
}

/// A switch as HMA's schema reads it.
fn switch(name: &str, text: Option<&str>) -> Result<bool, Refusal> {
    let Some(text) = text else { return Ok(false) };
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "t" | "y" | "yes" => Ok(true),
        "false" | "0" | "off" | "f" | "n" | "no" => Ok(false),
        _ => Err(Refusal::query(name, "is no boolean")),
    }
}

/// By hash, or by the URL of content.
pub(crate) async fn lookup(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Lookup>,
) -> Result<Response, Refusal> {
    let draw = Draw::of(asked.seed.as_deref(), switch("bypass_coinflip", asked.bypass_coinflip.as_deref())?);
    let url = asked.by_url.url.as_deref().filter(|url| !url.is_empty());
    match (asked.signal_type.as_deref(), asked.signal(), url) {
        (Some(signal_type), Some(signal), _) => {
            let hash_type = type_named(signal_type)?;
            let found = find(&caller, hash(hash_type, signal)?, asked.banks()).await?;
            Ok(Json(draw.by_bank(&caller, &found).await?).into_response())
        }
        (signal_type, _, Some(url)) => {
            let only = signal_type.map(type_named).transpose()?;
            let media = asked.by_url.fetch(&shared, url).await?;
            let computed = input::hashes(&caller, &media, asked.by_url.types.as_deref()).await?;
            let by_type = look_up_all(&caller, &computed, asked.banks(), &draw).await?;
            Ok(match only {
                None => Json(Value::Object(by_type)).into_response(),
                Some(only) => {
                    let of_type = by_type.get(&name_of(only)).cloned();
                    Json(of_type.unwrap_or_else(|| json!({}))).into_response()
                }
            })
        }
        (_, _, None) => Err(Refusal::bad("name a signal_type and a signal, or a url")),
    }
}

/// By a file that is sent.
pub(crate) async fn lookup_file(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Lookup>,
    request: Request<Body>,
) -> Result<Json<Map<String, Value>>, Refusal> {
    let (_, _, media) = input::of_form(&shared, request).await?;
    let computed = input::hashes(&caller, &media, asked.by_url.types.as_deref()).await?;
    let draw = Draw::of(asked.seed.as_deref(), asked.bypass_coinflip.as_deref() == Some("true"));
    Ok(Json(look_up_all(&caller, &computed, asked.banks(), &draw).await?))
}

/// The matches of each type, by bank.
async fn look_up_all(
    caller: &Caller,
    computed: &[Computed],
    banks: Option<Vec<BankRef>>,
    draw: &Draw,
) -> Result<Map<String, Value>, Refusal> {
    let mut by_type = Map::new();
    for Computed { hash_type, hash } in computed {
        let hash = hash.clone().ok_or_else(|| {
            Refusal::bad(format!("the picture has too little detail for {}", name_of(*hash_type)))
        })?;
        let found = find(caller, hash, banks.clone()).await?;
        by_type.insert(name_of(*hash_type), Value::Object(draw.by_bank(caller, &found).await?));
    }
    Ok(by_type)
}

/// Every match of a hash, whatever the ratio of its bank.
pub(crate) async fn raw_lookup(
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Lookup>,
) -> Result<Json<Value>, Refusal> {
    let required = |name: &'static str, value: Option<&str>| {
        value.map(ToOwned::to_owned).ok_or_else(|| Refusal::query(name, "is required"))
    };
    let signal = required("signal", asked.signal.as_deref())?;
    let signal_type = required("signal_type", asked.signal_type.as_deref())?;
    let with_distance = switch("include_distance", asked.include_distance.as_deref())?;
    let hash_type = type_named(&signal_type)?;
    let found = find(&caller, hash(hash_type, &signal)?, asked.banks()).await?;
    let matches: Vec<Value> =
        found.iter().map(|one| if with_distance { match_object(one) } else { one.item.0.into() }).collect();
    Ok(Json(json!({ "matches": matches })))
}

/// A match as HMA shows it.
fn match_object(found: &Match) -> Value {
    json!({ "bank_content_id": found.item.0, "distance": distance(found.hash_type, found.distance) })
}

/// All matches of a hash in some banks, or in all, the nearest first.
async fn find(caller: &Caller, hash: Hash, banks: Option<Vec<BankRef>>) -> Result<Vec<Match>, Refusal> {
    let banks = match banks {
        None => Vec::new(),
        Some(named) => {
            let there = there(caller, named).await?;
            // A search that names no bank would be of all.
            if there.is_empty() {
                return Ok(Vec::new());
            }
            there
        }
    };
    let is_of_all = banks.is_empty();
    let matched = search(caller, &hash, banks).await?;
    let is_cut = matched.found.limit_reached || matched.found.left_out > 0;
    let mut found = matched.found.matches;
    if is_cut && is_of_all {
        let mut shown: BTreeMap<BankRef, ()> = found.iter().map(|one| (one.bank_name.clone(), ())).collect();
        let all = banks::all(caller, BANKS_ASKED_ALONE_MAX).await?;
        for bank in all.into_iter().filter(|bank| bank.enabled) {
            if shown.insert(bank.name.clone(), ()).is_none() {
                found.extend(search(caller, &hash, vec![bank.name]).await?.found.matches);
            }
        }
    }
    Ok(found)
}

/// Those of these banks that are there. An unknown name is no failure.
async fn there(caller: &Caller, named: Vec<BankRef>) -> Result<Vec<BankRef>, Refusal> {
    let mut there = Vec::new();
    for name in named.into_iter().take(SearchOptions::BANKS_MAX) {
        match caller.banks.get_bank(&name, caller.deadline()).await {
            Ok(bank) if bank.value.enabled => there.push(name),
            Ok(_) => {}
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(there)
}

/// One search, that every shard has to answer.
async fn search(caller: &Caller, hash: &Hash, banks: Vec<BankRef>) -> Result<Matched, Refusal> {
    let hashes = vec![QueryHash { hash: hash.clone(), variant: Variant::Original }];
    let options = SearchOptions {
        banks,
        limit: Limit::new(Limit::MAX.into()).unwrap_or_default(),
        min_sequence: caller.newest.sequence(),
        min_coverage: MinCoverage::default(),
        ..SearchOptions::default()
    };
    let call = MatchCall {
        contents: vec![Content::Hashed { hashes, pdq_quality: None }],
        options,
        quality_floor: None,
    };
    let MatchAnswer { results, .. } = caller.frontends.match_content(call, caller.deadline()).await?;
    let result = results.into_iter().next();
    let not_ready = || Problem::busy("index not yet ready");
    let matched = result.ok_or_else(not_ready)?.map_err(|failure| match failure.code {
        Code::InvalidArgument => Problem::bad(failure.message),
        _ => not_ready(),
    })?;
    if matched.searches.iter().any(|search| search.skipped.is_some()) {
        return Err(not_ready().into());
    }
    Ok(matched)
}
