//! The console (`/console/...`): web pages for the people who decide.
//!
//! ```text
//! request -> entry (session cookie -> credential) -> frame (who, language, rights)
//!         -> handler -> frame (page) -> browser
//! ```
//!
//! - Pages are HTML that the server writes. Each page works without JavaScript; `htmx` and `console.js` add
//!   live parts, keys and pasting.
//! - A handler reads and changes nothing directly: it calls a service with the caller's credential, so the
//!   console has the same rights and the same audit as any other caller. A page that the caller's roles do
//!   not allow gets the same answer as a page that does not exist.
//! - A request that changes something carries the session's CSRF token, and an idempotency key: a form that
//!   is sent twice is one write.
//! - No page loads anything from another server, and no script or style is inline: the content security
//!   policy refuses both.
//! - The gateway hashes a picture or video that a person checks, and then discards it. Neither the server nor
//!   the browser stores it.
//! - Texts are in files, one set for each language. Every page escapes values that come from a bank or a
//!   person.
//!
//! Reading order: `session` (the signed-in person), `provider` (sign-in at an identity provider), `visit`
//! (one request), `posted` (forms), `page` and `frame` (the answer to the browser), `parts` (building blocks
//! of pages), `text` (languages), `assets`, `routes`, then `pages`.

pub(crate) mod paths;
pub(crate) mod session;
pub(crate) mod provider;
pub(crate) mod state;
mod visit;
mod posted;
mod page;
pub(crate) mod frame;
mod parts;
mod text;
mod assets;
mod route;
mod routes;
mod pages;

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::console::state::Console;

pub use routes::{ConsoleRoute, console_routes};

/// Returns the router with every route of the console.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(console: Console) -> Router<S> {
    routes::router()
        .layer(from_fn_with_state(console.clone(), frame::frame))
        .merge(assets::routes())
        .with_state(console)
}
