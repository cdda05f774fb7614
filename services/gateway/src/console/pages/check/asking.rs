//! Sends contents to the frontends: one call for each file, so that results cannot be mixed up, and one call
//! for all hashes.

use futures::stream::{self, StreamExt as _};
use tokio::time::{Duration, Instant};
use vigie_classifiers::Kind;
use vigie_clients::{MatchAnswer, partial_match};
use vigie_model::{Content, Coverage, Limit, MatchCall, Matched, MinCoverage, SearchOptions};
use vigie_proto::consortium::kind_word;

use crate::console::visit::Visit;
use crate::problem::Problem;

/// The most concurrent calls.
const CALLS_MAX: usize = 4;
/// The most matches for each content.
const MATCHES_MAX: i64 = 20;
/// The surface (the source of the content) that policies see.
const SURFACE: &str = "console";
/// The least coverage. Almost zero, so that a partial answer is accepted, and shown as partial.
const COVERAGE_MIN: f64 = 1e-9;

/// The search result of a content.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) matched: Matched,
    /// The coverage of the search.
    pub(super) coverage: Coverage,
}

/// The result of a content, or the reason for which it was not checked.
pub(super) type Outcome = Result<Found, Problem>;

/// Returns the first of these names that is no model of images; `None` if each is one, or if the bank does
/// not answer: a frontend checks the names itself.
pub(super) async fn not_of_images<'a>(visit: &Visit, names: &'a [Box<str>]) -> Option<&'a str> {
    if names.is_empty() {
        return None;
    }
    let models = visit.caller.model_cards().list(visit.deadline()).await.ok()?.value;
    let is_of_images =
        |name: &str| models.iter().any(|one| one.name == name && one.kind == kind_word(Kind::Image));
    names.iter().map(|name| &**name).find(|name| !is_of_images(name))
}

/// Searches contents, and asks these classifiers about the pictures among them. Returns the outcomes in the
/// same order.
pub(super) async fn ask(visit: &Visit, contents: Vec<Content>, classifiers: &[Box<str>]) -> Vec<Outcome> {
    // The deadline starts anew here: reading the form and fetching have limits of their own.
    visit.caller.begin_anew();
    let within = visit.deadline().saturating_duration_since(Instant::now());
    let mut calls: Vec<Vec<Content>> = Vec::new();
    for content in contents {
        let is_hashed = |content: &Content| matches!(content, Content::Hashed { .. });
        match calls.last_mut() {
            Some(call) if is_hashed(&content) && call.iter().all(is_hashed) => call.push(content),
            _ => calls.push(vec![content]),
        }
    }
    let asked = calls.into_iter().map(|call| ask_together(visit, call, classifiers, within));
    let outcomes: Vec<Vec<Outcome>> = stream::iter(asked).buffered(CALLS_MAX).collect().await;
    outcomes.into_iter().flatten().collect()
}

async fn ask_together(
    visit: &Visit,
    contents: Vec<Content>,
    classifiers: &[Box<str>],
    within: Duration,
) -> Vec<Outcome> {
    let count = contents.len();
    let options = SearchOptions {
        limit: Limit::new(MATCHES_MAX).unwrap_or_default(),
        min_sequence: visit.caller.newest().sequence(),
        min_coverage: MinCoverage::new(COVERAGE_MIN).unwrap_or_default(),
        ..SearchOptions::default()
    };
    let is_video = matches!(contents[..], [Content::Video(_)]);
    let is_image = matches!(contents[..], [Content::Image(_)]);
    let call = MatchCall {
        contents,
        options,
        quality_floor: None,
        surface: SURFACE.into(),
        classifiers: if is_image { classifiers.to_vec() } else { Vec::new() },
    };
    let (frontends, deadline) = (visit.caller.frontends(), Instant::now() + within);
    let answered = match is_video {
        true => frontends.match_video(call, deadline).await,
        false => frontends.match_content(call, deadline).await,
    };
    let answer = match answered {
        Ok(answer) => answer,
        Err(error) => {
            let Some(partial) = partial_match(&error) else {
                let problem = Problem::from(error);
                return (0..count).map(|_| Err(problem.clone())).collect();
            };
            partial
        }
    };
    outcomes(visit, answer, count)
}

/// Returns the outcome of each content. An answer that covers no shard, or that lacks its results, is a
/// failure.
fn outcomes(visit: &Visit, answer: MatchAnswer, count: usize) -> Vec<Outcome> {
    let MatchAnswer { results, coverage, .. } = answer;
    if results.len() != count || coverage.shards_answered == 0 {
        let missing = Problem::busy(visit.t("check.no_part"));
        return (0..count).map(|_| Err(missing.clone())).collect();
    }
    let outcome = |result: Result<Matched, _>| match result {
        Ok(matched) => Ok(Found { matched, coverage: coverage.clone() }),
        Err(vigie_clients::QueryFailure { code, message }) => Err(Problem::of_code(code, message)),
    };
    results.into_iter().map(outcome).collect()
}
