//! Fetches pictures and videos by their URLs, from allowed hosts, into memory.
//!
//! Each step is checked, also after a redirect: the scheme, the host, and every address of a name. The
//! connection goes to a checked address, so a name that changes between the check and the connection has no
//! effect.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::{Host, Url};

use crate::config::FetchConfig;
use crate::media::addresses::is_public;
use crate::media::bodies::too_large;
use crate::metrics::Metrics;
use crate::problem::Problem;

/// The most redirects of one fetch.
const REDIRECTS_MAX: usize = 5;
/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 8 << 10;

/// A fetched file.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The file.
    pub(crate) bytes: Bytes,
    /// The type that its host states.
    pub(crate) content_type: Option<String>,
    /// Held until the file is no longer needed, so that the number of files in memory is bounded like that of
    /// concurrent fetches.
    pub(crate) place: OwnedSemaphorePermit,
}

/// Fetches files.
#[derive(Debug, Clone)]
pub(crate) struct Fetcher {
    client: reqwest::Client,
    rules: Arc<Rules>,
    bytes_max: usize,
    within: Duration,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// The rules for the hosts that may be fetched from.
#[derive(Debug)]
struct Rules {
    enabled: bool,
    hosts: Vec<String>,
    private_hosts: Vec<String>,
}

/// Returns names in the form of URLs, and addresses without brackets.
fn bare(hosts: &[String]) -> Vec<String> {
    let bare = |host: &String| match Host::parse(host) {
        Ok(Host::Domain(name)) => name,
        Ok(Host::Ipv4(address)) => address.to_string(),
        Ok(Host::Ipv6(address)) => address.to_string(),
        Err(_) => host.clone(),
    };
    hosts.iter().map(bare).collect()
}

/// Returns whether a host is one of these names, or a subdomain of one.
fn is_among(hosts: &[String], host: &str) -> bool {
    let host = host.trim_end_matches('.');
    hosts.iter().any(|allowed| {
        let below = host.len().checked_sub(allowed.len()).and_then(|at| host.get(at..));
        let is_end = below.is_some_and(|end| end.eq_ignore_ascii_case(allowed));
        is_end && (host.len() == allowed.len() || host.as_bytes()[host.len() - allowed.len() - 1] == b'.')
    })
}

impl Rules {
    /// Checks one step of a fetch.
    fn check(&self, url: &Url) -> Result<(), Problem> {
        if !self.enabled {
            return Err(Problem::bad("this server does not fetch URLs"));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Problem::bad("invalid url: only http and https are fetched"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Problem::bad("invalid url: it carries a credential"));
        }
        let host = url.host().ok_or_else(|| Problem::bad("invalid url: it names no host"))?;
        let (name, address) = match host {
            Host::Domain(name) => (name.to_owned(), None),
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        };
        let is_private = is_among(&self.private_hosts, &name);
        if !self.hosts.is_empty() && !is_among(&self.hosts, &name) && !is_private {
            return Err(Problem::bad("the host of the url is not allowed"));
        }
        if address.is_some_and(|address| !is_public(address)) && !is_private {
            return Err(Problem::bad("the host of the url is not allowed: it is not of the public network"));
        }
        Ok(())
    }
}

/// Resolves names, and removes addresses that a name may not have.
#[derive(Debug)]
struct Checked(Arc<Rules>);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = Arc::clone(&self.0);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let is_private = is_among(&rules.private_hosts, name.as_str());
            let fit: Vec<SocketAddr> = found.filter(|found| is_private || is_public(found.ip())).collect();
            if fit.is_empty() {
                return Err("the host has no address of the public network".into());
            }
            Ok(Box::new(fit.into_iter()) as Addrs)
        })
    }
}

