//! The conditions of a run: `p99 < 20ms`, `missed == 0`, `lookup.p99.9 < 50ms`, `rate >= 5000`,
//! `errors < 0.1%`.
//!
//! A condition may apply to a part of the run: `errors from 20s == 0%`, `p99 from 8s to 16s < 100ms`. Seconds
//! count from the start of the warm-up, as the times of faults do, and a request belongs to the second of its
//! intended start.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::run::lanes::kind::Kind;
use crate::run::scenario::span::Span;

/// A condition on a metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Threshold {
    /// The kind of request that the condition applies to; all kinds where none is named.
    pub(crate) kind: Option<Kind>,
    pub(crate) metric: Metric,
    /// The seconds of the run that the condition applies to; all after the warm-up where none are named.
    pub(crate) window: Option<Window>,
    comparison: Comparison,
    /// The bound: milliseconds, a share (0 to 1), a rate per second or a count, depending on the metric.
    bound: f64,
    text: String,
}

/// A range of whole seconds, counted from the start of the warm-up; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from_s: u64,
    /// The end; the end of the run where none is named.
    pub(crate) to_s: Option<u64>,
}

impl Window {
    /// Reads the words after a metric: nothing, `from 20s`, or `from 20s to 30s`.
    fn read(words: &[&str]) -> anyhow::Result<Option<Self>> {
        let seconds = |text: &str| -> anyhow::Result<u64> {
            let span: Span = text.parse()?;
            if span.0.subsec_nanos() > 0 {
                bail!("`{text}` is not a whole number of seconds");
            }
            Ok(span.0.as_secs())
        };
        match words {
            [] => Ok(None),
            ["from", from] => Ok(Some(Self { from_s: seconds(from)?, to_s: None })),
            ["from", from, "to", to] => {
                let (from_s, to_s) = (seconds(from)?, seconds(to)?);
                if from_s >= to_s {
                    bail!("the end, {to}, must be later than the start, {from}");
                }
                Ok(Some(Self { from_s, to_s: Some(to_s) }))
            }
            _ => bail!("write a part of the run as `from 20s` or `from 20s to 30s`"),
        }
    }
}

/// A quantity that a condition can bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Metric {
    /// The quantile of the latency from the intended start, for this share (0 to 1) of the requests.
    Quantile(f64),
    /// The longest latency from the intended start.
    Max,
    /// The mean latency from the intended start.
    Mean,
    /// The quantile of the time from an acknowledged addition until it is found.
    AddFresh(f64),
    /// The quantile of the time from an acknowledged removal until the item is no longer found.
    RemoveFresh(f64),
    /// Requests answered per second.
    Rate,
    /// The share of requests that were not answered.
    Errors,
    /// The quantile of the time from the intended start until a request was refused or failed before its
    /// deadline.
    Refusal(f64),
    /// This and the following are counts of the verdict.
    Missed,
    False,
    WrongDistance,
    WrongEvidence,
    Incomplete,
    Stale,
    Misjudged,
    /// Requests that were not sent because too many were under way.
    Unsent,
    /// Probes that failed.
    ProbesFailed,
    /// The lowest coverage of an answer, a share (0 to 1).
    Coverage,
}

impl Metric {
    /// Whether it is a time that is wrong if the generator runs late.
    pub(crate) const fn is_latency(self) -> bool {
        matches!(self, Self::Quantile(_) | Self::Max | Self::Mean | Self::Refusal(_))
    }

    const fn is_time(self) -> bool {
        self.is_latency() || matches!(self, Self::AddFresh(_) | Self::RemoveFresh(_))
    }

    /// Whether it is also recorded for each second.
    const fn is_kept_by_second(self) -> bool {
        !matches!(self, Self::ProbesFailed | Self::Refusal(_))
    }

    const fn is_share(self) -> bool {
        matches!(self, Self::Errors | Self::Coverage)
    }

