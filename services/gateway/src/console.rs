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

pub(crate) mod session;
pub(crate) mod provider;
mod visit;
mod posted;
mod page;
mod frame;
mod parts;
mod text;
mod assets;
mod routes;
mod pages;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use vigie_access::WallClock;
use vigie_clients::CoordinatorClient;

use crate::cluster::Cluster;
use crate::console::pages::sign_in;
use crate::console::provider::Provider;
use crate::console::session::Sessions;
use crate::entry::Admission;
use crate::media::bodies::Bodies;
use crate::media::fetching::Fetcher;

/// The path that every page's path begins with.
pub(crate) const PREFIX: &str = "/console";

/// What the pages share. A clone is a handle of the same.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    /// Keys of session cookies.
    pub(crate) sessions: Arc<Sessions>,
    /// Where people sign in by OpenID Connect; `None` where that is nowhere.
    pub(crate) provider: Option<Arc<Provider>>,
    /// The URL by which browsers reach the gateway, where one is configured.
    pub(crate) public_url: Option<Arc<str>>,
    /// Checks of credentials that a person enters.
    pub(crate) admission: Arc<Admission>,
    /// The state of the cluster.
    pub(crate) cluster: Cluster,
    /// The coordinators, which describe replicas; `None` where none is configured.
    pub(crate) coordinator: Option<CoordinatorClient>,
    /// How bodies are read.
    pub(crate) bodies: Bodies,
    /// How URLs are fetched.
    pub(crate) fetcher: Fetcher,
    /// The present time.
    pub(crate) clock: WallClock,
}

/// Whether a path is one of the console, known or not.
pub(crate) fn owns(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path of the console is open to a person who is not signed in.
pub(crate) fn is_open(path: &str) -> bool {
    path == sign_in::PATH || path.starts_with("/console/sign-in/") || path.starts_with(assets::PREFIX)
}

/// Every route of the console.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(console: Console) -> Router<S> {
    routes::router()
        .layer(from_fn_with_state(console.clone(), frame::frame))
        .merge(assets::routes())
        .with_state(console)
}

pub(crate) use frame::refused;
pub use routes::{ConsoleRoute, console_routes};
