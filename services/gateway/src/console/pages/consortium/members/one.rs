//! A member: what is said of it, its state, its limits and its principals.

use axum::extract::Path;
use http::StatusCode;
use maud::{Markup, html};
use vigie_clients::{PrincipalListing, Written};
use vigie_consortium::rights::Method;
use vigie_consortium::{Member, MemberName, Quota};
use vigie_proto::bank::PAGE_DEFAULT;

use super::{KEYS, PATH, keys, limits, list, member_name, words};
use crate::console::page::{Done, Failed, Page};
use crate::console::pages::consortium::entered::Entered;
use crate::console::parts;
use crate::console::visit::Visit;

/// The form of the page that is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Words,
    State,
    Issuers,
    Limits,
}

/// What a page of a member shows.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) member: Member,
    pub(super) quota: Quota,
}

pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Result<Page, Failed> {
    page(&visit, &member_name(&name)?, None).await
}

/// The answer to a person who loads the page of a form by its address.
pub(super) async fn back(Path(name): Path<String>) -> Result<Done, Failed> {
    Ok(Done::at(path(&member_name(&name)?)))
}

/// The path of a member's page.
pub(super) fn path(name: &MemberName) -> String {
    format!("{PATH}/{name}")
}

/// Reads a member. One that the person may not read is not there.
pub(super) async fn read(visit: &Visit, name: &MemberName) -> Result<Shown, Failed> {
    let found = visit.caller.members().get_member(name, visit.deadline()).await;
    let Written { value: (member, quota), .. } = found.map_err(hidden)?;
    Ok(Shown { member, quota })
}

/// A failure of a read of what the path names: without a right for it there is no such thing.
pub(super) fn hidden(error: vigie_clients::CallError) -> Failed {
    let failed = Failed::from(error);
    match failed.problem.status {
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Failed::not_there(),
        _ => failed,
    }
}

/// The page, with one of its forms as it was sent.
pub(super) async fn page(
    visit: &Visit,
    name: &MemberName,
    again: Option<(Part, Entered<'_>)>,
) -> Result<Page, Failed> {
    let shown = read(visit, name).await?;
    let principals = match visit.may(Method::ListPrincipals) {
        true => {
            let members = visit.caller.members();
            let listed = members.list_principals(Some(name), None, PAGE_DEFAULT, visit.deadline()).await;
            Some(listed.map_err(hidden)?.value)
        }
        false => None,
    };
    let entered =
        |part| again.filter(|(at, _)| *at == part).map_or_else(Entered::default, |(_, entered)| entered);
    let Shown { member, .. } = &shown;
    let main = html! {
        (parts::facts([
            (visit.t("members.state.title"), list::state(visit, member.state)),
            (visit.t("members.created"), list::created(visit, member)),
            (visit.t("members.id"), html! { (member.id) }),
        ]))
        (parts::section(visit.t("members.words.title"), words::words(visit, member, entered(Part::Words))))
        @if let Some(principals) = &principals {
            (parts::section(visit.t("members.keys.title"), principals_of(visit, name, principals)))
        }
        (parts::section(visit.t("members.limits.title"), limits::limits(visit, &shown, entered(Part::Limits))))
        (parts::section(visit.t("members.state.title"), words::state(visit, member, entered(Part::State))))
        (parts::section(visit.t("members.issuers.title"), words::issuers(visit, member, entered(Part::Issuers))))
    };
    let title = if member.display_name.as_str().is_empty() {
        member.name.to_string()
    } else {
        format!("{} ({})", member.display_name, member.name)
    };
    Ok(Page::new(title, main))
}

fn principals_of(visit: &Visit, name: &MemberName, principals: &[PrincipalListing]) -> Markup {
    html! {
        (keys::table(visit, Some(name), principals))
        p { a href={ (KEYS) "?member=" (name) } { (visit.t("members.keys.manage")) } }
    }
}
