//! A bank as ThreatExchange `threat_updates`. Every privacy group stands for the bank.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::{HeaderMap, Uri, header};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;
use vigie_clients::ChangesFrom;
use vigie_formats::threat_exchange::{NextLink, Page, render, updates as updates_of};
use vigie_model::{Sequence, UnixMillis};

use crate::feeds::link;
use crate::feeds::source::{By, Follower, PAGE_MAX, PagePosition, Range, bank, end_of_second, page};
use crate::hma::Refusal;
use crate::shared::Shared;
use crate::upstream::Caller;

/// The default number of updates of a page.
const LIMIT_DEFAULT: u16 = 100;

/// The query for updates.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    start_time: Option<u64>,
    stop_time: Option<u64>,
    limit: Option<u16>,
    types: Option<String>,
    after: Option<String>,
}

/// Answers a page of updates, the earliest first.
pub(crate) async fn updates(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path((name, _)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let bank = bank(&caller, &name).await?;
    // The first second is read again: more items may have changed in it.
    let since =
        asked.start_time.filter(|since| *since > 0).map(|since| UnixMillis(since.saturating_mul(1_000)));
    let place = asked.after.as_deref().map(str::parse::<PagePosition>).transpose()?;
    let begin = match (place, since) {
        (Some(place), _) => ChangesFrom::After(place.after),
        (None, Some(since)) => ChangesFrom::AfterTime(UnixMillis(since.0 - 1)),
        (None, None) => ChangesFrom::Beginning,
    };
    let begun = place.map(|place| place.begun);
    let follower =
        Follower { gets_all: shared.feeds_pass_on, by: By::Value, since: since.map(end_of_second), begun };
    let mut range = Range {
        from: begin,
        through: asked.stop_time.map(|stop| UnixMillis(stop.saturating_mul(1_000).saturating_add(999))),
        size: asked.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, PAGE_MAX),
        follower,
    };
    let types = asked.types.as_deref().filter(|types| !types.is_empty());
    let is_wanted = |kind: &str| types.is_none_or(|types| types.split(',').any(|wanted| wanted == kind));
    let mut updates = Vec::new();
    let place = loop {
        let page = page(&caller, &bank.name, range).await?;
        let found =
            page.records.iter().flat_map(|(item, record)| updates_of(record, item.0, bank.id.0.into()));
        let found: Vec<_> = found.filter(|update| is_wanted(&update.kind)).collect();
        // Clients fail at an empty page, so a page links to another one only if that has an update.
        if !updates.is_empty() && !found.is_empty() {
            break Some(PagePosition {
                after: range_start(&range),
                begun: range.follower.begun.unwrap_or(page.covers),
            });
        }
        updates.extend(found);
        let Some(next) = page.next else { break None };
        range.from = ChangesFrom::After(next.after);
        range.follower.begun = Some(next.begun);
    };
    let next = place.map(|place| next(&shared, &headers, &uri, place)).transpose()?;
    let body = render(&Page { updates, next, ..Page::default() });
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Returns the change after which a later page of a request begins.
const fn range_start(range: &Range) -> Sequence {
    match range.from {
        ChangesFrom::After(after) => after,
        ChangesFrom::Beginning | ChangesFrom::AfterTime(_) => Sequence::ZERO,
    }
}

/// Returns the link of the next page: the same request at another position. It carries the caller's token,
/// because clients add nothing to it.
fn next(shared: &Shared, headers: &HeaderMap, uri: &Uri, place: PagePosition) -> Result<NextLink, Refusal> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        if name != "after" {
            query.append_pair(&name, &value);
        }
    }
    query.append_pair("after", &place.to_string());
    Ok(NextLink(link::to(shared, headers, &format!("{}?{}", uri.path(), query.finish()))?))
}

/// Lists the privacy groups of an app: only the bank.
pub(crate) async fn groups(
    Extension(caller): Extension<Caller>,
    Path((name, _)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let bank = bank(&caller, &name).await?;
    let added_on = bank.created_at.0 / 1_000;
    Ok(Json(json!({ "data": [{
        "id": bank.id.0.to_string(),
        "name": bank.name.to_string(),
        "description": "",
        "members_can_see": true,
        "members_can_use": true,
        "added_on": added_on,
        "last_updated": added_on,
        "threat_updates_enabled": true,
    }] }))
    .into_response())
}
