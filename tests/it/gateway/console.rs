//! The console, as a browser without JavaScript uses it.

pub(crate) mod browser;
mod frame;
mod check;
mod health;
