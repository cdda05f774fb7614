//! The state of the cluster as a sentence, which every signed-in person may read.
//!
//! A search of no bank goes to every shard. Its answer names the shards that answered, and each shard's
//! position in the bank's log. The call uses the gateway's own credential, so it counts against no caller's
//! quota.

use std::time::Duration;

use maud::{Markup, html};
use tokio::time::Instant;
use vigie_clients::partial_search;
use vigie_model::{
    BankSet, Coverage, Hash, MinCoverage, Query, QueryHash, SearchOptions, UnixMillis, Variant,
};
use vigie_rpc::Priority;

use crate::cluster::State;
use crate::console::parts::{self, Tone};
use crate::console::state::Console;
use crate::console::visit::Visit;

/// The path of the health page.
pub(super) const PATH: &str = "/console/health";
/// The path of the sentence alone, which open pages request every few seconds.
pub(super) const NOW: &str = "/console/health/now";
/// The deadline of a call to a service. Short, so that the health page is fast even if no service answers.
const WITHIN: Duration = Duration::from_millis(1_500);
/// The age from which the searched data is called old, in milliseconds. Followers get changes from the bank
/// every few seconds.
const OLD_MS: u64 = 60_000;
/// The most shards that are named.
const PARTS_SHOWN: usize = 8;

/// Returns the deadline of a call that begins now.
pub(super) fn until() -> Instant {
    // Each service has its full time, whatever the earlier calls took: a service that is down does not make
    // the others look down.
    Instant::now() + WITHIN
}

/// Renders the state of the cluster as a sentence. With JavaScript it is renewed every 5 seconds.
pub(crate) async fn sentence(visit: &Visit, console: &Console) -> Markup {
    let searched = match &console.coordinator {
        None => Searched::Unknown { is_serving: console.cluster.state() == State::Ready },
        Some(coordinator) => {
            let query =
                Query { hashes: vec![QueryHash { hash: Hash::md5([0; 16]), variant: Variant::Original }] };
            let options = SearchOptions {
                bank_set: Some(BankSet::default().into()),
                min_coverage: MinCoverage::new(0.0).unwrap_or_default(),
                ..SearchOptions::default()
            };
            match coordinator.search([&query], &options, Priority::Interactive, until()).await {
                Ok(answer) => Searched::Parts(answer.coverage),
                Err(error) => match partial_search(&error) {
                    Some(partial) => Searched::Parts(partial.coverage),
                    None => Searched::Nothing,
                },
            }
        }
    };
    let (tone, words) = searched.words(visit, console.clock.now());
    let state = match tone {
        Tone::Good => "health.state.good",
        Tone::Warn | Tone::Plain => "health.state.warn",
        Tone::Bad => "health.state.bad",
    };
    html! {
        div #health-now hx-get=(NOW) hx-trigger="every 5s" hx-select="#health-now" hx-swap="outerHTML"
            data-stale=(visit.t("health.stale")) {
            p.health role="status" { (parts::badge(tone, visit.t(state))) " " (words) }
        }
        @if visit.path != PATH { p { a href=(PATH) { (visit.t("health.more")) } } }
    }
}

/// The reach of a search at present.
#[derive(Debug, PartialEq, Eq)]
enum Searched {
    /// The shards that answered.
    Parts(Coverage),
    /// Nothing: no coordinator answers.
    Nothing,
    /// The gateway has no coordinator. `is_serving`: whether the frontends report that they serve.
    Unknown { is_serving: bool },
}

impl Searched {
    fn words(&self, visit: &Visit, now: UnixMillis) -> (Tone, String) {
        let coverage = match self {
            Self::Parts(coverage) => coverage,
            Self::Nothing => return (Tone::Bad, visit.t("health.nothing").to_owned()),
            Self::Unknown { is_serving: true } => return (Tone::Good, visit.t("health.serving").to_owned()),
            Self::Unknown { is_serving: false } => return (Tone::Bad, visit.t("health.nothing").to_owned()),
        };
        let (answered, total) = (coverage.shards_answered, coverage.shards_total);
        if answered == 0 {
            return (Tone::Bad, visit.t("health.no_part").to_owned());
        }
        let heard = coverage.as_of.heard.map(|at| at.min(now));
        let age = heard.map(|at| parts::age(visit, now, at));
        if !coverage.is_full() {
            let mut parts: Vec<String> = coverage
                .failures
                .iter()
                .take(PARTS_SHOWN)
                .map(|failure| failure.shard.0.to_string())
                .collect();
            if coverage.failures.len() > PARTS_SHOWN {
                parts.push("…".to_owned());
            }
            let away = total.saturating_sub(answered);
            let key = if away == 1 { "health.part_away" } else { "health.parts_away" };
            let parts = parts.join(", ");
            return (Tone::Bad, visit.fill(key, &[("away", &away), ("total", &total), ("parts", &parts)]));
        }
        let is_old = heard.is_none_or(|at| now.0 - at.0 > OLD_MS);
        let (tone, key) = match (is_old, total, age.is_some()) {
            (_, _, false) => (Tone::Warn, "health.undated"),
            (true, ..) => (Tone::Warn, "health.old"),
            (false, 1, true) => (Tone::Good, "health.whole"),
            (false, _, true) => (Tone::Good, "health.all"),
        };
        (tone, visit.fill(key, &[("total", &total), ("age", &age.unwrap_or_default())]))
    }
}
