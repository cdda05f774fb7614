//! Sign-in at an identity provider: the redirect to the provider, and the callback.

use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use maud::{Markup, html};
use serde::Deserialize;
use url::Url;
use vigie_clients::Bearer;
use vigie_model::UnixMillis;
use vigie_serving::Origin;

use crate::console::page::{Done, Failed};
use crate::console::pages::sign_in::shown::{Next, PROVIDER, begun, page};
use crate::console::pages::start::local;
use crate::console::parts::{self, Tone};
use crate::console::posted::Asked;
use crate::console::provider::{Attempt, Fault, Identity, Provider};
use crate::console::route::Route;
use crate::console::session::{Session, SignedIn, SignedInBy};
use crate::console::state::Console;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The path of the callback.
const BACK: &str = "/console/sign-in/callback";
/// The longest code and state, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::page(PROVIDER, &[], get(go)), Route::page(BACK, &[], get(come_back))]
}

/// The query of the callback.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Came {
    code: String,
    state: String,
    /// The error code, if the provider sends no `code`.
    error: String,
    /// The issuer (RFC 9207), if the provider sends it.
    iss: Option<String>,
}

/// The reason for which a sign-in failed, here or at the provider.
enum Refused {
    Provider(Fault),
    /// The browser did not begin this sign-in, or began it too long ago.
    Stale,
    /// The token is valid, but no principal here has this subject.
    Nobody(String),
    /// The token is too long for the cookie.
    TooLong,
    /// The check of the credential failed for another reason.
    Check(Problem),
}

/// Redirects to the provider.
async fn go(
    visit: Visit,
    State(console): State<Console>,
    headers: HeaderMap,
    Asked(asked): Asked<Next>,
) -> Result<Response, Failed> {
    let provider = console.provider.as_deref().ok_or_else(Failed::not_there)?;
    let redirect = back(&console, &headers)?;
    let begun = provider.begin(&redirect, local(&asked.next)).await;
    let (url, attempt) = match begun {
        Ok(begun) => begun,
        Err(fault) => return Ok(explained(&visit, &console, &asked.next, &Refused::Provider(fault))),
    };
    let location = HeaderValue::from_str(url.as_str());
    let location = location.map_err(|_| {
        Problem::new(StatusCode::BAD_GATEWAY, "the identity provider's sign-in URL is invalid")
    })?;
    let Ok(cookie) = attempt.cookie(&console.sessions, visit.now) else {
        return Ok(explained(&visit, &console, "", &Refused::TooLong));
    };
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::SET_COOKIE, cookie)]).into_response())
}

/// Handles the callback of the provider, and begins a session.
async fn come_back(
    visit: Visit,
    State(console): State<Console>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    Asked(came): Asked<Came>,
) -> Result<Response, Failed> {
    let provider = console.provider.as_deref().ok_or_else(Failed::not_there)?;
    let redirect = back(&console, &headers)?;
    let attempt = Attempt::of(&console.sessions, &headers, &came.state, visit.now);
    let next = attempt.as_ref().map_or("/console/", Attempt::next).to_owned();
    let signed_in = sign_in(&visit, &console, provider, &origin, attempt, &came, &redirect).await;
    let mut answer = match signed_in {
        Ok(session) => match begun(&console, &session, Done::at(local(&next))) {
            Ok(answer) => answer,
            Err(_) => explained(&visit, &console, &next, &Refused::TooLong),
        },
        Err(refused) => explained(&visit, &console, &next, &refused),
    };
    // A code is used once, whether or not the sign-in succeeds.
    if let Ok(forgotten) = Attempt::forgotten(&console.sessions) {
        answer.headers_mut().append(header::SET_COOKIE, forgotten);
    }
    Ok(answer)
}

