//! From a listener to a clean shutdown: limits, deadlines, health, reflection.
//!
//! What every service of the cluster does alike lives here and knows no domain. A service builds its [`Routes`],
//! hands them over with its listener, and gets back when the last call has been answered.
//!
//! Always true: a call beyond the limits is refused at once with a code that says what to do; on shutdown the
//! service says `NOT_SERVING` before it stops listening, and calls that were accepted are answered.
//!
//! Reading order: [`ServingConfig`], [`Listener`], [`serve`], `in_flight`, `message_limit`, [`deadline`].

mod config;
mod listener;
mod serve;
mod in_flight;
mod message_limit;
pub mod deadline;

pub use config::ServingConfig;
pub use listener::Listener;
pub use serve::{Health, Reflection, Routes, ServeError, serve};
pub use tokio_util::sync::CancellationToken as Shutdown;
