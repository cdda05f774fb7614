//! Formats times for people, and returns the present time.

use time::OffsetDateTime;
use vigie_model::UnixMillis;

/// Formats a time to the minute, in UTC: `2026-11-28 16:20`.
pub(crate) fn date(at: UnixMillis) -> String {
    let seconds = i64::try_from(at.0 / 1_000).ok();
    let Some(at) = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()) else {
        return format!("{} ms", at.0);
    };
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", at.hour(), at.minute())
}

/// Formats a time to the second, in UTC, as it is typed: `2026-11-28T16:20:05`.
pub(crate) fn to_the_second(at: UnixMillis) -> String {
    format!("{}:{:02}", date(at).replace(' ', "T"), at.0 / 1_000 % 60)
}

/// Returns the present time of this machine's clock.
pub(crate) fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_to_the_minute_in_utc() {
        assert_eq!(date(UnixMillis(0)), "1970-01-01 00:00");
        assert_eq!(date(UnixMillis(951_782_399_999)), "2000-02-28 23:59");
        assert_eq!(date(UnixMillis(1_795_882_800_000)), "2026-11-28 16:20");
        assert_eq!(to_the_second(UnixMillis(1_795_882_805_999)), "2026-11-28T16:20:05");
        assert_eq!(date(UnixMillis(u64::MAX)), "18446744073709551615 ms");
    }
}
