//! Who calls, and what the caller may do.
//!
//! `identity` decides who calls. Which clients may connect at all is checked in the handshake, by the names that the
//! configuration of TLS lists.

pub(crate) mod identity;
