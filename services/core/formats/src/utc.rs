//! Times as programmes write them: `2026-11-28T03:46:14Z`, in UTC.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use vigie_model::UnixMillis;

/// Writes a time to the second: `2026-11-28T03:46:14Z`. A time after the year 9999 is written as the end of
/// that year.
#[must_use]
pub fn to_text(at: UnixMillis) -> String {
    let last = PrimitiveDateTime::MAX.assume_utc().unix_timestamp();
    let seconds = i64::try_from(at.0 / 1_000).unwrap_or(last).min(last);
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", at.hour(), at.minute(), at.second())
}

/// Reads a time after 1970 with an optional fraction of a second, and `Z` or an offset such as `+01:00`;
/// `None` for other text.
#[must_use]
pub fn from_text(text: &str) -> Option<UnixMillis> {
    let text = text.trim();
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => return None,
    };
    let [year, month, day] = numbers(date, '-')?;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':')?;
    let byte = |number: u32| u8::try_from(number).ok();
    let time =
        Time::from_hms_milli(byte(hour)?, byte(minute)?, byte(second)?, milliseconds(fraction)?).ok()?;
    let at = PrimitiveDateTime::new(date, time).assume_offset(offset_of(offset)?);
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(UnixMillis)
}

/// Reads three numbers that consist only of digits.
fn numbers(text: &str, separator: char) -> Option<[u32; 3]> {
    let mut parts = text.split(separator).map(digits);
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

fn digits(text: &str) -> Option<u32> {
    let is_fit = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_fit { text.parse().ok() } else { None }
}

/// Reads the first three digits of a fraction of a second as milliseconds.
fn milliseconds(fraction: &str) -> Option<u16> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction}00").get(..3)?.parse().ok()
}

fn offset_of(text: &str) -> Option<UtcOffset> {
    if text.eq_ignore_ascii_case("z") {
        return Some(UtcOffset::UTC);
    }
    let (sign, clock) = match text.split_at_checked(1)? {
        ("+", clock) => (1, clock),
        ("-", clock) => (-1, clock),
        _ => return None,
    };
    let (hours, minutes) = clock.split_once(':').or_else(|| clock.split_at_checked(2))?;
    let part = |text| digits(text).and_then(|number| i8::try_from(number).ok()).map(|number| sign * number);
    UtcOffset::from_hms(part(hours)?, part(minutes)?, 0).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_moment_reads_back(seconds in 0_u64..253_402_300_800) {
            let at = UnixMillis(seconds * 1_000);
            prop_assert_eq!(from_text(&to_text(at)), Some(at));
        }

        #[test]
        fn any_text_is_read_without_a_fault(text: String) {
            let _ = from_text(&text);
        }
    }

    #[test]
    fn moments_are_read_in_the_forms_that_programmes_write() {
        let at = Some(UnixMillis(1_795_837_574_000));
        for text in ["2026-11-28T03:46:14Z", " 2026-11-28T04:46:14+01:00 ", "2026-11-28T02:16:14-0130"] {
            assert_eq!(from_text(text), at, "{text}");
        }
        assert_eq!(from_text("2026-11-28T03:46:14.0059Z"), Some(UnixMillis(1_795_837_574_005)));
        for text in ["", "2026-11-28", "2026-11-28T03:46:14", "2026-13-28T03:46:14Z", "1969-12-31T00:00:00Z"]
        {
            assert_eq!(from_text(text), None, "{text}");
        }
        assert_eq!(to_text(UnixMillis(u64::MAX)), "9999-12-31T23:59:59Z");
    }
}
