//! A form converted to the body of the same request to `/v1`, so that both are validated by the same rules.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use time::{Date, Month, PrimitiveDateTime, Time};

use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// A request body built from form fields. An empty field is omitted from the request.
#[derive(Debug)]
pub(super) struct Body<'a> {
    visit: &'a Visit,
    posted: &'a Posted,
    fields: Map<String, Value>,
}

impl<'a> Body<'a> {
    pub(super) fn of(visit: &'a Visit, posted: &'a Posted) -> Self {
        Self { visit, posted, fields: Map::new() }
    }

    fn given(&self, name: &str) -> Option<&'a str> {
        Some(self.posted.field(name)).filter(|text| !text.is_empty())
    }

    /// Adds a value.
    pub(super) fn put(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// Adds texts of one line.
    pub(super) fn texts(&mut self, names: &[&str]) -> &mut Self {
        for name in names {
            if let Some(text) = self.given(name) {
                self.put(name, text);
            }
        }
        self
    }

    /// Adds numbers.
    pub(super) fn numbers(&mut self, names: &[&str]) -> Result<&mut Self, Problem> {
        for name in names {
            if self.given(name).is_some() {
                let number: u64 = self.posted.number(name)?;
                self.put(name, number);
            }
        }
        Ok(self)
    }

    /// Adds times, in UTC: the field `taken_at` becomes `taken_at_unix_ms` of the request.
    pub(super) fn moments(&mut self, names: &[&str]) -> Result<&mut Self, Problem> {
        for name in names {
            if let Some(text) = self.given(name) {
                let at =
                    moment(text).ok_or_else(|| Problem::field(*name, self.visit.t("cases.no_moment")))?;
                self.put(&format!("{name}_unix_ms"), at);
            }
        }
        Ok(self)
    }

    /// Adds a list: the lines of a field, or its parts separated by commas.
    pub(super) fn list(&mut self, name: &str) -> &mut Self {
        let all = self.posted.field(name).split(['\n', ',']).map(str::trim);
        let all: Vec<Value> = all.filter(|one| !one.is_empty()).map(Value::from).collect();
        self.put(name, all)
    }

    /// Adds checkboxes as booleans.
    pub(super) fn boxes(&mut self, names: &[&str]) -> &mut Self {
        for name in names {
            let is_ticked = self.posted.field(name) == "yes";
            self.put(name, is_ticked);
        }
        self
    }

    /// The JSON object of the fields.
    pub(super) fn object(&mut self) -> Value {
        Value::Object(std::mem::take(&mut self.fields))
    }

    /// Parses the request.
    pub(super) fn read<T: DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let object = self.object();
        serde_path_to_error::deserialize(object).map_err(|error| {
            let field = error.path().to_string();
            Problem::field(field, error.into_inner())
        })
    }
}

/// Parses a time such as `2026-11-30T16:20`, in UTC.
fn moment(text: &str) -> Option<u64> {
    let (date, clock) = text.split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-');
    let year: i32 = date.next()?.parse().ok()?;
    let month = Month::try_from(date.next()?.parse::<u8>().ok()?).ok()?;
    let day: u8 = date.next()?.parse().ok()?;
    let mut clock = clock.splitn(3, ':');
    let (hour, minute) = (clock.next()?.parse().ok()?, clock.next()?.parse().ok()?);
    let second = clock.next().map_or(Some(0), |second| second.parse().ok())?;
    let (date, clock) =
        (Date::from_calendar_date(year, month, day).ok()?, Time::from_hms(hour, minute, second).ok()?);
    let seconds = PrimitiveDateTime::new(date, clock).assume_utc().unix_timestamp();
    u64::try_from(seconds).ok()?.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_browsers_send_them() {
        assert_eq!(moment("2026-11-28T16:20"), Some(1_795_882_800_000));
        assert_eq!(moment("2026-11-28T16:20:05"), Some(1_795_882_805_000));
        assert_eq!(moment("2026-11-28 16:20"), Some(1_795_882_800_000));
        for wrong in
            ["", "2026-11-28", "2026-02-30T00:00", "2026-11-28T25:00", "1969-01-01T00:00", "T", "a-b-cTd:e"]
        {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }
}
