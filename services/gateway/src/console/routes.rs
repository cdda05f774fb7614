//! Every page with its handlers and with the service methods that grant access to it. A person whose roles
//! allow none of the methods gets the answer for a page that does not exist.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::Router;
use vigie_consortium::rights::Method;

use crate::console::page::Failed;
use crate::console::pages;
use crate::console::route::Route;
use crate::console::state::Console;

/// A path of the console with the service methods that grant access to it.
#[derive(Debug, Clone, Copy)]
pub struct ConsoleRoute {
    /// The whole path, in axum's syntax.
    pub path: &'static str,
    /// The methods of which a person needs at least one to read the page. Empty: everybody may read it.
    pub reads: &'static [Method],
    /// The methods of which a person needs at least one to send the form. Empty: everybody may send it.
    pub changes: &'static [Method],
}

/// Returns every path of the console, for tests that try each of them.
#[must_use]
pub fn console_routes() -> Vec<ConsoleRoute> {
    let described = |Route { path, reads, changes, .. }: Route| ConsoleRoute { path, reads, changes };
    pages::all().into_iter().map(described).collect()
}

/// The methods to read and to change, keyed by path.
type Rights = HashMap<&'static str, (&'static [Method], &'static [Method])>;

static RIGHTS: LazyLock<Rights> = LazyLock::new(|| {
    pages::all().into_iter().map(|route| (route.path, (route.reads, route.changes))).collect()
});

/// Returns the methods of which a person needs at least one for a path; `None` if the path is no page.
pub(crate) fn rights(path: &str, reads: bool) -> Option<&'static [Method]> {
    RIGHTS.get(path).map(|(read, change)| if reads { *read } else { *change })
}

/// Returns the router of all pages, with the answer for unknown paths.
pub(crate) fn router() -> Router<Console> {
    let routed = pages::all().into_iter().fold(Router::new(), |router, Route { path, handlers, .. }| {
        router.route(path, handlers.fallback(not_there))
    });
    routed.route("/console/{*any}", axum::routing::any(not_there))
}

async fn not_there() -> Failed {
    Failed::not_there()
}
