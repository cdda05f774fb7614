//! Counts each method's calls, their durations and their codes, in one histogram: rate, errors and duration.
//! Requests within a stream have their own codes, inside the stream's messages, while the stream itself ends
//! with `OK`; they are counted separately.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::Status;
use vigie_rpc::{Code, code};
use vigie_telemetry::names;

/// The durations of calls.
#[derive(Debug, Clone)]
pub(crate) struct CallDurations {
    durations: Family<Labels, Histogram>,
    stream_requests: Family<Labels, Counter>,
}

impl Default for CallDurations {
    fn default() -> Self {
        Self {
            durations: Family::new_with_constructor(|| Histogram::new(names::DURATION_BOUNDS)),
            stream_requests: Family::default(),
        }
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
            // The conventions require this label for failed calls and only for those.
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

    pub(crate) fn register_stream_requests(&self, registry: &mut Registry) {
        registry.register(
            "stream_requests",
            "Requests within streams that were answered, by method and code",
            self.stream_requests.clone(),
        );
    }

    /// Creates the counter for the requests of this method's streams, at zero.
    pub(crate) fn expect_stream_requests(&self, method: &Arc<str>) {
        drop(
            self.stream_requests.get_or_create_owned(&Labels { method: Arc::clone(method), code: Code::Ok }),
        );
    }

    pub(crate) fn stream_requests(&self, method: &Arc<str>) -> StreamRequests {
        let of = Counted { method: Arc::clone(method), ended: self.stream_requests.clone() };
        StreamRequests { of: Some(of) }
    }

    pub(crate) fn observe(&self, method: &Arc<str>, code: Code, took: Duration) {
        let labels = Labels { method: Arc::clone(method), code };
        self.durations.get_or_create_owned(&labels).observe(took.as_secs_f64());
    }
}

/// Counts the requests of one stream by their codes. Clones share the counters.
#[derive(Debug, Clone, Default)]
pub struct StreamRequests {
    of: Option<Counted>,
}

#[derive(Debug, Clone)]
struct Counted {
    method: Arc<str>,
    ended: Family<Labels, Counter>,
}

impl StreamRequests {
    /// Returns the counter of a call that takes a stream of requests. For any other call, and outside a
    /// server, it counts nothing.
    #[must_use]
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Counts a request with this outcome.
    pub fn ended<T>(&self, outcome: &Result<T, Status>) {
        if let Some(Counted { method, ended }) = &self.of {
            let code = outcome.as_ref().err().map_or(Code::Ok, Status::code);
            ended.get_or_create_owned(&Labels { method: Arc::clone(method), code }).inc();
        }
    }
}
