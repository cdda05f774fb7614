//! The frame around every page: the person's identity, access to the page, navigation, and headers that
//! protect against other sites.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, StatusCode, header};
use maud::{DOCTYPE, Markup, html};
use url::form_urlencoded;
use vigie_clients::{Code, WhoAmI};

use crate::console::page::{Failed, Page};
use crate::console::paths::{self, is_open};
use crate::console::routes;
use crate::console::session::{Arrived, Session};
use crate::console::state::Console;
use crate::console::text::Language;
use crate::console::visit::{Inner, Visit};
use crate::console::{assets, parts};
use crate::problem::Problem;
use crate::upstream::Caller;

/// The content security policy: pages load from this server only, no script or style is inline, no other site
/// may frame a page, and forms are sent to this server only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The settings of `htmx`: no inline style, no evaluated text, requests to this server only, and no page in
/// the browser's storage.
const HTMX: &str = r#"{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false,"selfRequestsOnly":true,"historyCacheSize":0,"refreshOnHistoryMiss":true}"#;

/// The deadline of the call that asks the bank for the person's identity. Short, so that pages without bank
/// data are fast while the bank is down.
const WHO_WITHIN: Duration = Duration::from_secs(2);

/// The pages of a group, each with the key of its words and its path.
type Pages = &'static [(&'static str, &'static str)];

/// The navigation: groups of pages. It shows a page if the person's roles may read it.
const NAVIGATION: [(&str, Pages); 4] = [
    (
        "frame.nav.work",
        &[
            ("frame.nav.start", "/console/"),
            ("frame.nav.check", "/console/check"),
            ("frame.nav.review", "/console/review"),
        ],
    ),
    (
        "frame.nav.known",
        &[
            ("frame.nav.banks", "/console/banks"),
            ("frame.nav.find", "/console/items"),
            ("frame.nav.exchanges", "/console/exchanges"),
        ],
    ),
    (
        "frame.nav.consortium",
        &[
            ("frame.nav.members", "/console/members"),
            ("frame.nav.keys", "/console/keys"),
            ("frame.nav.sharing", "/console/sharing"),
            ("frame.nav.policy", "/console/policy"),
            ("frame.nav.cases", "/console/cases"),
            ("frame.nav.reports", "/console/reports"),
            ("frame.nav.audit", "/console/audit"),
        ],
    ),
    ("frame.nav.cluster", &[("frame.nav.health", "/console/health")]),
];

