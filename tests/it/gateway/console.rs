//! The console, as a browser without JavaScript uses it.

pub(crate) mod browser;
mod frame;
mod members;
mod sharing;
mod policies;
