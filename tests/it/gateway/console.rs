//! The console, used by a browser without JavaScript.

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
