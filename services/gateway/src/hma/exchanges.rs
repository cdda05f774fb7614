//! `/c/exchanges`: the programmes that banks follow. Each exchange has a bank of its own, with the same name.
//!
//! The exchange process decides what is fetched and when; this module manages exchanges and shows their
//! states. Credentials are files of that process, and not part of an exchange.

pub(crate) mod credentials;
pub(crate) mod schema;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::{Request, StatusCode};
use serde_json::{Map, Value, json};
use vigie_clients::{Code, ExchangeListing, IdempotencyKey, NewExchange};
use vigie_consortium::{ExchangeConfig, ExchangeName, Role};
use vigie_model::{BankName, BankRef, MatchRatio, UnixMillis};

use crate::hma::exchanges::schema::{APIS, Api};
use crate::hma::refusal::Refusal;
use crate::hma::{banks, json};
use crate::problem::Problem;
use crate::shared::Shared;
use crate::upstream::Caller;

/// The most exchanges that are listed.
const LISTED_MAX: usize = 10_000;
/// The most exchanges of one page of the bank service's list.
const PAGE: u16 = 100;

fn api_named(name: &str) -> Result<Api, Refusal> {
    Api::named(name).ok_or_else(|| Refusal::bad("no such exchange api"))
}

/// Lists the programmes.
pub(crate) async fn apis() -> Json<Vec<&'static str>> {
    Json(APIS.map(|api| api.name).to_vec())
}

/// Returns whether a programme has credentials. The keys are spelled as in HMA.
fn authentication(shared: &Shared, api: Api) -> Json<Value> {
    Json(json!({
        "has_set_authentification": shared.credentials.has(api),
        "supports_authentification": api.credentials.is_some(),
    }))
}

/// Shows whether a programme has credentials.
pub(crate) async fn show_api(
    State(shared): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    Ok(authentication(&shared, api_named(&name)?))
}

/// Checks the right to set credentials. A programme's credentials serve all exchanges of the host, so with
/// members only operators may set them.
async fn check_right(caller: &Caller) -> Result<(), Refusal> {
    let who = caller.members().who_am_i(caller.deadline()).await?.value;
    let is_operator = who.principal.is_none_or(|principal| principal.roles.contains(Role::Operator));
    is_operator
        .then_some(())
        .ok_or_else(|| Refusal::forbidden("operators alone set the credentials of programmes"))
}

/// Sets the credentials of a programme, or removes them.
pub(crate) async fn set_credentials(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let api = api_named(&name)?;
    let asked = json::value(&shared, request).await?;
    let asked = asked.as_object().ok_or_else(|| Refusal::bad("the body is not a JSON object"))?;
    check_right(&caller).await?;
    if let Some(given) = asked.get("credential_json").filter(|given| !given.is_null()) {
        let (folder, given) = (shared.credentials.clone(), given.clone());
        let set = tokio::task::spawn_blocking(move || folder.set(api, &given)).await;
        set.map_err(|_| Refusal::bad("the credentials could not be kept"))??;
    }
    Ok(authentication(&shared, api))
}

/// Shows the fields of a programme.
pub(crate) async fn schema(Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let api = Api::named(&name).ok_or_else(|| Refusal::not_found("no such exchange api"))?;
    Ok(Json(api.schema()))
}

/// Lists the exchanges.
pub(crate) async fn list(Extension(caller): Extension<Caller>) -> Result<Json<Vec<String>>, Refusal> {
    let (mut names, mut after) = (Vec::new(), None);
    while names.len() < LISTED_MAX {
        let (page, has_more) = caller.exchanges().list_exchanges(after, PAGE, caller.deadline()).await?;
        after = page.last().map(|listing| listing.exchange.id);
        names.extend(page.iter().map(|listing| listing.exchange.name.to_string()));
        if !has_more {
            break;
        }
    }
    Ok(Json(names))
}

/// Checks a name by HMA's rules for an exchange; its bank gets the same name.
fn new_name(text: &str) -> Result<BankName, Refusal> {
    let is_fit = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let name = text.parse().ok().filter(|_| is_fit);
    name.ok_or_else(|| Refusal::bad("an exchange's name is 1 to 255 of A-Z 0-9 _"))
}

