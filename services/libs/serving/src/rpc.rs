//! How long each method's calls take, and how they end: rate, errors and duration in one histogram.
//!
//! Its labels are bounded: a method is one that this server has, and everything else together is [`names::OTHER`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;
use vigie_telemetry::names;

/// The methods of one server.
#[derive(Debug, Clone)]
pub(crate) struct Methods {
    /// By path.
    known: Arc<HashMap<String, Arc<str>>>,
    other: Arc<str>,
}

impl Methods {
    /// The methods that these descriptors tell of these services.
    pub(crate) fn of(descriptors: &[&[u8]], services: &[&str]) -> Result<Self, prost::DecodeError> {
        let mut known = HashMap::new();
        for encoded in descriptors {
            for file in FileDescriptorSet::decode(*encoded)?.file {
                for service in &file.service {
                    let name = format!("{}.{}", file.package(), service.name());
                    if services.contains(&name.as_str()) {
                        let methods = service.method.iter().map(|method| format!("{name}/{}", method.name()));
                        known.extend(methods.map(|method| (format!("/{method}"), method.into())));
                    }
                }
            }
        }
        Ok(Self { known: known.into(), other: names::OTHER.into() })
    }

    /// What a call of this path is counted as.
    pub(crate) fn name(&self, path: &str) -> Arc<str> {
        Arc::clone(self.known.get(path).unwrap_or(&self.other))
    }
}

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
    code: &'static str,
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let labels = [
            (names::RPC_SYSTEM_NAME, names::GRPC),
            (names::RPC_METHOD, &*self.method),
            (names::RPC_RESPONSE_STATUS_CODE, self.code),
        ];
        labels.encode(encoder)
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
        let labels = Labels { method: Arc::clone(method), code: code_name(code) };
        self.durations.get_or_create_owned(&labels).observe(took.as_secs_f64());
    }
}

/// A code as gRPC writes it (grpc.io/docs/guides/status-codes).
pub(crate) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn methods() -> Methods {
        let descriptors = [vigie_proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET];
        Methods::of(&descriptors, &["vigie.matching.v1.MatchService", "grpc.health.v1.Health"]).unwrap()
    }

    #[test]
    fn a_method_of_the_server_has_its_name_and_all_others_share_one() {
        let methods = methods();
        let known = ["vigie.matching.v1.MatchService/Match", "grpc.health.v1.Health/Check"];
        for method in known {
            assert_eq!(&*methods.name(&format!("/{method}")), method);
        }
        // Of another server, of nobody, and what is no path of a method.
        for path in
            ["/vigie.bank.v1.BankService/AddItems", "/vigie.matching.v1.MatchService/Nothing", "/", ""]
        {
            assert_eq!(&*methods.name(path), names::OTHER, "{path}");
        }
    }

    #[test]
    fn whatever_callers_make_up_there_are_no_more_lines_than_methods_and_codes() {
        let (methods, durations) = (methods(), CallDurations::default());
        for made_up in 0..10_000 {
            let method = methods.name(&format!("/vigie.matching.v1.MatchService/{made_up}"));
            durations.observe(&method, Code::from_i32(made_up % 17), Duration::from_millis(1));
        }
        let mut registry = Registry::default();
        durations.register(&mut registry);
        let mut told = String::new();
        prometheus_client::encoding::text::encode(&mut told, &registry).unwrap();
        assert_eq!(told.lines().filter(|line| line.contains("_count{")).count(), 17);
        let line = "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",rpc_method=\"_OTHER\",\
                    rpc_response_status_code=\"OK\"}";
        assert!(told.contains(line), "{told}");
    }
}
