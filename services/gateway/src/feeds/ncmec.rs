//! A bank as NCMEC hash sharing, version 2.
//!
//! The bank is the one member of its environment, with the bank's id; the id of an entry is that of its item.
//! A range of times is read in pages, by the links in each page. The range is in the past when it is
//! requested, so nothing new is added to it, and items that change meanwhile move to a later range.

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::header;
use serde::Deserialize;
use vigie_clients::{BankListing, ChangesFrom};
use vigie_formats::ncmec::{Member, Page, about, entries as entries_of, render};
use vigie_formats::utc;
use vigie_model::UnixMillis;

use crate::entry::ClientAddress;
use crate::feeds::source::{By, Follower, PAGE_MAX, PagePosition, Range, bank, end_of_second, page};
use crate::hma::Refusal;
use crate::problem::Problem;
use crate::shared::Shared;
use crate::upstream::Caller;

/// The most entries of a page, as in the programme itself.
const SIZE: u16 = PAGE_MAX;

fn xml(document: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/xml; charset=utf-8")], document).into_response()
}

/// Returns the bank as a member of the programme.
fn member(bank: &BankListing) -> Member {
    Member { id: bank.id.0.into(), name: bank.name.to_string() }
}

/// Answers the caller's identity.
pub(crate) async fn status(
    Extension(caller): Extension<Caller>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let bank = bank(&caller, &name).await?;
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    Ok(xml(about::status(&address, "follower", &member(&bank))))
}

/// Lists the members: only the bank.
pub(crate) async fn members(
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    Ok(xml(about::members(&[member(&bank(&caller, &name).await?)])))
}

/// Lists the reasons for negative feedback: none, because feedback is not accepted here.
pub(crate) async fn reasons(
    Extension(caller): Extension<Caller>,
    Path((name, kind)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    bank(&caller, &name).await?;
    Ok(xml(about::reasons(&kind, &[])))
}

/// The query: a range of times, and the position in it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    from: Option<String>,
    to: Option<String>,
    start: Option<u64>,
    after: Option<String>,
}

/// Reads a time of the query, rounded down to the second.
fn second(name: &str, text: Option<&str>) -> Result<Option<UnixMillis>, Refusal> {
    let parsed = text.map(|text| {
        utc::from_text(text)
            .ok_or_else(|| Refusal::bad(format!("{name} is not a time such as 2026-01-31T18:00:00Z")))
    });
    Ok(parsed.transpose()?.map(|at| UnixMillis(at.0 / 1_000 * 1_000)))
}

/// Answers a page of entries that were changed after `from` and up to `to`.
pub(crate) async fn entries(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let bank = bank(&caller, &name).await?;
    let (from, to) = (second("from", asked.from.as_deref())?, second("to", asked.to.as_deref())?);
    let place = asked.after.as_deref().map(str::parse::<PagePosition>).transpose()?;
    let since = from.filter(|from| from.0 > 0).map(end_of_second);
    let begin = match (place, since) {
        (Some(place), _) => ChangesFrom::After(place.after),
        // The second of `from` is sent again: an entry replaces itself.
        (None, Some(_)) => {
            ChangesFrom::AfterTime(UnixMillis(from.unwrap_or(UnixMillis(0)).0.saturating_sub(1)))
        }
        (None, None) => ChangesFrom::Beginning,
    };
    let follower =
        Follower { gets_all: shared.feeds_pass_on, by: By::Id, since, begun: place.map(|place| place.begun) };
    let range = Range { from: begin, through: to.map(end_of_second), size: SIZE, follower };
    let page = page(&caller, &bank.name, range).await?;
    // Entries may be added to a range that has not ended, and the follower would not ask for it again.
    if to.is_some_and(|to| end_of_second(to) > page.as_of) {
        return Err(
            Problem::busy("the range has not ended yet: ask for one that ends some seconds ago").into()
        );
    }
    let member = member(&bank);
    let start = asked.start.unwrap_or(0).saturating_add(page.records.len() as u64);
    let next = page.next.map(|place| {
        let time = |name: &str, at: Option<UnixMillis>| {
            at.map(|at| format!("{name}={}&", utc::to_text(at))).unwrap_or_default()
        };
        // The remaining entries are not counted; clients use the number as an estimate.
        let (size, max) = (SIZE, start + u64::from(SIZE) + 1);
        format!(
            "/v2/entries?{}{}start={start}&size={size}&max={max}&after={place}",
            time("from", from),
            time("to", to)
        )
    });
    let entries =
        page.records.iter().flat_map(|(item, record)| entries_of(record, &member, &item.to_string()));
    Ok(xml(render(&Page { entries: entries.collect(), next, ..Page::default() })))
}
