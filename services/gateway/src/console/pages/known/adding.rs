//! Adding to a bank: files, hashes and whole lists; and the export of a bank.

mod add;
mod hashing;
mod outcome;
mod import;
mod reading;
mod export;

use axum::routing::get;
use vigie_consortium::rights::Method;

use crate::console::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    const ADD: &[Method] = &[Method::AddItems];
    const LIST: &[Method] = &[Method::ListItems];
    vec![
        Route::form("/console/banks/{bank}/add", ADD, ADD, get(add::show).post(add::add)),
        Route::form("/console/banks/{bank}/import", ADD, ADD, get(import::show).post(import::send)),
        Route::page("/console/banks/{bank}/export", LIST, get(export::show)),
        Route::page("/console/banks/{bank}/export/file", LIST, get(export::file)),
    ]
}
