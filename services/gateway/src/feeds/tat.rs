//! A bank as Tech Against Terrorism's hash list, version 2.
//!
//! A checkpoint is the time of the last change in seconds, a comma and its sequence.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::{HeaderMap, Request, Uri, header};
use serde_json::json;
use url::form_urlencoded;
use vigie_clients::ChangesFrom;
use vigie_formats::tat::{Page, entries, render};
use vigie_model::{Sequence, UnixMillis};

use crate::feeds::link;
use crate::feeds::source::{By, Follower, PAGE_MAX, PagePosition, Range, RecordPage, bank, page};
use crate::hma::{Refusal, json as read_json};
use crate::shared::Shared;
use crate::upstream::Caller;

/// The most bytes of a login's form.
const FORM_BYTES_MAX: usize = 16 << 10;

/// Answers a login with its password as the token: an API key needs no session.
pub(crate) async fn login(State(shared): State<Shared>, request: Request<Body>) -> Result<Response, Refusal> {
    let (_, body) = read_json::read_at_most(&shared, request, FORM_BYTES_MAX).await?;
    let field = |wanted: &str| {
        let found = form_urlencoded::parse(body.bytes()).find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    };
    match (field("username"), field("password")) {
        (Some(user), Some(password)) => {
            Ok(Json(json!({ "token": password, "user": { "username": user } })).into_response())
        }
        (None, _) | (_, None) => Err(Refusal::bad("username and password are required")),
    }
}

/// Returns a parameter of the part after the last question mark, skipping words without a value: a client of
/// the programme writes URLs into queries.
fn parameter(uri: &Uri, wanted: &str) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    let own = query.rsplit_once('?').map_or(query, |(_, own)| own);
    let found = own.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == wanted)?;
    let pair = format!("{}={}", found.0, found.1);
    let value = form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned());
    value.filter(|value| !value.is_empty())
}

/// Parses a checkpoint into its time and sequence.
fn checkpoint(text: &str) -> Option<(UnixMillis, Sequence)> {
    let (time, sequence) = text.split_once(',')?;
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    let seconds: u64 = seconds.parse().ok()?;
    let at = seconds.checked_mul(1_000)?.checked_add(millis.parse().ok()?)?;
    Some((UnixMillis(at), Sequence(sequence.parse().ok()?)))
}

/// Returns the checkpoint after a page; `None` for an empty page.
fn checkpoint_after(page: &RecordPage) -> Option<String> {
    let at = page.newest?;
    Some(format!("{}.{:03}000,{}", at.0 / 1_000, at.0 % 1_000, page.covers))
}

/// Answers a page of the list, the earliest first.
pub(crate) async fn all(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let bank = bank(&caller, &name).await?;
    let after = parameter(&uri, "after");
    let known = after.as_deref().map(|after| {
        checkpoint(after).ok_or_else(|| Refusal::bad("after is not a checkpoint that this feed returned"))
    });
    let known = known.transpose()?;
    // The position of a page takes precedence over the checkpoint, which the client sends with every page.
    let place = parameter(&uri, "page").map(|page| page.parse::<PagePosition>()).transpose()?;
    let from = match (place, known) {
        (Some(place), _) => ChangesFrom::After(place.after),
        (None, Some((_, sequence))) => ChangesFrom::After(sequence),
        (None, None) => ChangesFrom::Beginning,
    };
    let begun = place.map(|place| place.begun);
    let follower =
        Follower { gets_all: shared.feeds_pass_on, by: By::Value, since: known.map(|(at, _)| at), begun };
    let page = page(&caller, &bank.name, Range { from, through: None, size: PAGE_MAX, follower }).await?;
    let next = page.next.map(|place| {
        let path = format!("{}?page={place}&order=asc", uri.path());
        link::to(&shared, &headers, &path)
    });
    let next = next.transpose()?;
    let entries: Vec<_> = page.records.iter().flat_map(|(item, record)| entries(record, item.0)).collect();
    let checkpoint = checkpoint_after(&page);
    let body = render(&Page { count: entries.len() as u64, entries, next, checkpoint, ..Page::default() });
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_is_written() {
        assert_eq!(
            checkpoint("1724856487.709035,10594"),
            Some((UnixMillis(1_724_856_487_709), Sequence(10_594)))
        );
        assert_eq!(checkpoint("1724856487,7"), Some((UnixMillis(1_724_856_487_000), Sequence(7))));
        for bad in ["", "5", "x,5", "5,x", "99999999999999999999,5"] {
            assert_eq!(checkpoint(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_parameters_of_a_url_within_the_query_count() {
        let uri: Uri = "/all?https://host/all?page=2&order=asc&after=1.5,7".parse().unwrap();
        assert_eq!(parameter(&uri, "page").as_deref(), Some("2"));
        assert_eq!(parameter(&uri, "after").as_deref(), Some("1.5,7"));
        let uri: Uri = "/all?None&order=asc&after=".parse().unwrap();
        assert_eq!((parameter(&uri, "after"), parameter(&uri, "order").as_deref()), (None, Some("asc")));
    }
}
