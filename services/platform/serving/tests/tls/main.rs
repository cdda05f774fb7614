//! A server with TLS: the clients that it refuses, the log of refusals, and certificates that are replaced.

#![expect(clippy::unwrap_used, reason = "it is a test")]

mod server;
mod peers;
mod handshakes;
mod files;
