//! The stages of each connection, from the listener to its end.
//!
//! `listener` (the source of connections) and `any` (a listener of any kind), `peer` (the other end),
//! `limited` (how many connections there may be, in all and for each host), `handshakes` (TLS, many at once),
//! `counts` (how many connections each host and identity has), `socket` (a connection that can carry calls),
//! `carry` (accepts connections and carries their calls until they are idle or the server ends), `open_calls`
//! (the calls that are open), `within` (calls from the server's own process, which use no connection).

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
