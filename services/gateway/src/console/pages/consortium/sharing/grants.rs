//! Grants on an own bank: the list, the form of a grant, and its removal.

use maud::{Markup, html};
use vigie_clients::GivenGrant;
use vigie_consortium::{Capabilities, Capability, Expiry, Flag as _, MemberName};
use vigie_model::BankRef;

use super::path;
use crate::console::pages::consortium::day;
use crate::console::parts::{self, Column, Field, Tone};
use crate::console::parts::{Entered, Refused, boxes};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

/// The name of a grant's member, or its id if the bank service is too old to send names.
fn member(given: &GivenGrant) -> String {
    given.member.as_ref().map_or_else(|| format!("#{}", given.grant.member), ToString::to_string)
}

/// The list.
pub(super) fn list(visit: &Visit, bank: &BankRef, given: &[GivenGrant]) -> Markup {
    if given.is_empty() {
        return parts::empty(visit.t("sharing.given.none"));
    }
    let columns = ["sharing.member", "sharing.capabilities", "sharing.expires", "sharing.change"];
    let columns = columns.map(|key| Column::words(visit.t(key)));
    let rows = given.iter().map(|one| {
        vec![
            html! { (member(one)) },
            capabilities(visit, one.grant.capabilities),
            until(visit, one.grant.expiry),
            html! { @if let Some(name) = &one.member { a href={ (path(bank)) "?member=" (name) } { (visit.t("sharing.change")) } } },
        ]
    });
    parts::table(visit.t("sharing.given.title"), &columns, rows)
}

/// The capabilities of a grant, in words.
pub(super) fn capabilities(visit: &Visit, capabilities: Capabilities) -> Markup {
    let word = |one: Capability| visit.t(&format!("sharing.capability.{}", one.name().replace('-', "_")));
    html! { (capabilities.iter().map(word).collect::<Vec<_>>().join(", ")) }
}

/// The expiry of a grant.
pub(super) fn until(visit: &Visit, expiry: Expiry) -> Markup {
    match expiry.moment() {
        None => html! { (visit.t("sharing.never")) },
        Some(at) if expiry.is_over(visit.now) => html! {
            div { (parts::badge(Tone::Bad, visit.t("sharing.over"))) " " (parts::time(visit, at)) }
        },
        Some(at) => parts::time(visit, at),
    }
}

/// The form of a grant, filled with the member's present one; and the form that removes that one.
pub(super) fn forms(
    visit: &Visit,
    bank: &BankRef,
    present: Option<&GivenGrant>,
    entered: Entered<'_>,
) -> Markup {
    let name = present.and_then(|given| given.member.as_ref());
    let heading = match name {
        Some(name) => visit.fill("sharing.put.change", &[("member", name)]),
        None => visit.t("sharing.put.title").to_owned(),
    };
    html! {
        (parts::section(&heading, form(visit, bank, present, entered)))
        @if let Some(name) = name {
            (parts::section(&visit.fill("sharing.end.title", &[("member", name)]), html! {
                p { (visit.t("sharing.end.what")) }
                div.danger {
                    (parts::action(visit, &format!("{}/end", path(bank)), &[("member", name.as_str())], visit.t("sharing.end.submit"), None))
                }
            }))
        }
    }
}

fn form(visit: &Visit, bank: &BankRef, present: Option<&GivenGrant>, entered: Entered<'_>) -> Markup {
    let name = present.and_then(|given| given.member.as_ref()).map(ToString::to_string).unwrap_or_default();
    let expires = present.map(|given| day::shown(given.grant.expiry)).unwrap_or_default();
    let has = |one: Capability| match present {
        Some(given) => given.grant.capabilities.contains(one),
        // Without details, a match says little to the person who decides.
        None => matches!(one, Capability::Match | Capability::SeeDetails),
    };
    let ticked = |one: Capability| entered.ticked("capabilities", one.name(), has(one));
    let capabilities = html! {
        @for one in Capability::ALL {
            div { (parts::checkbox("capabilities", one.name(), visit.t(&format!("sharing.may.{}", one.name().replace('-', "_"))), ticked(*one))) }
        }
    };
    html! {
        (entered.notice(visit.t("members.refused")))
        (parts::form(visit, &path(bank), html! {
            (parts::field(&Field {
                name: "member",
                label: visit.t("sharing.member"),
                hint: visit.t("sharing.put.member_hint"),
                value: entered.value("member", &name),
                is_required: true,
                fault: entered.fault("member"),
                ..Field::default()
            }))
            (boxes(visit.t("sharing.put.may"), entered.fault("capabilities"), &capabilities))
            (parts::field(&Field {
                name: "expires",
                label: visit.t("sharing.expires"),
                hint: visit.t("sharing.put.expires_hint"),
                value: entered.value("expires", &expires),
                kind: "date",
                fault: entered.fault("expires"),
                ..Field::default()
            }))
            (parts::button(visit.t("sharing.put.submit"), None))
        }))
    }
}

/// Parses the form of a grant.
pub(super) fn read(visit: &Visit, posted: &Posted) -> Result<(MemberName, Capabilities, Expiry), Refused> {
    let name: Result<MemberName, _> = posted.field("member").parse();
    let name = name.map_err(|why| Refused::field("member", why.to_string()))?;
    let none = || Refused::field("capabilities", visit.t("sharing.put.no_capability"));
    let all = posted.fields("capabilities").map(|one| Capability::from_name(one).ok_or_else(none));
    let capabilities = Capabilities::new(all.collect::<Result<Vec<_>, _>>()?).map_err(|_| none())?;
    Ok((name, capabilities, day::read(visit, "expires", posted.field("expires"))?))
}
