//! The telemetry of a process for its operator: logs, metrics, traces, and readiness.
//!
//! Always true: no hash and no content is in a log, a metric or a trace. Messages are lower-case fragments
//! with fields; ERROR means that a person must look. Metrics and probes are served in plain text to anybody
//! who can reach the address, so that a probe needs no certificate: they contain numbers and reasons, and
//! nothing that came with a call.
//!
//! Reading order: [`init_logs`], [`CapturedLog`]; [`Telemetry`], to which a role gives its metrics and its
//! [`Condition`]; [`TelemetryConfig`]; [`serve`], which serves both over HTTP, and [`Shown`], of one role or
//! of several; [`names`] and [`register_gauge`]; `process` (memory, time and files of the process);
//! [`OpenFiles`]; [`ask`], the client of a probe; [`trace`].

mod logs;
mod captured;
mod config;
mod telemetry;
mod serve;
mod process;
mod together;
mod open_files;
mod ask;
pub mod names;
mod sampled;
pub mod trace;

pub use ask::{AskError, Readiness, ask};
pub use captured::CapturedLog;
pub use config::TelemetryConfig;
pub use logs::{LogFormat, init_logs};
pub use open_files::OpenFiles;
pub use prometheus_client::registry::Registry;
pub use sampled::{register_counters, register_gauge, register_gauges, register_optional_gauge};
pub use serve::serve;
pub use telemetry::{Condition, Telemetry};
pub use together::Shown;
