//! Runs a server from its listener to a clean shutdown: admission, limits, deadlines, health, reflection.
//!
//! This crate holds the parts that all services of the cluster share, and knows no domain. A service builds
//! its [`Routes`] and passes them to [`serve`] with its listener; the call returns when the last call has
//! been answered.
//!
//! Always true: a call beyond the limits is refused at once, with a code that says what the caller can do;
//! bulk work and clients that already have their share are refused before others; queued work whose deadline
//! has passed is never begun; on shutdown the service reports `NOT_SERVING` before it stops listening, and
//! accepted calls are answered.
//!
//! Reading order: [`ServingConfig`], [`serve`] and [`serve_http`], then `connection` (the stages of each
//! connection), `authorization` (the caller's identity and permission), `admission` (which call gets a slot,
//! and when), `call` (the layers of each call), then what is measured and logged: `durations`, [`Load`] and
//! `refusal_log`.

mod config;
mod serve;
mod serve_http;
mod connection;
mod authorization;
mod admission;
mod call;
mod durations;
mod load;
mod refusal_log;
mod random;

pub use authorization::guard::{Admission, Decision, Guard, Origin};
pub use authorization::identity::ClientIdentity;
pub use call::answers::{AnswerRoom, Answers, Turn};
pub use call::aside;
pub use call::deadline;
pub use call::handle::{Call, Waiting, Weight, Work};
pub use call::long_streams::{LongStream, LongStreamLimits, LongStreams, TooManyStreams};
pub use config::{Concurrency, ServingConfig};
pub use connection::any::{AnyConnection, AnyListener};
pub use connection::listener::{Listener, Secured};
pub use connection::peer::host;
pub use durations::StreamRequests;
pub use load::{Load, Refused};
pub use serve::{Health, Reflection, Routes, ServeError, serve};
pub use serve_http::serve_http;
pub use tokio_util::sync::CancellationToken as Shutdown;
pub use vigie_rpc::Priority;
pub use vigie_tls::Tls;
