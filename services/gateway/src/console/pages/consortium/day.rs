//! The day on which a right expires, as a date field of a browser has it.

use time::{Date, Month};
use vigie_consortium::Expiry;
use vigie_model::UnixMillis;

use crate::console::parts;
use crate::console::parts::Refused;
use crate::console::visit::Visit;

/// Parses the day of a field. The right expires at the start of the day (UTC). An empty field means no
/// expiry.
pub(super) fn read(visit: &Visit, field: &str, text: &str) -> Result<Expiry, Refused> {
    if text.is_empty() {
        return Ok(Expiry::NEVER);
    }
    let at = begin(text).ok_or_else(|| Refused::field(field, visit.t("members.day.no_day")))?;
    if at <= visit.now {
        return Err(Refused::field(field, visit.t("members.day.past")));
    }
    Ok(Expiry::at(at))
}

/// The expiry as the text of the field; empty for none.
pub(super) fn shown(expiry: Expiry) -> String {
    let date = |at| parts::date(at).get(..10).map(str::to_owned);
    expiry.moment().and_then(date).unwrap_or_default()
}

/// The start of a day such as `2026-11-28`, in UTC.
fn begin(text: &str) -> Option<UnixMillis> {
    let mut numbers = text.splitn(3, '-');
    let (year, month, day) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let day = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    let seconds = u64::try_from(day.midnight().assume_utc().unix_timestamp()).ok()?;
    Some(UnixMillis(seconds * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_it_is_shown() {
        let day = begin("2026-11-28").unwrap();
        assert_eq!(day, UnixMillis(1_795_824_000_000));
        assert_eq!(shown(Expiry::at(day)), "2026-11-28");
        assert_eq!(shown(Expiry::NEVER), "");
        for wrong in
            ["2026-02-30", "2026-13-01", "2026", "x-1-1", "1969-12-31", "99999999-01-01", "28.11.2026"]
        {
            assert_eq!(begin(wrong), None, "{wrong}");
        }
    }
}
