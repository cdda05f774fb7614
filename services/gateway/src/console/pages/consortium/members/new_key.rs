//! The page with a new key: the only page that ever shows it.

use maud::{Markup, html};
use vigie_clients::{PrincipalCredential, PrincipalListing, PrincipalWithKey};
use vigie_consortium::MemberName;

use super::{KEYS, facts};
use crate::console::page::Page;
use crate::console::pages::sign_in;
use crate::console::parts::{self, Tone};
use crate::console::visit::Visit;

/// A principal that was created or got a further key.
#[derive(Debug)]
pub(super) struct Made<'a> {
    /// The principal's member, if it is not the person's.
    pub(super) of: Option<&'a MemberName>,
    /// The principal; with its key, unless the form was repeated.
    pub(super) made: &'a PrincipalWithKey,
    /// Whether the member was created at the same time.
    pub(super) is_invitation: bool,
    /// Whether this principal turned members on.
    pub(super) is_first: bool,
}

/// Whether a principal authenticates by API keys.
pub(super) fn has_keys(principal: &PrincipalListing) -> bool {
    matches!(principal.credential, PrincipalCredential::ApiKeys(_))
}

pub(super) fn page(visit: &Visit, made: &Made<'_>) -> Page {
    let Made { of, made: PrincipalWithKey { principal, key }, is_invitation, is_first } = made;
    let main = html! {
        @match key {
            Some(key) => (shown(visit, &key.reveal())),
            None => (parts::notice(Tone::Warn, html! {
                p { (visit.t("members.key.again")) }
                p { a href={ (KEYS) "/" (principal.id) "/rotate" @if let Some(name) = of { "?member=" (name) } } { (visit.t("members.key.again_link")) } }
            })),
        }
        (parts::facts([
            (visit.t("members.keys.id"), html! { (principal.id) }),
            (visit.t("members.keys.roles"), html! { (facts::roles(visit, principal.roles)) }),
            (visit.t("members.keys.note"), html! { (principal.note) }),
            (visit.t("members.keys.expires"), facts::until(visit, principal.expiry)),
            (visit.t("members.keys.credential"), facts::credential(visit, principal)),
        ]))
        @if *is_invitation { p { (visit.t("members.key.invited_next")) } }
        @if *is_first {
            p { a href=(sign_in::PATH) { (visit.t("members.key.sign_in")) } }
        } @else {
            p { a href=(facts::list_path(*of)) { (visit.t("members.key.back")) } }
            @if *is_invitation && let Some(name) = of {
                p { a href=(facts::path(name)) { (visit.t("members.key.member")) } }
            }
        }
    };
    let title = match of {
        Some(name) if *is_invitation => visit.fill("members.key.invited", &[("member", name)]),
        _ => visit.fill("members.key.title", &[("id", &principal.id)]),
    };
    Page::new(title, main)
}

fn shown(visit: &Visit, key: &str) -> Markup {
    html! {
        (parts::notice(Tone::Warn, html! { (visit.t("members.key.once")) }))
        p #key-words { (visit.t("members.key.key")) }
        p { code.secret #new-key tabindex="0" aria-labelledby="key-words" role="group" { (key) } }
        p.row {
            button.second type="button" data-copy="new-key" data-done=(visit.t("members.key.copied")) hidden { (visit.t("members.key.copy")) }
            span #copied role="status" {}
        }
        p { (visit.t("members.key.how")) }
    }
}
