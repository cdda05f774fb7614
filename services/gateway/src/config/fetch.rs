//! The configuration of fetching.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Host;

/// The most host names.
const HOSTS_MAX: usize = 256;

/// Fetching of pictures by their URLs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FetchConfig {
    /// Whether pictures are fetched at all.
    pub enabled: bool,
    /// Hosts that pictures may be fetched from, at most 256: a name includes all names below it. An empty
    /// list allows every host of the public network.
    #[schemars(length(max = HOSTS_MAX), extend("x-value" = "HOST"))]
    pub hosts: Vec<String>,
    /// Hosts that may have addresses of this machine or of a local network, at most 256: names as for
    /// `hosts`, or IP addresses. Any other host with such an address is refused.
    #[schemars(length(max = HOSTS_MAX), extend("x-value" = "HOST"))]
    pub private_hosts: Vec<String>,
    /// The largest file, in bytes.
    #[schemars(range(min = 1_024))]
    pub bytes_max: usize,
    /// The longest time of a fetch with all its redirects, in milliseconds.
    #[schemars(range(min = 100, max = 600_000))]
    pub ms_max: u64,
    /// The most fetches at once; one more waits, within its own time.
    #[schemars(range(min = 1, max = 4_096))]
    pub fetches_max: usize,
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            hosts: Vec::new(),
            private_hosts: Vec::new(),
            bytes_max: 64 << 20,
            ms_max: 30_000,
            fetches_max: 16,
        }
    }
}

impl FetchConfig {
    /// Returns every fault of the values, each beginning with its key.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (key, hosts) in [("hosts", &self.hosts), ("private_hosts", &self.private_hosts)] {
            if hosts.len() > HOSTS_MAX {
                faults.push(format!("{key}: has {} names; it may have at most {HOSTS_MAX}", hosts.len()));
            }
            let wrong =
                hosts.iter().filter(|host| Host::parse(host).is_err() && host.parse::<IpAddr>().is_err());
            faults.extend(wrong.map(|host| format!("{key}: `{host}` is no name of a host")));
        }
        if self.bytes_max < 1_024 {
            faults.push(format!("bytes_max: is {}; it must be 1024 or more", self.bytes_max));
        }
        if !(100..=600_000).contains(&self.ms_max) {
            faults.push(format!("ms_max: is {}; it must be 100 to 600000", self.ms_max));
        }
        if !(1..=4_096).contains(&self.fetches_max) {
            faults.push(format!("fetches_max: is {}; it must be 1 to 4096", self.fetches_max));
        }
        faults
    }
}
