//! All numbers for a period, for one reader.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use vigie_model::{BankId, MemberId};

use super::classifiers::{ClassifierNumbers, Uses};
use super::filled::{FilledReport, Filling};
use super::names::Names;
use super::numbers::{Counted, MeasureNumbers};
use super::precision::{Precision, precisions};
use crate::cell::{CellKey, Counts, Measure};
use crate::latency::{Histogram, LatencyKind};
use crate::month::{Month, Period};
use crate::suppress::{Cell, Rule};

/// The reader of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Anyone.
    Public,
    /// A member, which gets its own numbers in full besides the public ones.
    Member(MemberId),
}

/// The input from which statistics are computed.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The months.
    pub period: Period,
    /// The reader of the numbers.
    pub reader: Reader,
    /// The counters of all members from the beginning until the end of the period, because cumulative numbers
    /// need them. Later ones are ignored.
    pub counts: &'a Counts,
    /// The latencies of each month.
    pub latencies: &'a BTreeMap<(Month, LatencyKind), Histogram>,
    /// The members of the deployment, with the names under which they are published.
    pub members: &'a BTreeMap<MemberId, String>,
    /// The banks that are published by name. They must be the same for every reader, because otherwise the
    /// difference between two reports would reveal suppressed numbers. All other banks form one part.
    pub banks: &'a BTreeMap<BankId, String>,
    /// The banks that the reading member may see, for its own numbers. Unused for a public reader.
    pub own_banks: &'a BTreeMap<BankId, String>,
    /// The thresholds of suppression.
    pub rule: Rule,
}

/// The numbers for a period, without those that the reader must not learn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistics {
    /// The months, in the order of every `by_month`.
    pub months: Vec<Month>,
    /// The smallest number that is shown across members.
    pub threshold: u64,
    /// The smallest number of members that contribute to a shown total.
    pub members_min: usize,
    /// The number of members.
    pub members: u64,
    /// The number of members without any count in the period; suppressed if these or the others are too few.
    pub members_silent: Cell,
    /// The numbers across members, for every measure except those of classifiers.
    pub numbers: Vec<MeasureNumbers>,
    /// The name of the reading member; `None` for a public reader.
    pub own_member: Option<String>,
    /// The member's own numbers in full, for the same measures; empty for a public reader.
    pub own: Vec<MeasureNumbers>,
    /// The uses of classifiers across members, by model, version and class: at most 1000 classes.
    pub classifiers: Vec<ClassifierNumbers>,
    /// The member's own uses of classifiers in full; empty for a public reader.
    pub own_classifiers: Vec<ClassifierNumbers>,
    /// The latencies.
    pub latencies: Vec<LatencyNumbers>,
    /// The precisions; the member's own if a member reads.
    pub precisions: Vec<Precision>,
    /// The published reports; from the member's own numbers if a member reads.
    pub reports: Vec<FilledReport>,
}

/// The latencies of one month or of the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LatencyNumbers {
    /// The name of the kind.
    pub latency: &'static str,
    /// A line that describes what is measured.
    pub about: &'static str,
    /// The month; `None` for the whole period.
    pub month: Option<Month>,
    /// The median in milliseconds; `None` below the threshold. The number of latencies is not shown, because
    /// it would reveal a count of items that may be suppressed.
    pub p50_ms: Option<u64>,
    /// The 99th percentile in milliseconds; `None` below the threshold.
    pub p99_ms: Option<u64>,
}

impl Statistics {
    /// Computes the numbers.
    #[must_use]
    pub fn new(input: &Input<'_>) -> Self {
        let Input { period, reader, counts, rule, .. } = *input;
        let counters: Vec<(&CellKey, u64)> =
            counts.iter().filter(|(key, _)| key.month <= period.to()).collect();
        let keys = || counters.iter().map(|(key, _)| *key);
        let names = Names::new(keys(), input.members, input.banks);
        let own_names = Names::new(keys(), input.members, input.own_banks);
        let all = |names: &Names,
                   passes: &dyn Fn(&CellKey) -> bool,
                   table: &dyn Fn(Counted<'_>) -> MeasureNumbers| {
            let of_measure = |measure| {
                let is_it = |(key, _): &&(&CellKey, u64)| key.what == measure && passes(key);
                let counters: Vec<(&CellKey, u64)> = counters.iter().filter(is_it).copied().collect();
                table(Counted { measure, counters: &counters, names, period })
            };
            Measure::general().map(of_measure).collect::<Vec<_>>()
        };
        let numbers = all(&names, &|_| true, &|counted| counted.across_members(rule));
        let own = match reader {
            Reader::Public => Vec::new(),
            Reader::Member(member) => {
                all(&own_names, &|key| key.member == Some(member), &|counted| counted.own())
            }
        };
        let members_alone = names.of_members();
        let uses = Uses { counters: &counters, names: &members_alone, period };
        let classifiers = uses.across_members(rule);
        let own_classifiers = match reader {
            Reader::Public => Vec::new(),
            Reader::Member(member) => uses.own(member),
        };
        let active: BTreeSet<MemberId> = counters
            .iter()
            .filter(|(key, _)| period.contains(key.month))
            .filter_map(|(key, _)| key.member)
            .collect();
        let silent = input.members.keys().filter(|member| !active.contains(member)).count();
        let is_shown = silent >= rule.members_min && input.members.len() - silent >= rule.members_min;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let members_silent = if is_shown { Cell::Shown(number(silent)) } else { Cell::Suppressed };
        let source = if own.is_empty() { &numbers } else { &own };
        let precisions = precisions(source);
        let members = number(input.members.len());
        let reports = Filling { numbers: source, precisions: &precisions, members, members_silent }.reports();
        Self {
            months: period.months().collect(),
            threshold: rule.threshold,
            members_min: rule.members_min,
            members,
            members_silent,
            own_member: match reader {
                Reader::Public => None,
                Reader::Member(member) => names.members.get(&Some(member)).cloned(),
            },
            latencies: latencies(input),
            numbers,
            own,
            classifiers,
            own_classifiers,
            precisions,
            reports,
        }
    }
}

fn latencies(input: &Input<'_>) -> Vec<LatencyNumbers> {
    let mut all = Vec::new();
    for kind in LatencyKind::ALL {
        let mut line = |month, histogram: &Histogram| {
            let is_shown = histogram.count() >= input.rule.threshold;
            all.push(LatencyNumbers {
                latency: kind.name(),
                about: kind.about(),
                month,
                p50_ms: histogram.p50().filter(|_| is_shown),
                p99_ms: histogram.p99().filter(|_| is_shown),
            });
        };
        let mut whole = Histogram::default();
        for month in input.period.months() {
            let histogram = input.latencies.get(&(month, kind)).cloned().unwrap_or_default();
            line(Some(month), &histogram);
            whole.merge(&histogram);
        }
        line(None, &whole);
    }
    all
}
