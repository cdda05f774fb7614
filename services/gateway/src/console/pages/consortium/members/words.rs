//! The description of a member, its state, and the identity providers of its people.

use maud::{Markup, html};
use vigie_clients::MemberWords;
use vigie_consortium::rights::Method;
use vigie_consortium::{Member, MemberState, Text};

use super::facts;
use crate::console::parts::{self, Field};
use crate::console::parts::{Entered, Refused};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

/// The possible states of a member.
pub(super) const STATES: [MemberState; 3] =
    [MemberState::Active, MemberState::Suspended, MemberState::Quarantined];

/// The description of the member: a form for persons who may change it, text for others.
pub(super) fn words(visit: &Visit, member: &Member, entered: Entered<'_>) -> Markup {
    let countries = facts::countries(member);
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
    let action = format!("{}/words", facts::path(&member.name));
    html! {
        (entered.notice(visit.t("members.refused")))
        (parts::form(visit, &action, html! {
            (field("display_name", "members.display_name", "members.words.display_name_hint", member.display_name.as_str()))
            (field("jurisdictions", "members.jurisdictions", "members.jurisdictions_hint", &countries))
            p { (parts::checkbox("is_named", "yes", visit.t("members.words.is_named"), entered.ticked("is_named", "yes", member.is_named))) }
            (parts::button(visit.t("members.save"), None))
        }))
    }
}

/// The state of the member.
pub(super) fn state(visit: &Visit, member: &Member, entered: Entered<'_>) -> Markup {
    let meaning = |state: MemberState| visit.t(&format!("members.state.meaning.{state}"));
    let present = member.state.to_string();
    let names = STATES.map(|state| state.to_string());
    let options: Vec<(&str, &str)> =
        names.iter().zip(STATES).map(|(name, state)| (&**name, meaning(state))).collect();
    let action = format!("{}/state", facts::path(&member.name));
    html! {
        p { (meaning(member.state)) }
        @if visit.may(Method::SetMemberState) {
            (entered.notice(visit.t("members.refused")))
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

/// The identity providers whose tokens identify the member's people.
pub(super) fn issuers(visit: &Visit, member: &Member, entered: Entered<'_>) -> Markup {
    let issuers = member.token_issuers.iter().collect::<Vec<_>>().join("\n");
    let action = format!("{}/issuers", facts::path(&member.name));
    html! {
        p { (visit.t("members.issuers.what")) }
        @if visit.may(Method::SetTokenIssuers) {
            (entered.notice(visit.t("members.refused")))
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

/// Parses the form of the description.
pub(super) fn read(posted: &Posted) -> Result<MemberWords, Refused> {
    let display_name = Text::new(posted.field("display_name"));
    Ok(MemberWords {
        display_name: display_name.map_err(|why| Refused::field("display_name", why.to_string()))?,
        jurisdictions: facts::jurisdictions(posted.field("jurisdictions"))?,
        is_named: Some(posted.field("is_named") == "yes"),
    })
}
