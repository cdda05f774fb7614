//! Follows exchanges: when a round is due, what it asks and stores, and what stops it.
//!
//! Reading order: [`alarm`], `parts` and `guard` (pure), `round` (one round), `follower` (one exchange, round after round), `supervisor`
//! (all exchanges, under the lease).

pub(crate) mod alarm;
mod parts;
mod guard;
pub(crate) mod round;
pub(crate) mod follower;
pub(crate) mod supervisor;
