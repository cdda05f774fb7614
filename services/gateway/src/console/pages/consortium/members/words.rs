//! What is said of a member, its state, and the identity providers of its people.

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use vigie_clients::{CallError, MemberWords, Written};
use vigie_consortium::rights::Method;
use vigie_consortium::{Member, MemberName, MemberState, Text, TokenIssuers};

use super::one::{self, Part};
use super::{list, member_name};
use crate::console::page::{Done, Failed};
use crate::console::pages::consortium::entered::{Entered, Refused};
use crate::console::parts::{self, Field};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

const STATES: [MemberState; 3] = [MemberState::Active, MemberState::Suspended, MemberState::Quarantined];

/// The names of the member, for those who may change them and for others.
pub(super) fn words(visit: &Visit, member: &Member, entered: Entered<'_>) -> Markup {
    let countries = list::countries(member);
    if !visit.may(Method::UpdateMember) {
        let named = if member.is_named { "members.words.named" } else { "members.words.unnamed" };
        return parts::facts([
            (visit.t("members.display_name"), html! { (member.display_name) }),
            (visit.t("members.jurisdictions"), html! { (countries) }),
            (visit.t("members.words.opinions"), html! { (visit.t(named)) }),
        ]);
    }
    let field = |name, label, hint, value| {
        parts::field(&Field {
            name,
            label: visit.t(label),
            hint: visit.t(hint),
            value: entered.value(name, value),
            fault: entered.fault(name),
            ..Field::default()
        })
    };
    let action = format!("{}/words", one::path(&member.name));
    html! {
        (entered.notice(visit))
        (parts::form(visit, &action, html! {
            (field("display_name", "members.display_name", "members.words.display_name_hint", member.display_name.as_str()))
            (field("jurisdictions", "members.jurisdictions", "members.jurisdictions_hint", &countries))
            p { (parts::checkbox("is_named", "yes", visit.t("members.words.is_named"), entered.ticked("is_named", "yes", member.is_named))) }
            (parts::button(visit.t("members.save"), None))
        }))
    }
}

/// Whether the member takes part.
pub(super) fn state(visit: &Visit, member: &Member, entered: Entered<'_>) -> Markup {
    let meaning = |state: MemberState| visit.t(&format!("members.state.meaning.{state}"));
    let present = member.state.to_string();
    let names = STATES.map(|state| state.to_string());
    let options: Vec<(&str, &str)> =
        names.iter().zip(STATES).map(|(name, state)| (&**name, meaning(state))).collect();
    let action = format!("{}/state", one::path(&member.name));
    html! {
        p { (meaning(member.state)) }
        @if visit.may(Method::SetMemberState) {
            (entered.notice(visit))
            (parts::form(visit, &action, html! {
                (parts::choice(&Field {
                    name: "state",
                    label: visit.t("members.state.new"),
                    value: entered.value("state", &present),
                    ..Field::default()
                }, &options))
                (parts::button(visit.t("members.state.submit"), None))
            }))
        }
    }
}

/// The identity providers whose tokens name the member's people.
pub(super) fn issuers(visit: &Visit, member: &Member, entered: Entered<'_>) -> Markup {
    let issuers = member.token_issuers.iter().collect::<Vec<_>>().join("\n");
    let action = format!("{}/issuers", one::path(&member.name));
    html! {
        p { (visit.t("members.issuers.what")) }
        @if visit.may(Method::SetTokenIssuers) {
            (entered.notice(visit))
            (parts::form(visit, &action, html! {
                (parts::area(&Field {
                    name: "token_issuers",
                    label: visit.t("members.issuers.label"),
                    hint: visit.t("members.issuers.hint"),
                    value: entered.value("token_issuers", &issuers),
                    fault: entered.fault("token_issuers"),
                    ..Field::default()
                }, 3))
                (parts::button(visit.t("members.save"), None))
            }))
        } @else if member.token_issuers.iter().len() == 0 {
            (parts::empty(visit.t("members.issuers.none")))
        } @else {
            ul { @for issuer in member.token_issuers.iter() { li { (issuer) } } }
        }
    }
}

/// The answer to a form: the member's page with what was done, or with what was refused.
pub(super) async fn answered<T>(
    visit: &Visit,
    name: &MemberName,
    part: Part,
    posted: &Posted,
    done: Result<Result<Written<T>, CallError>, Refused>,
) -> Result<Response, Failed> {
    let refused = match done {
        Ok(Ok(_)) => return Ok(Done::saying(&one::path(name), "member.changed", &[]).into_response()),
        Ok(Err(error)) => Refused::of(error)?,
        Err(refused) => refused,
    };
    let page = one::page(visit, name, Some((part, Entered::again(posted, &refused)))).await?;
    Ok(page.with_status(refused.status()).into_response())
}

fn read(posted: &Posted) -> Result<MemberWords, Refused> {
    let display_name = Text::new(posted.field("display_name"));
    Ok(MemberWords {
        display_name: display_name.map_err(|why| Refused::field("display_name", why.to_string()))?,
        jurisdictions: list::jurisdictions(posted.field("jurisdictions"))?,
        is_named: Some(posted.field("is_named") == "yes"),
    })
}

pub(super) async fn set(visit: Visit, Path(name): Path<String>, posted: Posted) -> Result<Response, Failed> {
    let name = member_name(&name)?;
    let done = match read(&posted) {
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
    let state = STATES.into_iter().find(|state| state.to_string() == posted.field("state"));
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
