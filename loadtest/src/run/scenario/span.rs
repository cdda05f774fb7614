//! Durations as scenarios write them: `250us`, `20ms`, `1.5s`, `2m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Span(pub Duration);

/// Seconds in each unit; a longer name comes before one that is its suffix.
const UNITS: [(&str, f64); 5] = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

/// The longest accepted duration: ten years, in seconds.
const SECONDS_MAX: f64 = 10.0 * 366.0 * 86_400.0;

impl Span {
    /// Returns a duration of this many milliseconds.
    #[must_use]
    pub(crate) const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Returns a duration of this many seconds.
    #[must_use]
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let advice = || format!("`{text}` is not a duration; write it as 250us, 20ms, 1.5s or 2m");
        let number: f64 = number.trim().parse().with_context(advice)?;
        let Some((_, seconds)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
            bail!("{}", advice());
        };
        let seconds = number * seconds;
        if !(0.0..=SECONDS_MAX).contains(&seconds) {
            bail!("{}", advice());
        }
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        match self.0.as_nanos() {
            0..1_000_000 => write!(f, "{}us", rounded(seconds * 1e6)),
            1_000_000..1_000_000_000 => write!(f, "{}ms", rounded(seconds * 1e3)),
            _ => write!(f, "{}s", rounded(seconds)),
        }
    }
}

/// Rounds to three digits after the point.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: anyhow::Error| D::Error::custom(format!("{error:#}")))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_written_alike() {
        for (text, micros) in
            [("250us", 250), ("20ms", 20_000), ("1.5s", 1_500_000), ("120s", 120_000_000), ("0us", 0)]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_micros(micros), "{text}");
            assert_eq!(span.to_string(), text);
        }
        assert_eq!("2m".parse::<Span>().unwrap(), Span::from_secs(120));
    }

    #[test]
    fn a_length_without_a_unit_or_below_nothing_is_refused() {
        for text in ["", "10", "ms", "-1s", "1 fortnight", "nans", "infs", "1e300h"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
