//! The page of the policy: the deciding version, the version on trial, and the form of the next version.

use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::{Code, ReadPolicy};
use vigie_consortium::rights::Method;

use super::file::Wrong;
use super::{PATH, TRIAL, TRY, comparison, file, rules};
use crate::console::page::{Done, Failed, Page};
use crate::console::parts::{self, Field, Tone};
use crate::console::posted::Asked;
use crate::console::visit::Visit;

/// Rows of the text field.
const ROWS: u8 = 20;

/// The requested version.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    /// The version whose text is shown; by default the deciding one.
    version: Option<u32>,
}

/// The policies of the person's member.
#[derive(Debug)]
pub(super) struct Versions {
    /// The requested version, or the deciding one; `None` if there is no policy.
    pub(super) shown: Option<ReadPolicy>,
    /// The version on trial.
    trial: Option<ReadPolicy>,
}

/// A refused text, and the reason.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again<'a> {
    /// The text.
    pub(super) text: &'a str,
    /// The reason.
    pub(super) wrong: &'a Wrong,
}

pub(super) async fn show(visit: Visit, Asked(which): Asked<Which>) -> Result<Page, Failed> {
    let versions = versions(&visit, which.version.unwrap_or(0)).await?;
    Ok(page(&visit, &versions, None))
}

/// Redirects a person who opens the address of a form.
pub(super) async fn back() -> Done {
    Done::at(PATH)
}

/// Reads a version, 0 for the deciding one, and the version on trial.
pub(super) async fn versions(visit: &Visit, version: u32) -> Result<Versions, Failed> {
    let policies = visit.caller.policies();
    let shown = match policies.get_policy(version, visit.deadline()).await {
        Ok(read) => read.value,
        Err(error) if error.code() == Code::NotFound && version == 0 => {
            return Ok(Versions { shown: None, trial: None });
        }
        Err(error) => return Err(error.into()),
    };
    let trial = match shown.trial {
        Some(trial) if trial == shown.version.version => Some(shown.clone()),
        Some(trial) => Some(policies.get_policy(trial, visit.deadline()).await?.value),
        None => None,
    };
    Ok(Versions { shown: Some(shown), trial })
}

/// Renders the page. `again`: the refused text, with its fault.
pub(super) fn page(visit: &Visit, versions: &Versions, again: Option<Again<'_>>) -> Page {
    let Versions { shown, trial } = versions;
    let editing = html! {
        @if visit.may(Method::SetPolicy) {
            (parts::section(visit.t("policies.edit.title"), form(visit, shown.as_ref(), again)))
        }
    };
    let main = html! {
        // A refused form comes first.
        @if again.is_some() { (editing) }
        @match shown {
            Some(read) => (present(visit, read)),
            None => (parts::notice(Tone::Plain, html! { (visit.t("policies.none")) })),
        }
        @if let Some(trial) = trial { (tried(visit, trial)) }
        (parts::section(visit.t("policies.try.title"), html! {
            p { (visit.t("policies.try.link_what")) }
            @if visit.may(Method::TryPolicy) { p { a.button.second href=(TRY) { (visit.t("policies.try.link")) } } }
        }))
        @if again.is_none() { (editing) }
        @if let Some(read) = shown.as_ref().filter(|_| !visit.may(Method::SetPolicy)) {
            (parts::section(visit.t("policies.text"), html! { pre tabindex="0" { (file::text(&read.version.policy)) } }))
        }
        @if let Some(read) = shown { (others(visit, read)) }
    };
    Page::new(visit.t("policies.title"), main)
}

fn present(visit: &Visit, read: &ReadPolicy) -> Markup {
    let version = read.version.version;
    let key = if read.current == Some(version) {
        "policies.decides"
    } else if read.trial == Some(version) {
        "policies.is_tried"
    } else {
        "policies.is_old"
    };
    let heading = visit.fill(key, &[("version", &version)]);
    parts::section(&heading, rules::tables(visit, &read.version.policy))
}

fn tried(visit: &Visit, trial: &ReadPolicy) -> Markup {
    let version = trial.version.version;
    let step = |step: &str, key: &str| {
        let expected = trial.newest.to_string();
        parts::action(visit, TRIAL, &[("step", step), ("expected", &expected)], visit.t(key), None)
    };
    let body = html! {
        p { (visit.t("policies.trial.what")) }
        div #comparison hx-get=(PATH) hx-select="#comparison" hx-trigger="every 10s" hx-swap="outerHTML" {
            (comparison::table(visit, trial))
        }
        @if visit.may(Method::SetPolicy) && trial.current.is_some() {
            div.row { (step("decide", "policies.trial.decide")) (step("stop", "policies.trial.stop")) }
        }
        details { summary { (visit.t("policies.trial.rules")) } (rules::tables(visit, &trial.version.policy)) }
    };
    parts::section(&visit.fill("policies.trial.title", &[("version", &version)]), body)
}

fn form(visit: &Visit, shown: Option<&ReadPolicy>, again: Option<Again<'_>>) -> Markup {
    let stored = shown.map(|read| file::text(&read.version.policy));
    let text = again
        .map_or_else(|| stored.as_deref().unwrap_or_else(|| visit.t("policies.first")), |again| again.text);
    let fault = again.map(|again| sentence(visit, again.wrong)).unwrap_or_default();
    let area = Field {
        name: "text",
        label: visit.t("policies.edit.label"),
        hint: visit.t("policies.edit.hint"),
        value: text,
        fault: &fault,
        ..Field::default()
    };
    html! {
        @if let Some(again) = again { (at_fault(visit, again.wrong)) }
        (parts::form(visit, PATH, html! {
            @if let Some(read) = shown { input type="hidden" name="expected" value=(read.newest); }
            (parts::area(&area, ROWS))
            div.row {
                button type="submit" name="how" value="decide" { (visit.t("policies.edit.decide")) }
                @if shown.is_some_and(|read| read.current.is_some()) {
                    button.second type="submit" name="how" value="trial" { (visit.t("policies.edit.trial")) }
                }
                @if visit.may(Method::TryPolicy) {
                    button.second type="submit" formaction=(TRY) name="step" value="open" { (visit.t("policies.edit.try")) }
                }
            }
        }))
    }
}

/// Returns the fault as a sentence, with its line.
pub(super) fn sentence(visit: &Visit, wrong: &Wrong) -> String {
    match wrong.line {
        Some(line) => format!("{} {}", visit.fill("policies.edit.line", &[("line", &line)]), wrong.sentence),
        None => wrong.sentence.clone(),
    }
}

/// Renders the rule at fault, with the fault beside it.
pub(super) fn at_fault(visit: &Visit, wrong: &Wrong) -> Markup {
    html! {
        (parts::notice(Tone::Bad, html! {
            p { (visit.t("policies.edit.refused")) }
            p { (sentence(visit, wrong)) }
            @if !wrong.part.is_empty() { pre { (wrong.part) } }
        }))
    }
}

/// Renders links to other versions.
fn others(visit: &Visit, read: &ReadPolicy) -> Markup {
    if read.newest < 2 {
        return html! {};
    }
    let version = read.version.version.to_string();
    let heading = visit.t("policies.versions.title");
    parts::section(
        heading,
        html! {
            p { (visit.fill("policies.versions.newest", &[("version", &read.newest)])) }
            form method="get" action=(PATH) {
                (parts::field(&Field {
                    name: "version",
                    label: visit.t("policies.versions.label"),
                    hint: visit.t("policies.versions.hint"),
                    value: &version,
                    kind: "number",
                    ..Field::default()
                }))
                button.second type="submit" { (visit.t("policies.versions.show")) }
            }
        },
    )
}
