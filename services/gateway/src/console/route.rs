//! One path of the console.

use axum::routing::MethodRouter;
use vigie_consortium::rights::Method;

use crate::console::state::Console;

/// A path with its handlers and with the methods of the services that it is of.
pub(crate) struct Route {
    /// The whole path, as axum matches it.
    pub(crate) path: &'static str,
    /// The methods of which one is needed to read the page. None: everybody may.
    pub(crate) reads: &'static [Method],
    /// The methods of which one is needed to send its form. None: everybody may.
    pub(crate) changes: &'static [Method],
    /// The handlers.
    pub(crate) handlers: MethodRouter<Console>,
}

impl Route {
    /// A page without a form.
    pub(crate) fn page(
        path: &'static str,
        reads: &'static [Method],
        handlers: MethodRouter<Console>,
    ) -> Self {
        Self { path, reads, changes: &[], handlers }
    }

    /// A page with a form that is sent to the same path, or a form alone.
    pub(crate) fn form(
        path: &'static str,
        reads: &'static [Method],
        changes: &'static [Method],
        handlers: MethodRouter<Console>,
    ) -> Self {
        Self { path, reads, changes, handlers }
    }
}
