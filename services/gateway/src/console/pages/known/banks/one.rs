//! `/console/banks/{bank}`: a bank, its actions, its charter and its items.

use axum::extract::Path;
use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::{BankListing, DescribedItem, DescribedPage};
use vigie_consortium::Charter;
use vigie_consortium::rights::Method;
use vigie_model::ItemId;

use crate::console::page::{Failed, Page};
use crate::console::pages::known::banks::list::state;
use crate::console::pages::known::items::shown;
use crate::console::pages::known::links::{bank_of, bank_path, cut, gone, item_path, labels};
use crate::console::parts::{self, Column};
use crate::console::posted::Asked;
use crate::console::visit::Visit;

/// The most items of a page.
const SIZE: u16 = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    /// The id after which the items begin.
    after: Option<u64>,
}

pub(super) async fn show(
    visit: Visit,
    Path(bank): Path<String>,
    Asked(asked): Asked<Query>,
) -> Result<Page, Failed> {
    let name = bank_of(&bank)?;
    let (banks, deadline) = (visit.caller.banks(), visit.deadline());
    let bank = banks.get_bank(&name, deadline).await.map_err(gone)?.value;
    // A bank that is shared without hashes and details has no readable charter or items.
    let charter = match visit.may(Method::GetCharter) {
        true => visit.caller.members().get_charter(&name, deadline).await.ok().map(|read| read.value),
        false => None,
    };
    let items = match visit.may(Method::ListItems) {
        true => banks.describe_items(&name, asked.after.map(ItemId), SIZE, deadline).await.ok(),
        false => None,
    };
    let path = bank_path(&name);
    let main = html! {
        (facts(&visit, &bank))
        (ways(&visit, &bank, &path))
        @if let Some(items) = items {
            (parts::section(visit.t("banks.items_title"), list(&visit, &path, asked.after, &items.value)))
        }
        @if let Some(charter) = charter {
            (parts::section(visit.t("banks.charter"), of_charter(&visit, &charter)))
        }
    };
    Ok(Page::new(bank.name.to_string(), main))
}

/// Whether the bank belongs to the person's member.
fn is_own(visit: &Visit, bank: &BankListing) -> bool {
    let member = visit.who.as_ref().map(|who| &who.member.name);
    member.is_none() || bank.owner.is_none() || bank.owner.as_ref() == member
}

fn facts(visit: &Visit, bank: &BankListing) -> Markup {
    let number = |number| html! { (visit.language.number(number)) };
    parts::facts([
        (visit.t("banks.owner"), html! { @if let Some(owner) = &bank.owner { (owner) } }),
        (visit.t("banks.state"), state(visit, bank)),
        (visit.t("banks.items"), number(bank.item_count)),
        (visit.t("banks.hashes"), number(bank.hash_count)),
        (visit.t("banks.ratio"), html! { (bank.match_ratio.get()) }),
        (visit.t("banks.created"), parts::time(visit, bank.created_at)),
    ])
}

/// Links to the actions on the bank.
fn ways(visit: &Visit, bank: &BankListing, path: &str) -> Markup {
    let way = |method: Method, key: Option<char>, end: &str, words: &str| {
        html! {
            @if visit.may(method) {
                a.button.second href={ (path) (end) } data-key=[key] aria-keyshortcuts=[key] {
                    (words)
                    @if let Some(key) = key { " " kbd aria-hidden="true" { (key) } }
                }
            }
        }
    };
    html! {
        div.row {
            (way(Method::AddItems, Some('a'), "/add", visit.t("banks.add")))
            (way(Method::AddItems, Some('i'), "/import", visit.t("banks.import")))
            (way(Method::ListItems, None, "/export", visit.t("banks.export")))
            @if is_own(visit, bank) {
                (way(Method::ListRemovedItems, None, "/removed", visit.t("banks.removed")))
                (way(Method::ListGrants, None, "/sharing", visit.t("banks.sharing")))
                (way(Method::RenameBank, None, "/settings", visit.t("banks.settings")))
            }
        }
    }
}

fn list(visit: &Visit, path: &str, after: Option<u64>, page: &DescribedPage) -> Markup {
    if page.items.is_empty() && after.is_none() {
        return parts::empty(visit.t("banks.no_items"));
    }
    let columns = [
        Column::words(visit.t("items.item")),
        Column::words(visit.t("items.labels")),
        Column::words(visit.t("items.reference")),
        Column::words(visit.t("items.hashes")),
        Column::words(visit.t("items.added")),
        Column::words(visit.t("items.state")),
    ];
    let row = |item: &DescribedItem| {
        vec![
            html! { a href=(item_path(item.id)) { (item.id) } },
            labels(visit, &item.labels),
            html! { (cut(&item.external_reference)) },
            html! { (shown::types(&item.hashes)) },
            parts::time(visit, item.added_at),
            shown::state(visit, item),
        ]
    };
    let next = page.next_after.map(|next| format!("{path}?after={next}"));
    html! {
        (parts::table(visit.t("banks.items_title"), &columns, page.items.iter().map(row)))
        (parts::pager(visit, next.as_deref()))
    }
}

fn of_charter(visit: &Visit, charter: &Charter) -> Markup {
    let or_never = |number: Option<u64>| match number {
        Some(number) => html! { (visit.language.number(number)) },
        None => html! { (visit.t("banks.charter_never")) },
    };
    let yes_no = |is_so| html! { (visit.t(if is_so { "banks.yes" } else { "banks.no" })) };
    let taxonomies = charter.taxonomies().join(", ");
    let taxonomies = if taxonomies.is_empty() { visit.t("banks.charter_any").to_owned() } else { taxonomies };
    let (confirmations, negatives) = (charter.confirmations_min(), charter.hold_on_negatives());
    parts::facts([
        (visit.t("banks.charter_taxonomies"), html! { (taxonomies) }),
        (visit.t("banks.charter_confirmations"), or_never(confirmations.map(Into::into))),
        (visit.t("banks.charter_negatives"), or_never(negatives.map(Into::into))),
        (visit.t("banks.charter_two_people"), or_never(charter.two_person_items().map(Into::into))),
        (visit.t("banks.charter_dispute_days"), or_never(Some(charter.dispute_days().into()))),
        (visit.t("banks.charter_purge_hours"), or_never(Some(charter.purge_hours().into()))),
        (visit.t("banks.charter_shadow"), yes_no(charter.is_shadow())),
    ])
}
