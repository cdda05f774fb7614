//! Moments and spans of time as they are typed.

use std::str::FromStr;
use std::time::Duration;

use time::{Date, Month, Time};
use vigie_consortium::Expiry;
use vigie_model::UnixMillis;

/// When a right ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Never.
    Never,
    /// So long from now.
    After(Duration),
    /// At a moment.
    At(UnixMillis),
}

/// The accepted forms of a [`When`], for error messages.
const FORMS: &str =
    "write a duration (90m, 12h, 30d, 8w), a date or moment in UTC (2027-01-31, 2027-01-31T18:00), or never";
/// The largest year that a date may have: four digits.
const YEAR_MAX: i32 = 9_999;

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Some(at) = moment(text) {
            return Ok(Self::At(at));
        }
        match span(text) {
            Ok(after) if !after.is_zero() => Ok(Self::After(after)),
            Ok(_) | Err(_) => Err(FORMS.to_owned()),
        }
    }
}

impl When {
    /// The end of a right that is given now.
    ///
    /// # Errors
    ///
    /// The moment is over; the error names the argument.
    pub(crate) fn expiry(self, argument: &str, now: UnixMillis) -> anyhow::Result<Expiry> {
        match self {
            Self::Never => Ok(Expiry::NEVER),
            Self::After(span) => {
                let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
                Ok(Expiry::at(UnixMillis(now.0.saturating_add(millis))))
            }
            Self::At(at) => {
                anyhow::ensure!(at > now, "{argument} is in the past");
                Ok(Expiry::at(at))
            }
        }
    }
}

/// Since when something is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Duration),
    /// A moment.
    At(UnixMillis),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(at) = moment(text) {
            return Ok(Self::At(at));
        }
        let forms =
            "write how long ago (90m, 12h, 2d), or a date or moment in UTC (2027-01-31, 2027-01-31T18:00)";
        span(text).map(Self::Ago).map_err(|_| forms.to_owned())
    }
}

impl Since {
    /// The moment.
    pub(crate) fn moment(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::Ago(span) => {
                let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
                UnixMillis(now.0.saturating_sub(millis))
            }
            Self::At(at) => at,
        }
    }
}

/// A duration: a number with `s`, `m`, `h`, `d` or `w`, or 0.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "write a duration as 90m, 12h, 30d or 8w, or 0".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
    Ok(Duration::from_secs(number.checked_mul(unit).ok_or_else(wrong)?))
}

/// `2027-01-31`, its beginning; `2027-01-31T18:00` or `2027-01-31T18:00:05`, with a space or a `T`, and with
/// or without a `Z`: UTC all of them.
fn moment(text: &str) -> Option<UnixMillis> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let year = i32::try_from(year).ok().filter(|year| (1970..=YEAR_MAX).contains(year))?;
    let date = Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok()?;
    let time = match time {
        None => Time::MIDNIGHT,
        Some(time) => {
            let of_minutes = || numbers(time, ':', [2, 2]).map(|[hour, minute]| [hour, minute, 0]);
            let [hour, minute, second] = numbers(time, ':', [2, 2, 2]).or_else(of_minutes)?;
            let part = |number: u32| u8::try_from(number).ok();
            Time::from_hms(part(hour)?, part(minute)?, part(second)?).ok()?
        }
    };
    let seconds = date.with_time(time).assume_utc().unix_timestamp();
    Some(UnixMillis(u64::try_from(seconds).ok()?.checked_mul(1_000)?))
}

/// Numbers of so many digits each, with a character between two.
fn numbers<const COUNT: usize>(text: &str, between: char, digits: [usize; COUNT]) -> Option<[u32; COUNT]> {
    let mut parts = text.split(between);
    let mut all = [0; COUNT];
    for (number, digits) in all.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_fit = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_fit)?;
    }
    parts.next().is_none().then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 86_400;

    #[test]
    fn durations_dates_and_never_are_read() {
        let after = |seconds| When::After(Duration::from_secs(seconds));
        let at = |seconds: u64| When::At(UnixMillis(seconds * 1_000));
        for (text, expected) in [
            ("never", When::Never),
            ("90m", after(5_400)),
            ("12h", after(43_200)),
            ("30d", after(30 * DAY_S)),
            ("8w", after(56 * DAY_S)),
            ("1970-01-02", at(DAY_S)),
            ("2000-02-29", at(951_782_400)),
            ("2026-11-28T16:20", at(1_795_882_800)),
            ("2026-11-28 16:20", at(1_795_882_800)),
            ("2026-11-28T16:20Z", at(1_795_882_800)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "0",
            "0d",
            "d",
            "+3d",
            "3",
            "3y",
            "-3d",
            "é",
            "2027",
            "2027-1-31",
            "2027-02-29",
            "1969-12-31",
            "10000-01-01",
            "2027-01-31T24:00",
            "2027-01-31T18",
            "2027-01-31-01",
            "99999999999999999999d",
        ] {
            assert_eq!(bad.parse::<When>(), Err(FORMS.to_owned()), "{bad}");
        }
    }

    #[test]
    fn the_end_of_a_right_lies_ahead() {
        let now = UnixMillis(1_000_000);
        assert_eq!(When::Never.expiry("--expires", now).unwrap(), Expiry::NEVER);
        let after = When::After(Duration::from_secs(5)).expiry("--expires", now).unwrap();
        assert_eq!(after, Expiry::at(UnixMillis(1_005_000)));
        assert_eq!(When::At(UnixMillis(1_000_001)).expiry("--expires", now).unwrap().to_wire(), 1_000_001);
        assert!(When::At(now).expiry("--expires", now).is_err());
    }

    #[test]
    fn an_overlap_may_be_nothing() {
        assert_eq!(span("0"), Ok(Duration::ZERO));
        assert_eq!(span("45s"), Ok(Duration::from_secs(45)));
        assert!(span("never").is_err());
    }
}
