//! The address of a request's client.

use std::net::IpAddr;

/// The client address of a request. An extension of each request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);
