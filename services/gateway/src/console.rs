//! The console (`/console/...`): pages in a browser, for the people who decide.
//!
//! ```text
//! request -> entry (session cookie -> credential) -> frame (who, language, rights) -> handler -> frame (page) -> browser
//! ```
//!
//! - Pages are HTML that the server writes. Each page works without JavaScript; `htmx` and `console.js` add live parts, keys and pasting.
//! - A handler reads and changes nothing by itself: it calls a service with the caller's credential, so rights and the audit are those of every
//!   other caller. A page that none of the caller's roles may use is answered as a page that does not exist.
//! - A request that changes something carries the session's token against cross-site requests, and a name that makes it one write
//!   however often it is sent.
//! - No page loads anything from elsewhere, and no script or style is inline: the content security policy refuses both.
//! - A picture or video that a person checks is hashed and forgotten. Nothing of it is stored, here or in the browser.
//! - Texts are in files, by language. A value from a bank or a person is escaped wherever a page shows it.
//!
//! Reading order: `session` (who is signed in), `provider` (signing in elsewhere), `visit` (one request of a person), `posted` (forms), `page` and `frame` (what a browser gets),
//! `parts` (building blocks of pages), `text` (languages), `assets`, `routes`, then `pages`.

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

/// Every route of the console.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(console: Console) -> Router<S> {
    routes::router()
        .layer(from_fn_with_state(console.clone(), frame::frame))
        .merge(assets::routes())
        .with_state(console)
}
