//! Forms that hold, lift, remove and restore an item. Each redirects to the item's page, which offers to undo
//! the change.

use axum::extract::Path;
use vigie_consortium::Expiry;
use vigie_model::UnixMillis;

use crate::console::page::{Done, Failed};
use crate::console::pages::known::links::{gone, item_of, item_path};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// Holds an item.
pub(super) async fn hold(visit: Visit, Path(item): Path<String>, posted: Posted) -> Result<Done, Failed> {
    let id = item_of(&item)?;
    let until = match posted.field("until") {
        "" => Expiry::NEVER,
        text => {
            let at = text.parse().ok().filter(|at| *at > 0);
            Expiry::at(UnixMillis(at.ok_or_else(|| Problem::field("until", "is not a date and time"))?))
        }
    };
    let (key, deadline) = (posted.once(), visit.deadline());
    let held = visit.caller.banks().hold_items(&[id], until, key, deadline).await.map_err(gone)?;
    visit.wrote(held.sequence);
    Ok(Done::saying(&item_path(id), "item_held", &[]))
}

/// Lifts the hold on an item.
pub(super) async fn lift(visit: Visit, Path(item): Path<String>, posted: Posted) -> Result<Done, Failed> {
    let id = item_of(&item)?;
    let lifted =
        visit.caller.banks().lift_holds(&[id], posted.once(), visit.deadline()).await.map_err(gone)?;
    visit.wrote(lifted.sequence);
    let done = if lifted.value == 0 { "item_lifted" } else { "item_still_held" };
    Ok(Done::saying(&item_path(id), done, &[]))
}

/// Removes an item, or withdraws the submissions of the person's member.
pub(super) async fn remove(visit: Visit, Path(item): Path<String>, posted: Posted) -> Result<Done, Failed> {
    let id = item_of(&item)?;
    let removed =
        visit.caller.banks().remove_items(&[id], posted.once(), visit.deadline()).await.map_err(gone)?;
    visit.wrote(removed.sequence);
    Ok(Done::saying(&item_path(id), "item_removed", &[("bank", posted.field("bank"))]))
}

/// Restores a removed item, which gets a new id.
pub(super) async fn restore(visit: Visit, Path(item): Path<String>, posted: Posted) -> Result<Done, Failed> {
    let id = item_of(&item)?;
    let restored =
        visit.caller.banks().restore_items(&[id], posted.once(), visit.deadline()).await.map_err(gone)?;
    visit.wrote(restored.sequence);
    let id = restored.value.first().copied().unwrap_or(id);
    Ok(Done::saying(&item_path(id), "item_restored", &[]))
}
