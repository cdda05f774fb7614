//! Review: what waits for a decision of a person.

pub(crate) mod opinions;

use crate::console::routes::Route;

pub(crate) fn routes() -> Vec<Route> {
    Vec::new()
}
