//! The limits of a member, each explained. The form sets all limits at once, so that an omitted field cannot
//! lift a limit.

use maud::{Markup, html};
use vigie_consortium::rights::Method;
use vigie_consortium::{Amount, Member, Quota};

use super::facts;
use crate::console::parts::{self, Field};
use crate::console::parts::{Entered, Refused};
use crate::console::posted::Posted;
use crate::console::visit::Visit;

/// Reads a limit of a quota.
type Get = fn(&Quota) -> Amount;

/// The limits that are amounts, by the names of their fields.
const AMOUNTS: [(&str, Get); 5] = [
    ("units_per_second", |quota| quota.units_per_second),
    ("units_burst", |quota| quota.units_burst),
    ("units_per_day", |quota| quota.units_per_day),
    ("items_matched_per_day", |quota| quota.items_matched_per_day),
    ("items_added_per_day", |quota| quota.items_added_per_day),
];
const NEAR: &str = "near_queries_per_item_day";

/// The limits: a form for persons who may change them, a list for others.
pub(super) fn limits(visit: &Visit, member: &Member, quota: &Quota, entered: Entered<'_>) -> Markup {
    if visit.may(Method::SetQuota) {
        let action = format!("{}/limits", facts::path(&member.name));
        return html! {
            p { (visit.t("members.limits.what")) }
            (entered.notice(visit.t("members.refused")))
            (parts::form(visit, &action, form(visit, quota, entered)))
        };
    }
    let near = visit.language.number(quota.near_queries().get().into());
    let mut facts: Vec<(&str, Markup)> =
        AMOUNTS.iter().map(|(name, get)| (label(visit, name), amount(visit, get(quota)))).collect();
    facts.push((label(visit, NEAR), html! { (near) }));
    let images = if quota.images_only { "members.limits.only_images" } else { "members.limits.any" };
    facts.push((visit.t("members.limits.queries"), html! { (visit.t(images)) }));
    parts::facts(facts)
}

fn label(visit: &Visit, name: &str) -> &'static str {
    visit.t(&format!("members.limits.label.{name}"))
}

fn amount(visit: &Visit, amount: Amount) -> Markup {
    let number = amount.get().map(|amount| visit.language.number(amount.get()));
    html! { (number.as_deref().unwrap_or_else(|| visit.t("members.limits.none"))) }
}

fn form(visit: &Visit, quota: &Quota, entered: Entered<'_>) -> Markup {
    let field = |name: &str, present: u64| {
        let present = if present == 0 { String::new() } else { present.to_string() };
        parts::field(&Field {
            name,
            label: label(visit, name),
            hint: visit.t(&format!("members.limits.hint.{name}")),
            value: entered.value(name, &present),
            kind: "number",
            fault: entered.fault(name),
            ..Field::default()
        })
    };
    html! {
        @for (name, get) in AMOUNTS { (field(name, get(quota).to_wire())) }
        (field(NEAR, quota.near_queries_per_item_day.into()))
        p { (parts::checkbox("images_only", "yes", visit.t("members.limits.images_only"), entered.ticked("images_only", "yes", quota.images_only))) }
        (parts::button(visit.t("members.limits.submit"), None))
    }
}

/// Parses the form.
pub(super) fn read(visit: &Visit, posted: &Posted) -> Result<Quota, Refused> {
    // A form without the field does not come from this page. Accepting it would lift the limit.
    let number = |name: &str| {
        let text = posted
            .fields(name)
            .next()
            .ok_or_else(|| Refused::field(name, visit.t("members.limits.missing")))?;
        let number = if text.is_empty() { Ok(0) } else { text.parse::<u64>() };
        number.map_err(|_| Refused::field(name, visit.t("members.limits.no_number")))
    };
    let amount = |name: &str| Amount::new(number(name)?).map_err(|why| Refused::field(name, why.to_string()));
    let near =
        u16::try_from(number(NEAR)?).map_err(|_| Refused::field(NEAR, visit.t("members.limits.near_max")))?;
    Ok(Quota {
        units_per_second: amount("units_per_second")?,
        units_burst: amount("units_burst")?,
        units_per_day: amount("units_per_day")?,
        items_matched_per_day: amount("items_matched_per_day")?,
        items_added_per_day: amount("items_added_per_day")?,
        near_queries_per_item_day: near,
        images_only: posted.field("images_only") == "yes",
    })
}
