//! Months and days of the UTC calendar.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use thiserror::Error;
use vigie_model::UnixMillis;

const DAY_MS: u64 = 86_400_000;

/// A month of the UTC calendar, from 1970-01 to 7430-12. Displayed as `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Month(u16);

/// The text or the number is not a valid [`Month`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a month is a year from {min} to {max} and a month from 01 to 12, as in 2026-11", min = Month::YEAR_MIN, max = Month::YEAR_MAX)]
pub struct MonthError;

impl Month {
    /// The first year.
    pub const YEAR_MIN: u16 = 1970;
    /// The last year for which the number of each month fits into 16 bits.
    pub const YEAR_MAX: u16 = 7430;

    /// Creates a month from a year, and a month from 1 to 12.
    pub const fn new(year: u16, month: u8) -> Result<Self, MonthError> {
        if year < Self::YEAR_MIN || year > Self::YEAR_MAX || month == 0 || month > 12 {
            return Err(MonthError);
        }
        Ok(Self((year - Self::YEAR_MIN) * 12 + month as u16 - 1))
    }

    /// Returns the month of a time.
    pub fn of(at: UnixMillis) -> Result<Self, MonthError> {
        let day = Day::of(at)?;
        Self::new(day.year, day.month)
    }

    /// Returns the year.
    #[must_use]
    pub const fn year(self) -> u16 {
        Self::YEAR_MIN + self.0 / 12
    }

    /// Returns the month of the year, from 1 to 12.
    #[must_use]
    pub fn month(self) -> u8 {
        u8::try_from(self.0 % 12).unwrap_or_default() + 1
    }

    /// Returns the number of months since 1970-01.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Returns the month with a [`Month::number`].
    pub const fn from_number(number: u16) -> Result<Self, MonthError> {
        if number / 12 > Self::YEAR_MAX - Self::YEAR_MIN {
            return Err(MonthError);
        }
        Ok(Self(number))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.month())
    }
}

/// Serialised as a text: `2026-11`.
impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let (year, month) = text.split_once('-').ok_or(MonthError)?;
        let is_digits = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(year, 4) || !is_digits(month, 2) {
            return Err(MonthError);
        }
        Self::new(year.parse().map_err(|_| MonthError)?, month.parse().map_err(|_| MonthError)?)
    }
}

/// The months of a report: from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    from: Month,
    to: Month,
}

/// The months are not a valid [`Period`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PeriodError {
    /// The last month is before the first.
    #[error("a period ends in or after the month in which it begins")]
    Reversed,
    /// There are too many months.
    #[error("a period has at most {max} months, not {0}", max = Period::MONTHS_MAX)]
    TooLong(u16),
}

impl Period {
    /// The largest number of months: ten years. A longer table would be unreadable, and its suppression slow.
    pub const MONTHS_MAX: u16 = 120;

    /// Creates a period after checking the order and the number of months.
    pub const fn new(from: Month, to: Month) -> Result<Self, PeriodError> {
        if to.0 < from.0 {
            return Err(PeriodError::Reversed);
        }
        let count = to.0 - from.0 + 1;
        if count > Self::MONTHS_MAX {
            return Err(PeriodError::TooLong(count));
        }
        Ok(Self { from, to })
    }

    /// Returns the first month.
    #[must_use]
    pub const fn from(self) -> Month {
        self.from
    }

    /// Returns the last month.
    #[must_use]
    pub const fn to(self) -> Month {
        self.to
    }

    /// Checks whether a month is in the period.
    #[must_use]
    pub fn contains(self, month: Month) -> bool {
        (self.from..=self.to).contains(&month)
    }

