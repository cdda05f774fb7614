//! The form of a new principal: its roles and its credential.

use maud::{Markup, html};
use vigie_clients::{NewCredential, NewPrincipal};
use vigie_consortium::{Flag as _, MemberName, Role, Roles, SpiffeId, Text, TokenSubject};

use super::{KEYS, facts};
use crate::console::pages::consortium::day;
use crate::console::parts::{self, Field, Tone};
use crate::console::parts::{Entered, Refused, boxes};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

const API_KEY: &str = "api_key";
const TOKEN: &str = "token";
const CERTIFICATE: &str = "certificate";

/// The form, for a principal of this member or of the person's member.
pub(super) fn form(visit: &Visit, member: Option<&MemberName>, entered: Entered<'_>) -> Markup {
    let is_first = facts::is_first(visit);
    let note = Field {
        name: "note",
        label: visit.t("members.keys.note"),
        hint: visit.t("members.new.note_hint"),
        value: entered.value("note", ""),
        fault: entered.fault("note"),
        ..Field::default()
    };
    let expires = Field {
        name: "expires",
        label: visit.t("members.new.expires"),
        hint: visit.t("members.new.expires_hint"),
        value: entered.value("expires", ""),
        kind: "date",
        fault: entered.fault("expires"),
        ..Field::default()
    };
    html! {
        @if is_first { (parts::notice(Tone::Warn, html! { (visit.t("members.new.first")) })) }
        (entered.notice(visit.t("members.refused")))
        (parts::form(visit, KEYS, html! {
            @if let Some(name) = member { input type="hidden" name="member" value=(name); }
            (boxes(visit.t("members.new.roles"), entered.fault("roles"), &roles(visit, member, entered)))
            (parts::field(&note))
            (parts::field(&expires))
            (other_credentials(visit, entered))
            @if is_first {
                p { (parts::checkbox("turn_on", "yes", visit.t("members.new.turn_on"), false)) }
            }
            (parts::button(visit.t("members.new.submit"), None))
        }))
    }
}

fn roles(visit: &Visit, member: Option<&MemberName>, entered: Entered<'_>) -> Markup {
    let is_first = facts::is_first(visit);
    let all = facts::roles_to_give(visit, member);
    html! {
        @for role in all {
            div { (parts::checkbox("roles", role.name(), visit.t(&format!("members.may.{}", role.name())),
                entered.ticked("roles", role.name(), is_first && role == Role::Operator))) }
        }
    }
}

/// Fields for tokens and certificates, which are rarely needed.
fn other_credentials(visit: &Visit, entered: Entered<'_>) -> Markup {
    let kinds = [
        (API_KEY, visit.t("members.credential.api_key")),
        (TOKEN, visit.t("members.credential.token")),
        (CERTIFICATE, visit.t("members.credential.certificate")),
    ];
    let kind = entered.value("kind", API_KEY);
    let field = |name, label, hint| {
        parts::field(&Field {
            name,
            label: visit.t(label),
            hint: visit.t(hint),
            value: entered.value(name, ""),
            fault: entered.fault(name),
            ..Field::default()
        })
    };
    html! {
        details open[kind != API_KEY] {
            summary { (visit.t("members.new.others")) }
            (parts::choice(&Field { name: "kind", label: visit.t("members.keys.credential"), value: kind, ..Field::default() }, &kinds))
            (field("issuer", "members.new.issuer", "members.new.issuer_hint"))
            (field("subject", "members.new.subject", "members.new.subject_hint"))
            (field("spiffe_id", "members.new.spiffe_id", "members.new.spiffe_id_hint"))
        }
    }
}

/// The field for a kind of credential.
pub(super) fn field_of(kind: &str) -> &'static str {
    match kind {
        TOKEN => "issuer",
        CERTIFICATE => "spiffe_id",
        _ => "roles",
    }
}

/// Parses the form.
pub(super) fn read(
    visit: &Visit,
    member: Option<&MemberName>,
    posted: &Posted,
) -> Result<NewPrincipal, Refused> {
    let role = |name: &str| {
        Role::from_name(name).ok_or_else(|| Refused::field("roles", visit.t("members.new.no_role")))
    };
    let all = posted.fields("roles").map(role).collect::<Result<Vec<_>, _>>()?;
    let roles = Roles::new(all).map_err(|_| Refused::field("roles", visit.t("members.new.no_role")))?;
    let credential = match posted.field("kind") {
        TOKEN => {
            let token = TokenSubject::new(posted.field("issuer"), posted.field("subject"));
            NewCredential::Token(token.map_err(|why| Refused::field("issuer", why.to_string()))?)
        }
        CERTIFICATE => {
            let id = posted.field("spiffe_id").parse::<SpiffeId>();
            NewCredential::Certificate(id.map_err(|why| Refused::field("spiffe_id", why.to_string()))?)
        }
        _ => NewCredential::ApiKey,
    };
    let note = Text::new(posted.field("note")).map_err(|why| Refused::field("note", why.to_string()))?;
    let expiry = day::read(visit, "expires", posted.field("expires"))?;
    if facts::is_first(visit) && posted.field("turn_on") != "yes" {
        return Err(Refused::field("turn_on", visit.t("members.new.first")));
    }
    Ok(NewPrincipal { member: member.cloned(), roles, credential, expiry, note })
}
