//! A server that speaks TLS: whom it refuses, what it says of that, and what becomes of certificates that are replaced.

#![expect(clippy::unwrap_used, reason = "it is a test")]

mod server;
mod peers;
mod handshakes;
mod files;
