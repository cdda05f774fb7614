//! The principals of a member: people and machines, with their keys and other credentials.

use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::{KeyListing, PrincipalCredential, PrincipalListing, WhoAmI};
use vigie_consortium::rights::Method;
use vigie_consortium::{Expiry, Flag as _, MemberId, MemberName, PrincipalId, Role, Roles};
use vigie_proto::bank::PAGE_DEFAULT;

use super::{KEYS, credential, is_off, member_name, one};
use crate::console::page::{Failed, Page};
use crate::console::pages::consortium::entered::Entered;
use crate::console::parts::{self, Column, Tone};
use crate::console::posted::Asked;
use crate::console::visit::Visit;

/// Which principals are listed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    /// The name of their member; that of the person where it is empty.
    pub(super) member: String,
    /// The id before the first of them.
    after: Option<u64>,
}

impl Which {
    /// The member that is named, if one is.
    pub(super) fn member(&self) -> Result<Option<MemberName>, Failed> {
        named(&self.member)
    }
}

/// The member of a field or a query; `None` where it is empty.
pub(super) fn named(text: &str) -> Result<Option<MemberName>, Failed> {
    (!text.is_empty()).then(|| member_name(text)).transpose()
}

pub(super) async fn show(visit: Visit, Asked(which): Asked<Which>) -> Result<Page, Failed> {
    let member = which.member()?;
    page(&visit, member.as_ref(), which.after.map(PrincipalId), Entered::default()).await
}

pub(super) async fn page(
    visit: &Visit,
    member: Option<&MemberName>,
    after: Option<PrincipalId>,
    entered: Entered<'_>,
) -> Result<Page, Failed> {
    let members = visit.caller.members();
    let listed = members.list_principals(member, after, PAGE_DEFAULT, visit.deadline()).await;
    let listed = listed.map_err(one::hidden)?.value;
    let next = listed.last().filter(|_| listed.len() >= usize::from(PAGE_DEFAULT));
    let next = next.map(|last| match member {
        Some(name) => format!("{KEYS}?member={name}&after={}", last.id),
        None => format!("{KEYS}?after={}", last.id),
    });
    let main = html! {
        (parts::section(visit.t("members.keys.list"), table(visit, member, &listed)))
        (parts::pager(visit, next.as_deref()))
        @if visit.may(Method::CreatePrincipal) && !roles_to_give(visit, member).is_empty() {
            (parts::section(visit.t("members.keys.new"), credential::form(visit, member, entered)))
        }
    };
    let title = match member.or(visit.who.as_ref().map(|who| &who.member.name)) {
        Some(name) => visit.fill("members.keys.of", &[("member", name)]),
        None => visit.t("members.keys.title").to_owned(),
    };
    Ok(Page::new(title, main))
}

/// The principals as a table.
pub(super) fn table(visit: &Visit, member: Option<&MemberName>, principals: &[PrincipalListing]) -> Markup {
    if principals.is_empty() {
        return parts::empty(visit.t("members.keys.none"));
    }
    let columns = [
        "members.keys.id",
        "members.keys.roles",
        "members.keys.credential",
        "members.keys.note",
        "members.created",
        "members.keys.expires",
        "members.keys.actions",
    ];
    let columns = columns.map(|key| Column::words(visit.t(key)));
    let rows = principals.iter().map(|principal| row(visit, member, principal));
    parts::table(visit.t("members.keys.list"), &columns, rows)
}

fn row(visit: &Visit, member: Option<&MemberName>, principal: &PrincipalListing) -> Vec<Markup> {
    vec![
        html! {
            div {
                (principal.id)
                @if is_own(visit, principal.id) { " " (parts::badge(Tone::Plain, visit.t("members.keys.yours"))) }
            }
        },
        html! { (roles(visit, principal.roles)) },
        credential(visit, principal),
        html! { (principal.note) },
        parts::time(visit, principal.created_at),
        until(visit, principal.expiry),
        html! {
            div.row {
                @if may_rotate(visit, principal) {
                    a href=(path(member, principal.id, "rotate")) { (visit.t("members.rotate.link")) }
                }
                @if visit.may(Method::RevokePrincipal) {
                    a href=(path(member, principal.id, "revoke")) { (visit.t("members.revoke.link")) }
                }
            }
        },
    ]
}

/// The path of a page of a principal.
fn path(member: Option<&MemberName>, id: PrincipalId, page: &str) -> String {
    let query = member.map(|name| format!("?member={name}")).unwrap_or_default();
    format!("{KEYS}/{id}/{page}{query}")
}

