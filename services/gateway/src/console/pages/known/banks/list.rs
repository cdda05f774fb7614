//! `/console/banks`: the banks that the person can see, and the form of a new bank.

use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::BankListing;
use vigie_consortium::rights::Method;
use vigie_model::{BankId, BankName, BankRef, MatchRatio};

use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::pages::known::links::{bank_path, fault, fault_of_none, is_of_input};
use crate::console::parts::{self, Column, Field, Tone};
use crate::console::posted::{Asked, Posted};
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The path of the page.
pub(super) const PATH: &str = "/console/banks";
/// The most banks of a page.
const SIZE: u16 = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    /// The id after which the page begins.
    after: Option<u32>,
}

pub(super) async fn show(visit: Visit, Asked(asked): Asked<Query>) -> Result<Page, Failed> {
    page(&visit, asked.after, None, None).await
}

/// Creates a bank.
pub(super) async fn create(visit: Visit, posted: Posted) -> Result<Answer, Failed> {
    match created(&visit, &posted).await {
        Ok(bank) => Ok(Answer::Done(Done::saying(&bank_path(&bank), "bank_created", &[]))),
        Err(problem) if is_of_input(&problem) => {
            let page = page(&visit, None, Some(&posted), Some(&problem)).await?;
            Ok(Answer::Page(page.with_status(problem.status)))
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn created(visit: &Visit, posted: &Posted) -> Result<BankRef, Problem> {
    let name: BankName = posted.field("name").parse().map_err(|why| Problem::field("name", why))?;
    let ratio = match posted.field("ratio") {
        "" => MatchRatio::ALWAYS,
        text => ratio(text)?,
    };
    let (key, deadline) = (posted.once(), visit.deadline());
    let made = visit.caller.banks().create_bank_with_ratio(&name, ratio, key, deadline).await?;
    visit.wrote(made.sequence);
    Ok(made.value.name)
}

/// Parses the share of lookups.
pub(super) fn ratio(text: &str) -> Result<MatchRatio, Problem> {
    let number: f64 =
        text.replace(',', ".").parse().map_err(|_| Problem::field("ratio", "is no number from 0 to 1"))?;
    number.try_into().map_err(|why| Problem::field("ratio", why))
}

async fn page(
    visit: &Visit,
    after: Option<u32>,
    posted: Option<&Posted>,
    problem: Option<&Problem>,
) -> Result<Page, Failed> {
    let banks = visit.caller.banks().list_banks(after.map(BankId), SIZE, visit.deadline()).await?.value;
    let is_full = banks.len() >= usize::from(SIZE);
    let next = banks.last().filter(|_| is_full).map(|last| format!("{PATH}?after={}", last.id.0));
    let main = html! {
        @if banks.is_empty() && after.is_none() {
            (parts::empty(visit.t("banks.none")))
        } @else {
            (table(visit, &banks))
            (parts::pager(visit, next.as_deref()))
        }
        @if visit.may(Method::CreateBank) {
            (parts::section(visit.t("banks.new"), form(visit, posted, problem)))
        }
    };
    Ok(Page::new(visit.t("banks.title"), main))
}

fn table(visit: &Visit, banks: &[BankListing]) -> Markup {
    let columns = [
        Column::words(visit.t("banks.name")),
        Column::words(visit.t("banks.owner")),
        Column::number(visit.t("banks.items")),
        Column::words(visit.t("banks.state")),
        Column::number(visit.t("banks.ratio")),
        Column::words(visit.t("banks.to_do")),
    ];
    let row = |bank: &BankListing| {
        let path = bank_path(&bank.name);
        vec![
            html! { a href=(path) { (bank.name) } },
            html! { @if let Some(owner) = &bank.owner { (owner) } },
            html! { (visit.language.number(bank.item_count)) },
            state(visit, bank),
            html! { (bank.match_ratio.get()) },
            html! {
                @if visit.may(Method::AddItems) {
                    a href={ (path) "/add" } aria-label=(visit.fill("banks.add_to", &[("bank", &bank.name)])) {
                        (visit.t("banks.add"))
                    }
                }
            },
        ]
    };
    parts::table(visit.t("banks.title"), &columns, banks.iter().map(row))
}

/// A badge that shows whether the bank is searched.
pub(super) fn state(visit: &Visit, bank: &BankListing) -> Markup {
    match bank.enabled {
        true => parts::badge(Tone::Good, visit.t("banks.enabled")),
        false => parts::badge(Tone::Warn, visit.t("banks.disabled")),
    }
}

fn form(visit: &Visit, posted: Option<&Posted>, problem: Option<&Problem>) -> Markup {
    let entered = |name| posted.map_or("", |posted| posted.field(name));
    let fields = html! {
        (fault_of_none(problem, &["name", "ratio"]))
        (parts::field(&Field {
            name: "name",
            label: visit.t("banks.name"),
            hint: visit.t("banks.name_hint"),
            value: entered("name"),
            is_required: true,
            fault: fault(problem, "name"),
            ..Field::default()
        }))
        (parts::field(&Field {
            name: "ratio",
            label: visit.t("banks.ratio"),
            hint: visit.t("banks.ratio_hint"),
            value: if posted.is_some() { entered("ratio") } else { "1" },
            fault: fault(problem, "ratio"),
            ..Field::default()
        }))
        (parts::button(visit.t("banks.create"), None))
    };
    parts::form(visit, PATH, fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        assert_eq!(ratio("0,5").unwrap(), ratio("0.5").unwrap());
        for wrong in ["", "x", "-1", "1.5", "NaN"] {
            assert_eq!(ratio(wrong).unwrap_err().field.as_deref(), Some("ratio"), "{wrong}");
        }
    }
}
