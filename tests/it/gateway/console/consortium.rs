//! Members, shared banks, and policies.

mod members;
mod sharing;
mod policies;
