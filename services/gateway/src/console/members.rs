//! Members.

use crate::console::routes::Route;

pub(super) fn routes() -> Vec<Route> {
    Vec::new()
}
