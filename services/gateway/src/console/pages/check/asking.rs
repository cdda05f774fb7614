//! Asks the frontends about contents: each file in a call of its own, so that none is answered for another; all hashes in one call.

use futures::stream::{self, StreamExt as _};
use tokio::time::{Duration, Instant};
use vigie_clients::{MatchAnswer, partial_match};
use vigie_model::{Content, Coverage, Limit, MatchCall, Matched, MinCoverage, SearchOptions};

use crate::console::visit::Visit;
use crate::problem::Problem;

/// Calls at once.
const CALLS_MAX: usize = 4;
/// The most matches of a content.
const MATCHES_MAX: i64 = 20;
/// What policies read as the place where the content comes from.
const SURFACE: &str = "console";
/// The least share of parts: an answer of fewer than all is taken, and shown as what it is.
const COVERAGE_MIN: f64 = 1e-9;

/// What was found for a content.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) matched: Matched,
    /// What was searched.
    pub(super) coverage: Coverage,
}

/// What came of a content: what was found, or why it was not checked.
pub(super) type Outcome = Result<Found, Problem>;

/// Asks about contents. The outcomes are in their order.
pub(super) async fn ask(visit: &Visit, contents: Vec<Content>) -> Vec<Outcome> {
    // Reading the form and fetching have bounds of their own.
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
    let asked = calls.into_iter().map(|call| ask_together(visit, call, within));
    let outcomes: Vec<Vec<Outcome>> = stream::iter(asked).buffered(CALLS_MAX).collect().await;
    outcomes.into_iter().flatten().collect()
}

async fn ask_together(visit: &Visit, contents: Vec<Content>, within: Duration) -> Vec<Outcome> {
    let count = contents.len();
    let options = SearchOptions {
        limit: Limit::new(MATCHES_MAX).unwrap_or_default(),
        min_sequence: visit.caller.newest().sequence(),
        min_coverage: MinCoverage::new(COVERAGE_MIN).unwrap_or_default(),
        ..SearchOptions::default()
    };
    let is_video = matches!(contents[..], [Content::Video(_)]);
    let call = MatchCall { contents, options, quality_floor: None, surface: SURFACE.into() };
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

/// The outcome of each content. An answer of no part at all, or one that came without its results, is none.
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
