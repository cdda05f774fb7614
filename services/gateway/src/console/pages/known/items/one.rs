//! `/console/items/{item}`: an item with all its data. The page of a removed item offers to restore it.

use axum::extract::Path;
use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::{BankClient, CallError, Code, DescribedItem, RemovedItem};
use vigie_consortium::rights::Method;
use vigie_consortium::{Holder, Submission};
use vigie_model::{BankRef, ItemId};

use crate::console::page::{Failed, Page};
use crate::console::pages::known::items::shown;
use crate::console::pages::known::links::{bank_path, gone, item_of, item_path};
use crate::console::pages::review::opinions;
use crate::console::parts::{self, Column, Field, Tone};
use crate::console::posted::Asked;
use crate::console::visit::Visit;

/// The most submissions that the page shows.
const SUBMISSIONS_SHOWN: usize = 40;
/// The most banks that are searched for a removed item if the link does not name its bank.
const BANKS_SEARCHED: u16 = 32;
/// A day, in milliseconds.
const DAY: u64 = 86_400_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    /// The bank that contained the item.
    bank: String,
}

pub(super) async fn show(
    visit: Visit,
    Path(item): Path<String>,
    Asked(asked): Asked<Query>,
) -> Result<Page, Failed> {
    let id = item_of(&item)?;
    match visit.caller.banks().describe_item(id, visit.deadline()).await {
        Ok(read) => {
            let opinions = match visit.may(Method::ListOpinions) {
                true => opinions::section(&visit, id).await?,
                false => html! {},
            };
            Ok(page(&visit, &read.value, &opinions))
        }
        Err(error) => removed(&visit, id, &asked.bank, error).await,
    }
}

fn page(visit: &Visit, item: &DescribedItem, opinions: &Markup) -> Page {
    let main = html! {
        (actions(visit, item))
        (parts::section(visit.t("items.facts"), facts(visit, item)))
        (parts::section(visit.t("items.hashes"), shown::hashes(visit, &item.hashes)))
        (opinions)
        (parts::section(visit.t("items.submissions"), submissions(visit, item)))
        @if visit.may(Method::ListEntries) {
            (parts::section(visit.t("items.history"), html! {
                div hx-get={ (item_path(item.id)) "/history" } hx-trigger="load" hx-select="#history" {
                    p { a href={ (item_path(item.id)) "/history" } { (visit.t("items.history_open")) } }
                }
            }))
        }
    };
    Page::new(title(visit, item.id), main)
}

fn title(visit: &Visit, item: ItemId) -> String {
    visit.fill("items.of", &[("item", &item)])
}

/// The state of an item and its actions.
pub(super) fn actions(visit: &Visit, item: &DescribedItem) -> Markup {
    let path = item_path(item.id);
    let is_held_by_owner = item.holds.iter().any(|hold| hold.holder == Holder::Owner);
    html! {
        p { (shown::state(visit, item)) }
        div.row {
            @if visit.may(Method::SetItemHold) {
                @if is_held_by_owner {
                    (parts::action(visit, &format!("{path}/lift"), &[], visit.t("items.undo_hold"), Some('u')))
                } @else {
                    (hold(visit, item.id))
                }
            }
            @if visit.may(Method::UpdateItem) {
                a.button.second href={ (path) "/edit" } data-key="e" aria-keyshortcuts="e" {
                    (visit.t("items.edit")) " " kbd aria-hidden="true" { "e" }
                }
            }
            @if visit.may(Method::RemoveItems) {
                div.danger {
                    (parts::action(
                        visit,
                        &format!("{path}/remove"),
                        &[("bank", &item.bank.to_string())],
                        visit.t("items.remove"),
                        None,
                    ))
                }
            }
        }
        @if !item.holds.is_empty() { (holds(visit, item)) }
    }
}

/// The form that holds an item. Its choices of expiry are fixed times, so that a repeated form makes the same
/// request.
fn hold(visit: &Visit, item: ItemId) -> Markup {
    let ends = [1, 7, 30].map(|days| (visit.now.0 + days * DAY).to_string());
    let options = [
        ("", visit.t("items.hold_until_lifted")),
        (&*ends[0], visit.t("items.hold_a_day")),
        (&*ends[1], visit.t("items.hold_a_week")),
        (&*ends[2], visit.t("items.hold_a_month")),
    ];
    let field = Field { name: "until", label: visit.t("items.hold_for"), ..Field::default() };
    html! {
        form.hold method="post" action={ (item_path(item)) "/hold" } {
            (parts::hidden(visit))
            (parts::button(visit.t("items.hold"), Some('h')))
            (parts::choice(&field, &options))
        }
    }
}

fn holds(visit: &Visit, item: &DescribedItem) -> Markup {
    html! {
        ul {
            @for hold in item.holds.iter() {
                li {
                    (visit.t(&format!("items.held_by.{}", hold.holder.name()))) ", "
                    (visit.t("items.held_since")) " " (parts::time(visit, hold.since)) ", "
                    @match hold.until.moment() {
                        Some(until) => { (visit.t("items.held_until")) " " (parts::time(visit, until)) }
                        None => { (visit.t("items.held_until_lifted")) }
                    }
                }
            }
        }
    }
}

