//! From a listener to a clean shutdown: admission, limits, deadlines, health, reflection.
//!
//! What every service of the cluster does alike lives here and knows no domain. A service builds its [`Routes`],
//! hands them over with its listener, and gets back when the last call has been answered.
//!
//! Always true: a call beyond the limits is refused at once with a code that says what to do; bulk work and clients that
//! have their share are refused before others; queued work whose deadline has passed is never begun; on shutdown the
//! service says `NOT_SERVING` before it stops listening, and calls that were accepted are answered.
//!
//! Reading order: [`ServingConfig`], [`Listener`], [`serve`], then what each connection passes: `connections` (their number),
//! `handshakes` (TLS), `hosts` (how many of each host), `told` (what the log says of those that are refused), `socket`
//! (until HTTP/2 begins); then what each call passes: `identity` (who calls), `observed` and `rpc` (how it went),
//! `in_flight` (a place or a refusal), [`Call`] (what a handler sees of it), `message_limit` (bytes), [`deadline`]. How places are given:
//! `places` (the shell), `admission` (who gets one), `limit` (how many there are), `clients` (fair shares),
//! `refusal`, [`Load`] (what there is to see).

mod config;
mod listener;
mod serve;
mod connections;
mod handshakes;
mod hosts;
mod told;
mod socket;
mod identity;
mod observed;
mod rpc;
mod in_flight;
mod call;
mod message_limit;
pub mod deadline;
mod places;
mod admission;
mod limit;
mod clients;
mod refusal;
mod load;
mod health_watch;
#[cfg(test)]
mod simulation;

pub use call::{Call, Waiting, Work};
pub use config::ServingConfig;
pub use identity::ClientIdentity;
pub use listener::{Listener, Secured};
pub use load::{Load, Refused};
pub use serve::{Health, Reflection, Routes, ServeError, serve};
pub use tokio_util::sync::CancellationToken as Shutdown;
pub use vigie_model::Priority;
pub use vigie_tls::Tls;
