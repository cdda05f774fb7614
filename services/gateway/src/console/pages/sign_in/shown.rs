//! The sign-in page, and the beginning of a session.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, header};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded;

use crate::console::page::{Done, Page};
use crate::console::pages::start::local;
use crate::console::parts::{self, Field, Tone};
use crate::console::provider::Provider;
use crate::console::session::{Session, TooLong};
use crate::console::state::Console;
use crate::console::visit::Visit;

/// The path of the page.
pub(crate) const PATH: &str = "/console/sign-in";
/// The path that redirects to the provider.
pub(super) const PROVIDER: &str = "/console/sign-in/provider";

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Next {
    /// The page to return to after the sign-in.
    pub(super) next: String,
}

/// Renders the sign-in page. `fault`: the reason for which the last attempt failed; may be empty.
pub(super) fn page(visit: &Visit, console: &Console, next: &str, fault: &Markup) -> Page {
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
            (button(visit, provider, next))
            h2 { (visit.t("sign_in.by_key")) }
        }
        (parts::form(visit, PATH, fields))
    };
    Page::new(visit.t("sign_in.title"), main)
}

/// Renders the provider's button.
fn button(visit: &Visit, provider: &Provider, next: &str) -> Markup {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", local(next)).finish();
    html! {
        p { a.button href={ (PROVIDER) "?" (query) } { (visit.fill("sign_in.provider.go", &[("host", &provider.host())])) } }
    }
}

/// Begins a session with a new id, so that nobody can have prepared it.
pub(super) fn begun(console: &Console, session: &Session, done: Done) -> Result<Response, TooLong> {
    let cookie = console.sessions.cookie(session)?;
    Ok((HeaderMap::from_iter([(header::SET_COOKIE, cookie)]), done).into_response())
}
