//! Follows exchanges: decides when a round is due, what it requests and stores, and what stops it.
//!
//! Reading order: [`alarm`], `asking`, `parts` and `guard` (pure), `round` (one round of fetching), `changes`
//! (pure) and `write_back` (one round of submitting), `feedback` (sending opinions), `follower` (one
//! exchange, round after round), `supervisor` (all exchanges, under the lease).

pub(crate) mod alarm;
mod asking;
mod parts;
mod guard;
pub(crate) mod round;
mod changes;
pub(crate) mod write_back;
pub(crate) mod feedback;
pub(crate) mod follower;
pub(crate) mod supervisor;
