//! Sign-in by an API key, and sign-out.

use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use maud::{Markup, html};
use vigie_clients::Bearer;
use vigie_model::UnixMillis;
use vigie_serving::Origin;
use zeroize::Zeroizing;

use crate::console::page::{Done, Failed, Page};
use crate::console::pages::sign_in::shown::{Next, PATH, begun, page};
use crate::console::pages::start::local;
use crate::console::parts::{self, Tone};
use crate::console::posted::{Asked, Posted};
use crate::console::route::Route;
use crate::console::session::{Session, SignedIn, SignedInBy, TooLong};
use crate::console::state::Console;
use crate::console::visit::Visit;
use crate::problem::Problem;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::form(PATH, &[], &[], get(show).post(sign_in)),
        Route::form("/console/sign-out", &[], &[], post(sign_out)),
    ]
}

async fn show(visit: Visit, State(console): State<Console>, Asked(asked): Asked<Next>) -> Page {
    page(&visit, &console, &asked.next, &html! {})
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

/// Checks the key like the credential of every request, so that invalid keys count against the client's host.
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
    begun(&console, &session, Done::at(local(next))).map_err(|fault| too_long(fault).into())
}

async fn sign_out(State(console): State<Console>, _: Posted) -> Result<Response, Failed> {
    begun(&console, &Session::new(None), Done::at(PATH)).map_err(|fault| too_long(fault).into())
}

fn too_long(_: TooLong) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "the credential is too long for a cookie")
}
