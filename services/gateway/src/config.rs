//! The configuration of a gateway, and its limits.

mod console;
mod fetch;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_access::{AccessConfig, DirectoryConfig, ProcessesConfig};
use vigie_clients::{Bearer, CoordinatorClient, MatchClient, Network};
use vigie_serving::ServingConfig;
use zeroize::Zeroizing;

pub use console::{ConsoleConfig, OidcConfig};
pub use fetch::FetchConfig;

/// The most endpoints of one service.
const ENDPOINTS_MAX: usize = 64;
/// The most host names.
const HOSTS_MAX: usize = 256;

/// Configuration of a gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The endpoints of the frontends, such as `http://127.0.0.1:7740`, 1 to 64, any of which may answer.
    #[schemars(length(min = 1, max = ENDPOINTS_MAX), extend("x-value" = "URL"))]
    pub frontend: Vec<String>,
    /// The endpoints of the coordinators, such as `http://127.0.0.1:7741`, at most 64, for `/status` and the
    /// sizes of indexes. Without one, `/status` reports the health of the frontends alone.
    #[schemars(length(max = ENDPOINTS_MAX), extend("x-value" = "URL"))]
    pub coordinator: Vec<String>,
    /// A file with an API key, for clients that cannot send a credential: requests without one act for the
    /// key's principal. The gateway must then listen on a loopback address or require client certificates, so
    /// that nobody else gets these rights.
    #[schemars(extend("x-value" = "FILE"))]
    pub api_key_file: Option<PathBuf>,
    /// Names by which clients without a credential may address the gateway, at most 256, such as
    /// `vigie-gateway` or `match.example:7780`; `localhost` and IP addresses are always allowed. Any other
    /// name is refused, because a web page could use it to direct a browser here.
    #[schemars(length(max = HOSTS_MAX), extend("x-value" = "HOST"))]
    pub hosts: Vec<String>,
    /// The URL by which clients reach the gateway, such as `https://match.example`, for links in answers and
    /// for the redirect from an identity provider. Its host counts as one of `hosts`. Without it, links use
    /// the `Host` of the request.
    #[schemars(extend("x-value" = "URL"))]
    pub public_url: Option<String>,
    /// The folder for credentials of hash-sharing programmes that are set over HMA's API: the folder that the
    /// exchange process reads. Without it, such requests are answered with 501.
    #[schemars(extend("x-value" = "DIR"))]
    pub credentials_folder: Option<PathBuf>,
    /// Whether feeds in the formats of programmes also have items that a bank knows from programmes alone.
    /// Otherwise they have only the bank's own items, those with a submission that names no programme, so
    /// that deployments that follow each other send nothing back.
    pub feeds_pass_on: bool,
    /// The largest body of a request, in bytes: a picture or a video.
    #[schemars(range(min = 65_536))]
    pub body_bytes_max: usize,
    /// The most bytes of all request bodies that are being read or processed. One client gets at most half of
    /// them, so no body may be larger than that. A request beyond the limit is refused with 503 and
    /// `Retry-After`.
    #[schemars(range(min = 262_144))]
    pub bodies_bytes_max: usize,
    /// The lowest rate at which a body may arrive, in bytes a second, measured after 5 seconds. A slower one
    /// is refused with 408.
    #[schemars(range(min = 1))]
    pub body_bytes_per_second_min: u32,
    /// The most requests in progress at once; one more is refused with 503 and `Retry-After`. One client gets
    /// at most three quarters of them.
    #[schemars(range(min = 4))]
    pub requests_in_flight_max: usize,
    /// The deadline of a request, in milliseconds from the end of its body to its answer.
    #[schemars(range(min = 100, max = 600_000))]
    pub deadline_ms: u64,
    /// The largest age of the last successful check of the cluster, in milliseconds, before `/status` answers
    /// 503.
    #[schemars(range(min = 1_000, max = 600_000))]
    pub status_age_ms_max: u64,
    /// Fetching of pictures by their URLs.
    pub fetch: FetchConfig,
    /// The console: pages in a browser, at `/console/`.
    pub console: ConsoleConfig,
    /// Limits of connections and the times of a shutdown. Its limits of calls and bytes have no effect here.
    pub serving: ServingConfig,
    /// The directory of members. The gateway also calls its banks, of which there must be at least one.
    pub directory: DirectoryConfig,
    /// Credentials of members.
    pub access: AccessConfig,
    /// The processes of the deployment. With its `cluster_key` the gateway authenticates to the bank.
    pub processes: ProcessesConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            frontend: Vec::new(),
            coordinator: Vec::new(),
            api_key_file: None,
            hosts: Vec::new(),
            public_url: None,
            credentials_folder: None,
            feeds_pass_on: false,
            body_bytes_max: 64 << 20,
            bodies_bytes_max: 256 << 20,
            body_bytes_per_second_min: 16 << 10,
            requests_in_flight_max: 1_024,
            deadline_ms: 10_000,
            status_age_ms_max: 10_000,
            fetch: FetchConfig::default(),
            console: ConsoleConfig::default(),
            serving: ServingConfig::default(),
            directory: DirectoryConfig::default(),
            access: AccessConfig::default(),
            processes: ProcessesConfig::default(),
        }
    }
}

