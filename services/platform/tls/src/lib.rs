//! TLS of servers and clients.
//!
//! One process has one certificate: with it, it answers those who call it, and by it, it is known to those whom it calls.
//! The files are read again when they change, so that certificates are renewed without a restart.
//!
//! Always true: TLS 1.2 or 1.3 and HTTP/2; what is read anew is taken as a whole or not at all, and while it has a fault
//! the old stays in use; no session is resumed, so every connection proves its certificate; no key is in a log or an
//! error.
//!
//! Reading order: [`TlsConfig`], [`Tls`] (both sides of a handshake), `files` (what is read, and how it is checked), `in_time`,
//! `keep_up` (reading it again), [`Refused`] (why a handshake failed) and [`is_for_good`], [`peer_name`], [`dev_ca`].

mod config;
mod tls;
mod files;
mod in_time;
mod keep_up;
mod refused;
mod name;
pub mod dev_ca;

pub use config::{ClientCertificates, Sides, TlsConfig};
pub use keep_up::Reloads;
pub use name::{is_spiffe, peer_name};
pub use refused::{Refused, is_for_good};
pub use tls::{ClientStream, Http, ServerStream, Tls};
