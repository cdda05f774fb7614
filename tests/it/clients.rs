//! Clients of other projects, unmodified, against our servers.

mod follow;
mod reference;
mod gateway;
