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
use vigie_rpc::code;
use vigie_telemetry::names;

/// The methods of one server.
#[derive(Debug, Clone)]
pub(crate) struct Methods {
    /// By path.
    known: Arc<HashMap<String, Method>>,
    other: Method,
}

/// What is known of a method.
#[derive(Debug, Clone)]
pub(crate) struct Method {
    pub(crate) name: Arc<str>,
    pub(crate) traced: Traced,
    pub(crate) has_one_message: HasOneMessage,
}

/// Whether its requests are one message, and not a stream of any number. An extension of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HasOneMessage(pub(crate) bool);

/// Whether its calls are traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traced {
    /// They are.
    AsCalls,
    /// They are, and may last for as long as they like.
    AsStreams,
    /// Signs of life, and what is no method.
    Never,
}

impl Methods {
    /// The methods that these descriptors tell of these services; calls of `untraced` services are not traced.
    pub(crate) fn of(
        descriptors: &[&[u8]],
        services: &[&str],
        untraced: &[&str],
    ) -> Result<Self, prost::DecodeError> {
        let mut known = HashMap::new();
        for encoded in descriptors {
            for file in FileDescriptorSet::decode(*encoded)?.file {
                for service in &file.service {
                    let service_name = format!("{}.{}", file.package(), service.name());
                    let is_traced = services.contains(&service_name.as_str());
                    if !is_traced && !untraced.contains(&service_name.as_str()) {
                        continue;
                    }
                    for method in &service.method {
                        let name = format!("{service_name}/{}", method.name());
                        let is_stream = method.client_streaming() || method.server_streaming();
                        let traced = match (is_traced, is_stream) {
                            (false, _) => Traced::Never,
                            (true, false) => Traced::AsCalls,
                            (true, true) => Traced::AsStreams,
                        };
                        let has_one_message = HasOneMessage(!method.client_streaming());
                        known.insert(
                            format!("/{name}"),
                            Method { name: name.into(), traced, has_one_message },
                        );
                    }
                }
            }
        }
        let has_one_message = HasOneMessage(false);
        let other = Method { name: names::OTHER.into(), traced: Traced::Never, has_one_message };
        Ok(Self { known: known.into(), other })
    }

    /// What a call of this path is counted as.
    pub(crate) fn at(&self, path: &str) -> &Method {
        self.known.get(path).unwrap_or(&self.other)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn methods() -> Methods {
        let descriptors = [vigie_proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET];
        Methods::of(&descriptors, &["vigie.matching.v1.MatchService"], &["grpc.health.v1.Health"]).unwrap()
    }

    #[test]
    fn a_method_of_the_server_has_its_name_and_all_others_share_one() {
        let methods = methods();
        for (method, traced) in [
            ("vigie.matching.v1.MatchService/Match", Traced::AsCalls),
            ("vigie.matching.v1.MatchService/MatchStream", Traced::AsStreams),
            ("grpc.health.v1.Health/Check", Traced::Never),
        ] {
            let known = methods.at(&format!("/{method}"));
            assert_eq!((&*known.name, known.traced), (method, traced));
        }
        // Of another server, of nobody, and what is no path of a method.
        for path in
            ["/vigie.bank.v1.BankService/AddItems", "/vigie.matching.v1.MatchService/Nothing", "/", ""]
        {
            let other = methods.at(path);
            assert_eq!((&*other.name, other.traced), (names::OTHER, Traced::Never), "{path}");
        }
    }

    #[test]
    fn whatever_callers_make_up_there_are_no_more_lines_than_methods_and_codes() {
        let (methods, durations) = (methods(), CallDurations::default());
        for made_up in 0..10_000 {
            let method = methods.at(&format!("/vigie.matching.v1.MatchService/{made_up}"));
            durations.observe(&method.name, Code::from_i32(made_up % 17), Duration::from_millis(1));
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