    fn named(name: &str) -> Option<Self> {
        let quantile = |text: &str| {
            let percent: f64 = text.strip_prefix('p')?.parse().ok()?;
            (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
        };
        if let Some(quantile) = quantile(name) {
            return Some(Self::Quantile(quantile));
        }
        if let Some(rest) = name.strip_prefix("refusal.") {
            return quantile(rest).map(Self::Refusal);
        }
        if let Some(rest) = name.strip_prefix("add_to_match.") {
            return quantile(rest).map(Self::AddFresh);
        }
        if let Some(rest) = name.strip_prefix("remove_to_gone.") {
            return quantile(rest).map(Self::RemoveFresh);
        }
        Some(match name {
            "max" => Self::Max,
            "mean" => Self::Mean,
            "rate" => Self::Rate,
            "errors" => Self::Errors,
            "missed" => Self::Missed,
            "false" => Self::False,
            "wrong_distance" => Self::WrongDistance,
            "wrong_evidence" => Self::WrongEvidence,
            "incomplete" => Self::Incomplete,
            "stale" => Self::Stale,
            "misjudged" => Self::Misjudged,
            "unsent" => Self::Unsent,
            "probes_failed" => Self::ProbesFailed,
            "coverage" => Self::Coverage,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// The comparison operators; a longer one comes before its own prefix.
const COMPARISONS: [(&str, Comparison); 5] = [
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("==", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl Threshold {
    /// Returns whether the condition holds for this value.
    #[must_use]
    pub(crate) fn holds(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::LessOrEqual => value <= self.bound,
            Comparison::Equal => value == self.bound,
            Comparison::GreaterOrEqual => value >= self.bound,
            Comparison::Greater => value > self.bound,
        }
    }

    /// Returns a value of the condition's metric with its unit, for people.
    #[must_use]
    pub(crate) fn show(&self, value: f64) -> String {
        if self.metric.is_time() {
            format!("{value:.3} ms")
        } else if self.metric.is_share() {
            format!("{:.4} %", value * 100.0)
        } else if self.metric == Metric::Rate {
            format!("{value:.1}/s")
        } else {
            format!("{value}")
        }
    }
}

impl FromStr for Threshold {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let advice = "write it as `p99 < 20ms`, `missed == 0`, `errors < 0.1%` or `rate >= 5000`";
        let Some((at, (sign, comparison))) =
            COMPARISONS.iter().find_map(|one| Some((text.find(one.0)?, *one)))
        else {
            bail!("`{text}` has no comparison; {advice}");
        };
        let (left, bound) = (&text[..at], text[at + sign.len()..].trim());
        let mut words = left.split_whitespace();
        let name = words.next().unwrap_or_default();
        let window = Window::read(&words.collect::<Vec<_>>()).with_context(|| format!("in `{text}`"))?;
        let scoped = name.split_once('.').and_then(|(kind, rest)| Some((Kind::named(kind)?, rest)));
        let (kind, name) = scoped.map_or((None, name), |(kind, rest)| (Some(kind), rest));
        let metric = Metric::named(name).with_context(|| format!("`{name}` is no metric; {advice}"))?;
        let of_kind = metric.is_latency() || matches!(metric, Metric::Rate | Metric::Errors);
        if kind.is_some() && !of_kind {
            bail!("`{text}`: `{name}` is not measured for each kind of request");
        }
        if window.is_some() && (kind.is_some() || !metric.is_kept_by_second()) {
            bail!(
                "`{text}`: `{}` is known of the whole run only",
                left.split_whitespace().next().unwrap_or_default()
            );
        }
        let bound = if metric.is_time() {
            bound.parse::<Span>().with_context(|| format!("in `{text}`"))?.0.as_secs_f64() * 1e3
        } else {
            let (number, scale) = bound.strip_suffix('%').map_or((bound, 1.0), |number| (number, 0.01));
            if scale < 1.0 && !metric.is_share() {
                bail!("`{text}`: `{name}` is not a share, so its bound must not be in %");
            }
            number.trim().parse::<f64>().with_context(|| format!("`{text}`: {advice}"))? * scale
        };
        Ok(Self { kind, metric, window, comparison, bound, text: text.to_owned() })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: anyhow::Error| D::Error::custom(format!("{error:#}")))
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, holds: &[f64], fails: &[f64]) {
        let threshold: Threshold = text.parse().unwrap();
        assert!(holds.iter().all(|&value| threshold.holds(value)), "{text}");
        assert!(fails.iter().all(|&value| !threshold.holds(value)), "{text}");
        assert_eq!(threshold.to_string(), text);
    }

    #[test]
    fn conditions_hold_on_their_side_of_the_bound() {
        check("p99 < 20ms", &[19.999], &[20.0, 21.0]);
        check("lookup.p99.9 <= 1s", &[1_000.0], &[1_000.5]);
        check("missed == 0", &[0.0], &[1.0]);
        check("rate >= 5000", &[5_000.0], &[4_999.0]);
        check("errors<0.1%", &[0.0009], &[0.001]);
        check("add_to_match.p99 < 2s", &[1_999.0], &[2_000.0]);
        check("coverage > 0.5", &[0.6], &[0.5]);
        check("errors from 20s == 0%", &[0.0], &[0.001]);
        check("refusal.p99 < 100ms", &[99.0], &[101.0]);
    }

    #[test]
    fn a_condition_may_be_of_a_part_of_the_run() {
        let window = |text: &str| text.parse::<Threshold>().unwrap().window;
        assert_eq!(window("p99 < 1ms"), None);
        assert_eq!(window("p99 from 20s < 1ms"), Some(Window { from_s: 20, to_s: None }));
        assert_eq!(window("stale from 5s to 1m == 0"), Some(Window { from_s: 5, to_s: Some(60) }));
    }

    #[test]
    fn nothing_holds_of_a_value_that_is_no_number() {
        for text in ["p99 < 20ms", "missed == 0", "rate >= 5000"] {
            assert!(!text.parse::<Threshold>().unwrap().holds(f64::NAN), "{text}");
        }
    }

    #[test]
    fn what_is_not_measured_or_has_the_wrong_unit_is_refused() {
        for text in [
            "",
            "p99",
            "p101 < 1ms",
            "p99 < 20",
            "speed > 1",
            "missed < 1%",
            "missed == x",
            "image.missed == 0",
            "p99 from < 1ms",
            "p99 to 3s < 1ms",
            "p99 from 1.5s < 1ms",
            "p99 from 3s to 3s < 1ms",
            "lookup.p99 from 3s < 1ms",
            "probes_failed from 3s == 0",
            "refusal.p99 from 3s < 1s",
        ] {
            assert!(text.parse::<Threshold>().is_err(), "{text}");
        }
    }
}
