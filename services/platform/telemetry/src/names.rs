//! The names that OpenTelemetry gives to what many services tell of remote calls, in one place: its semantic conventions for
//! RPC are a release candidate (version 1.40, `opentelemetry.io/docs/specs/semconv/rpc`), and may change once more.
//!
//! Prometheus takes no dots: a metric's name is written with underscores and ends with its unit, as the conventions'
//! mapping says (`opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics`).

/// How long calls took that a server answered, in seconds: `rpc.server.call.duration`.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc_server_call_duration_seconds";
/// Label: which kind of remote call, `rpc.system.name`.
pub const RPC_SYSTEM_NAME: &str = "rpc_system_name";
/// Its value: gRPC.
pub const GRPC: &str = "grpc";
/// Label: the method, `rpc.method`, as `package.Service/Method`.
pub const RPC_METHOD: &str = "rpc_method";
/// Its value for what the server does not know, of which a caller could make up any number.
pub const OTHER: &str = "_OTHER";
/// Label: how it ended, `rpc.response.status_code`, in gRPC's words such as `OK`.
pub const RPC_RESPONSE_STATUS_CODE: &str = "rpc_response_status_code";

/// Label: on calls that failed by a fault of the server, its code once more, `error.type`.
pub const ERROR_TYPE: &str = "error_type";

/// The bounds of durations in seconds: those that the conventions advise, and some below them, since most searches take
/// about a millisecond.
pub const DURATION_BOUNDS: [f64; 18] = [
    0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    7.5, 10.0,
];

/// The same three on spans, where dots are allowed.
pub(crate) const SPAN_RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// See [`SPAN_RPC_SYSTEM_NAME`].
pub(crate) const SPAN_RPC_METHOD: &str = "rpc.method";
/// See [`SPAN_RPC_SYSTEM_NAME`].
pub(crate) const SPAN_RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";
/// On a span that is an error: its code.
pub(crate) const SPAN_ERROR_TYPE: &str = "error.type";
/// On the span of a client: the host that is called, and its port.
pub(crate) const SPAN_SERVER_ADDRESS: &str = "server.address";
/// See [`SPAN_SERVER_ADDRESS`].
pub(crate) const SPAN_SERVER_PORT: &str = "server.port";

/// Of the resource: the service that tells, such as `vigie-frontend`.
pub(crate) const SERVICE_NAME: &str = "service.name";
/// Of the resource: what the service is part of.
pub(crate) const SERVICE_NAMESPACE: &str = "service.namespace";
/// Of the resource: which version it is.
pub(crate) const SERVICE_VERSION: &str = "service.version";
/// Of the resource: which process it is, at random.
pub(crate) const SERVICE_INSTANCE_ID: &str = "service.instance.id";
