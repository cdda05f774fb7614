//! Banks: the list, the form of a new bank, and the page of one bank with its settings and items.

mod one;
mod list;
mod settings;
mod removed;

use axum::routing::get;
use vigie_consortium::rights::Method;

use crate::console::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    const SETTINGS: &[Method] =
        &[Method::RenameBank, Method::SetBankEnabled, Method::SetBankMatchRatio, Method::DeleteBank];
    vec![
        Route::form(
            list::PATH,
            &[Method::ListBanks],
            &[Method::CreateBank],
            get(list::show).post(list::create),
        ),
        Route::page("/console/banks/{bank}", &[Method::GetBank], get(one::show)),
        Route::form(
            "/console/banks/{bank}/settings",
            SETTINGS,
            SETTINGS,
            get(settings::show).post(settings::change),
        ),
        Route::page("/console/banks/{bank}/removed", &[Method::ListRemovedItems], get(removed::show)),
    ]
}
