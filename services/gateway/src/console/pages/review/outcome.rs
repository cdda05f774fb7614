//! `POST /console/review/decisions/{id}`: sets the outcome of a decision, gives the opinion on the item, and
//! redirects to the next open decision.

use axum::extract::Path;
use serde::Deserialize;
use vigie_clients::{CasesAfter, Code, NewOpinion};
use vigie_hashes::hex;
use vigie_model::{ItemId, UnixMillis};

use super::calls::{decision_of, fault};
use super::deciding::{Entered, Saying};
use super::decision::{self, Case};
use super::said;
use super::settings::Settings;
use crate::console::page::{Answer, Done, Failed};
use crate::console::posted::{Asked, Posted};
use crate::console::visit::Visit;

/// The number of decisions that are read to find the next one: several may have the same millisecond.
const READ: u16 = 20;

pub(super) async fn decide(
    visit: Visit,
    Path(id): Path<String>,
    settings: Settings,
    posted: Posted,
) -> Result<Answer, Failed> {
    let case = decision::read(&visit, &id).await?;
    let entered = Entered::of(&posted);
    let again =
        |case: &Case, why: &str| Answer::Page(decision::page(&visit, case, settings, &entered, why, None));
    let record = &case.explained.listing.record;
    let before = case.explained.listing.outcome.map(|(outcome, _)| outcome);
    let (outcome, saying) = match entered.read(posted.field("outcome"), before) {
        Ok(read) => read,
        Err(key) => return Ok(again(&case, visit.t(key))),
    };
    let expected = Some(UnixMillis(posted.number("set_at")?));
    let set = visit.caller.decisions();
    let set = set.set_outcome(record.id, outcome, expected, posted.once_for("o"), visit.deadline()).await;
    match set {
        Ok(set) => visit.wrote(set.sequence),
        Err(error) if error.code() == Code::FailedPrecondition => {
            let case = decision::read(&visit, &id).await?;
            return Ok(again(&case, visit.t("review.wrong.changed")));
        }
        Err(error) => return Ok(again(&case, &fault(error)?.message)),
    }
    let done = match (case.speakable(&visit), saying) {
        (Some(item), Some(mut saying)) => {
            // The class that the member has proposed is kept if the kind of opinion stays the same.
            let same = said::own(&visit, &case.said).filter(|own| own.kind == Some(saying.kind));
            saying.words.proposed = same.and_then(|own| own.words.proposed.clone());
            say(&visit, item, saying, &posted).await
        }
        _ => "decided",
    };
    let (path, values) = match next(&visit, record.decided_at, record.id).await {
        Some(next) => {
            (format!("/console/review/decisions/{}", hex::encode(&next)), ("last", hex::encode(&record.id)))
        }
        None => ("/console/review".to_owned(), ("kind", "decisions".to_owned())),
    };
    Ok(Answer::Done(Done::saying(&path, done, &[(values.0, &values.1)])))
}

/// Gives the opinion on the item. Returns the key of the text for the next page: the outcome is set even if
/// this call fails.
async fn say(visit: &Visit, item: ItemId, saying: Saying, posted: &Posted) -> &'static str {
    let Saying { kind, words } = saying;
    let opinion = NewOpinion { item, hash: None, kind, words };
    let opinions = visit.caller.opinions();
    match opinions.put_opinions(vec![opinion], posted.once_for("p"), visit.deadline()).await {
        Ok(put) => {
            visit.wrote(put.sequence);
            "decided_and_said"
        }
        Err(error) => {
            if !matches!(error.code(), Code::NotFound | Code::PermissionDenied) {
                tracing::warn!(code = ?error.code(), "no opinion was put with a decision");
            }
            "decided_and_not_said"
        }
    }
}

/// Returns the open decision after this one, or the oldest open one if there is none.
async fn next(visit: &Visit, decided_at: UnixMillis, id: [u8; 16]) -> Option<[u8; 16]> {
    for from in [Some(decided_at), None] {
        let first = CasesAfter { limit: Some(READ), ..CasesAfter::default() };
        let page = visit.caller.decisions().list_waiting(first, from, visit.deadline()).await;
        let (waiting, _) = page.ok()?;
        let mut places = waiting.iter().map(|listing| (listing.record.decided_at, listing.record.id));
        let found = match from {
            Some(_) => places.find(|place| *place > (decided_at, id)),
            None => places.find(|(_, other)| *other != id),
        };
        if let Some((_, next)) = found {
            return Some(next);
        }
    }
    None
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SkipQuery {
    /// The time at which the skipped decision was taken, in Unix milliseconds.
    at: u64,
}

/// Redirects to the open decision after this one, which is not changed.
pub(super) async fn skip(
    visit: Visit,
    Path(id): Path<String>,
    Asked(place): Asked<SkipQuery>,
) -> Result<Done, Failed> {
    let id = decision_of(&id).ok_or_else(Failed::not_there)?;
    Ok(match next(&visit, UnixMillis(place.at), id).await {
        Some(next) => Done::at(format!("/console/review/decisions/{}", hex::encode(&next))),
        None => Done::saying("/console/review", "none_left", &[("kind", "decisions")]),
    })
}
