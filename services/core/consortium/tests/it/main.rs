//! Tests of the consortium's rules against slow second implementations of them.

#![expect(clippy::unwrap_used, reason = "it is a test")]

mod sentences;
mod world;
mod matrix;
mod naive;
mod changes;
mod model_cards;
mod memory;
