//! The tables of one measure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use vigie_model::MemberId;

use super::names::Names;
use crate::cell::{CellKey, Measure};
use crate::month::Period;
use crate::suppress::{Cell, Contributions, Row, Rule, suppress_list, suppress_table};

/// Cumulative numbers across members are rounded down to a multiple of this, so that the difference between
/// two reports does not reveal a suppressed total.
pub const CUMULATIVE_STEP: u64 = 100;

/// The numbers of one measure for a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MeasureNumbers {
    /// The name of the measure.
    pub measure: &'static str,
    /// A line that describes what is counted.
    pub about: &'static str,
    /// The total of the period.
    pub total: Cell,
    /// The count until the end of the period; across members rounded down to a multiple of
    /// [`CUMULATIVE_STEP`].
    pub cumulative: u64,
    /// The numbers by month, in the order of [`super::Statistics::months`].
    pub by_month: Vec<Cell>,
    /// The numbers by member; empty in a member's own numbers.
    pub by_member: Vec<MemberNumbers>,
    /// The numbers by bank.
    pub by_bank: Vec<Part>,
    /// The numbers by class.
    pub by_class: Vec<Part>,
    /// The numbers by verdict.
    pub by_verdict: Vec<Part>,
}

/// The numbers of one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberNumbers {
    /// The name of the member.
    pub member: String,
    /// The total of the period.
    pub total: Cell,
    /// The numbers by month.
    pub by_month: Vec<Cell>,
}

/// A part of a total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The name of the bank, class or verdict.
    pub name: String,
    /// The number of the part.
    pub count: Cell,
}

/// The counters to add up, with their measure, names and period.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted<'a> {
    pub(super) measure: Measure,
    /// The counters of the measure until the end of the period.
    pub(super) counters: &'a [(&'a CellKey, u64)],
    pub(super) names: &'a Names,
    pub(super) period: Period,
}

impl Counted<'_> {
    /// Returns the numbers across members, without small cells.
    pub(super) fn across_members(self, rule: Rule) -> MeasureNumbers {
        let count = usize::from(self.period.to().number() - self.period.from().number()) + 1;
        let mut cells: BTreeMap<Option<MemberId>, Vec<u64>> =
            self.names.members.keys().map(|member| (*member, vec![0; count])).collect();
        for (key, amount) in self.of_the_period() {
            let row = cells.entry(key.member).or_insert_with(|| vec![0; count]);
            let month = usize::from(key.month.number() - self.period.from().number());
            row[month] = row[month].saturating_add(amount);
        }
        let rows: Vec<Row> = cells
            .iter()
            .map(|(member, cells)| Row { is_member: member.is_some(), cells: cells.clone() })
            .collect();
        let table = suppress_table(&rows, count, rule);
        let by_member = cells.keys().zip(table.cells).zip(table.row_totals);
        let list = |parts: Vec<(String, Contributions)>| {
            let (names, parts): (Vec<String>, Vec<Contributions>) = parts.into_iter().unzip();
            let counts = suppress_list(&parts, table.total, rule);
            names.into_iter().zip(counts).map(|(name, count)| Part { name, count }).collect()
        };
        MeasureNumbers {
            cumulative: self.cumulative() / CUMULATIVE_STEP * CUMULATIVE_STEP,
            by_member: by_member
                .map(|((member, by_month), total)| MemberNumbers {
                    member: self.names.members.get(member).cloned().unwrap_or_default(),
                    total,
                    by_month,
                })
                .collect(),
            ..self.tables(table.total, table.column_totals, list)
        }
    }

    /// Returns the numbers of one member for itself. The counters must be its own.
    pub(super) fn own(self) -> MeasureNumbers {
        let sum = |counts: &mut dyn Iterator<Item = u64>| counts.fold(0, u64::saturating_add);
        let by_month = |month| {
            let of_the_month = self.counters.iter().filter(|(key, _)| key.month == month);
            Cell::Shown(sum(&mut of_the_month.map(|(_, amount)| *amount)))
        };
        let list = |parts: Vec<(String, Contributions)>| {
            let part = |(name, part): (String, Contributions)| Part {
                name,
                count: Cell::Shown(sum(&mut part.into_values())),
            };
            parts.into_iter().map(part).collect()
        };
        let total = Cell::Shown(sum(&mut self.of_the_period().map(|(_, amount)| amount)));
        self.tables(total, self.period.months().map(by_month).collect(), list)
    }

    fn of_the_period(&self) -> impl Iterator<Item = (&CellKey, u64)> {
        self.counters
            .iter()
            .filter(|(key, _)| self.period.contains(key.month))
            .map(|(key, amount)| (*key, *amount))
    }

    fn cumulative(&self) -> u64 {
        self.counters.iter().fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
    }

    fn tables(
        self,
        total: Cell,
        by_month: Vec<Cell>,
        list: impl Fn(Vec<(String, Contributions)>) -> Vec<Part>,
    ) -> MeasureNumbers {
        MeasureNumbers {
            measure: self.measure.name(),
            about: self.measure.about(),
            total,
            cumulative: self.cumulative(),
            by_month,
            by_member: Vec::new(),
            by_bank: list(self.parts(&self.names.bank_parts(), |key| self.names.bank(key))),
            by_class: list(self.parts(&self.names.classes, Names::class)),
            by_verdict: list(self.parts(&self.names.verdicts, Names::verdict)),
        }
    }

    /// Returns the contribution of each member to each part, in the order of the names.
    fn parts(
        self,
        names: &BTreeSet<String>,
        name: impl Fn(&CellKey) -> String,
    ) -> Vec<(String, Contributions)> {
        let mut parts: BTreeMap<String, Contributions> =
            names.iter().map(|name| (name.clone(), Contributions::new())).collect();
        for (key, amount) in self.of_the_period() {
            let contribution = parts.entry(name(key)).or_default().entry(key.member).or_default();
            *contribution = contribution.saturating_add(amount);
        }
        parts.into_iter().collect()
    }
}
