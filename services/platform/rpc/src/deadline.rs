//! The deadline of a call: read from its headers, kept while the call is worked on, and passed on to the next
//! service.
//!
//! tonic's server ends a call at its `grpc-timeout` and answers `CANCELLED`, as if the caller had gone. So
//! each side keeps its own deadline. A service's deadline is a little earlier than its caller's, so that it
//! answers `DEADLINE_EXCEEDED` itself; a caller passes on a little less time than it has, so that the answer
//! has time to return.

use std::future::Future;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::Status;

/// gRPC's header for timeouts.
const HEADER: &str = "grpc-timeout";
/// The margin that a service reserves for the way of its answer to the caller: a tenth of the time, at most
/// this.
const SERVER_MARGIN_MAX: Duration = Duration::from_millis(20);
/// The margin that a caller reserves for the way of the answer from the service: a tenth of the time, at most
/// this.
const CLIENT_MARGIN_MAX: Duration = Duration::from_millis(2);

/// Returns the instant by which the call with these headers has to be answered. A call without a deadline
/// gets `default`; no call gets more than `longest`.
#[must_use]
pub fn read(headers: &HeaderMap, default: Duration, longest: Duration) -> Instant {
    let given = asked(headers).unwrap_or(default).min(longest);
    Instant::now() + (given - SERVER_MARGIN_MAX.min(given / 10))
}

/// Returns the timeout that the caller set in these headers, if it is valid.
#[must_use]
pub fn asked(headers: &HeaderMap) -> Option<Duration> {
    parse(headers.get(HEADER)?.as_bytes())
}

/// Returns the time that a caller with `left` of its own time passes on to the service that it calls.
#[must_use]
pub fn passed_on(left: Duration) -> Duration {
    left - CLIENT_MARGIN_MAX.min(left / 10)
}

/// Runs `work` until the deadline; `DEADLINE_EXCEEDED` after it.
pub async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    tokio::time::timeout_at(deadline, work)
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("the call's deadline passed")))
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
    use http::HeaderValue;

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
        let (default, longest) = (Duration::from_secs(1), Duration::from_secs(2));
        let check = |timeout: Option<&'static str>, expected_ms: u64| {
            let mut headers = HeaderMap::new();
            if let Some(timeout) = timeout {
                headers.insert(HEADER, HeaderValue::from_static(timeout));
            }
            let left = read(&headers, default, longest) - Instant::now();
            assert_eq!(left, Duration::from_millis(expected_ms), "{timeout:?}");
        };
        check(None, 980);
        check(Some("150m"), 135);
        check(Some("20m"), 18);
        check(Some("1H"), 1_980);
    }

    #[test]
    fn a_caller_keeps_a_tenth_of_its_time_at_most_two_milliseconds() {
        for (left_us, passed_us) in [(0, 0), (10_000, 9_000), (20_000, 18_000), (1_000_000, 998_000)] {
            assert_eq!(passed_on(Duration::from_micros(left_us)), Duration::from_micros(passed_us));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_past_its_deadline_is_answered_for() {
        let never = std::future::pending::<Result<(), Status>>();
        let status = within(Instant::now() + Duration::from_secs(1), never).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    }
}
