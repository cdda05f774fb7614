//! Addresses of services, and the settings of every connection to one.

use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;
use tonic::transport::Endpoint;

/// The longest time for making a connection. On a local network, a connection that takes longer will not
/// succeed.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The interval at which an idle connection is probed, so that a vanished peer is noticed.
pub(crate) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The time without an answer to a probe after which the connection is given up.
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Windows that hold a whole image or a page of the feed: the default of 64 KiB costs a round trip for each
/// 64 KiB.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 1 << 20;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// The error for a text that is no endpoint.
#[derive(Debug, Error)]
#[error("`{0}` is no endpoint; write it as http://host:port or https://host:port")]
pub struct EndpointError(String);

impl EndpointError {
    /// Returns the error for the case that no endpoint was given.
    pub(crate) const fn none() -> Self {
        Self(String::new())
    }
}

/// Returns the settings of connections to `endpoint`.
pub(crate) fn settings(endpoint: &str) -> Result<Endpoint, EndpointError> {
    Ok(parse(endpoint)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES))
}

/// Checks that `endpoint` is a valid endpoint.
///
/// # Errors
///
/// The text lacks a scheme, a host or a port, or has a path.
pub fn check(endpoint: &str) -> Result<(), EndpointError> {
    parse(endpoint).map(drop)
}

fn parse(endpoint: &str) -> Result<Endpoint, EndpointError> {
    let wrong = || EndpointError(endpoint.to_owned());
    let parsed = Endpoint::from_shared(endpoint.to_owned()).map_err(|_| wrong())?;
    let uri = parsed.uri();
    // Without a port it would be 80 or 443, where no role listens.
    let has_port = uri.host().is_some() && uri.port_u16().is_some();
    let is_endpoint = matches!(uri.scheme_str(), Some("http" | "https")) && has_port;
    if is_endpoint && matches!(uri.path(), "" | "/") { Ok(parsed) } else { Err(wrong()) }
}

/// Returns whether a call to this endpoint would leave the machine in plain text: `http://` with anything but
/// a loopback address or `localhost`. Every other name counts as another machine.
#[must_use]
pub fn is_plaintext_off_loopback(endpoint: &str) -> bool {
    let Ok(uri) = endpoint.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_near = match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    };
    uri.scheme_str() == Some("http") && !is_near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_scheme_a_host_and_a_port_are_an_endpoint() {
        let good =
            ["http://127.0.0.1:7740", "http://matcher-0.matchers:80", "http://[::1]:1/", "https://a:1"];
        for good in good {
            assert!(settings(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "nonsense",
            "127.0.0.1:7740",
            "ftp://a:1",
            "https://a:1/path",
            "http://a:1/path",
            "http://",
            "http://127.0.0.1",
            "https://vigie.example/",
            "http://a:",
            "http://a:65536",
        ] {
            assert!(settings(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_text_stays_on_the_machine_only_by_loopback() {
        for near in ["http://127.0.0.1:1", "http://127.9.9.9:1", "http://[::1]:1", "http://LocalHost:1"] {
            assert!(!is_plaintext_off_loopback(near), "{near}");
        }
        for far in
            ["http://10.0.0.1:1", "http://[::2]:1", "http://0.0.0.0:1", "http://a:1", "http://localhost.x:1"]
        {
            assert!(is_plaintext_off_loopback(far), "{far}");
            assert!(!is_plaintext_off_loopback(&far.replace("http", "https")), "{far}");
        }
    }
}