fn facts(visit: &Visit, item: &DescribedItem) -> Markup {
    let classes: Vec<String> = item.details.classification.iter().map(ToString::to_string).collect();
    let countries: Vec<&str> = item.details.jurisdictions.iter().collect();
    let mut all = vec![
        (visit.t("items.bank"), html! { a href=(bank_path(&item.bank)) { (item.bank) } }),
        (visit.t("items.labels"), html! { @for label in &item.labels { span.label { (label) } " " } }),
        (visit.t("items.reference"), html! { (item.external_reference) }),
        (visit.t("items.classes"), html! { (classes.join(", ")) }),
        (visit.t("items.countries"), html! { (countries.join(", ")) }),
        (visit.t("items.note"), html! { (item.details.note) }),
        (
            visit.t("items.metadata"),
            html! { @if !item.details.metadata.as_str().is_empty() { code { (item.details.metadata.as_str()) } } },
        ),
        (visit.t("items.by"), html! { (item.contributor) }),
        (visit.t("items.added"), parts::time(visit, item.added_at)),
    ];
    if let Some((opened, due)) = item.dispute {
        let dispute = html! {
            (visit.t("items.dispute_since")) " " (parts::time(visit, opened)) ", "
            (visit.t("items.dispute_due")) " " (parts::time(visit, due))
        };
        all.push((visit.t("items.disputed"), dispute));
    }
    all.retain(|(_, value)| !value.0.is_empty());
    parts::facts(all)
}

fn submissions(visit: &Visit, item: &DescribedItem) -> Markup {
    if item.submissions.is_empty() {
        return parts::empty(visit.t("items.submissions_none"));
    }
    let columns = [
        Column::words(visit.t("items.member")),
        Column::words(visit.t("items.programme")),
        Column::words(visit.t("items.key")),
        Column::words(visit.t("items.case")),
        Column::words(visit.t("items.at")),
    ];
    let row = |(member, one): &(String, Submission)| {
        vec![
            html! { (member) },
            html! { (one.origin.programme()) },
            html! { (one.origin.key()) },
            html! { (one.origin.case()) },
            parts::time(visit, one.at),
        ]
    };
    let more = item.submissions.len().saturating_sub(SUBMISSIONS_SHOWN);
    let rows = item.submissions.iter().take(SUBMISSIONS_SHOWN).map(row);
    html! {
        (parts::table(visit.t("items.submissions"), &columns, rows))
        @if more > 0 { p { (visit.count("items.submissions_more", more as u64)) } }
    }
}

/// The page of an item that is not found: shows it as removed if the person may restore it.
async fn removed(visit: &Visit, id: ItemId, bank: &str, error: CallError) -> Result<Page, Failed> {
    let may_look = visit.may(Method::ListRemovedItems) && error.code() == Code::NotFound;
    let found = if may_look { find_removed(visit, id, bank).await } else { None };
    let Some((bank, item)) = found else { return Err(gone(error)) };
    let restore = format!("{}/restore", item_path(id));
    let main = html! {
        (parts::notice(Tone::Warn, html! { p { (visit.t("items.is_removed")) } }))
        @if visit.may(Method::RestoreItems) {
            div.row { (parts::action(visit, &restore, &[], visit.t("items.undo_remove"), Some('u'))) }
        }
        (parts::facts([
            (visit.t("items.bank"), html! { a href=(bank_path(&bank)) { (bank) } }),
            (visit.t("items.removed_by"), html! { (item.removed_by) }),
            (visit.t("items.removed_at"), parts::time(visit, item.removed_at)),
            (visit.t("items.restorable_until"), parts::time(visit, item.until)),
        ]))
        @if visit.may(Method::ListEntries) {
            p { a href={ (item_path(id)) "/history" } { (visit.t("items.history_open")) } }
        }
    };
    Ok(Page::new(title(visit, id), main))
}

async fn find_removed(visit: &Visit, id: ItemId, bank: &str) -> Option<(BankRef, RemovedItem)> {
    let (banks, deadline) = (visit.caller.banks(), visit.deadline());
    if let Ok(bank) = bank.parse::<BankRef>() {
        let item = removed_of(visit, &banks, &bank, id).await?;
        return Some((bank, item));
    }
    let all = banks.list_banks(None, BANKS_SEARCHED, deadline).await.ok()?.value;
    let asked = all.iter().map(|bank| removed_of(visit, &banks, &bank.name, id));
    let found = futures::future::join_all(asked).await;
    let mut pairs = all.into_iter().zip(found);
    pairs.find_map(|(bank, item)| Some((bank.name, item?)))
}

async fn removed_of(visit: &Visit, banks: &BankClient, bank: &BankRef, id: ItemId) -> Option<RemovedItem> {
    let before = ItemId(id.0 - 1);
    let items = banks.list_removed_items(bank, Some(before), 1, visit.deadline()).await.ok()?;
    items.into_iter().find(|item| item.id == id)
}
