//! What each connection passes, from the listener to its end.
//!
//! `listener` (where connections come from) and `any` (a listener of any kind), `peer` (the other end), `limited` (how many there
//! may be, in all and of a host), `handshakes` (TLS, many at once), `counts` (how many of each host and identity), `socket` (a
//! connection that can carry calls), `carry` (accepts connections and carries their calls until they are idle or the server
//! ends), `open_calls` (which calls are under way), `within` (calls of the server's own process, which come by no connection).

pub(crate) mod listener;
pub(crate) mod any;
pub(crate) mod peer;
pub(crate) mod counts;
pub(crate) mod limited;
pub(crate) mod handshakes;
pub(crate) mod open_calls;
pub(crate) mod carry;
pub(crate) mod within;
mod socket;
