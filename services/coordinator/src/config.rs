//! What a coordinator is told, and its limits.

use serde::{Deserialize, Serialize};
use vigie_serving::ServingConfig;

/// Configuration of a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the matchers listen, such as `http://127.0.0.1:7750`; at most 1024. Which shard each serves it says
    /// itself.
    pub matchers: Vec<String>,
    /// How often each matcher is asked who it is, in milliseconds. A matcher that comes or goes is noticed within it.
    pub describe_interval_ms: u64,
    /// How long a matcher may take to say so, in milliseconds; then it counts as unreachable.
    pub describe_ms_max: u64,
    /// Limits of the server.
    pub serving: ServingConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            matchers: Vec::new(),
            describe_interval_ms: 500,
            describe_ms_max: 1_000,
            serving: ServingConfig::default(),
        }
    }
}

impl Config {
    const MATCHERS_MAX: usize = 1_024;

    /// Every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.serving.faults();
        if self.matchers.is_empty() || self.matchers.len() > Self::MATCHERS_MAX {
            let (count, max) = (self.matchers.len(), Self::MATCHERS_MAX);
            faults.push(format!("matchers: has {count} endpoints; it must have 1 to {max}"));
        }
        for (index, endpoint) in self.matchers.iter().enumerate() {
            if let Err(error) = vigie_clients::MatcherClient::new(endpoint) {
                faults.push(format!("matchers[{index}]: {error}"));
            }
            if self.matchers[..index].contains(endpoint) {
                faults.push(format!("matchers[{index}]: names {endpoint} a second time"));
            }
        }
        if self.describe_interval_ms == 0 || self.describe_ms_max == 0 {
            faults.push("describe_interval_ms and describe_ms_max: must be at least 1".to_owned());
        }
        faults
    }
}
