//! Parts of pages that show members and principals.

use http::StatusCode;
use maud::{Markup, html};
use vigie_clients::{CallError, KeyListing, PrincipalCredential, PrincipalListing, WhoAmI};
use vigie_consortium::rights::Method;
use vigie_consortium::{
    Expiry, Flag as _, Jurisdictions, Member, MemberId, MemberName, MemberState, PrincipalId, Role, Roles,
};

use super::{KEYS, PATH, is_off};
use crate::console::page::Failed;
use crate::console::parts::Refused;
use crate::console::parts::{self, Tone};
use crate::console::visit::Visit;

/// The countries of a member.
pub(super) fn countries(member: &Member) -> String {
    member.jurisdictions.iter().collect::<Vec<_>>().join(", ")
}

/// The creation time of a member; the host exists from the beginning and has none.
pub(super) fn created(visit: &Visit, member: &Member) -> Markup {
    if member.created_at.0 == 0 {
        html! { (visit.t("members.always")) }
    } else {
        parts::time(visit, member.created_at)
    }
}

/// The state of a member, as a badge.
pub(super) fn state(visit: &Visit, state: MemberState) -> Markup {
    let tone = match state {
        MemberState::Active => Tone::Good,
        MemberState::Suspended => Tone::Warn,
        MemberState::Quarantined => Tone::Bad,
    };
    html! { span { (parts::badge(tone, visit.t(&format!("members.state.word.{state}")))) } }
}

/// Parses country codes separated by spaces or commas, in either case.
pub(super) fn jurisdictions(text: &str) -> Result<Jurisdictions, Refused> {
    let codes = text.split(|between: char| between.is_whitespace() || matches!(between, ',' | ';'));
    let codes: Vec<String> = codes.filter(|code| !code.is_empty()).map(str::to_ascii_uppercase).collect();
    Jurisdictions::new(&codes).map_err(|why| Refused::field("jurisdictions", why.to_string()))
}

/// The path of a member's page.
pub(super) fn path(name: &MemberName) -> String {
    format!("{PATH}/{name}")
}

/// Converts the error of a read: what the person may not read is answered as not found.
pub(super) fn hidden(error: CallError) -> Failed {
    let failed = Failed::from(error);
    match failed.problem.status {
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Failed::not_there(),
        _ => failed,
    }
}

/// The path of the list of a member's principals.
pub(super) fn list_path(member: Option<&MemberName>) -> String {
    member.map_or_else(|| KEYS.to_owned(), |name| format!("{KEYS}?member={name}"))
}

/// Whether the person is signed in as this principal.
pub(super) fn is_own(visit: &Visit, id: PrincipalId) -> bool {
    matches!(&visit.who, Some(WhoAmI { principal: Some(own), .. }) if own.id == id)
}

/// The names of roles.
pub(super) fn roles(visit: &Visit, roles: Roles) -> String {
    let name = |role: Role| visit.t(&format!("members.role.{}", role.name()));
    roles.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The expiry of a right.
pub(super) fn until(visit: &Visit, expiry: Expiry) -> Markup {
    match expiry.moment() {
        None => html! { (visit.t("members.keys.never")) },
        Some(at) if expiry.is_over(visit.now) => html! {
            div { (parts::badge(Tone::Bad, visit.t("members.keys.over"))) " " (parts::time(visit, at)) }
        },
        Some(at) => parts::time(visit, at),
    }
}

/// The credential of a principal: only its public part.
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

/// Whether the principal has keys, and the person may give it a further one.
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

/// Whether the next new principal turns members on.
pub(super) fn is_first(visit: &Visit) -> bool {
    is_off(visit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_read_as_people_write_them() {
        let read = jurisdictions("fr, BE;de  FR").unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), ["BE", "DE", "FR"]);
        assert_eq!(jurisdictions("").unwrap().iter().len(), 0);
        assert!(jurisdictions("France").is_err());
    }
}
