//! The console, as a browser without JavaScript uses it.

pub(crate) mod browser;
mod frame;
mod banks;
mod items;
mod adding;
