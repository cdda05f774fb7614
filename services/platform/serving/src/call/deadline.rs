//! The time that a call has left: read where it arrives, kept while it is worked on.
//!
//! tonic cuts a call off at its `grpc-timeout` and answers `CANCELLED`, as if the caller had gone. So a service keeps
//! a deadline of its own, a little earlier, answers `DEADLINE_EXCEEDED` itself, and passes what is left to the
//! services it calls.

use std::future::Future;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::config::ServingConfig;

/// What is kept back of a caller's time, to get the answer to it: a tenth, at most this.
const MARGIN_MAX: Duration = Duration::from_millis(20);

/// When the call with these headers has to be answered.
#[must_use]
pub fn of(metadata: &MetadataMap, config: &ServingConfig) -> Instant {
    let asked = metadata.get("grpc-timeout").and_then(|value| parse(value.as_encoded_bytes()));
    let longest = Duration::from_millis(config.deadline_ms_max);
    let given = asked.unwrap_or(Duration::from_millis(config.deadline_ms_default)).min(longest);
    Instant::now() + (given - MARGIN_MAX.min(given / 10))
}

/// Runs `work` until the deadline; `DEADLINE_EXCEEDED` after it.
pub async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::time::timeout_at(deadline, work)
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("the call's time is spent")))
}

/// The time that the caller of a call with these headers gives it.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get("grpc-timeout")?.as_bytes())
}

/// Reads a `grpc-timeout`: up to eight digits and a unit (gRPC over HTTP/2, "Timeout").
fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(value * 3_600)),
        b'M' => Some(Duration::from_secs(value * 60)),
        b'S' => Some(Duration::from_secs(value)),
        b'm' => Some(Duration::from_millis(value)),
        b'u' => Some(Duration::from_micros(value)),
        b'n' => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_in_every_unit() {
        let cases = [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("", None),
            ("m", None),
            ("1", None),
            ("-1m", None),
            ("123456789m", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_gets_the_shorter_of_its_own_time_and_the_servers() {
        let config =
            ServingConfig { deadline_ms_default: 1_000, deadline_ms_max: 2_000, ..Default::default() };
        let check = |timeout: Option<&'static str>, expected_ms: u64| {
            let mut metadata = MetadataMap::new();
            if let Some(timeout) = timeout {
                metadata.insert("grpc-timeout", timeout.parse().unwrap());
            }
            let left = of(&metadata, &config) - Instant::now();
            assert_eq!(left, Duration::from_millis(expected_ms), "{timeout:?}");
        };
        check(None, 980);
        check(Some("150m"), 135);
        check(Some("20m"), 18);
        check(Some("1H"), 1_980);
    }

    #[tokio::test(start_paused = true)]
    async fn work_past_its_deadline_is_answered_for() {
        let never = std::future::pending::<Result<(), Status>>();
        let status = within(Instant::now() + Duration::from_secs(1), never).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    }
}
