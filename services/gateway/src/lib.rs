//! The gateway: HTTP for clients that do not use gRPC.
//!
//! ```text
//! request -> entry (slashes, limits, cross-site checks, credential) -> routes
//!              hma   the REST API of Meta's Hasher-Matcher-Actioner, for existing clients
//!              v1    our own REST API
//!              feeds banks in the formats of sharing programmes
//!              console pages in a browser
//!           -> upstream (typed clients, with the caller's credential) -> frontend, bank
//! ```
//!
//! Always true:
//!
//! - The gateway keeps nothing: no content on disk or in a log, and no hash, name or credential in a log, a
//!   metric or an error text.
//! - The services behind the gateway decide rights, with the caller's credential. The gateway itself refuses
//!   only invalid credentials.
//! - A web page cannot use a gateway that asks for no credential: requests from other sites are refused.
//! - A gateway that cannot know the answer answers 503, never "not known" and never "not there".
//! - Every body, answer, fetch and wait has a bound.
//!
//! Reading order: `config`, `shared`, `server`, `entry`, `upstream`, `cluster`, `metrics`, `media` (bodies,
//! multipart, fetching), `problem`, then `hma`, `v1`, `feeds` and `console`.

mod config;
mod shared;
mod server;
mod problem;
mod upstream;
mod cluster;
mod metrics;
mod entry;
mod media;
mod hma;
mod feeds;
mod v1;
mod console;

pub use config::{Config, ConsoleConfig, FetchConfig, OidcConfig};
#[doc(hidden)]
pub use console::{ConsoleRoute, console_routes};
pub use server::{RunError, run_with};
