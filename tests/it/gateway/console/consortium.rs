//! Members, what they share, and their policies.

mod members;
mod sharing;
mod policies;
