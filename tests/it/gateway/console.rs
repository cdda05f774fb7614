//! The console, as a browser without JavaScript uses it.

pub(crate) mod browser;
mod frame;
mod whole;
mod review;
mod opinions;
mod members;
mod sharing;
mod policies;
mod people;
mod exchanges;
mod cases;
mod reports;
mod audit;
mod check;
mod health;
mod banks;
mod items;
mod adding;
mod provider;
