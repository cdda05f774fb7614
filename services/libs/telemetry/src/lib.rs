//! Logs, and the metrics registry that is passed to each service.
//!
//! Always true: no hash and no content in a log or a metric. Messages are lower-case fragments with fields; ERROR
//! means that a person must look.

mod logs;

pub use logs::{LogFormat, init_logs};
pub use prometheus_client::registry::Registry;