impl Config {
    /// Returns the time limit of a request.
    #[must_use]
    pub const fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// Returns the names by which clients without a credential may address the gateway.
    pub(crate) fn own_hosts(&self) -> Vec<String> {
        let url = self.public_url.as_deref().and_then(|text| url::Url::parse(text).ok());
        let authority = url.and_then(|url| {
            let host = url.host_str()?.to_owned();
            Some(url.port().map_or(host.clone(), |port| format!("{host}:{port}")))
        });
        self.hosts.iter().cloned().chain(authority).collect()
    }

    /// Returns the credential of requests that carry none.
    ///
    /// # Errors
    ///
    /// The fault of the file.
    pub(crate) fn bound_to(&self) -> Result<Option<Bearer>, String> {
        let Some(path) = &self.api_key_file else { return Ok(None) };
        let cannot = |why: String| format!("api_key_file: {} {why}", path.display());
        let text =
            std::fs::read_to_string(path).map_err(|error| cannot(format!("cannot be read: {error}")))?;
        let text = Zeroizing::new(text);
        Bearer::new(text.trim(), "api_key_file")
            .map(Some)
            .map_err(|fault| cannot(format!("has no API key: {fault}")))
    }

    /// Returns every fault of the values, each beginning with its key. Reads the files.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let count = |key: &str, count: usize, least: usize| {
            (!(least..=ENDPOINTS_MAX).contains(&count))
                .then(|| format!("{key}: has {count} endpoints; it must have {least} to {ENDPOINTS_MAX}"))
        };
        faults.extend(count("frontend", self.frontend.len(), 1));
        faults.extend(count("coordinator", self.coordinator.len(), 0));
        faults.extend(count("directory.bank", self.directory.bank.len(), 1));
        let frontends = self.frontend.iter().filter_map(|endpoint| MatchClient::new(endpoint).err());
        faults.extend(frontends.map(|error| format!("frontend: {error}")));
        let coordinators = self.coordinator.iter();
        let coordinators =
            coordinators.filter_map(|endpoint| CoordinatorClient::new_on(&[endpoint], &Network::tcp()).err());
        faults.extend(coordinators.map(|error| format!("coordinator: {error}")));
        faults.extend(self.bound_to().err());
        if self.hosts.len() > HOSTS_MAX {
            faults.push(format!("hosts: has {} names; it may have at most {HOSTS_MAX}", self.hosts.len()));
        }
        let is_url =
            |text: &String| url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if let Some(wrong) = self.public_url.as_ref().filter(|text| !is_url(text)) {
            faults.push(format!("public_url: `{wrong}` is no URL"));
        }
        let mut least = |key: &str, value: u64, range: std::ops::RangeInclusive<u64>| {
            if !range.contains(&value) {
                let (least, most) = (range.start(), range.end());
                let most = if *most == u64::MAX { "more".to_owned() } else { most.to_string() };
                faults.push(format!("{key}: is {value}; it must be {least} to {most}"));
            }
        };
        least("body_bytes_max", self.body_bytes_max as u64, 65_536..=u64::MAX);
        least("bodies_bytes_max", self.bodies_bytes_max as u64, 262_144..=u64::MAX);
        least("body_bytes_per_second_min", self.body_bytes_per_second_min.into(), 1..=u64::MAX);
        least("requests_in_flight_max", self.requests_in_flight_max as u64, 4..=u64::MAX);
        least("deadline_ms", self.deadline_ms, 100..=600_000);
        least("status_age_ms_max", self.status_age_ms_max, 1_000..=600_000);
        // These faults begin with the name of their table.
        faults.extend(self.serving.faults());
        let inner = [
            ("fetch", self.fetch.faults()),
            ("console", self.console.faults(&self.access.credentials, self.public_url.as_deref())),
            ("directory", self.directory.faults()),
            ("access", self.access.faults()),
            ("processes", self.processes.faults()),
        ];
        for (table, found) in inner {
            faults.extend(found.into_iter().map(|fault| format!("{table}.{fault}")));
        }
        faults
    }

    /// Returns the fault of a gateway that gives every client the rights of a principal, if it is one.
    #[must_use]
    pub fn open_to_all(&self, listen: SocketAddr, asks_for_certificates: bool) -> Option<String> {
        let is_open = self.api_key_file.is_some()
            && !listen.ip().to_canonical().is_loopback()
            && !asks_for_certificates;
        is_open.then(|| {
            format!(
                "api_key_file: whoever reaches {listen} would act for its principal; listen on a loopback address, or set \
                 tls.client_certificates = \"required\""
            )
        })
    }
}
