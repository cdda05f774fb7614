//! The other end of a connection.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The other end of a connection. An extension of each request on that connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// `None` where the network has no addresses.
    pub(crate) address: Option<SocketAddr>,
    /// The name in the peer's certificate, which the handshake has checked.
    pub(crate) certificate_name: Option<Arc<str>>,
}

/// Returns the key by which hosts are counted. For IPv6 the key is the /64 prefix, because a host has as many
/// addresses below it as it likes.
#[must_use]
pub fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address @ IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}
