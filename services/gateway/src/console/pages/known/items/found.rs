//! `/console/items`: the item search.

use maud::{Markup, html};
use url::form_urlencoded;
use vigie_clients::DescribedItem;
use vigie_consortium::rights::Method;
use vigie_model::{BankRef, Item, ItemId};

use crate::console::page::{Failed, Page};
use crate::console::pages::known::items::search::{Asked, Found};
use crate::console::pages::known::items::{one, shown};
use crate::console::pages::known::links::{bank_path, cut, fault, item_path, labels};
use crate::console::parts::{self, Column, Field};
use crate::console::posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The path of the page.
pub(super) const PATH: &str = "/console/items";
/// The most banks in the choice. The pages of other banks link to a search that names them.
const BANKS_SHOWN: u16 = 200;

/// The search form with one text field, for the start page.
pub(crate) fn search_form(visit: &Visit) -> Markup {
    html! {
        form.search method="get" action=(PATH) role="search" {
            (text(visit, "", ""))
            (parts::button(visit.t("items.find"), None))
        }
    }
}

/// The text field. The key `/` focuses it.
fn text(visit: &Visit, value: &str, fault: &str) -> Markup {
    html! {
        div.field {
            label for="f-q" { (visit.t("items.what")) " " kbd aria-hidden="true" { "/" } }
            input #f-q name="q" type="search" value=(value) data-key="/" aria-keyshortcuts="/" maxlength="512"
                aria-describedby="f-q-hint" aria-invalid=[(!fault.is_empty()).then_some("true")]
                autocomplete="off" spellcheck="false";
            @if !fault.is_empty() { p.fault { (fault) } }
            p.hint #f-q-hint { (visit.t("items.what_hint")) }
        }
    }
}

pub(super) async fn show(visit: Visit, posted::Asked(asked): posted::Asked<Asked>) -> Result<Page, Failed> {
    let title = visit.t("items.title");
    if asked.is_empty() {
        return Ok(Page::new(title, form(&visit, &asked, None).await));
    }
    let wanted = match asked.read(&visit).await {
        Ok(wanted) => wanted,
        Err(problem) => {
            let main = form(&visit, &asked, Some(&problem)).await;
            return Ok(Page::new(title, main).with_status(problem.status));
        }
    };
    let after = asked.after.map(ItemId);
    let mut found = wanted.find(&visit, after).await?;
    if after.is_none() {
        with_id(&visit, &asked, &mut found).await;
    }
    let only = match &found.items[..] {
        [(item, _)] if after.is_none() => {
            visit.caller.banks().describe_item(item.id, visit.deadline()).await.ok().map(|read| read.value)
        }
        _ => None,
    };
    let main = html! {
        (form(&visit, &asked, None).await)
        (results(&visit, &asked, &found, only.as_ref()))
    };
    Ok(Page::new(title, main))
}

/// Adds the item whose id equals the text.
async fn with_id(visit: &Visit, asked: &Asked, found: &mut Found) {
    let Some(id) = asked.q.trim().parse().ok().filter(|id| *id > 0).map(ItemId) else { return };
    if found.items.iter().any(|(item, _)| item.id == id) {
        return;
    }
    if let Ok(read) = visit.caller.banks().get_item(id, visit.deadline()).await {
        found.items.insert(0, read.value);
    }
}

async fn form(visit: &Visit, asked: &Asked, problem: Option<&Problem>) -> Markup {
    let banks = visit.caller.banks().list_banks(None, BANKS_SHOWN, visit.deadline()).await;
    let mut names: Vec<String> =
        banks.map(|banks| banks.value.iter().map(|bank| bank.name.to_string()).collect()).unwrap_or_default();
    if !asked.bank.is_empty() && !names.contains(&asked.bank) {
        names.push(asked.bank.clone());
    }
    let every = ("", visit.t("items.every_bank"));
    let options: Vec<(&str, &str)> =
        [every].into_iter().chain(names.iter().map(|name| (&**name, &**name))).collect();
    let field = |name: &'static str, label, hint, value, kind| Field {
        name,
        label,
        hint,
        value,
        kind,
        fault: fault(problem, name),
        ..Field::default()
    };
    let has_filter = [&asked.bank, &asked.by, &asked.from, &asked.to].iter().any(|text| !text.is_empty());
    let (by, from, to) = (visit.t("items.by"), visit.t("items.from"), visit.t("items.to"));
    html! {
        form.search method="get" action=(PATH) role="search" {
            (text(visit, asked.q.trim(), fault(problem, "q")))
            details open[has_filter] {
                summary { (visit.t("items.filters")) }
                div.filters {
                    (parts::choice(&field("bank", visit.t("items.bank"), "", &asked.bank, ""), &options))
                    (parts::field(&field("by", by, visit.t("items.by_hint"), &asked.by, "")))
                    (parts::field(&field("from", from, visit.t("items.days_hint"), &asked.from, "date")))
                    (parts::field(&field("to", to, "", &asked.to, "date")))
                }
            }
            (parts::button(visit.t("items.find"), None))
        }
    }
}

fn results(visit: &Visit, asked: &Asked, found: &Found, only: Option<&DescribedItem>) -> Markup {
    let next = found.next.map(|next| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("q", &asked.q),
            ("bank", &asked.bank),
            ("by", &asked.by),
            ("from", &asked.from),
            ("to", &asked.to),
        ];
        query.extend_pairs(fields.into_iter().filter(|(_, text)| !text.is_empty()));
        format!("{PATH}?{}", query.append_pair("after", &next.to_string()).finish())
    });
    let count = found.items.len() as u64;
    html! {
        h2 { (visit.t("items.found")) }
        p role="status" {
            (visit.count("items.found_count", count)) " "
            @if next.is_some() { (visit.count("items.read_so_far", found.read)) }
        }
        @if count > 0 { (table(visit, &found.items)) }
        @if let Some(item) = only {
            div.card { (one::actions(visit, item)) }
        }
        @if let Some(next) = &next {
            p.pager { a rel="next" href=(next) { (visit.t("items.read_on")) } }
        }
        @if count == 0 && next.is_none() { (parts::empty(visit.t("items.none"))) }
        @if visit.may(Method::ListRemovedItems) { p.hint { (visit.t("items.removed_hint")) } }
    }
}

fn table(visit: &Visit, items: &[(Item, BankRef)]) -> Markup {
    let columns = [
        Column::words(visit.t("items.item")),
        Column::words(visit.t("items.bank")),
        Column::words(visit.t("items.labels")),
        Column::words(visit.t("items.reference")),
        Column::words(visit.t("items.hashes")),
        Column::words(visit.t("items.added")),
    ];
    let row = |(item, bank): &(Item, BankRef)| {
        vec![
            html! { a href=(item_path(item.id)) { (item.id) } },
            html! { a href=(bank_path(bank)) { (bank) } },
            labels(visit, item.content.labels()),
            html! { (cut(item.content.external_reference().unwrap_or_default())) },
            html! { (shown::types(item.content.hashes())) },
            parts::time(visit, item.added_at),
        ]
    };
    parts::table(visit.t("items.found"), &columns, items.iter().map(row))
}
