//! The health page: whether all shards are searched, how fresh they are, and the numbers behind both.
//!
//! The page shows which services answer and which do not. It does not depend on the bank, since it is needed
//! most while the bank is down.

mod away;
mod sentence;
mod cluster;

use axum::extract::State;
use axum::routing::get;
use maud::{Markup, html};
use vigie_clients::Decoding;
use vigie_consortium::rights::Method;
use vigie_model::LogHead;

use crate::console::page::Page;
use crate::console::pages::health::away::away;
use crate::console::pages::health::sentence::{NOW, PATH, until};
use crate::console::parts::{self, Tone};
use crate::console::route::Route;
use crate::console::state::Console;
use crate::console::visit::Visit;
use crate::problem::Problem;

pub(crate) use sentence::sentence;

pub(crate) fn routes() -> Vec<Route> {
    vec![Route::page(PATH, &[], get(show)), Route::page(NOW, &[], get(now))]
}

async fn now(visit: Visit, State(console): State<Console>) -> Page {
    Page::new(visit.t("health.title"), sentence(&visit, &console).await)
}

async fn show(visit: Visit, State(console): State<Console>) -> Page {
    let head = async { visit.caller.banks().log_head(until()).await };
    let decoding = async {
        match visit.may(Method::DescribeDecoding) {
            true => Some(visit.caller.frontends().decoding(until()).await),
            false => None,
        }
    };
    let topology = async {
        match cluster::is_shown_to(&visit) {
            true => cluster::topology(&console).await,
            false => None,
        }
    };
    let (said, head, decoding, topology) = tokio::join!(sentence(&visit, &console), head, decoding, topology);
    let main = html! {
        (said)
        (bank(&visit, head.map_err(Problem::from)))
        @if let Some(topology) = topology { (cluster::details(&visit, topology.map_err(Problem::from))) }
        @if let Some(decoding) = decoding { (decoder(&visit, decoding.map_err(Problem::from))) }
        (parts::section(visit.t("health.program.title"), program(&visit)))
    };
    Page::new(visit.t("health.title"), main)
}

/// Renders the position of the bank's log and the bank's contents.
fn bank(visit: &Visit, head: Result<LogHead, Problem>) -> Markup {
    let number = |number: u64| html! { (visit.language.number(number)) };
    let body = match head {
        Ok(head) => parts::facts([
            (visit.t("health.bank.sequence"), number(head.sequence.0)),
            (visit.t("health.bank.banks"), number(head.banks)),
            (visit.t("health.bank.items"), number(head.items)),
            (visit.t("health.bank.hashes"), number(head.hashes)),
            (visit.t("health.bank.floor"), number(head.floor.0)),
        ]),
        Err(problem) => away(visit, "health.bank.away", &problem),
    };
    parts::section(visit.t("health.bank.title"), body)
}

/// Renders whether videos are decoded, the version of FFmpeg, and the sandbox of the decoding processes.
fn decoder(visit: &Visit, decoding: Result<Decoding, Problem>) -> Markup {
    let body = match decoding {
        Ok(Decoding { no_videos, ffmpeg, protection }) => {
            let protection = match protection.as_str() {
                "full" => html! { (parts::badge(Tone::Good, visit.t("health.decoder.full"))) },
                "seccomp_only" => {
                    html! { (parts::badge(Tone::Warn, visit.t("health.decoder.seccomp_only"))) }
                }
                _ => html! { (parts::badge(Tone::Bad, visit.t("health.decoder.none"))) },
            };
            html! {
                p {
                    @match &no_videos {
                        None => (visit.t("health.decoder.videos")),
                        Some(why) => { (visit.t("health.decoder.no_videos")) " " span.detail { "(" (why) ")" } }
                    }
                }
                (parts::facts([
                    (visit.t("health.decoder.ffmpeg"), html! { (ffmpeg.as_deref().unwrap_or(visit.t("health.decoder.no_ffmpeg"))) }),
                    (visit.t("health.decoder.protection"), protection),
                ]))
            }
        }
        Err(problem) => away(visit, "health.decoder.away", &problem),
    };
    parts::section(visit.t("health.decoder.title"), body)
}

/// Renders the version of this program, and the paths of its metrics and probes.
fn program(visit: &Visit) -> Markup {
    html! {
        (parts::facts([(visit.t("health.program.version"), html! { (env!("CARGO_PKG_VERSION")) })]))
        p { (visit.t("health.program.metrics")) }
        ul {
            li { code { "/metrics" } " " (visit.t("health.program.metrics_path")) }
            li { code { "/readyz" } " " (visit.t("health.program.ready_path")) }
            li { code { "/livez" } " " (visit.t("health.program.live_path")) }
        }
        p { a href="/v1/openapi.json" { (visit.t("health.program.api")) } }
    }
}
