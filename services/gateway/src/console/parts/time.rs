//! Timestamps in a readable form.

use maud::{Markup, html};
use time::OffsetDateTime;
use vigie_model::UnixMillis;

use crate::console::visit::Visit;

/// Renders a timestamp relative to now ("3 hours ago"), with its date and time (UTC) on demand.
pub(crate) fn time(visit: &Visit, at: UnixMillis) -> Markup {
    let full = date(at);
    html! { time datetime=(full.replace(' ', "T") + "Z") title={ (full) " UTC" } { (distance(visit, visit.now, at, &full)) } }
}

/// Returns a timestamp relative to `now`, which may be later than the arrival of the request.
pub(crate) fn age(visit: &Visit, now: UnixMillis, at: UnixMillis) -> String {
    distance(visit, now, at, &date(at))
}

/// Formats a timestamp in UTC, to the second: `2026-11-28 16:20:05`.
pub(crate) fn date(at: UnixMillis) -> String {
    let seconds = i64::try_from(at.0 / 1_000).ok();
    let Some(at) = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()) else {
        return format!("{} ms", at.0);
    };
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// Formats the time between a timestamp and now in its largest unit; from 30 days on, the date.
fn distance(visit: &Visit, now: UnixMillis, at: UnixMillis, full: &str) -> String {
    let (now, at) = (now.0, at.0);
    let seconds = now.abs_diff(at) / 1_000;
    let (unit, count) = match seconds {
        0..60 => ("second", seconds),
        60..3_600 => ("minute", seconds / 60),
        3_600..86_400 => ("hour", seconds / 3_600),
        86_400..2_592_000 => ("day", seconds / 86_400),
        _ => return full.get(..10).unwrap_or(full).to_owned(),
    };
    if count == 0 {
        return visit.t("parts.time.now").to_owned();
    }
    let direction = if at > now { "in" } else { "ago" };
    visit.count(&format!("parts.time.{direction}.{unit}"), count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_to_the_second_in_utc() {
        assert_eq!(date(UnixMillis(0)), "1970-01-01 00:00:00");
        assert_eq!(date(UnixMillis(1_795_882_805_999)), "2026-11-28 16:20:05");
        assert_eq!(date(UnixMillis(u64::MAX)), "18446744073709551615 ms");
    }
}
