//! `/console/items/{item}/edit`: the labels and details of an item.

use axum::extract::Path;
use http::StatusCode;
use maud::html;
use vigie_clients::{DescribedItem, ItemUpdate};
use vigie_model::Labels;

use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::pages::known::links::{fault, fault_of_none, gone, is_of_input, item_of, item_path};
use crate::console::pages::known::said::{DETAILS, EnteredDetails};
use crate::console::parts::{self, Field};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The form field of the labels.
const LABELS: &str = "labels";
/// The hidden field of the labels that the form showed at first.
const LABELS_SHOWN: &str = "labels_shown";

pub(super) async fn show(visit: Visit, Path(item): Path<String>) -> Result<Page, Failed> {
    let id = item_of(&item)?;
    let item = visit.caller.banks().describe_item(id, visit.deadline()).await.map_err(gone)?.value;
    let labels = item.labels.join("\n");
    let details = EnteredDetails::from(&item.details);
    let entered = Entered { labels_shown: labels.clone(), labels, details };
    Ok(page(&visit, &item, &entered, None))
}

/// The form as it was filled in.
struct Entered {
    /// The labels, one a line: a label may have a comma.
    labels: String,
    labels_shown: String,
    details: EnteredDetails,
}

impl Entered {
    /// Returns the entered text. A form without the field of labels leaves them as they are.
    fn of(posted: &Posted) -> Self {
        let labels_shown = posted.field(LABELS_SHOWN).to_owned();
        let labels = posted.fields(LABELS).next().map_or_else(|| labels_shown.clone(), str::to_owned);
        Self { labels, labels_shown, details: EnteredDetails::of(posted) }
    }

    /// Parses the form. Labels that are as they were shown are not written: another person may have given the
    /// item others meanwhile. The present item does not matter, so a form that is sent twice makes the same
    /// request twice.
    fn read(&self) -> Result<ItemUpdate, Problem> {
        let details = Some(self.details.read()?);
        let lines = |text: &str| -> Vec<String> {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.map(str::to_owned).collect()
        };
        let labels = lines(&self.labels);
        if labels == lines(&self.labels_shown) {
            return Ok(ItemUpdate { details, labels: None });
        }
        let labels = Labels::try_from(labels).map_err(|why| Problem::field(LABELS, why))?;
        Ok(ItemUpdate { details, labels: Some(labels) })
    }
}

/// Changes the labels and details of an item.
pub(super) async fn change(visit: Visit, Path(item): Path<String>, posted: Posted) -> Result<Answer, Failed> {
    let id = item_of(&item)?;
    // The check that the person can see the item comes first.
    let item = visit.caller.banks().describe_item(id, visit.deadline()).await.map_err(gone)?.value;
    let entered = Entered::of(&posted);
    let changed = async {
        let update = entered.read()?;
        let key = posted.once();
        Ok::<_, Problem>(visit.caller.banks().update_item(id, update, key, visit.deadline()).await?)
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

fn page(visit: &Visit, item: &DescribedItem, entered: &Entered, problem: Option<&Problem>) -> Page {
    let path = item_path(item.id);
    let labels = Field {
        name: LABELS,
        label: visit.t("items.labels"),
        hint: visit.t("items.labels_hint"),
        value: &entered.labels,
        fault: fault(problem, LABELS),
        ..Field::default()
    };
    let fields: Vec<&str> = DETAILS.into_iter().chain([LABELS]).collect();
    let body = html! {
        (fault_of_none(problem, &fields))
        input type="hidden" name=(LABELS_SHOWN) value=(entered.labels_shown);
        (parts::area(&labels, 3))
        (entered.details.fields(visit, problem))
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
