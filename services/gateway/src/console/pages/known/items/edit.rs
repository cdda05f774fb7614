//! `/console/items/{item}/edit`: the details of an item, other than its hashes and labels.

use axum::extract::Path;
use http::StatusCode;
use maud::html;
use vigie_clients::DescribedItem;

use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::pages::known::links::{fault_of_none, gone, is_of_input, item_of, item_path};
use crate::console::pages::known::said::{DETAILS, EnteredDetails};
use crate::console::parts;
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

pub(super) async fn show(visit: Visit, Path(item): Path<String>) -> Result<Page, Failed> {
    let id = item_of(&item)?;
    let item = visit.caller.banks().describe_item(id, visit.deadline()).await.map_err(gone)?.value;
    Ok(page(&visit, &item, &EnteredDetails::from(&item.details), None))
}

/// Changes the details of an item.
pub(super) async fn change(visit: Visit, Path(item): Path<String>, posted: Posted) -> Result<Answer, Failed> {
    let id = item_of(&item)?;
    // The check that the person can see the item comes first.
    let item = visit.caller.banks().describe_item(id, visit.deadline()).await.map_err(gone)?.value;
    let entered = EnteredDetails::of(&posted);
    let changed = async {
        let details = entered.read()?;
        let key = posted.once();
        Ok::<_, Problem>(visit.caller.banks().update_item(id, details, key, visit.deadline()).await?)
    };
    match changed.await {
        Ok(updated) => {
            visit.wrote(updated.sequence);
            Ok(Answer::Done(Done::saying(&item_path(id), "item_changed", &[])))
        }
        Err(problem) if is_of_input(&problem) || problem.status == StatusCode::FORBIDDEN => {
            let page = page(&visit, &item, &entered, Some(&problem)).with_status(problem.status);
            Ok(Answer::Page(page))
        }
        Err(problem) => Err(problem.into()),
    }
}

fn page(visit: &Visit, item: &DescribedItem, entered: &EnteredDetails, problem: Option<&Problem>) -> Page {
    let path = item_path(item.id);
    let body = html! {
        (fault_of_none(problem, &DETAILS))
        (entered.fields(visit, problem))
        div.row {
            (parts::button(visit.t("items.save"), None))
            a.button.second href=(path) { (visit.t("items.back")) }
        }
    };
    let main = html! {
        p.hint { (visit.t("items.edit_hint")) }
        (parts::form(visit, &format!("{path}/edit"), body))
    };
    Page::new(visit.fill("items.edit_of", &[("item", &item.id)]), main)
}
