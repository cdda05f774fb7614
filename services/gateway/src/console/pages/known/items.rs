//! Items: the search, the page of one item, and the actions on it.

pub(crate) mod shown;
mod search;
mod found;
mod one;
mod edit;
mod change;
mod history;

use axum::routing::{get, post};
use vigie_consortium::rights::Method;

use crate::console::route::Route;

pub(crate) use found::search_form;

/// The methods that allow the item search; any one is enough.
pub(crate) const SEARCHES: &[Method] = &[Method::FindItems];

pub(crate) fn routes() -> Vec<Route> {
    const READ: &[Method] = &[Method::GetItem];
    vec![
        Route::page(found::PATH, SEARCHES, get(found::show)),
        Route::page("/console/items/{item}", READ, get(one::show)),
        Route::page("/console/items/{item}/history", &[Method::ListEntries], get(history::show)),
        Route::form(
            "/console/items/{item}/edit",
            &[Method::UpdateItem],
            &[Method::UpdateItem],
            get(edit::show).post(edit::change),
        ),
        Route::form("/console/items/{item}/hold", READ, &[Method::SetItemHold], post(change::hold)),
        Route::form("/console/items/{item}/lift", READ, &[Method::SetItemHold], post(change::lift)),
        Route::form("/console/items/{item}/remove", READ, &[Method::RemoveItems], post(change::remove)),
        Route::form("/console/items/{item}/restore", READ, &[Method::RestoreItems], post(change::restore)),
    ]
}
