//! What each connection passes, from the listener to the first bytes of HTTP/2.
//!
//! `listener` (where connections come from) and `any` (a listener of any kind), `peer` (the other end), `limited` (how many there
//! may be), `handshakes` (TLS, many at once) with `hosts` (how many of each host) and `refusal_log` (log lines of refused
//! handshakes), `socket` (a connection that can carry calls).

pub(crate) mod listener;
pub(crate) mod any;
pub(crate) mod peer;
pub(crate) mod limited;
pub(crate) mod handshakes;
mod hosts;
mod refusal_log;
mod socket;