/// The path of the list of a member's principals.
pub(super) fn list_path(member: Option<&MemberName>) -> String {
    member.map_or_else(|| KEYS.to_owned(), |name| format!("{KEYS}?member={name}"))
}

/// Whether it is the principal that the person has signed in as.
pub(super) fn is_own(visit: &Visit, id: PrincipalId) -> bool {
    matches!(&visit.who, Some(WhoAmI { principal: Some(own), .. }) if own.id == id)
}

/// The names of roles.
pub(super) fn roles(visit: &Visit, roles: Roles) -> String {
    let name = |role: Role| visit.t(&format!("members.role.{}", role.name()));
    roles.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The end of a right.
pub(super) fn until(visit: &Visit, expiry: Expiry) -> Markup {
    match expiry.moment() {
        None => html! { (visit.t("members.keys.never")) },
        Some(at) if expiry.is_over(visit.now) => html! {
            div { (parts::badge(Tone::Bad, visit.t("members.keys.over"))) " " (parts::time(visit, at)) }
        },
        Some(at) => parts::time(visit, at),
    }
}

/// How a principal proves who it is: the public part alone.
pub(super) fn credential(visit: &Visit, principal: &PrincipalListing) -> Markup {
    let key = |key: &KeyListing| {
        html! {
            li {
                (parts::digits(key.id.as_str()))
                @if let Some(at) = key.expiry.moment() {
                    " · " (visit.t(if key.expiry.is_over(visit.now) { "members.keys.over" } else { "members.keys.works_until" }))
                    " " (parts::time(visit, at))
                }
            }
        }
    };
    match &principal.credential {
        PrincipalCredential::ApiKeys(keys) => html! {
            div { (visit.t("members.credential.api_key")) ul.bare { @for one in keys { (key(one)) } } }
        },
        PrincipalCredential::Certificate(id) => html! {
            div { (visit.t("members.credential.certificate")) br; (parts::digits(id.as_str())) }
        },
        PrincipalCredential::Token(token) => html! {
            div { (visit.t("members.credential.token")) br; (token.subject()) " (" (token.issuer()) ")" }
        },
    }
}

/// The roles that the person may give to principals of a member.
pub(super) fn roles_to_give(visit: &Visit, member: Option<&MemberName>) -> Vec<Role> {
    const APPOINTED: [Role; 3] = [Role::Administrator, Role::Auditor, Role::Operator];
    let Some(WhoAmI { member: own, principal: Some(principal), .. }) = &visit.who else {
        return Role::ALL.to_vec();
    };
    let is_own = member.is_none_or(|name| *name == own.name);
    let has = |role| principal.roles.contains(role);
    let may = |role: &Role| {
        let is_host = is_own && own.id == MemberId::HOST;
        has(Role::Administrator) && is_own && *role != Role::Operator
            || has(Role::Operator) && APPOINTED.contains(role) && (*role != Role::Operator || is_host)
    };
    Role::ALL.iter().copied().filter(may).collect()
}

/// Whether the principal has keys, and the person may give it another.
pub(super) fn may_rotate(visit: &Visit, principal: &PrincipalListing) -> bool {
    let has_keys = matches!(principal.credential, PrincipalCredential::ApiKeys(_));
    let of = |who: &WhoAmI| {
        let Some(own) = &who.principal else { return true };
        let is_administrator = own.roles.contains(Role::Administrator) && own.member == principal.member;
        let is_appointed = principal
            .roles
            .iter()
            .all(|role| matches!(role, Role::Administrator | Role::Auditor | Role::Operator));
        is_administrator && !principal.roles.contains(Role::Operator)
            || own.roles.contains(Role::Operator) && is_appointed
    };
    has_keys && visit.may(Method::RotateKey) && visit.who.as_ref().is_none_or(of)
}

/// Reads one principal. One that the person may not read is not there.
pub(super) async fn find(
    visit: &Visit,
    member: Option<&MemberName>,
    id: &str,
) -> Result<PrincipalListing, Failed> {
    let id: u64 = id.parse().map_err(|_| Failed::not_there())?;
    let before = PrincipalId(id.checked_sub(1).ok_or_else(Failed::not_there)?);
    let listed = visit.caller.members().list_principals(member, Some(before), 1, visit.deadline()).await;
    let found = listed.map_err(one::hidden)?.value.into_iter().next();
    found.filter(|principal| principal.id.0 == id).ok_or_else(Failed::not_there)
}

/// Whether the next principal turns members on.
pub(super) fn is_first(visit: &Visit) -> bool {
    is_off(visit)
}
