//! The fields of published reports, filled with the numbers of a period.

use serde::Serialize;

use super::numbers::MeasureNumbers;
use super::precision::{Precision, Reviewed, Scope};
use crate::cell::Measure;
use crate::fields::{Field, REPORTS, Source};
use crate::suppress::Cell;

/// A published report with its values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilledReport {
    /// The name of the report.
    pub report: &'static str,
    /// The title for a person.
    pub title: &'static str,
    /// The report's fields.
    pub fields: Vec<FilledField>,
}

/// A field with its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FilledField {
    /// The name of the field.
    pub field: &'static str,
    /// A line that describes what the report requires.
    pub about: &'static str,
    /// The value.
    #[serde(flatten)]
    pub value: Value,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", content = "value", rename_all = "snake_case")]
pub enum Value {
    /// A number.
    Count(u64),
    /// A share from 0 to 1.
    Share(f64),
    /// A sentence.
    Sentence(&'static str),
    /// The number is suppressed, or there is nothing to divide by.
    Suppressed,
    /// Left out, for this reason.
    LeftOut(&'static str),
}

/// The numbers from which fields are filled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filling<'a> {
    pub(super) numbers: &'a [MeasureNumbers],
    pub(super) precisions: &'a [Precision],
    pub(super) members: u64,
    pub(super) members_silent: Cell,
}

impl Filling<'_> {
    /// Returns all reports with their values.
    pub(super) fn reports(self) -> Vec<FilledReport> {
        let field = |field: &Field| FilledField {
            field: field.name,
            about: field.about,
            value: self.value(field.source),
        };
        let report = |report: &crate::fields::PublishedReport| FilledReport {
            report: report.name,
            title: report.title,
            fields: report.fields.iter().map(field).collect(),
        };
        REPORTS.iter().map(report).collect()
    }

    fn value(self, source: Source) -> Value {
        let count = |cell: Cell| cell.shown().map_or(Value::Suppressed, Value::Count);
        match source {
            Source::Counted(measures) => {
                let totals = self.of(measures).map(|numbers| numbers.total);
                count(totals.fold(Cell::Shown(0), Cell::plus))
            }
            Source::Cumulative(measures) => {
                let counts = self.of(measures).map(|numbers| numbers.cumulative);
                Value::Count(counts.fold(0, u64::saturating_add))
            }
            Source::Precision => {
                let is_it = |one: &&Precision| one.of == Reviewed::Decisions && one.scope == Scope::All;
                let share = self.precisions.iter().find(is_it).and_then(|one| one.precision);
                share.map_or(Value::Suppressed, Value::Share)
            }
            Source::Members => Value::Count(self.members),
            Source::MembersSilent => count(self.members_silent),
            Source::Sentence(text) => Value::Sentence(text),
            Source::LeftOut(reason) => Value::LeftOut(reason),
        }
    }

    fn of<'a>(&'a self, measures: &'a [Measure]) -> impl Iterator<Item = &'a MeasureNumbers> {
        self.numbers.iter().filter(|numbers| measures.iter().any(|measure| measure.name() == numbers.measure))
    }
}
