//! Every page with its handlers and with the methods of the services that it is of. One of them has to be open to the person's roles, or the page does
//! not exist for that person.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use vigie_consortium::rights::Method;

use crate::console::page::Failed;
use crate::console::pages;
use crate::console::route::Route;
use crate::console::state::Console;

/// What a path of the console is of.
#[derive(Debug, Clone, Copy)]
pub struct ConsoleRoute {
    /// The whole path, as axum matches it.
    pub path: &'static str,
    /// The methods of which one is needed to read the page. None: everybody may.
    pub reads: &'static [Method],
    /// The methods of which one is needed to send its form. None: everybody may.
    pub changes: &'static [Method],
}

/// Every path of the console, for tests that try each of them.
#[must_use]
pub fn console_routes() -> Vec<ConsoleRoute> {
    let described = |Route { path, reads, changes, .. }: Route| ConsoleRoute { path, reads, changes };
    pages::all().into_iter().map(described).collect()
}

/// The methods for reading and for changing, by path.
type Rights = HashMap<&'static str, (&'static [Method], &'static [Method])>;

static RIGHTS: LazyLock<Rights> = LazyLock::new(|| {
    pages::all().into_iter().map(|route| (route.path, (route.reads, route.changes))).collect()
});

/// The methods of which one is needed for a path; `None` where it is no page.
pub(crate) fn rights(path: &str, reads: bool) -> Option<&'static [Method]> {
    RIGHTS.get(path).map(|(read, change)| if reads { *read } else { *change })
}

/// The router of all pages, with the answer to what is no page.
pub(crate) fn router() -> Router<Console> {
    let routed = pages::all().into_iter().fold(Router::new(), |router, Route { path, handlers, .. }| {
        router.route(path, handlers.fallback(not_there))
    });
    routed.route("/console/{*any}", axum::routing::any(not_there))
}

async fn not_there() -> Failed {
    Failed::not_there()
}