/// Wraps the handler of a request in the frame.
pub(super) async fn frame(State(console): State<Console>, mut request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let (arrived, caller) = (extensions.get::<Arrived>().cloned(), extensions.get::<Caller>().cloned());
    let (Some(arrived), Some(caller)) = (arrived, caller) else {
        // The entry adds both extensions.
        return bare(Language::English, &Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no session"));
    };
    let language = Language::of(request.headers());
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_open = is_open(&path);
    let who = match is_open {
        true => Ok(None),
        false => who(&caller).await,
    };
    let visit = Visit::new(Inner {
        language,
        csrf: console.sessions.csrf_token(&arrived.session),
        signed_in: arrived.session.signed_in.as_ref().map(|signed_in| signed_in.by),
        who: who.as_ref().ok().cloned().flatten(),
        path,
        query,
        now: console.clock.now(),
        caller,
    });
    let mut answer = match who {
        Err(problem) => Failed::from(problem).into_response(),
        Ok(_) if !exists(&visit, &request) => Failed::not_there().into_response(),
        Ok(_) => {
            request.extensions_mut().insert(visit.clone());
            next.run(request).await
        }
    };
    let page = match answer.extensions_mut().remove::<Arc<Page>>() {
        Some(page) => Some(page),
        None => {
            answer.extensions_mut().remove::<Arc<Failed>>().map(|failed| Arc::new(failure(&visit, &failed)))
        }
    };
    if let Some(page) = page {
        let (mut head, _) = answer.into_parts();
        let with_navigation = !is_open;
        let body = Html(document(&visit, &page, with_navigation).into_string());
        head.headers.remove(header::CONTENT_LENGTH);
        let mut framed = (page.status, body).into_response();
        for (name, value) in &head.headers {
            framed.headers_mut().append(name, value.clone());
        }
        answer = framed;
    }
    keep(&console, &arrived, &mut answer);
    protect(answer.headers_mut());
    answer
}

/// Returns the person's identity; `None` if the bank does not answer, so that pages without bank data still
/// work.
async fn who(caller: &Caller) -> Result<Option<WhoAmI>, Problem> {
    match caller.members().who_am_i(caller.deadline_within(Some(WHO_WITHIN))).await {
        Ok(who) => Ok(Some(who.value)),
        Err(error) if matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns whether the page exists for the person: the path is a page, and one of the person's roles may read
/// or change its data.
fn exists(visit: &Visit, request: &Request) -> bool {
    let Some(path) = request.extensions().get::<MatchedPath>() else { return true };
    let reads = matches!(*request.method(), HttpMethod::GET | HttpMethod::HEAD);
    routes::rights(path.as_str(), reads).is_some_and(|methods| visit.may_any(methods))
}

/// Sets the session's cookie if the browser does not have it, unless the handler has set the cookie of
/// another session.
fn keep(console: &Console, arrived: &Arrived, answer: &mut Response) {
    if arrived.is_new
        && !answer.headers().contains_key(header::SET_COOKIE)
        && let Ok(cookie) = console.sessions.cookie(&arrived.session)
    {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Adds the headers that protect against other sites.
fn protect(headers: &mut HeaderMap) {
    const HEADERS: [(HeaderName, &str); 7] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // The cross-site check needs the `Origin` of forms, which `no-referrer` would replace by `null`.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
    ];
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Answers a request that was refused before routing: redirects to the sign-in page if the request lacks a
/// valid credential, and returns a page without navigation otherwise. `path`: the path and query of the
/// request.
pub(crate) fn refused(console: &Console, headers: &HeaderMap, path: &str, problem: &Problem) -> Response {
    let language = Language::of(headers);
    let mut answer = if problem.status == StatusCode::UNAUTHORIZED {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", path).finish();
        let location = HeaderValue::from_str(&format!("{}?{query}", paths::SIGN_IN));
        let location = location.unwrap_or_else(|_| HeaderValue::from_static(paths::SIGN_IN));
        let mut answer = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
        // The session's credential is no longer valid. A session without a credential is kept, since one of
        // its forms may be open.
        let has_credential = console.sessions.of(headers, console.clock.now()).session.signed_in.is_some();
        if has_credential && let Ok(cookie) = console.sessions.cookie(&Session::new(None)) {
            answer.headers_mut().append(header::SET_COOKIE, cookie);
        }
        answer
    } else {
        bare(language, problem)
    };
    protect(answer.headers_mut());
    answer
}

/// Renders a failure as a page without navigation.
fn bare(language: Language, problem: &Problem) -> Response {
    let main = explained(language, problem, false);
    let document = skeleton(language, language.text("failed.title"), None, html! { main { (main) } });
    (problem.status, Html(document.into_string())).into_response()
}

/// Renders a failure as the content of a page. A page that the person may not see looks the same as a page
/// that does not exist.
fn failure(visit: &Visit, failed: &Failed) -> Page {
    let main = explained(visit.language, &failed.problem, failed.is_cross_site);
    Page::new(visit.t("failed.title"), main).with_status(failed.problem.status)
}

fn explained(language: Language, problem: &Problem, is_cross_site: bool) -> Markup {
    let key = match problem.status {
        _ if is_cross_site => "failed.cross_site",
        StatusCode::NOT_FOUND => "failed.not_there",
        StatusCode::FORBIDDEN => "failed.forbidden",
        StatusCode::TOO_MANY_REQUESTS => "failed.too_many",
        StatusCode::PAYLOAD_TOO_LARGE => "failed.too_large",
        status if status.is_server_error() => "failed.server",
        _ => "failed.refused",
    };
    // A 404 gives no reason, so that it does not reveal whether the person may not see the page or it does
    // not exist.
    let says_why = !is_cross_site && problem.status != StatusCode::NOT_FOUND;
    html! {
        section.failed role="alert" {
            p { (language.text(key)) }
            @if says_why { p.detail { (problem.message) } }
            @if let Some(wait) = problem.retry_after {
                p { (language.count("failed.again_in", wait.as_secs().max(1))) }
            }
        }
    }
}

/// Renders the whole document of a page.
fn document(visit: &Visit, page: &Page, with_navigation: bool) -> Markup {
    let body = html! {
        a.skip href="#main" { (visit.t("frame.skip")) }
        header.bar {
            a.brand href="/console/" { "Vigie" }
            @if with_navigation { (navigation(visit)) }
            (person(visit, with_navigation))
        }
        main #main tabindex="-1" {
            (said(visit))
            h1 { (page.title) }
            (page.main)
        }
    };
    skeleton(visit.language, &page.title, Some(&visit.csrf), body)
}

/// Renders the result of the form that redirected here: the text whose key is the `done` value of the query.
/// Unknown keys are ignored, so a link from another site cannot show a text of its own.
fn said(visit: &Visit) -> Markup {
    let mut query = form_urlencoded::parse(visit.query.as_bytes());
    let done = query.find(|(name, _)| name == "done").map(|(_, done)| format!("done.{done}"));
    html! {
        @if let Some(key) = done.filter(|key| visit.language.has(key)) {
            (parts::notice(parts::Tone::Good, html! { (visit.t(&key)) }))
        }
    }
}

/// Renders the document around a body.
fn skeleton(language: Language, title: &str, csrf: Option<&str>, body: Markup) -> Markup {
    // The characters of the token need no escape in JSON.
    let headers = csrf.map(|csrf| format!(r#"{{"x-csrf":"{csrf}"}}"#));
    html! {
        (DOCTYPE)
        html lang=(language.code()) {
            head {
                meta charset="utf-8";
                title { (title) " · Vigie" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(HTMX);
                link rel="icon" href=(assets::url("icon.svg"));
                link rel="stylesheet" href=(assets::url("console.css"));
                @for script in assets::SCRIPTS { script src=(assets::url(script)) defer {} }
            }
            body hx-headers=[headers] { (body) }
        }
    }
}

fn navigation(visit: &Visit) -> Markup {
    let shown =
        |path: &&(&str, &str)| routes::rights(path.1, true).is_some_and(|methods| visit.may_any(methods));
    let is_here = |path: &str| match path {
        "/console/" => visit.path == path,
        _ => visit.path == path || visit.path.starts_with(&format!("{path}/")),
    };
    html! {
        nav.pages aria-label=(visit.t("frame.nav.label")) {
            @for (group, pages) in NAVIGATION {
                @let pages: Vec<_> = pages.iter().filter(shown).collect();
                @if !pages.is_empty() {
                    div.group {
                        span.group-name { (visit.t(group)) }
                        ul {
                            @for (key, path) in pages {
                                li { a href=(path) aria-current=[is_here(path).then_some("page")] { (visit.t(key)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Renders the signed-in person and the choice of language.
fn person(visit: &Visit, is_known: bool) -> Markup {
    html! {
        div.person {
            @if let Some(WhoAmI { member, .. }) = visit.who.as_ref().filter(|_| is_known) {
                span.member title=(visit.t("frame.acting_for")) { (member.name) }
            }
            (parts::form(visit, "/console/language", html! {
                input type="hidden" name="next" value=(visit.path);
                @for language in Language::ALL.into_iter().filter(|language| *language != visit.language) {
                    button.quiet type="submit" name="language" value=(language.code()) lang=(language.code()) {
                        (language.name())
                    }
                }
            }))
            @if is_known && visit.signed_in.is_some() {
                (parts::form(visit, "/console/sign-out", html! {
                    button.quiet type="submit" { (visit.t("frame.sign_out")) }
                }))
            }
        }
    }
}
