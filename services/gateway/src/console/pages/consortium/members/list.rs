//! The list of members, and the invitation: one form creates a member and the key of its first administrator.

use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::{MemberWords, NewCredential, NewPrincipal, Written};
use vigie_consortium::rights::Method;
use vigie_consortium::{Expiry, Member, MemberId, MemberName, Role, Roles, Text};
use vigie_proto::bank::PAGE_DEFAULT;

use super::new_key::{self, Made};
use super::{KEYS, PATH, facts, is_off};
use crate::console::page::{Failed, Page};
use crate::console::parts::{self, Column, Field, Tone};
use crate::console::parts::{Entered, Refused};
use crate::console::posted::{Asked, Posted};
use crate::console::visit::Visit;

/// The start of a page of the list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Begin {
    /// The page begins after this id.
    after: Option<u32>,
}

pub(super) async fn show(visit: Visit, Asked(asked): Asked<Begin>) -> Result<Page, Failed> {
    page(&visit, asked.after, Entered::default()).await
}

async fn page(visit: &Visit, after: Option<u32>, entered: Entered<'_>) -> Result<Page, Failed> {
    let (after, members) = (after.map(MemberId), visit.caller.members());
    let listed = members.list_members(after, PAGE_DEFAULT, visit.deadline()).await?.value;
    let next = listed.last().filter(|_| listed.len() >= usize::from(PAGE_DEFAULT));
    let next = next.map(|member| format!("{PATH}?after={}", member.id));
    let main = html! {
        @if is_off(visit) {
            (parts::notice(Tone::Plain, html! {
                (visit.t("members.off")) " " a href=(KEYS) { (visit.t("members.off_link")) }
            }))
        } @else if visit.may(Method::CreateMember) && visit.may(Method::CreatePrincipal) {
            (parts::section(visit.t("members.invite.title"), invitation(visit, entered)))
        }
        (parts::section(visit.t("members.list"), table(visit, &listed)))
        (parts::pager(visit, next.as_deref()))
    };
    Ok(Page::new(visit.t("members.title"), main))
}

fn table(visit: &Visit, members: &[Member]) -> Markup {
    if members.is_empty() {
        return parts::empty(visit.t("members.none"));
    }
    let columns = [
        "members.name",
        "members.display_name",
        "members.state.title",
        "members.jurisdictions",
        "members.created",
    ];
    let columns = columns.map(|key| Column::words(visit.t(key)));
    parts::table(visit.t("members.list"), &columns, members.iter().map(|member| row(visit, member)))
}

fn row(visit: &Visit, member: &Member) -> Vec<Markup> {
    vec![
        html! { a href={ (PATH) "/" (member.name) } { (member.name) } },
        html! { (member.display_name) },
        facts::state(visit, member.state),
        html! { (facts::countries(member)) },
        facts::created(visit, member),
    ]
}

fn invitation(visit: &Visit, entered: Entered<'_>) -> Markup {
    let field = |name, label, hint| {
        parts::field(&Field {
            name,
            label: visit.t(label),
            hint: visit.t(hint),
            value: entered.value(name, ""),
            is_required: name == "name",
            fault: entered.fault(name),
            ..Field::default()
        })
    };
    html! {
        p { (visit.t("members.invite.what")) }
        (entered.notice(visit.t("members.refused")))
        (parts::form(visit, PATH, html! {
            (field("name", "members.name", "members.name_hint"))
            (field("display_name", "members.display_name", "members.optional"))
            (field("jurisdictions", "members.jurisdictions", "members.jurisdictions_hint"))
            (parts::button(visit.t("members.invite.submit"), None))
        }))
    }
}

/// Parses the form of an invitation.
fn read(posted: &Posted) -> Result<(MemberName, MemberWords), Refused> {
    let name = posted.field("name").parse();
    let name =
        name.map_err(|why: vigie_consortium::MemberNameError| Refused::field("name", why.to_string()))?;
    let display_name = Text::new(posted.field("display_name"));
    let display_name = display_name.map_err(|why| Refused::field("display_name", why.to_string()))?;
    Ok((
        name,
        MemberWords {
            display_name,
            jurisdictions: facts::jurisdictions(posted.field("jurisdictions"))?,
            is_named: None,
        },
    ))
}

pub(super) async fn invite(visit: Visit, posted: Posted) -> Result<Response, Failed> {
    let refused = match read(&posted) {
        Ok((name, words)) => match create(&visit, &posted, &name, &words).await? {
            Ok(made) => {
                return Ok(new_key::page(
                    &visit,
                    &Made { of: Some(&name), made: &made, is_invitation: true, is_first: false },
                )
                .into_response());
            }
            Err(refused) => refused,
        },
        Err(refused) => refused,
    };
    let page = page(&visit, None, Entered::again(&posted, &refused)).await?;
    Ok(page.with_status(refused.status()).into_response())
}

/// Creates the member, then its administrator. A repeated form makes the same writes.
async fn create(
    visit: &Visit,
    posted: &Posted,
    name: &MemberName,
    words: &MemberWords,
) -> Result<Result<vigie_clients::PrincipalWithKey, Refused>, Failed> {
    let members = visit.caller.members();
    if let Err(error) = members.create_member(name, words, posted.once_for("member"), visit.deadline()).await
    {
        return Refused::of(error).map(Err);
    }
    let new = NewPrincipal {
        member: Some(name.clone()),
        roles: Roles::one(Role::Administrator),
        credential: NewCredential::ApiKey,
        expiry: Expiry::NEVER,
        note: Text::default(),
    };
    let made = members.create_principal(new, posted.once_for("key"), visit.deadline()).await;
    let Written { value, .. } = made.map_err(Failed::from)?;
    Ok(Ok(value))
}
