//! TLS of servers and clients.
//!
//! A process has one certificate: it presents this certificate to the clients that call it, and to the
//! servers that it calls. The files are read again when they change, so certificates are renewed without a
//! restart.
//!
//! Always true: TLS 1.2 or 1.3, and HTTP/2 (HTTP/1.1 on servers that ask for it). Changed files are taken
//! together or not at all; while they have a fault, the old ones stay in use. No session is resumed, so every
//! connection proves its certificate. No key is in a log or an error.
//!
//! Reading order: [`TlsConfig`], [`Tls`] (both sides of a handshake), `files` (reads and checks the files),
//! `in_time`, `keep_up` (reads the files again), [`Refused`] (the reasons of a failed handshake) and
//! [`is_for_good`], [`peer_name`], [`dev_ca`].

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
