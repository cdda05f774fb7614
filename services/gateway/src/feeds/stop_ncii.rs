//! A bank as StopNCII, version 1.

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::header;
use serde::Deserialize;
use vigie_clients::ChangesFrom;
use vigie_formats::stop_ncii::{Page, hash_records, render};
use vigie_model::UnixMillis;

use crate::feeds::source::{By, Follower, PAGE_MAX, PagePosition, Range, bank, end_of_second, page};
use crate::hma::Refusal;
use crate::shared::Shared;
use crate::upstream::Caller;

/// The default number of records of a page.
const SIZE_DEFAULT: u16 = 800;
/// The start of every client's first request.
const FIRST_START: u64 = 10;

/// The query for records.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Asked {
    start_timestamp: Option<u64>,
    page_size: Option<u16>,
    next_page_token: Option<String>,
}

/// Answers a page of records, the earliest first.
pub(crate) async fn fetch_hashes(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let bank = bank(&caller, &name).await?;
    let start = asked.start_timestamp.unwrap_or(FIRST_START);
    let since = (start > FIRST_START).then(|| UnixMillis(start.saturating_mul(1_000)));
    let token = asked.next_page_token.as_deref().filter(|token| !token.is_empty());
    let place = token.map(str::parse::<PagePosition>).transpose()?;
    let from = match (place, since) {
        (Some(place), _) => ChangesFrom::After(place.after),
        // The first second is read again: more items may have changed in it.
        (None, Some(since)) => ChangesFrom::AfterTime(UnixMillis(since.0 - 1)),
        (None, None) => ChangesFrom::Beginning,
    };
    let size = asked.page_size.unwrap_or(SIZE_DEFAULT).clamp(1, PAGE_MAX);
    let begun = place.map(|place| place.begun);
    let follower =
        Follower { gets_all: shared.feeds_pass_on, by: By::Value, since: since.map(end_of_second), begun };
    let page = page(&caller, &bank.name, Range { from, through: None, size, follower }).await?;
    let case = format!("00000000-0000-4000-8000-{:012x}", bank.id.0);
    let records = page.records.iter().flat_map(|(_, record)| hash_records(record, &case)).collect();
    // The next round begins with the first second that has not ended or was not sent completely. A second is
    // not repeated without need: clients of version 1.2.17 of python-threatexchange treat the withdrawal of a
    // hash that they do not have as a new hash.
    let next_start = match page.next {
        Some(_) => page.newest.map_or(0, |at| at.0 / 1_000),
        None => (page.as_of.0 + 1) / 1_000,
    };
    let body = render(&Page {
        records,
        next_page_token: page.next.map(|place| place.to_string()),
        next_set_timestamp: next_start.max(start),
        has_more_records: page.next.is_some(),
        ..Page::default()
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
