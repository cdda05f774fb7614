//! How long each method's calls take, and how they end: rate, errors and duration in one histogram.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use vigie_rpc::{Code, code};
use vigie_telemetry::names;

/// The durations of calls.
#[derive(Debug, Clone)]
pub(crate) struct CallDurations {
    durations: Family<Labels, Histogram>,
}

impl Default for CallDurations {
    fn default() -> Self {
        Self { durations: Family::new_with_constructor(|| Histogram::new(names::DURATION_BOUNDS)) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Labels {
    method: Arc<str>,
    code: Code,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let system = (names::RPC_SYSTEM_NAME, names::GRPC);
        let method = (names::RPC_METHOD, &*self.method);
        let word = (names::RPC_RESPONSE_STATUS_CODE, code::word(self.code));
        if code::is_fault(self.code) {
            // The conventions want it where a call failed, and nowhere else.
            [system, method, word, (names::ERROR_TYPE, word.1)].encode(encoder)
        } else {
            [system, method, word].encode(encoder)
        }
    }
}

impl CallDurations {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            names::RPC_SERVER_CALL_DURATION,
            "How long calls took, from their first byte to the last of the answer, by method and code",
            self.durations.clone(),
        );
    }

    pub(crate) fn observe(&self, method: &Arc<str>, code: Code, took: Duration) {
        let labels = Labels { method: Arc::clone(method), code };
        self.durations.get_or_create_owned(&labels).observe(took.as_secs_f64());
    }
}
