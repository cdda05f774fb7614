//! Statistics as the bank returns them (`vigie_statistics::render`, JSON). A suppressed number is `null`.

use serde::Deserialize;
use serde_json::Value;

/// The statistics of a period.
#[derive(Debug, Deserialize)]
pub(super) struct Numbers {
    pub(super) months: Vec<String>,
    pub(super) threshold: u64,
    pub(super) members_min: u64,
    pub(super) members: u64,
    /// The numbers across members.
    numbers: Vec<Measured>,
    /// The member whose own numbers are included.
    pub(super) own_member: Option<String>,
    own: Vec<Measured>,
    pub(super) latencies: Vec<Latency>,
    pub(super) precisions: Vec<Precision>,
    pub(super) reports: Vec<Published>,
}

/// The numbers of one measure.
#[derive(Debug, Deserialize)]
pub(super) struct Measured {
    /// The name of the measure; also the key of its label.
    pub(super) measure: String,
    pub(super) total: Option<u64>,
    pub(super) cumulative: u64,
    pub(super) by_month: Vec<Option<u64>>,
    pub(super) by_member: Vec<OfMember>,
    pub(super) by_bank: Vec<Part>,
    pub(super) by_class: Vec<Part>,
    pub(super) by_verdict: Vec<Part>,
}

/// The numbers of one member.
#[derive(Debug, Deserialize)]
pub(super) struct OfMember {
    pub(super) member: String,
    pub(super) total: Option<u64>,
}

/// A part of a total.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) count: Option<u64>,
}

/// The durations of changes.
#[derive(Debug, Deserialize)]
pub(super) struct Latency {
    pub(super) latency: String,
    /// `None` for the whole period.
    pub(super) month: Option<String>,
    pub(super) p50_ms: Option<u64>,
    pub(super) p99_ms: Option<u64>,
}

/// The share of reviewed reports or decisions that were confirmed.
#[derive(Debug, Deserialize)]
pub(super) struct Precision {
    /// `reports` or `decisions`.
    pub(super) of: String,
    /// `all`, `member` or `bank`.
    pub(super) scope: String,
    pub(super) name: String,
    pub(super) confirmed: Option<u64>,
    pub(super) reviewed: Option<u64>,
    pub(super) precision: Option<f64>,
}

/// A report required by a law or a programme.
#[derive(Debug, Deserialize)]
pub(super) struct Published {
    pub(super) title: String,
    pub(super) fields: Vec<PublishedField>,
}

/// A field of such a report.
#[derive(Debug, Deserialize)]
pub(super) struct PublishedField {
    pub(super) field: String,
    pub(super) about: String,
    /// `count`, `share`, `sentence`, `suppressed` or `left_out`.
    pub(super) status: String,
    #[serde(default)]
    pub(super) value: Value,
}

impl Numbers {
    pub(super) fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The main numbers of the page: the member's own if included, otherwise those across members.
    pub(super) fn shown(&self) -> &[Measured] {
        if self.own.is_empty() { &self.numbers } else { &self.own }
    }

    /// The numbers across members, shown beside the member's own; empty if there are no own numbers.
    pub(super) fn others(&self) -> &[Measured] {
        if self.own.is_empty() { &[] } else { &self.numbers }
    }
}

impl Measured {
    /// Whether the measure has anything to show.
    pub(super) fn is_any(&self) -> bool {
        self.total.is_some_and(|total| total > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vigie_model::MemberId;
    use vigie_statistics::{Input, Measure, Month, Period, Reader, Rule, Statistics, to_json};

    use super::*;

    /// The crate that writes the numbers and this parser agree.
    #[test]
    fn statistics_are_read_as_they_are_written() {
        let month: Month = "2026-10".parse().unwrap();
        let members = BTreeMap::from([(MemberId(1), "acme".to_owned())]);
        let none = BTreeMap::new();
        let input = Input {
            period: Period::new(month, month).unwrap(),
            reader: Reader::Member(MemberId(1)),
            counts: &vigie_statistics::Counts::default(),
            latencies: &BTreeMap::new(),
            members: &members,
            banks: &none,
            own_banks: &none,
            rule: Rule::default(),
        };
        let numbers = Numbers::read(&to_json(&Statistics::new(&input)).unwrap().to_string()).unwrap();
        assert_eq!(
            (numbers.own_member.as_deref(), &numbers.months[..]),
            (Some("acme"), &["2026-10".to_owned()][..])
        );
        let all = Measure::general().count();
        assert_eq!((numbers.shown().len(), numbers.others().len()), (all, all));
        assert!(!numbers.reports.is_empty() && !numbers.latencies.is_empty());
    }

    #[test]
    fn every_measure_and_latency_has_its_text() {
        use crate::console::text::Language;
        for language in Language::ALL {
            for measure in Measure::general() {
                assert!(language.has(&format!("reports.measure.{}", measure.name())), "{}", measure.name());
            }
            for kind in vigie_statistics::LatencyKind::ALL {
                assert!(language.has(&format!("reports.latency.{}", kind.name())), "{}", kind.name());
            }
        }
    }
}
