//! A path of the console.

use axum::routing::MethodRouter;
use vigie_consortium::rights::Method;

use crate::console::state::Console;

/// A path with its handlers and with the service methods that grant access to it.
pub(crate) struct Route {
    /// The whole path, in axum's syntax.
    pub(crate) path: &'static str,
    /// The methods of which a person needs at least one to read the page. Empty: everybody may read it.
    pub(crate) reads: &'static [Method],
    /// The methods of which a person needs at least one to send the form. Empty: everybody may send it.
    pub(crate) changes: &'static [Method],
    /// The handlers.
    pub(crate) handlers: MethodRouter<Console>,
}

impl Route {
    /// Returns the route of a page without a form.
    pub(crate) fn page(
        path: &'static str,
        reads: &'static [Method],
        handlers: MethodRouter<Console>,
    ) -> Self {
        Self { path, reads, changes: &[], handlers }
    }

    /// Returns the route of a page with a form that is sent to the same path, or of a form alone.
    pub(crate) fn form(
        path: &'static str,
        reads: &'static [Method],
        changes: &'static [Method],
        handlers: MethodRouter<Console>,
    ) -> Self {
        Self { path, reads, changes, handlers }
    }
}
