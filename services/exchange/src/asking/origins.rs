//! The origins (scheme, host and port) that requests may go to.

use std::collections::BTreeSet;

use url::{Host, Url};

/// The origins that requests may go to: those of the programmes, and those that the configuration adds for
/// mirrors and files.
#[derive(Debug, Clone, Default)]
pub struct Origins(BTreeSet<String>);

/// Origins of the programmes' production and test environments.
pub const OF_PROGRAMMES: &[&str] = &[
    "https://report.cybertip.org",
    "https://lesp.ncmec.org",
    "https://hashsharing.ncmec.org",
    "https://exttest.cybertip.org",
    "https://betalesp.ncmec.org",
    "https://hashsharing-test.ncmec.org",
    "https://graph.facebook.com",
    "https://api.stopncii.org",
    "https://app.terrorismanalytics.org",
];

impl Origins {
    /// Returns the programmes' origins together with `further` ones.
    ///
    /// Errors: a text that is not an origin.
    pub fn new(further: &[String]) -> Result<Self, String> {
        let mut origins: BTreeSet<String> = OF_PROGRAMMES.iter().map(|&origin| origin.to_owned()).collect();
        for origin in further {
            origins.insert(check(origin)?);
        }
        Ok(Self(origins))
    }

    /// Returns whether a request to this URL is allowed.
    #[must_use]
    pub fn allow(&self, url: &Url) -> bool {
        self.0.contains(&url.origin().ascii_serialization())
    }
}

/// Returns the origin of a text: `https://host`, or `http://` with a loopback host; the port is optional.
fn check(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is no URL: {error}"))?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.username().is_empty();
    if !is_bare {
        return Err(format!("{text:?} is more than an origin: scheme, host and port"));
    }
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url.origin().ascii_serialization()),
        "http" if is_loopback => Ok(url.origin().ascii_serialization()),
        _ => Err(format!("{text:?} must begin with https://; http:// is for loopback hosts alone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_to_programmes_and_to_configured_origins_alone() {
        let further = ["https://mirror.example:8443", "http://127.0.0.1:9000/"].map(str::to_owned);
        let origins = Origins::new(&further).unwrap();
        let allows = |url: &str| origins.allow(&Url::parse(url).unwrap());
        for good in [
            "https://api.stopncii.org/v1/FetchHashes?x=1",
            "https://mirror.example:8443/a",
            "http://127.0.0.1:9000/b",
        ] {
            assert!(allows(good), "{good}");
        }
        for bad in [
            "http://api.stopncii.org/v1",
            "https://api.stopncii.org:8443/v1",
            "https://api.stopncii.org.evil.example/",
            "https://user@evil.example/",
            "https://mirror.example/",
            "http://127.0.0.1:9001/",
            "http://169.254.169.254/",
            "file:///etc/passwd",
        ] {
            assert!(!allows(bad), "{bad}");
        }
        for bad in ["http://mirror.example", "ftp://x", "https://x/path", "x", "https://user@x"] {
            assert!(Origins::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