impl Fetcher {
    /// Makes a fetcher with these limits.
    ///
    /// # Errors
    ///
    /// TLS cannot be set up.
    pub(crate) fn new(config: &FetchConfig, metrics: Arc<Metrics>) -> Result<Self, reqwest::Error> {
        let rules = Arc::new(Rules {
            enabled: config.enabled,
            hosts: bare(&config.hosts),
            private_hosts: bare(&config.private_hosts),
        });
        let within = Duration::from_millis(config.ms_max);
        // The TLS cryptography of the whole process; another part of it may have chosen it already.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .dns_resolver(Arc::new(Checked(Arc::clone(&rules))))
            // A proxy would resolve names itself, unchecked.
            .no_proxy()
            .referer(false)
            .timeout(within)
            .user_agent(concat!("vigie/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let places = Arc::new(Semaphore::new(config.fetches_max));
        Ok(Self { client, rules, bytes_max: config.bytes_max, within, places, metrics })
    }

    /// Returns whether anything is fetched at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.rules.enabled
    }

    /// Fetches a file of at most `bytes_max` bytes.
    pub(crate) async fn fetch(&self, url: &str) -> Result<Fetched, Problem> {
        if url.len() > URL_BYTES_MAX {
            return Err(Problem::bad(format!("invalid url: it has more than {URL_BYTES_MAX} bytes")));
        }
        let url = Url::parse(url).map_err(|error| Problem::bad(format!("invalid url: {error}")))?;
        let fetched = tokio::time::timeout(self.within, self.steps(url)).await;
        let fetched = fetched.unwrap_or_else(|_| Err(Problem::bad("the url could not be fetched in time")));
        self.metrics.fetched(fetched.is_ok());
        fetched
    }

    async fn steps(&self, mut url: Url) -> Result<Fetched, Problem> {
        self.rules.check(&url)?;
        let place =
            Arc::clone(&self.places).acquire_owned().await.map_err(|_| Problem::busy("the server stops"))?;
        for _ in 0..=REDIRECTS_MAX {
            self.rules.check(&url)?;
            let sent = self.client.get(url.clone()).send().await;
            // The error's own text would repeat the URL, which may contain a secret.
            let answer = sent.map_err(|error| {
                let why = if error.is_timeout() { "it took too long" } else { "its host cannot be reached" };
                Problem::bad(format!("the url could not be fetched: {why}"))
            })?;
            let status = answer.status();
            if status.is_redirection()
                && let Some(location) = answer.headers().get(header::LOCATION)
            {
                let next = location.to_str().ok().and_then(|location| url.join(location).ok());
                url = next.ok_or_else(|| Problem::bad("the url redirects to something that is no url"))?;
                continue;
            }
            if status != StatusCode::OK {
                return Err(Problem::bad(format!(
                    "the url could not be fetched: its host answered {status}"
                )));
            }
            return self.body(answer, place).await;
        }
        Err(Problem::bad(format!("the url redirects more than {REDIRECTS_MAX} times")))
    }

    async fn body(
        &self,
        mut answer: reqwest::Response,
        place: OwnedSemaphorePermit,
    ) -> Result<Fetched, Problem> {
        let announced = answer.content_length().and_then(|length| usize::try_from(length).ok());
        if announced.is_some_and(|length| length > self.bytes_max) {
            return Err(too_large(self.bytes_max));
        }
        let content_type = answer.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let mut bytes = BytesMut::new();
        let broken = |_| Problem::bad("the url could not be fetched: its host broke off");
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if bytes.len() + chunk.len() > self.bytes_max {
                return Err(too_large(self.bytes_max));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Fetched { bytes: bytes.freeze(), content_type, place })
    }
}

#[cfg(test)]
mod tests {
    use vigie_telemetry::Registry;

    use super::*;
    use crate::cluster::Cluster;
    use crate::config::Config;

    fn check(hosts: &[&str], private_hosts: &[&str], url: &str) -> bool {
        let owned = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        let rules = Rules { enabled: true, hosts: owned(hosts), private_hosts: owned(private_hosts) };
        rules.check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn a_host_is_allowed_by_its_name_or_one_above_it() {
        let allowed = ["media.example", "cdn.example"];
        for url in ["https://media.example/a", "http://a.b.media.example:81/", "https://MEDIA.example./x"] {
            assert!(check(&allowed, &[], url), "{url}");
        }
        for url in ["https://xmedia.example/", "https://example/", "https://media.example.evil.test/"] {
            assert!(!check(&allowed, &[], url), "{url}");
        }
    }

    #[test]
    fn private_addresses_in_any_spelling_and_other_schemes_are_refused() {
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://169.254.169.254/latest",
            "ftp://a.example/",
            "file:///etc/passwd",
            "http://u:p@a.example/",
        ] {
            assert!(!check(&[], &[], url), "{url}");
        }
        assert!(check(&[], &[], "https://a.example/"));
        assert!(check(&[], &["127.0.0.1"], "http://127.0.0.1:8000/a.jpg"));
        assert!(!check(&[], &["127.0.0.1"], "http://127.0.0.2/"));
    }

    #[tokio::test]
    async fn a_name_of_a_private_address_is_refused_where_the_connection_is_made() {
        let cluster = Cluster::new(&Config::default());
        let metrics = Arc::new(Metrics::register(&mut Registry::default(), &cluster));
        let config = FetchConfig { ms_max: 2_000, ..FetchConfig::default() };
        let fetcher = Fetcher::new(&config, metrics).unwrap();
        let refused = fetcher.fetch("http://localhost:1/a.jpg").await.unwrap_err();
        assert_eq!(refused, Problem::bad("the url could not be fetched: its host cannot be reached"));
    }
}
