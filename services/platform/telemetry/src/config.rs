//! The configuration of a process's telemetry.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Metrics, probes and traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// The address where metrics and probes are served by plain HTTP; not served by default.
    #[schemars(extend("x-value" = "ADDRESS:PORT"))]
    pub listen: Option<SocketAddr>,
    /// The collector of traces, by OTLP over gRPC, such as `http://collector:4317`; empty for none.
    #[schemars(extend("x-value" = "URL"))]
    pub otlp_endpoint: String,
    /// The share of traces that is kept whatever their outcome and duration, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub trace_ratio: f64,
    /// The duration beyond which a trace is always kept, in milliseconds.
    #[schemars(range(min = 1))]
    pub trace_slow_ms: u64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { listen: None, otlp_endpoint: String::new(), trace_ratio: 0.01, trace_slow_ms: 250 }
    }
}

impl TelemetryConfig {
    /// Returns every fault of the values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.otlp_endpoint.is_empty() && !is_endpoint(&self.otlp_endpoint) {
            faults.push(format!(
                "otlp_endpoint: {:?} is not like \"http://collector:4317\"",
                self.otlp_endpoint
            ));
        }
        if !(0.0..=1.0).contains(&self.trace_ratio) {
            faults.push(format!("trace_ratio: {} is not between 0 and 1", self.trace_ratio));
        }
        if self.trace_slow_ms == 0 {
            faults.push(
                "trace_slow_ms: is 0, and every trace would be slow; keep all with trace_ratio = 1".into(),
            );
        }
        faults
    }
}

/// Returns whether the text is `http://host:port`, and nothing else.
fn is_endpoint(text: &str) -> bool {
    let Ok(uri) = text.parse::<http::Uri>() else { return false };
    let is_bare = uri.path() == "/" && uri.query().is_none();
    let names_host = uri.host().is_some_and(|host| !host.is_empty()) && !text.contains('@');
    uri.scheme_str() == Some("http") && names_host && uri.port_u16().is_some() && is_bare
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        toml::from_str::<TelemetryConfig>(text).unwrap().faults()
    }

    #[test]
    fn nothing_has_to_be_said() {
        assert_eq!(toml::from_str::<TelemetryConfig>("").unwrap(), TelemetryConfig::default());
        assert_eq!(faults(""), Vec::<String>::new());
    }

    #[test]
    fn what_the_chart_says_is_understood() {
        let config = "listen = '0.0.0.0:9464'\notlp_endpoint = 'http://collector.monitoring.svc:4317'\n\
                      trace_ratio = 1.0\ntrace_slow_ms = 100\n";
        assert_eq!(faults(config), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_reported() {
        let found = faults("otlp_endpoint = 'collector'\ntrace_ratio = 1.5\ntrace_slow_ms = 0");
        assert_eq!(found.len(), 3, "{found:?}");
        for wrong in
            ["http://collector", "https://collector:1", "http://user@collector:1", "http://c:1/v1/traces"]
        {
            assert_eq!(faults(&format!("otlp_endpoint = '{wrong}'")).len(), 1, "{wrong}");
        }
        assert!(toml::from_str::<TelemetryConfig>("port = 9464").is_err());
        assert!(toml::from_str::<TelemetryConfig>("listen = '9464'").is_err());
    }
}