/// Creates an exchange and its bank.
pub(crate) async fn create(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let asked = json::value(&shared, request).await?;
    let asked = asked.as_object().ok_or_else(|| Refusal::bad("the body is not a JSON object"))?;
    let text = |key: &str| {
        asked.get(key).and_then(Value::as_str).ok_or_else(|| Refusal::bad(format!("{key} is required")))
    };
    let name = new_name(text("bank")?)?;
    let api = api_named(text("api")?)?;
    let none = Map::new();
    let given = match asked.get("api_json") {
        None | Some(Value::Null) => &none,
        Some(given) => given.as_object().ok_or_else(|| Refusal::bad("api_json is not a JSON object"))?,
    };
    let settings = api.settings(given)?;
    let internal = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the exchange cannot be described");
    let new = NewExchange {
        name: name.as_str().parse().map_err(|_| internal())?,
        api: api.name.parse().map_err(|_| internal())?,
        config: ExchangeConfig::new(&Value::Object(settings).to_string()).map_err(|_| internal())?,
        interval_seconds: 0,
    };
    let taken = || Refusal::bad("a bank or an exchange of that name already exists");
    let bank = match banks::create_bank(&caller, &name, MatchRatio::ALWAYS).await {
        Err(Refusal::Problem(problem))
            if problem.status == StatusCode::FORBIDDEN && problem.message.contains("already exists") =>
        {
            return Err(taken());
        }
        created => created?,
    };
    let key = IdempotencyKey::random();
    let added = caller.exchanges().add_exchange(&new, &bank.name, key, caller.deadline()).await;
    match added {
        Ok(added) => caller.newest().wrote(added.sequence),
        Err(error) => {
            // The bank has no use without its exchange.
            let deleted =
                caller.banks().delete_bank(&bank.name, IdempotencyKey::random(), caller.deadline()).await;
            if let Err(failed) = deleted {
                tracing::warn!(%failed, "an exchange could not be created, and its bank could not be deleted");
            }
            return Err(if error.code() == Code::AlreadyExists { taken() } else { error.into() });
        }
    }
    Ok((StatusCode::CREATED, Json(json!({ "message": "Created successfully" }))).into_response())
}

/// Finds the exchange of a path.
async fn of_path(caller: &Caller, name: &str) -> Result<ExchangeListing, Refusal> {
    let none = || Refusal::not_found("exchange not found");
    // A name that no exchange can have is answered as a missing exchange.
    let name: ExchangeName = name.parse().map_err(|_| none())?;
    match caller.exchanges().get_exchange(&name, caller.deadline()).await {
        Ok(exchange) => Ok(exchange),
        Err(error) if error.code() == Code::NotFound => Err(none()),
        Err(error) => Err(error.into()),
    }
}

/// Returns an exchange in HMA's form, with the settings of its programme.
fn shown(listing: &ExchangeListing) -> Value {
    let exchange = &listing.exchange;
    let settings: Map<String, Value> = serde_json::from_str(exchange.config.as_str()).unwrap_or_default();
    let mut shown = match Api::named(exchange.api.as_str()) {
        Some(api) => api.shown(&settings),
        None => settings,
    };
    shown.insert("name".to_owned(), exchange.name.as_str().into());
    shown.insert("api".to_owned(), exchange.api.as_str().into());
    shown.insert("enabled".to_owned(), exchange.enabled.into());
    Value::Object(shown)
}

/// Shows an exchange.
pub(crate) async fn show(
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(shown(&of_path(&caller, &name).await?)))
}

/// Shows the progress of an exchange. Times are in seconds.
pub(crate) async fn status(
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let status = of_path(&caller, &name).await?.exchange.status;
    let seconds = |at: Option<UnixMillis>| at.map_or(Value::Null, |at| (at.0 / 1_000).into());
    Ok(Json(json!({
        "checkpoint_ts": seconds(status.checkpoint),
        "fetched_items": status.fetched_items,
        "last_fetch_complete_ts": seconds(status.completed_at),
        "last_fetch_succeeded": status.succeeded,
        "running_fetch_start_ts": seconds(status.running_since),
        "up_to_date": status.up_to_date,
    })))
}

/// Turns an exchange on or off.
pub(crate) async fn change(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    request: Request<Body>,
) -> Result<Json<Value>, Refusal> {
    let asked = json::object(&shared, request).await?;
    let enabled = asked.get("enabled").ok_or_else(|| Refusal::body("enabled", "is required"))?;
    let enabled = banks::enabled(enabled)?;
    let exchange = of_path(&caller, &name).await?;
    let key = IdempotencyKey::random();
    let set = caller
        .exchanges()
        .set_exchange_enabled(&exchange.exchange.name, enabled, key, caller.deadline())
        .await?;
    caller.newest().wrote(set.sequence);
    Ok(Json(shown(&set.value)))
}

/// Deletes an exchange and its bank, whether or not they exist.
pub(crate) async fn delete(
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let deleted = || Ok(Json(json!({ "message": "Exchange deleted" })));
    let exchange = match of_path(&caller, &name).await {
        Ok(exchange) => exchange,
        Err(Refusal::Problem(problem)) if problem.status == StatusCode::NOT_FOUND => return deleted(),
        Err(refusal) => return Err(refusal),
    };
    // The bank first, if it belongs to the exchange: if a step fails, the next attempt completes it.
    if exchange.bank.to_string() == exchange.exchange.name.as_str() {
        let bank: BankRef = exchange.bank.clone();
        match caller.banks().delete_bank(&bank, IdempotencyKey::random(), caller.deadline()).await {
            Ok(gone) => caller.newest().wrote(gone.sequence),
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    match caller
        .exchanges()
        .remove_exchange(&exchange.exchange.name, IdempotencyKey::random(), caller.deadline())
        .await
    {
        Ok(removed) => caller.newest().wrote(removed.sequence),
        Err(error) if error.code() == Code::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    deleted()
}
