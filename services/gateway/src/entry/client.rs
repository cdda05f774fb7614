//! Where a request came from.

use std::net::IpAddr;

/// The address that a request came from. An extension of each request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);
