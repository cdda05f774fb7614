//! The methods of a server, by the path of a call. All other paths count as one method, [`names::OTHER`],
//! which bounds the labels of metrics and the names of spans.

use std::collections::HashMap;
use std::sync::Arc;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use vigie_telemetry::names;

/// The methods of one server.
#[derive(Debug, Clone)]
pub(crate) struct Methods {
    /// The methods, by path.
    known: Arc<HashMap<String, Method>>,
    other: Method,
}

/// The properties of a method.
#[derive(Debug, Clone)]
pub(crate) struct Method {
    pub(crate) name: Arc<str>,
    pub(crate) traced: Traced,
    pub(crate) has_one_message: HasOneMessage,
}

/// Whether a method's request is a single message, rather than a stream of any number. An extension of each
/// request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HasOneMessage(pub(crate) bool);

/// Whether and how the calls of a method are traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traced {
    /// Traced as calls.
    AsCalls,
    /// Traced as streams, which may last for any time.
    AsStreams,
    /// Not traced: health checks, reflection, and paths that are no method.
    Never,
}

impl Methods {
    /// Returns the methods that these descriptors list for `services` and for `untraced`; calls of `untraced`
    /// services are not traced.
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

    /// Returns whether the server has a method with this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.known.contains_key(path)
    }

    /// Returns the names of the methods that take a stream of requests, without those of the services that
    /// all servers share.
    pub(crate) fn of_streams(&self) -> impl Iterator<Item = &Arc<str>> {
        let of_streams = self.known.values().filter(|method| method.has_one_message == HasOneMessage(false));
        of_streams.filter(|method| method.traced != Traced::Never).map(|method| &method.name)
    }

    /// Returns the method as which a call of this path is counted.
    pub(crate) fn at(&self, path: &str) -> &Method {
        self.known.get(path).unwrap_or(&self.other)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::registry::Registry;
    use tonic::Code;

    use super::*;
    use crate::durations::CallDurations;

    fn methods() -> Methods {
        let descriptors =
            [tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET];
        let untraced = ["grpc.reflection.v1.ServerReflection"];
        Methods::of(&descriptors, &["grpc.health.v1.Health"], &untraced).unwrap()
    }

    #[test]
    fn a_method_of_the_server_has_its_name_and_all_others_share_one() {
        let methods = methods();
        for (method, traced) in [
            ("grpc.health.v1.Health/Check", Traced::AsCalls),
            ("grpc.health.v1.Health/Watch", Traced::AsStreams),
            ("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Traced::Never),
        ] {
            let known = methods.at(&format!("/{method}"));
            assert_eq!((&*known.name, known.traced), (method, traced));
        }
        // A method of another server, an unknown method, and paths that name none.
        for path in ["/vigie.bank.v1.BankService/AddItems", "/grpc.health.v1.Health/Nothing", "/", ""] {
            let other = methods.at(path);
            assert_eq!((&*other.name, other.traced), (names::OTHER, Traced::Never), "{path}");
        }
    }

    #[test]
    fn whatever_callers_make_up_there_are_no_more_lines_than_methods_and_codes() {
        let (methods, durations) = (methods(), CallDurations::default());
        for made_up in 0..10_000 {
            let method = methods.at(&format!("/grpc.health.v1.Health/{made_up}"));
            durations.observe(&method.name, Code::from_i32(made_up % 17), Duration::from_millis(1));
        }
        let mut registry = Registry::default();
        durations.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains("_count{")).count(), 17);
        let line = "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",rpc_method=\"_OTHER\",\
                    rpc_response_status_code=\"OK\"}";
        assert!(text.contains(line), "{text}");
    }
}
