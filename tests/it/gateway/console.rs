//! The console, as a browser without JavaScript uses it.

pub(crate) mod browser;
mod people;
mod frame;
mod provider;
mod check;
mod review;
mod opinions;
mod known;
mod consortium;
mod cases;
mod reports;
mod audit;
mod health;
mod whole;
