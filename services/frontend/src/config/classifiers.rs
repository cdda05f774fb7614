//! The configuration of the classifiers that a frontend asks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_clients::ClassifierClient;

/// The classifiers that are asked about images and conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClassifiersConfig {
    /// The endpoints of classifiers, such as `http://127.0.0.1:7746`, at most 64, each of which answers for
    /// all models. Without any, every model that is asked for is answered as unavailable.
    #[schemars(length(max = ENDPOINTS_MAX), extend("x-value" = "URL"))]
    pub endpoints: Vec<String>,
    /// The longest time that an answer to a match waits for classifiers after its images are decoded, in
    /// milliseconds, 1 to 30,000. Models without an outcome by then are answered as unavailable; the rest of
    /// the answer is the same. The wait ends after 85 % of the call's remaining time at the latest.
    #[schemars(range(min = 1, max = WAIT_MS_MAX))]
    pub wait_ms: u32,
}

/// The longest wait.
const WAIT_MS_MAX: u32 = 30_000;
/// Classifiers that one frontend asks.
const ENDPOINTS_MAX: usize = 64;

impl Default for ClassifiersConfig {
    fn default() -> Self {
        Self { endpoints: Vec::new(), wait_ms: 1_000 }
    }
}

impl ClassifiersConfig {
    /// Every fault of these values, each as `field: what is wrong`.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.endpoints.len() > ENDPOINTS_MAX {
            let count = self.endpoints.len();
            faults.push(format!("endpoints: has {count} endpoints; it must have 0 to {ENDPOINTS_MAX}"));
        }
        let checked = self.endpoints.iter().map(|endpoint| ClassifierClient::check_endpoint(endpoint));
        faults.extend(checked.filter_map(Result::err).map(|error| format!("endpoints: {error}")));
        if !(1..=WAIT_MS_MAX).contains(&self.wait_ms) {
            faults.push(format!("wait_ms: must be 1 to {WAIT_MS_MAX}"));
        }
        faults
    }

    /// How long an answer waits.
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named() {
        assert!(ClassifiersConfig::default().faults().is_empty());
        let wrong = ClassifiersConfig { endpoints: vec!["no endpoint".into()], wait_ms: 0 };
        let faults = wrong.faults();
        assert!(faults[0].starts_with("endpoints: ") && faults[1].starts_with("wait_ms: "), "{faults:?}");
        let many = ClassifiersConfig { endpoints: vec!["http://a:1".into(); 65], wait_ms: 30_001 };
        assert_eq!(many.faults().len(), 2);
    }
}
