//! The pages, grouped by the person's task.

pub(crate) mod start;
pub(crate) mod sign_in;
pub(crate) mod check;
pub(crate) mod review;
pub(crate) mod known;
pub(crate) mod consortium;
pub(crate) mod cases;
pub(crate) mod health;

use crate::console::pages::cases::{audit, reports};
use crate::console::pages::consortium::{members, policies, sharing};
use crate::console::pages::known::{adding, banks, exchanges, items};
use crate::console::pages::review::opinions;
use crate::console::route::Route;

/// Returns the routes of all pages.
pub(crate) fn all() -> Vec<Route> {
    let parts = [
        start::routes(),
        sign_in::routes(),
        check::routes(),
        review::routes(),
        opinions::routes(),
        banks::routes(),
        items::routes(),
        adding::routes(),
        exchanges::routes(),
        members::routes(),
        sharing::routes(),
        policies::routes(),
        cases::routes(),
        reports::routes(),
        audit::routes(),
        health::routes(),
    ];
    parts.into_iter().flatten().collect()
}
