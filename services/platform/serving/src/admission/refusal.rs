//! Answers refused calls: `RESOURCE_EXHAUSTED`, with the time after which to retry.
//!
//! Under overload most answers are refusals, so they are built in advance, one for each reason and pause. The
//! pause grows with the overload, so that no more calls come back than can be worked on. It is drawn at
//! random around that value, so that callers refused together do not come back together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, Response};
use tonic::Status;
use tonic::body::Body;
use vigie_rpc::details::resource_exhausted;

use crate::admission::ledger::Shortage;
use crate::load::Refusal;
use crate::random;

/// The pause when nearly nothing is refused: about the time in which a full server finishes some calls.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The factor between two successive pauses.
const STEP: f64 = 1.25;

const REASONS: [Refusal; 4] = [Refusal::Full, Refusal::Bulk, Refusal::Share, Refusal::Waiting];

const fn text(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Full => "too many calls in flight; try again later",
        Refusal::Bulk => "too many calls in flight for bulk work; try again later",
        Refusal::Share => "this client has its share of the calls in flight; try again later",
        Refusal::Waiting => "too much bulk work is waiting; try again later",
    }
}

/// The answers to refused calls, built in advance.
#[derive(Debug)]
pub(crate) struct Refusals {
    pauses: Vec<Duration>,
    /// The headers of the answers, by reason, then by pause.
    heads: Vec<Vec<HeaderMap>>,
    drawn: AtomicU64,
}

impl Refusals {
    /// Builds all answers. `seed` begins the random pauses.
    pub(crate) fn new(seed: u64) -> Self {
        let longer = |pause: &Duration| Some(pause.mul_f64(STEP)).filter(|pause| *pause < PAUSE_MAX);
        let mut pauses: Vec<_> = std::iter::successors(Some(PAUSE / 2), longer).collect();
        pauses.push(PAUSE_MAX);
        let head =
            |reason, pause| resource_exhausted(text(reason), pause).into_http::<()>().into_parts().0.headers;
        let heads = REASONS.map(|reason| pauses.iter().map(|pause| head(reason, *pause)).collect()).into();
        Self { pauses, heads, drawn: AtomicU64::new(seed) }
    }

    /// Returns the answer to a refused call.
    pub(crate) fn response(&self, refusal: Refusal, overload: f64) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let reason = REASONS.iter().position(|one| *one == refusal);
        if let Some(head) = reason.and_then(|reason| self.heads.get(reason)?.get(self.draw(overload))) {
            response.headers_mut().clone_from(head);
        }
        response
    }

    /// Returns the status for refused work that is part of a call.
    pub(crate) fn status(&self, refusal: Refusal, overload: f64) -> Status {
        resource_exhausted(text(refusal), self.pause(overload))
    }

    /// Returns the status for a call whose body finds no memory.
    pub(crate) fn no_bytes(&self, shortage: Shortage, overload: f64) -> Status {
        let text = match shortage {
            Shortage::Full => "too many bytes of requests in flight; try again later",
            Shortage::Share => "this client has its share of the bytes in flight; try again later",
        };
        resource_exhausted(text, self.pause(overload))
    }

    fn pause(&self, overload: f64) -> Duration {
        self.pauses.get(self.draw(overload)).copied().unwrap_or(PAUSE_MAX)
    }

    /// Draws the index of a pause: from half of what the overload asks for to one and a half times it.
    fn draw(&self, overload: f64) -> usize {
        let random = random::splitmix(self.drawn.fetch_add(1, Ordering::Relaxed));
        let wanted = PAUSE.mul_f64(overload.clamp(1.0, 1_000.0) * (0.5 + random));
        self.pauses.partition_point(|pause| *pause < wanted).min(self.pauses.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use vigie_rpc::details::retry_after;

    use super::*;

    fn code_and_pause(response: &Response<Body>) -> (Code, Duration) {
        let status = Status::from_header_map(response.headers()).unwrap();
        (status.code(), retry_after(&status).unwrap())
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let refusals = Refusals::new(1);
        for refusal in REASONS {
            let (code, pause) = code_and_pause(&refusals.response(refusal, 1.0));
            assert_eq!(code, Code::ResourceExhausted);
            assert!((PAUSE / 2..=PAUSE * 2).contains(&pause), "{pause:?}");
        }
        let status = refusals.no_bytes(Shortage::Full, 1.0);
        assert!(retry_after(&status).is_some());
    }

    #[test]
    fn pauses_grow_with_the_overload_and_differ() {
        let refusals = Refusals::new(1);
        let mean = |overload| {
            let pauses: Vec<_> =
                (0..200).map(|_| code_and_pause(&refusals.response(Refusal::Full, overload)).1).collect();
            let distinct: std::collections::HashSet<_> = pauses.iter().collect();
            assert!(distinct.len() >= 4, "{distinct:?}");
            pauses.iter().sum::<Duration>() / 200
        };
        let (little, much) = (mean(1.0), mean(10.0));
        assert!(much > little * 8 && much < little * 12, "{little:?}, {much:?}");
        assert_eq!(code_and_pause(&refusals.response(Refusal::Full, f64::INFINITY)).1, PAUSE_MAX);
    }
}
