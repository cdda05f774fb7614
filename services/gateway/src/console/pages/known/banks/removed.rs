//! `/console/banks/{bank}/removed`: removed items that can be restored.

use axum::extract::Path;
use maud::html;
use serde::Deserialize;
use vigie_clients::RemovedItem;
use vigie_consortium::rights::Method;
use vigie_model::ItemId;

use crate::console::page::{Failed, Page};
use crate::console::pages::known::links::{bank_of, bank_path, gone, item_path};
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
    let bank = bank_of(&bank)?;
    let (after, deadline) = (asked.after.map(ItemId), visit.deadline());
    let items = visit.caller.banks().list_removed_items(&bank, after, SIZE, deadline).await.map_err(gone)?;
    let path = bank_path(&bank);
    let is_full = items.len() >= usize::from(SIZE);
    let next = items.last().filter(|_| is_full).map(|last| format!("{path}/removed?after={}", last.id));
    let columns = [
        Column::words(visit.t("items.item")),
        Column::words(visit.t("banks.removed_at")),
        Column::words(visit.t("banks.removed_by")),
        Column::words(visit.t("banks.restorable_until")),
        Column::words(visit.t("banks.to_do")),
    ];
    let row = |item: &RemovedItem| {
        vec![
            html! { (item.id) },
            parts::time(&visit, item.removed_at),
            html! { (item.removed_by) },
            parts::time(&visit, item.until),
            html! {
                @if visit.may(Method::RestoreItems) {
                    (parts::action(
                        &visit, &format!("{}/restore", item_path(item.id)), &[], visit.t("items.restore"), None
                    ))
                }
            },
        ]
    };
    let main = html! {
        p.hint { (visit.t("banks.removed_hint")) }
        @if items.is_empty() {
            (parts::empty(visit.t("banks.removed_none")))
        } @else {
            (parts::table(visit.t("banks.removed"), &columns, items.iter().map(row)))
            (parts::pager(&visit, next.as_deref()))
        }
        p { a href=(path) { (visit.t("banks.back")) } }
    };
    Ok(Page::new(visit.fill("banks.removed_of", &[("bank", &bank)]), main))
}
