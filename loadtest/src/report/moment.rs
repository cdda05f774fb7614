//! Date and time for people.

use time::OffsetDateTime;

/// Returns date and time in UTC, such as `2026-11-28 19:20:57 UTC`, of milliseconds since 1970.
pub(crate) fn moment(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1_000).ok();
    let Some(at) = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()) else {
        return format!("{unix_ms} ms after 1970");
    };
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_and_times_of_utc() {
        for (unix_s, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_709_164_800, "2024-02-29 00:00:00 UTC"),
            (1_795_893_657, "2026-11-28 19:20:57 UTC"),
        ] {
            assert_eq!(moment(unix_s * 1_000), expected);
        }
    }
}