async fn sign_in(
    visit: &Visit,
    console: &Console,
    provider: &Provider,
    origin: &Origin,
    attempt: Option<Attempt>,
    came: &Came,
    redirect: &Url,
) -> Result<Session, Refused> {
    let attempt = attempt.ok_or(Refused::Stale)?;
    if !came.error.is_empty() {
        return Err(Refused::Provider(Fault::refused(&came.error)));
    }
    // An answer of another provider does not belong to this sign-in.
    let is_of_provider = came.iss.as_deref().is_none_or(|iss| iss == provider.issuer());
    if !is_of_provider || came.code.is_empty() || came.code.len() > TEXT_BYTES_MAX {
        return Err(Refused::Stale);
    }
    let found = provider.finish(&attempt, &came.code, redirect).await;
    let Identity { token, subject } = found.map_err(Refused::Provider)?;
    let (expires, text) = (token.expires(), token.into_text());
    // The check of every request's credential: the signature again, with the keys of this deployment, and the
    // principal.
    let checked = match Bearer::new(&text, "the provider") {
        Ok(bearer) => console.admission.check(Some(&bearer), origin).await,
        Err(_) => return Err(Refused::TooLong),
    };
    if let Err(problem) = checked {
        return Err(match problem.status {
            StatusCode::UNAUTHORIZED => Refused::Nobody(subject),
            _ => Refused::Check(problem),
        });
    }
    let lifetime = u64::try_from(console.sessions.lifetime().as_millis()).unwrap_or(u64::MAX);
    let until = UnixMillis(visit.now.0.saturating_add(lifetime)).min(expires);
    Ok(Session::new(Some(SignedIn::new(text, SignedInBy::Provider, until))))
}

/// Returns the URL of the callback.
fn back(console: &Console, headers: &HeaderMap) -> Result<Url, Problem> {
    let base = match &console.public_url {
        Some(base) => base.trim_end_matches('/').to_owned(),
        None => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let host = host.ok_or_else(|| Problem::bad("the request names no host"))?;
            let scheme = if console.sessions.is_secure() { "https" } else { "http" };
            format!("{scheme}://{host}")
        }
    };
    Url::parse(&format!("{base}{BACK}")).map_err(|_| Problem::bad("the request's host is none"))
}

/// Renders the sign-in page with the reason of the failure.
fn explained(visit: &Visit, console: &Console, next: &str, refused: &Refused) -> Response {
    let (status, said) = match refused {
        Refused::Provider(Fault::Unreachable) => {
            (StatusCode::SERVICE_UNAVAILABLE, sentence(visit.t("sign_in.provider.unreachable")))
        }
        Refused::Provider(Fault::Refused(code)) => {
            (StatusCode::FORBIDDEN, sentence(&visit.fill("sign_in.provider.refused", &[("code", code)])))
        }
        Refused::Provider(Fault::Unsound { .. }) => {
            (StatusCode::BAD_GATEWAY, sentence(visit.t("sign_in.provider.unsound")))
        }
        Refused::Provider(Fault::Audience) => {
            (StatusCode::BAD_GATEWAY, sentence(visit.t("sign_in.provider.audience")))
        }
        Refused::Provider(Fault::LongLived) => {
            (StatusCode::BAD_GATEWAY, sentence(visit.t("sign_in.provider.long_lived")))
        }
        Refused::Stale => (StatusCode::BAD_REQUEST, sentence(visit.t("sign_in.provider.stale"))),
        Refused::TooLong => (StatusCode::BAD_GATEWAY, sentence(visit.t("sign_in.provider.too_long"))),
        Refused::Nobody(subject) => (StatusCode::FORBIDDEN, nobody(visit, console, subject)),
        Refused::Check(problem) => {
            let key = match problem.status {
                StatusCode::TOO_MANY_REQUESTS => "sign_in.too_many",
                _ => "sign_in.provider.unchecked",
            };
            (problem.status, sentence(visit.t(key)))
        }
    };
    let said = parts::notice(Tone::Bad, said);
    page(visit, console, next, &said).with_status(status).into_response()
}

fn sentence(text: &str) -> Markup {
    html! { (text) }
}

/// Renders the data that an administrator needs to make the person a principal.
fn nobody(visit: &Visit, console: &Console, subject: &str) -> Markup {
    let issuer = console.provider.as_deref().map(Provider::issuer).unwrap_or_default();
    html! {
        p { (visit.t("sign_in.provider.nobody")) }
        (parts::facts([
            (visit.t("sign_in.provider.issuer"), parts::digits(issuer)),
            (visit.t("sign_in.provider.subject"), parts::digits(subject)),
        ]))
    }
}
