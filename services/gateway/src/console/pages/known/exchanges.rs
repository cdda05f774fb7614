//! Exchanges.

use crate::console::routes::Route;

pub(crate) fn routes() -> Vec<Route> {
    Vec::new()
}
