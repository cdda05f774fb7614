//! Signing in by an API key or at an identity provider, and signing out.

mod provider;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, header};
use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::Bearer;
use vigie_model::UnixMillis;
use vigie_serving::Origin;
use zeroize::Zeroizing;

use crate::console::Console;
use crate::console::page::{Done, Failed, Page};
use crate::console::pages::start::local;
use crate::console::parts::{self, Field, Tone};
use crate::console::posted::{self, Posted};
use crate::console::routes::Route;
use crate::console::session::{Session, SignedIn, SignedInBy};
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The path of the page.
pub(crate) const PATH: &str = "/console/sign-in";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::form(PATH, &[], &[], get(show).post(sign_in)),
        Route::form("/console/sign-out", &[], &[], post(sign_out)),
    ]
    .into_iter()
    .chain(provider::routes())
    .collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Next {
    /// The page to go on with.
    next: String,
}

async fn show(
    visit: Visit,
    State(console): State<Console>,
    posted::Asked(asked): posted::Asked<Next>,
) -> Page {
    page(&visit, &console, &asked.next, &html! {})
}

/// The page with the ways to sign in. `fault`: why the last attempt failed.
fn page(visit: &Visit, console: &Console, next: &str, fault: &Markup) -> Page {
    let fields = html! {
        input type="hidden" name="next" value=(local(next));
        (parts::field(&Field {
            name: "key",
            label: visit.t("sign_in.key"),
            hint: visit.t("sign_in.key_hint"),
            kind: "password",
            is_required: true,
            ..Field::default()
        }))
        (parts::button(visit.t("sign_in.submit"), None))
    };
    let main = html! {
        (fault)
        @if !console.sessions.is_secure() { (parts::notice(Tone::Warn, html! { (visit.t("sign_in.insecure")) })) }
        @if let Some(provider) = console.provider.as_deref() {
            (provider::button(visit, provider, next))
            h2 { (visit.t("sign_in.by_key")) }
        }
        (parts::form(visit, PATH, fields))
    };
    Page::new(visit.t("sign_in.title"), main)
}

fn explained(visit: &Visit, problem: &Problem) -> Markup {
    let key = match problem.status {
        StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST => "sign_in.wrong",
        StatusCode::TOO_MANY_REQUESTS => "sign_in.too_many",
        StatusCode::FORBIDDEN => "sign_in.not_allowed",
        _ => "sign_in.unavailable",
    };
    html! { (visit.t(key)) }
}

/// Checks the key as every request's credential is checked, so that wrong ones count against the host that sends them.
async fn sign_in(
    visit: Visit,
    State(console): State<Console>,
    Extension(origin): Extension<Origin>,
    posted: Posted,
) -> Result<Response, Failed> {
    let (key, next) = (Zeroizing::new(posted.field("key").to_owned()), posted.field("next"));
    let checked = match Bearer::new(&key, "the form") {
        Ok(bearer) => console.admission.check(Some(&bearer), &origin).await,
        Err(_) => Err(Problem::new(StatusCode::UNAUTHORIZED, "no API key")),
    };
    if let Err(problem) = checked {
        let fault = parts::notice(Tone::Bad, explained(&visit, &problem));
        return Ok(page(&visit, &console, next, &fault).with_status(problem.status).into_response());
    }
    let lifetime = u64::try_from(console.sessions.lifetime().as_millis()).unwrap_or(u64::MAX);
    let until = UnixMillis(visit.now.0.saturating_add(lifetime));
    let session = Session::new(Some(SignedIn::new(key, SignedInBy::ApiKey, until)));
    begun(&console, &session, Done::at(local(next)))
}

/// Begins a session with a new id, so that nobody can have prepared it.
fn begun(console: &Console, session: &Session, done: Done) -> Result<Response, Failed> {
    let too_long = |_| Problem::new(StatusCode::BAD_REQUEST, "the credential is too long for a cookie");
    let cookie = console.sessions.cookie(session).map_err(too_long)?;
    Ok((HeaderMap::from_iter([(header::SET_COOKIE, cookie)]), done).into_response())
}

async fn sign_out(State(console): State<Console>, _: Posted) -> Result<Response, Failed> {
    begun(&console, &Session::new(None), Done::at(PATH))
}
