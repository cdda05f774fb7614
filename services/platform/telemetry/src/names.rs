//! The names that OpenTelemetry defines for measures of remote calls, in one place: its semantic conventions
//! for RPC are a release candidate (version 1.40, `opentelemetry.io/docs/specs/semconv/rpc`), and may change
//! once more.
//!
//! Prometheus allows no dots: a metric's name is written with underscores and ends with its unit, according
//! to the conventions' mapping (`opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics`).

/// The duration of calls that a server answered, in seconds: `rpc.server.call.duration`.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc_server_call_duration_seconds";
/// Label: the kind of remote call, `rpc.system.name`.
pub const RPC_SYSTEM_NAME: &str = "rpc_system_name";
/// The value of that label: gRPC.
pub const GRPC: &str = "grpc";
/// Label: the method, `rpc.method`, as `package.Service/Method`.
pub const RPC_METHOD: &str = "rpc_method";
/// The value of that label for methods that the server does not have, which a caller could invent in any
/// number.
pub const OTHER: &str = "_OTHER";
/// Label: the outcome, `rpc.response.status_code`, in gRPC's words such as `OK`.
pub const RPC_RESPONSE_STATUS_CODE: &str = "rpc_response_status_code";

/// Label: the code again, on calls that failed because of a fault of the server, `error.type`.
pub const ERROR_TYPE: &str = "error_type";

/// The bounds of durations in seconds: those that the conventions recommend, and some below them, because
/// most searches take about a millisecond.
pub const DURATION_BOUNDS: [f64; 18] = [
    0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    7.5, 10.0,
];

/// Span attribute, in which dots are allowed: the kind of remote call.
pub(crate) const SPAN_RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// Span attribute: the method.
pub(crate) const SPAN_RPC_METHOD: &str = "rpc.method";
/// Span attribute: the outcome.
pub(crate) const SPAN_RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";
/// Span attribute of errors: the code.
pub(crate) const SPAN_ERROR_TYPE: &str = "error.type";
/// Span attribute of clients: the host that is called.
pub(crate) const SPAN_SERVER_ADDRESS: &str = "server.address";
/// Span attribute of clients: the port that is called.
pub(crate) const SPAN_SERVER_PORT: &str = "server.port";

/// Resource attribute: the service that reports, such as `vigie-frontend`.
pub(crate) const SERVICE_NAME: &str = "service.name";
/// Resource attribute: the system to which the service belongs.
pub(crate) const SERVICE_NAMESPACE: &str = "service.namespace";
/// Resource attribute: the version of the service.
pub(crate) const SERVICE_VERSION: &str = "service.version";
/// Resource attribute: the process, as a random id.
pub(crate) const SERVICE_INSTANCE_ID: &str = "service.instance.id";
