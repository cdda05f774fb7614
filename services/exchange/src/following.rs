//! Follows exchanges: when a round is due, what it asks and stores, and what stops it.
//!
//! Reading order: [`alarm`], `asking`, `parts` and `guard` (pure), `round` (one round), `changes` (pure) and `write_back` (the same outwards), `feedback` (opinions outwards),
//! `follower` (one exchange, round after round), `supervisor` (all exchanges, under the lease).

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
