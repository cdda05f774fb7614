//! The deadline of a command's calls.

use std::time::Duration;

use vigie_clients::Deadline;

/// Returns the deadline that is `timeout_ms` milliseconds from now.
pub(crate) fn deadline(timeout_ms: u64) -> Deadline {
    Deadline::now() + Duration::from_millis(timeout_ms)
}
