//! The forms in which the configuration names matchers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;
use vigie_clients::MatcherClient;

const NAME_PREFIX: &str = "dns+";

/// A matcher, or a DNS name of several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MatcherEndpoint {
    /// `http://host:port` or `https://host:port`: one matcher. Its host name is looked up whenever a
    /// connection is made.
    Url(Arc<str>),
    /// `dns+http://host:port` or `dns+https://host:port`: each address of the host is a matcher.
    Name { scheme: &'static str, host: String, port: u16 },
}

/// The error for a text that names no matcher.
#[derive(Debug, Error)]
#[error(
    "`{0}` is no endpoint; write one matcher as http://host:port, all addresses of a name as dns+http://host:port, and either with https"
)]
pub(crate) struct EndpointError(String);

impl FromStr for MatcherEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let wrong = || EndpointError(text.to_owned());
        let Some(url) = text.strip_prefix(NAME_PREFIX) else {
            MatcherClient::check_endpoint(text).map_err(|_| wrong())?;
            return Ok(Self::Url(text.strip_suffix('/').unwrap_or(text).into()));
        };
        let with = |scheme: &'static str| Some((scheme, url.strip_prefix(scheme)?.strip_prefix("://")?));
        let (scheme, name) = with("http").or_else(|| with("https")).ok_or_else(wrong)?;
        let (host, port) = name.strip_suffix('/').unwrap_or(name).rsplit_once(':').ok_or_else(wrong)?;
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err(wrong());
        }
        Ok(Self::Name { scheme, host: host.to_owned(), port: port.parse().map_err(|_| wrong())? })
    }
}

impl fmt::Display for MatcherEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Name { scheme, host, port } => write!(f, "{NAME_PREFIX}{scheme}://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_and_names_are_distinguished() {
        let read = |text: &str| text.parse::<MatcherEndpoint>();
        assert_eq!(
            read("http://10.0.0.1:7750").unwrap(),
            MatcherEndpoint::Url("http://10.0.0.1:7750".into())
        );
        let name = read("dns+http://matchers.vigie.svc:7750").unwrap();
        let host = || "matchers.vigie.svc".to_owned();
        assert_eq!(name, MatcherEndpoint::Name { scheme: "http", host: host(), port: 7_750 });
        assert_eq!(name.to_string(), "dns+http://matchers.vigie.svc:7750");
        let secure = read("dns+https://matchers.vigie.svc:7750").unwrap();
        assert_eq!(secure, MatcherEndpoint::Name { scheme: "https", host: host(), port: 7_750 });
        assert_eq!(secure.to_string(), "dns+https://matchers.vigie.svc:7750");
        for bad in [
            "",
            "matchers:7750",
            "dns+http://",
            "dns+http://a",
            "dns+http://a/b:1",
            "dns+http://a:x",
            "dns://a:1",
            "dns+ftp://a:1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
