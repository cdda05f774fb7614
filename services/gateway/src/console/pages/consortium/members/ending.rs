//! A further key for a principal, and the removal of a principal. Both ask for confirmation and show the
//! consequences.

use std::time::Duration;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use vigie_clients::PrincipalListing;
use vigie_consortium::MemberName;

use super::keys::{self, Which};
use super::new_key::{self, Made};
use super::{KEYS, facts as shown};
use crate::console::page::{Done, Failed, Page};
use crate::console::parts::{self, Field, Tone};
use crate::console::parts::{Entered, Refused};
use crate::console::posted::{Asked, Posted};
use crate::console::visit::Visit;

/// The choices for how long the old key remains valid: seconds, with the key of the label.
const OVERLAPS: [(&str, u64, &str); 5] = [
    ("0", 0, "members.rotate.now"),
    ("3600", 3_600, "members.rotate.hour"),
    ("86400", 86_400, "members.rotate.day"),
    ("604800", 604_800, "members.rotate.week"),
    ("2592000", 2_592_000, "members.rotate.month"),
];
/// The default of one day: long enough to install the new key.
const OVERLAP_FIRST: &str = "86400";

pub(super) async fn show_rotation(
    visit: Visit,
    Path(id): Path<String>,
    Asked(which): Asked<Which>,
) -> Result<Page, Failed> {
    let member = which.member()?;
    rotation(&visit, &id, member.as_ref(), Entered::default()).await
}

async fn rotation(
    visit: &Visit,
    id: &str,
    member: Option<&MemberName>,
    entered: Entered<'_>,
) -> Result<Page, Failed> {
    let principal = keys::find(visit, member, id).await?;
    if !shown::may_rotate(visit, &principal) {
        return Err(Failed::not_there());
    }
    let options: Vec<(&str, &str)> = OVERLAPS.iter().map(|(value, _, key)| (*value, visit.t(key))).collect();
    let overlap = Field {
        name: "overlap",
        label: visit.t("members.rotate.overlap"),
        hint: visit.t("members.rotate.overlap_hint"),
        value: entered.value("overlap", OVERLAP_FIRST),
        fault: entered.fault("overlap"),
        ..Field::default()
    };
    let main = html! {
        @if shown::is_own(visit, principal.id) {
            (parts::notice(Tone::Warn, html! { (visit.t("members.rotate.own")) }))
        }
        (facts(visit, &principal))
        (entered.notice(visit.t("members.refused")))
        (parts::form(visit, &format!("{KEYS}/{}/rotate", principal.id), html! {
            @if let Some(name) = member { input type="hidden" name="member" value=(name); }
            (parts::choice(&overlap, &options))
            (parts::button(visit.t("members.rotate.submit"), None))
        }))
    };
    Ok(Page::new(visit.fill("members.rotate.title", &[("id", &principal.id)]), main))
}

fn facts(visit: &Visit, principal: &PrincipalListing) -> Markup {
    parts::facts([
        (visit.t("members.keys.roles"), html! { (shown::roles(visit, principal.roles)) }),
        (visit.t("members.keys.note"), html! { (principal.note) }),
        (visit.t("members.keys.credential"), shown::credential(visit, principal)),
        (visit.t("members.created"), parts::time(visit, principal.created_at)),
        (visit.t("members.keys.expires"), shown::until(visit, principal.expiry)),
    ])
}

pub(super) async fn rotate(visit: Visit, Path(id): Path<String>, posted: Posted) -> Result<Response, Failed> {
    let member = keys::named(posted.field("member"))?;
    let member = member.as_ref();
    let overlap = OVERLAPS.iter().find(|(value, ..)| *value == posted.field("overlap"));
    let refused = match overlap {
        None => Refused::field("overlap", visit.t("members.rotate.no_overlap")),
        Some((_, seconds, _)) => {
            let id = keys::find(&visit, member, &id).await?.id;
            let overlap = Duration::from_secs(*seconds);
            let rotated =
                visit.caller.members().rotate_key(id, overlap, None, posted.once(), visit.deadline()).await;
            match rotated {
                Ok(made) => {
                    let made = Made { of: member, made: &made.value, is_invitation: false, is_first: false };
                    return Ok(new_key::page(&visit, &made).into_response());
                }
                Err(error) => Refused::of(error)?,
            }
        }
    };
    let page = rotation(&visit, &id, member, Entered::again(&posted, &refused)).await?;
    Ok(page.with_status(refused.status()).into_response())
}

pub(super) async fn show_end(
    visit: Visit,
    Path(id): Path<String>,
    Asked(which): Asked<Which>,
) -> Result<Page, Failed> {
    let member = which.member()?;
    end(&visit, &id, member.as_ref(), Entered::default()).await
}

async fn end(
    visit: &Visit,
    id: &str,
    member: Option<&MemberName>,
    entered: Entered<'_>,
) -> Result<Page, Failed> {
    let principal = keys::find(visit, member, id).await?;
    let main = html! {
        @if shown::is_own(visit, principal.id) {
            (parts::notice(Tone::Bad, html! { (visit.t("members.revoke.own")) }))
        }
        p { (visit.t("members.revoke.ends")) }
        ul {
            li { (visit.t("members.revoke.ends_calls")) }
            li { (visit.t("members.revoke.ends_sessions")) }
            li { (visit.t("members.revoke.stays")) }
        }
        (facts(visit, &principal))
        (entered.notice(visit.t("members.refused")))
        (parts::form(visit, &format!("{KEYS}/{}/revoke", principal.id), html! {
            @if let Some(name) = member { input type="hidden" name="member" value=(name); }
            div.row.danger {
                (parts::button(visit.t("members.revoke.submit"), None))
                a href=(shown::list_path(member)) { (visit.t("members.revoke.cancel")) }
            }
        }))
    };
    Ok(Page::new(visit.fill("members.revoke.title", &[("id", &principal.id)]), main))
}

pub(super) async fn revoke(visit: Visit, Path(id): Path<String>, posted: Posted) -> Result<Response, Failed> {
    let member = keys::named(posted.field("member"))?;
    let member = member.as_ref();
    let number: u64 = id.parse().map_err(|_| Failed::not_there())?;
    let id_of = vigie_consortium::PrincipalId(number);
    let members = visit.caller.members();
    let refused = match members.revoke_principal(id_of, posted.once(), visit.deadline()).await {
        Ok(_) => {
            let name = member.map(ToString::to_string);
            let query: Vec<(&str, &str)> = name.iter().map(|name| ("member", name.as_str())).collect();
            return Ok(Done::saying(KEYS, "key.revoked", &query).into_response());
        }
        Err(error) if error.code() == vigie_clients::Code::PermissionDenied => {
            return Err(shown::hidden(error));
        }
        Err(error) => Refused::of(error)?,
    };
    let page = end(&visit, &id, member, Entered::again(&posted, &refused)).await?;
    Ok(page.with_status(refused.status()).into_response())
}
