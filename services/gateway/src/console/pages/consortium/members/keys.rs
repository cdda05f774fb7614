//! The principals of a member: people and machines, with their keys and other credentials.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::{NewPrincipal, PrincipalListing, PrincipalWithKey, Written};
use vigie_consortium::rights::Method;
use vigie_consortium::{MemberName, PrincipalId};
use vigie_proto::bank::PAGE_DEFAULT;

use super::new_key::{self, Made};
use super::{KEYS, credential, facts, member_name};
use crate::console::page::{Done, Failed, Page};
use crate::console::parts::{self, Column, Tone};
use crate::console::parts::{Entered, Refused};
use crate::console::posted::{Asked, Posted};
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The principals to list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    /// The name of their member; empty for the person's member.
    pub(super) member: String,
    /// The list begins after this id.
    after: Option<u64>,
}

impl Which {
    /// Returns the named member, if any.
    pub(super) fn member(&self) -> Result<Option<MemberName>, Failed> {
        named(&self.member)
    }
}

/// Parses the member of a field or a query; `None` if empty.
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
    let listed = listed.map_err(facts::hidden)?.value;
    let next = listed.last().filter(|_| listed.len() >= usize::from(PAGE_DEFAULT));
    let next = next.map(|last| match member {
        Some(name) => format!("{KEYS}?member={name}&after={}", last.id),
        None => format!("{KEYS}?after={}", last.id),
    });
    let main = html! {
        (parts::section(visit.t("members.keys.list"), table(visit, member, &listed)))
        (parts::pager(visit, next.as_deref()))
        @if visit.may(Method::CreatePrincipal) && !facts::roles_to_give(visit, member).is_empty() {
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
                @if facts::is_own(visit, principal.id) { " " (parts::badge(Tone::Plain, visit.t("members.keys.yours"))) }
            }
        },
        html! { (facts::roles(visit, principal.roles)) },
        facts::credential(visit, principal),
        html! { (principal.note) },
        parts::time(visit, principal.created_at),
        facts::until(visit, principal.expiry),
        html! {
            div.row {
                @if facts::may_rotate(visit, principal) {
                    a href=(path(member, principal.id, "rotate")) { (visit.t("members.rotate.link")) }
                }
                @if visit.may(Method::RevokePrincipal) {
                    a href=(path(member, principal.id, "revoke")) { (visit.t("members.revoke.link")) }
                }
            }
        },
    ]
}

/// The path of one of a principal's pages.
fn path(member: Option<&MemberName>, id: PrincipalId, page: &str) -> String {
    let query = member.map(|name| format!("?member={name}")).unwrap_or_default();
    format!("{KEYS}/{id}/{page}{query}")
}

/// Reads one principal. One that the person may not read is answered as not found.
pub(super) async fn find(
    visit: &Visit,
    member: Option<&MemberName>,
    id: &str,
) -> Result<PrincipalListing, Failed> {
    let id: u64 = id.parse().map_err(|_| Failed::not_there())?;
    let before = PrincipalId(id.checked_sub(1).ok_or_else(Failed::not_there)?);
    let listed = visit.caller.members().list_principals(member, Some(before), 1, visit.deadline()).await;
    let found = listed.map_err(facts::hidden)?.value.into_iter().next();
    found.filter(|principal| principal.id.0 == id).ok_or_else(Failed::not_there)
}

pub(super) async fn create(visit: Visit, posted: Posted) -> Result<Response, Failed> {
    let member = named(posted.field("member"))?;
    let member = member.as_ref();
    let refused = match credential::read(&visit, member, &posted) {
        Ok(new) => match made(&visit, new, &posted).await? {
            Ok(made) => return Ok(answer(&visit, member, &made)),
            Err(refused) => refused,
        },
        Err(refused) => refused,
    };
    let page = page(&visit, member, None, Entered::again(&posted, &refused)).await?;
    Ok(page.with_status(refused.status()).into_response())
}

async fn made(
    visit: &Visit,
    new: NewPrincipal,
    posted: &Posted,
) -> Result<Result<PrincipalWithKey, Refused>, Failed> {
    let made = visit.caller.members().create_principal(new, posted.once(), visit.deadline()).await;
    match made {
        Ok(Written { value, .. }) => Ok(Ok(value)),
        Err(error) => {
            let problem = Problem::from(error);
            // A denied request names a role or credential that the person may not give. A member that the
            // person may not read is not found.
            let refused = match problem.status {
                StatusCode::FORBIDDEN => {
                    Refused::of_field(credential::field_of(posted.field("kind")), problem)?
                }
                _ => Refused::of(problem)?,
            };
            Ok(Err(refused))
        }
    }
}

/// The page with the key, or the list if the principal has another kind of credential.
fn answer(visit: &Visit, member: Option<&MemberName>, made: &PrincipalWithKey) -> Response {
    if new_key::has_keys(&made.principal) {
        let made = Made { of: member, made, is_invitation: false, is_first: facts::is_first(visit) };
        return new_key::page(visit, &made).into_response();
    }
    let name = member.map(ToString::to_string);
    let query: Vec<(&str, &str)> = name.iter().map(|name| ("member", name.as_str())).collect();
    Done::saying(KEYS, "key.created", &query).into_response()
}
