//! A member: its description, state, limits and principals.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use vigie_clients::{CallError, PrincipalListing, Written};
use vigie_consortium::rights::Method;
use vigie_consortium::{Member, MemberName, Quota, TokenIssuers};
use vigie_proto::bank::PAGE_DEFAULT;

use super::{KEYS, facts, keys, limits, member_name, words};
use crate::console::page::{Done, Failed, Page};
use crate::console::parts;
use crate::console::parts::{Entered, Refused};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

/// The refused form of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Words,
    State,
    Issuers,
    Limits,
}

/// The content of a member's page.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) member: Member,
    pub(super) quota: Quota,
}

pub(super) async fn show(visit: Visit, Path(name): Path<String>) -> Result<Page, Failed> {
    page(&visit, &member_name(&name)?, None).await
}

/// Redirects a person who opens the address of a form.
pub(super) async fn back(Path(name): Path<String>) -> Result<Done, Failed> {
    Ok(Done::at(facts::path(&member_name(&name)?)))
}

/// Reads a member. One that the person may not read is answered as not found.
pub(super) async fn read(visit: &Visit, name: &MemberName) -> Result<Shown, Failed> {
    let found = visit.caller.members().get_member(name, visit.deadline()).await;
    let Written { value: (member, quota), .. } = found.map_err(facts::hidden)?;
    Ok(Shown { member, quota })
}

/// The page, with one of its forms as entered.
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
            Some(listed.map_err(facts::hidden)?.value)
        }
        false => None,
    };
    let entered =
        |part| again.filter(|(at, _)| *at == part).map_or_else(Entered::default, |(_, entered)| entered);
    let Shown { member, quota } = &shown;
    let main = html! {
        (parts::facts([
            (visit.t("members.state.title"), facts::state(visit, member.state)),
            (visit.t("members.created"), facts::created(visit, member)),
            (visit.t("members.id"), html! { (member.id) }),
        ]))
        (parts::section(visit.t("members.words.title"), words::words(visit, member, entered(Part::Words))))
        @if let Some(principals) = &principals {
            (parts::section(visit.t("members.keys.title"), principals_of(visit, name, principals)))
        }
        (parts::section(visit.t("members.limits.title"), limits::limits(visit, member, quota, entered(Part::Limits))))
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

/// The answer to a form: the member's page with the result, or with the refused form.
async fn answered<T>(
    visit: &Visit,
    name: &MemberName,
    part: Part,
    posted: &Posted,
    done: Result<Result<Written<T>, CallError>, Refused>,
) -> Result<Response, Failed> {
    let refused = match done {
        Ok(Ok(_)) => return Ok(Done::saying(&facts::path(name), "member.changed", &[]).into_response()),
        Ok(Err(error)) => Refused::of(error)?,
        Err(refused) => refused,
    };
    let page = page(visit, name, Some((part, Entered::again(posted, &refused)))).await?;
    Ok(page.with_status(refused.status()).into_response())
}

pub(super) async fn set_words(
    visit: Visit,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let name = member_name(&name)?;
    let done = match words::read(&posted) {
        Ok(words) => {
            Ok(visit.caller.members().update_member(&name, &words, posted.once(), visit.deadline()).await)
        }
        Err(refused) => Err(refused),
    };
    answered(&visit, &name, Part::Words, &posted, done).await
}

pub(super) async fn set_state(
    visit: Visit,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let name = member_name(&name)?;
    let state = words::STATES.into_iter().find(|state| state.to_string() == posted.field("state"));
    let done = match state {
        Some(state) => {
            Ok(visit.caller.members().set_member_state(&name, state, posted.once(), visit.deadline()).await)
        }
        None => Err(Refused::field("state", visit.t("members.state.unknown"))),
    };
    answered(&visit, &name, Part::State, &posted, done).await
}

pub(super) async fn set_issuers(
    visit: Visit,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let name = member_name(&name)?;
    let lines = posted.field("token_issuers").lines().map(str::trim).filter(|line| !line.is_empty());
    let done = match TokenIssuers::new(&lines.collect::<Vec<_>>()) {
        Ok(issuers) => Ok(visit
            .caller
            .members()
            .set_token_issuers(&name, &issuers, posted.once(), visit.deadline())
            .await),
        Err(why) => Err(Refused::field("token_issuers", why.to_string())),
    };
    answered(&visit, &name, Part::Issuers, &posted, done).await
}

pub(super) async fn set_limits(
    visit: Visit,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Failed> {
    let name = member_name(&name)?;
    let done = match limits::read(&visit, &posted) {
        Ok(quota) => {
            Ok(visit.caller.members().set_quota(&name, quota, posted.once(), visit.deadline()).await)
        }
        Err(refused) => Err(refused),
    };
    answered(&visit, &name, Part::Limits, &posted, done).await
}