    /// Returns the months in order.
    pub fn months(self) -> impl Iterator<Item = Month> {
        (self.from.0..=self.to.0).map(Month)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

/// A day of the UTC calendar in the years of [`Month`]. Displayed as `2026-11-09`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    day: u8,
}

impl Day {
    /// Returns the day of a time.
    ///
    /// The conversion is Howard Hinnant's `civil_from_days` (chrono-compatible low-level date algorithms),
    /// which counts years from March and days from 0000-03-01.
    pub fn of(at: UnixMillis) -> Result<Self, MonthError> {
        let days = at.0 / DAY_MS + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let year = u16::try_from(year).map_err(|_| MonthError)?;
        let small = |number| u8::try_from(number).map_err(|_| MonthError);
        let (month, day) = (small(month)?, small(day)?);
        Month::new(year, month)?;
        Ok(Self { year, month, day })
    }

    /// Parses `2026-11-09`, and checks that the month has this day.
    pub fn parse(text: &str) -> Result<Self, MonthError> {
        let (head, day) = text.rsplit_once('-').ok_or(MonthError)?;
        let month: Month = head.parse()?;
        if day.len() != 2 || !day.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(MonthError);
        }
        let day = day.parse().map_err(|_| MonthError)?;
        let year = month.year();
        let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month.month() {
            2 => 28 + u8::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        if day == 0 || day > days {
            return Err(MonthError);
        }
        Ok(Self { year, month: month.month(), day })
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The oracle steps from day to day; it covers leap years, 2000 and 2100.
    #[test]
    fn days_and_months_are_those_of_a_walk_through_the_calendar() {
        let (mut year, mut month, mut day) = (1970_u16, 1_u8, 1_u8);
        for number in 0..75_000_u64 {
            let text = format!("{year:04}-{month:02}-{day:02}");
            for ms in [number * DAY_MS, number * DAY_MS + DAY_MS - 1] {
                assert_eq!(Day::of(UnixMillis(ms)).unwrap().to_string(), text);
                assert_eq!(Month::of(UnixMillis(ms)).unwrap(), Month::new(year, month).unwrap());
            }
            assert_eq!(Day::parse(&text).unwrap().to_string(), text);
            let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
            let last =
                [31, 28 + u8::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::from(month) - 1];
            if day < last {
                day += 1;
                continue;
            }
            assert!(Day::parse(&format!("{year:04}-{month:02}-{:02}", last + 1)).is_err());
            (day, month) = (1, month % 12 + 1);
            year += u16::from(month == 1);
        }
        assert!(year > 2_170);
    }

    #[test]
    fn texts_that_are_no_month_are_refused() {
        for text in [
            "",
            "2026",
            "2026-00",
            "2026-13",
            "2026-1",
            "26-11",
            "+026-11",
            "2026-11-01",
            "1969-12",
            "7431-01",
        ] {
            assert_eq!(text.parse::<Month>(), Err(MonthError), "{text}");
        }
        for text in ["2026-11-00", "2026-11-31", "2026-02-29", "2026-11-9", "2026-11", "2026-11-09T00"] {
            assert!(Day::parse(text).is_err(), "{text}");
        }
        assert_eq!(Month::of(UnixMillis(u64::MAX)), Err(MonthError));
        assert_eq!(Month::from_number(u16::MAX), Err(MonthError));
    }

    proptest! {
        #[test]
        fn months_survive_text_and_number(number in 0_u16..65_532) {
            let month = Month::from_number(number).unwrap();
            prop_assert_eq!(month.to_string().parse::<Month>(), Ok(month));
            prop_assert_eq!(Month::new(month.year(), month.month()), Ok(month));
            prop_assert_eq!(month.number(), number);
        }

        #[test]
        fn a_period_has_its_months(from in 0_u16..1_000, to in 0_u16..1_000) {
            let [first, last] = [from, to].map(|number| Month::from_number(number).unwrap());
            match Period::new(first, last) {
                Err(PeriodError::Reversed) => prop_assert!(to < from),
                Err(PeriodError::TooLong(count)) => prop_assert_eq!(count, to - from + 1),
                Ok(period) => {
                    let months: Vec<Month> = period.months().collect();
                    prop_assert_eq!(months.len(), usize::from(to - from) + 1);
                    prop_assert!(months.iter().all(|month| period.contains(*month)));
                    prop_assert!(!period.contains(Month::from_number(to + 1).unwrap()));
                }
            }
        }
    }
}
