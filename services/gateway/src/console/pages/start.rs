//! The first page: the open tasks of the person, and the state of the cluster. Also the choice of a language.

use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use http::{HeaderValue, header};
use maud::{Markup, html};

use crate::console::page::{Done, Failed, Page};
use crate::console::pages::known::items;
use crate::console::pages::review::waiting::{Waiting, waiting};
use crate::console::pages::{check, health};
use crate::console::parts;
use crate::console::posted::Posted;
use crate::console::route::Route;
use crate::console::state::Console;
use crate::console::text::{COOKIE, Language};
use crate::console::visit::Visit;
use crate::problem::Problem;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console", &[], get(async || Redirect::permanent("/console/"))),
        Route::page("/console/", &[], get(show)),
        Route::form("/console/language", &[], &[], post(choose_language)),
    ]
}

async fn show(visit: Visit, State(console): State<Console>) -> Page {
    let (state, waits) = tokio::join!(health::sentence(&visit, &console), waiting(&visit));
    let main = html! {
        (state)
        @if visit.may_any(items::SEARCHES) { (items::search_form(&visit)) }
        @if !waits.is_empty() { (parts::section(visit.t("start.waiting"), waiting_cards(&visit, &waits))) }
        @if visit.may_any(check::RIGHTS) { (parts::section(visit.t("start.check"), check::form(&visit))) }
    };
    Page::new(visit.t("start.title"), main)
}

/// Renders the open tasks, with a count for each kind.
fn waiting_cards(visit: &Visit, waits: &[Waiting]) -> Markup {
    html! {
        ul.counts {
            @for waiting in waits {
                li {
                    a href=(waiting.link()) {
                        span.count { (waiting.number(visit)) } " " (waiting.label(visit))
                    }
                }
            }
        }
    }
}

/// Stores the chosen language in a cookie for a year.
async fn choose_language(posted: Posted) -> Result<Response, Failed> {
    let language = Language::of_code(posted.field("language"));
    let language = language.ok_or_else(|| Problem::field("language", "is en or fr"))?;
    let mut answer = Done::saying(local(posted.field("next")), "language", &[]).into_response();
    let cookie = format!("{COOKIE}={}; Path=/console; Max-Age=31536000; SameSite=Lax", language.code());
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(answer)
}

/// Returns the path to redirect to: the requested one, or the first page if the requested one would leave the
/// console.
pub(super) fn local(path: &str) -> &str {
    let is_local =
        path.strip_prefix("/console").is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_local && is_plain && !path.contains("//") { path } else { "/console/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_console_are_gone_on_with() {
        for path in ["/console", "/console/", "/console/check?x=1", "/console?x"] {
            assert_eq!(local(path), path);
        }
        for path in [
            "//evil.example",
            "https://evil.example",
            "/consoles",
            "/console//evil.example",
            "/console/\\e",
            "",
            "/v1",
        ] {
            assert_eq!(local(path), "/console/", "{path}");
        }
    }
}
