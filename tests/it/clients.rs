//! Other people's clients, unmodified, against our servers.

mod follow;
mod reference;
mod gateway;
