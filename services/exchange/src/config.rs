//! The configuration of an exchange process, and its limits.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_access::ProcessesConfig;
use vigie_net::check_endpoint;

use crate::asking::http::Bounds;
use crate::asking::origins::Origins;
use crate::asking::pacing::Patience;
use crate::credentials::Vault;
use crate::following::supervisor::Pace;

/// Configuration of one exchange process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Endpoints of the banks, such as `http://127.0.0.1:7742`. If several banks share one database, this
    /// process finds the one that serves.
    #[schemars(length(min = 1), extend("x-value" = "URL"))]
    pub bank: Vec<String>,
    /// Folder of credentials: a file for each exchange, or for each interface such as `ncmec`, with a line
    /// `field=value` for each field. A field that is in no file is read from the variable
    /// `VIGIE_EXCHANGE_<EXCHANGE>_<FIELD>`, then from `VIGIE_EXCHANGE_<INTERFACE>_<FIELD>`. For exchanges of
    /// members other than the host, only the files `<MEMBER>/<EXCHANGE>` are read. Read again for every
    /// round. Never printed.
    #[schemars(extend("x-value" = "DIR"))]
    pub credentials_folder: Option<PathBuf>,
    /// Folder of the files that exchanges of the interface `local_file` follow. If it is not set, such
    /// exchanges cannot read a file. Files of members other than the host are in folders named like the
    /// members.
    #[schemars(extend("x-value" = "DIR"))]
    pub files_folder: Option<PathBuf>,
    /// Origins that requests may go to in addition to those of the programmes, such as
    /// `https://mirror.example`: for mirrors, files by HTTP and tests. `http://` is allowed only for loopback
    /// hosts.
    #[schemars(extend("x-value" = "URL"))]
    pub origins: Vec<String>,
    /// Seconds between the rounds of an exchange, 10 to 604,800, unless the exchange has an interval of its
    /// own. Programmes recommend 10 minutes to a day.
    #[schemars(range(min = 10, max = INTERVAL_SECONDS_MAX))]
    pub interval_seconds: u64,
    /// The largest share of an exchange's records, in percent, that one round may remove. A round that would
    /// remove more, and more than 10 records, stops with an alarm and removes nothing.
    #[schemars(range(max = 100))]
    pub removal_percent_max: u8,
    /// Rounds that run at once; further ones wait.
    #[schemars(range(min = 1))]
    pub rounds_at_once_max: usize,
    /// How long a request may take, answer included, in milliseconds.
    #[schemars(range(min = 100))]
    pub request_ms_max: u64,
    /// Bytes of an answer or a file; a longer one stops its exchange with an alarm.
    #[schemars(range(min = 1_024))]
    pub body_bytes_max: usize,
    /// Redirects of one request, which stay within the allowed origins.
    #[schemars(range(max = 10))]
    pub redirects_max: usize,
    /// Attempts at a request after the first. Then the round ends, and another begins from the stored cursor.
    #[schemars(range(max = 100))]
    pub retries_max: u32,
    /// The longest pause before another attempt, in milliseconds. If a programme asks for a longer one, the
    /// round ends, and the next round tries again.
    #[schemars(range(min = 1_000))]
    pub retry_pause_ms_max: u64,
    /// How long this process may be silent, in milliseconds, before another one takes over.
    #[schemars(range(min = 1_000, max = LEASE_MS_MAX))]
    pub lease_ms: u64,
    /// The interval at which the exchanges are listed, in milliseconds. A new exchange, or a round that
    /// somebody asks for, begins at most this much later.
    #[schemars(range(min = 100))]
    pub list_ms: u64,
    /// The processes of the deployment. With its `cluster_key` this one authenticates to the bank.
    pub processes: ProcessesConfig,
}

const INTERVAL_SECONDS_MAX: u64 = 7 * 24 * 3_600;

/// The longest that a bank gives.
const LEASE_MS_MAX: u64 = 600_000;

impl Default for Config {
    fn default() -> Self {
        Self {
            bank: vec!["http://127.0.0.1:7742".to_owned()],
            credentials_folder: None,
            files_folder: None,
            origins: Vec::new(),
            interval_seconds: 600,
            removal_percent_max: 20,
            rounds_at_once_max: 4,
            request_ms_max: 60_000,
            body_bytes_max: 128 << 20,
            redirects_max: 3,
            retries_max: 6,
            retry_pause_ms_max: 120_000,
            lease_ms: 30_000,
            list_ms: 2_000,
            processes: ProcessesConfig::default(),
        }
    }
}

impl Config {
    /// Every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> =
            self.processes.faults().into_iter().map(|fault| format!("processes.{fault}")).collect();
        if self.bank.is_empty() {
            faults.push("bank: names no endpoint".to_owned());
        }
        for (index, endpoint) in self.bank.iter().enumerate() {
            if let Err(error) = check_endpoint(endpoint) {
                faults.push(format!("bank[{index}]: {error}"));
            }
        }
        if let Err(error) = Origins::new(&self.origins) {
            faults.push(format!("origins: {error}"));
        }
        let mut check = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        check(
            (10..=INTERVAL_SECONDS_MAX).contains(&self.interval_seconds),
            "interval_seconds: must be 10 to 604800",
        );
        check(self.removal_percent_max <= 100, "removal_percent_max: must be 0 to 100");
        check(self.rounds_at_once_max >= 1, "rounds_at_once_max: must be at least 1");
        check(self.request_ms_max >= 100, "request_ms_max: must be at least 100");
        check(self.body_bytes_max >= 1_024, "body_bytes_max: must be at least 1024");
        check(self.redirects_max <= 10, "redirects_max: must be 0 to 10");
        check(self.retries_max <= 100, "retries_max: must be 0 to 100");
        check(self.retry_pause_ms_max >= 1_000, "retry_pause_ms_max: must be at least 1000");
        check((1_000..=LEASE_MS_MAX).contains(&self.lease_ms), "lease_ms: must be 1000 to 600000");
        check(self.list_ms >= 100, "list_ms: must be at least 100");
        faults
    }

    pub(crate) const fn bounds(&self) -> Bounds {
        Bounds {
            request_ms_max: self.request_ms_max,
            body_bytes_max: self.body_bytes_max,
            redirects_max: self.redirects_max,
        }
    }

    pub(crate) const fn patience(&self) -> Patience {
        Patience {
            retries_max: self.retries_max,
            pause_first: Duration::from_millis(500),
            pause_max: Duration::from_millis(self.retry_pause_ms_max),
        }
    }

    pub(crate) const fn pace(&self) -> Pace {
        Pace { lease: Duration::from_millis(self.lease_ms), list: Duration::from_millis(self.list_ms) }
    }

    /// The credentials' folder and this process's environment.
    pub(crate) fn vault(&self) -> Vault {
        Vault::new(self.credentials_folder.clone(), |name| std::env::var(name).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named() {
        assert_eq!(Config::default().faults(), Vec::<String>::new());
        let config = Config {
            bank: vec!["x".to_owned()],
            origins: vec!["http://mirror.example".to_owned()],
            interval_seconds: 1,
            removal_percent_max: 101,
            lease_ms: 0,
            ..Config::default()
        };
        let fields: Vec<String> =
            config.faults().iter().filter_map(|fault| Some(fault.split_once(':')?.0.to_owned())).collect();
        assert_eq!(fields, ["bank[0]", "origins", "interval_seconds", "removal_percent_max", "lease_ms"]);
    }
}
