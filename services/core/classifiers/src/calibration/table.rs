//! The rates of each threshold, measured on a sample.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::interval::{Estimate, SAMPLE_MAX};
use crate::fault::{Faults, Findings};
use crate::histogram::Histogram;
use crate::name::Name;

/// The tables of a model's classes, with their source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CalibrationDraft", into = "CalibrationDraft")]
pub struct Calibration(CalibrationDraft);

/// A calibration before it is checked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationDraft {
    /// The content of the sample, and the party that labelled it.
    pub source: String,
    /// The time of the measurement, in milliseconds since 1970, UTC.
    pub at: u64,
    /// The table of each measured class.
    pub classes: Vec<ClassTable>,
}

/// The thresholds of one class with the counts in a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ClassTableDraft", into = "ClassTableDraft")]
pub struct ClassTable(ClassTableDraft);

/// A table before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassTableDraft {
    /// The class.
    pub class: Name,
    /// The number of contents that are not of the class.
    pub negatives: u64,
    /// The number of contents of the class; may be 0 where possession of such content is not allowed.
    pub positives: u64,
    /// Rows by ascending threshold, so false positives descend.
    pub rows: Vec<Row>,
    /// The histogram of the scores of negatives. Nearly all content of a platform is negative, so drift is
    /// measured against it.
    pub histogram: Histogram,
}

/// The contents that a threshold assigns to the class: those whose score is at least the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The threshold, from 0 to 1.
    pub threshold: f32,
    /// The number of negatives with at least that score.
    pub false_positives: u64,
    /// The number of positives with at least that score.
    pub true_positives: u64,
}

/// A row with its rates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    /// The threshold.
    pub threshold: f32,
    /// The rate among negatives.
    pub false_positives: Estimate,
    /// The rate among positives.
    pub true_positives: Estimate,
}

impl Calibration {
    /// The longest source, in bytes.
    pub const SOURCE_LEN_MAX: usize = 256;
    /// The largest number of classes of one calibration.
    pub const CLASSES_MAX: usize = 64;

    /// Returns the content of the sample, and the party that labelled it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Returns the time of the measurement, in milliseconds since 1970, UTC.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.0.at
    }

    /// Returns the table of each measured class.
    #[must_use]
    pub fn classes(&self) -> &[ClassTable] {
        &self.0.classes
    }

    /// Returns the table of a class; `None` if it was not measured.
    #[must_use]
    pub fn class(&self, name: &Name) -> Option<&ClassTable> {
        self.0.classes.iter().find(|table| table.class() == name)
    }
}

impl ClassTable {
    /// The largest number of rows of one table.
    pub const ROWS_MAX: usize = 512;
    /// The number of rows with the fewest false positives that are always kept.
    const KEPT_IN_FULL: usize = 256;

    /// Measures the scores: at least one negative, all from 0 to 1.
    ///
    /// Each count of false positives has one row. Its threshold is the smallest score that gives this count,
    /// so that as many positives as possible are above it. If there are more than 512 counts, the 256 lowest
    /// stay; of the rest, those whose ranks are nearest to a geometric sequence stay, including the highest.
    pub(super) fn measured(class: Name, mut negatives: Vec<f32>, mut positives: Vec<f32>) -> Self {
        let mut histogram = Histogram::EMPTY;
        for score in &negatives {
            let counted = histogram.add(*score);
            debug_assert!(counted.is_ok(), "the sample has checked each score");
        }
        let descending = |a: &f32, b: &f32| b.total_cmp(a);
        negatives.sort_unstable_by(descending);
        positives.sort_unstable_by(descending);
        let rows = reduced(rows(&negatives, &positives));
        Self(ClassTableDraft {
            class,
            negatives: number(negatives.len()),
            positives: number(positives.len()),
            rows,
            histogram,
        })
    }

    /// Returns the class.
    #[must_use]
    pub const fn class(&self) -> &Name {
        &self.0.class
    }

    /// Returns the number of contents that are not of the class; at least one.
    #[must_use]
    pub const fn negatives(&self) -> u64 {
        self.0.negatives
    }

    /// Returns the number of contents of the class.
    #[must_use]
    pub const fn positives(&self) -> u64 {
        self.0.positives
    }

    /// Returns the rows by ascending threshold; at least one. False positives strictly descend; true
    /// positives never ascend.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.0.rows
    }

    /// Returns the histogram of the scores of negatives.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram {
        &self.0.histogram
    }

    /// Returns the rates of a row, with their intervals.
    #[must_use]
    pub fn rates(&self, row: &Row) -> Option<Measured> {
        let false_positives = Estimate::new(row.false_positives, self.negatives())?;
        let true_positives = Estimate::new(row.true_positives, self.positives())?;
        Some(Measured { threshold: row.threshold, false_positives, true_positives })
    }
}

/// Returns a row for each count of false positives, from the lowest on. Both lists descend.
fn rows(negatives: &[f32], positives: &[f32]) -> Vec<Row> {
    let mut rows = Vec::new();
    let above = |scores: &[f32], threshold: f32| scores.partition_point(|score| *score >= threshold);
    let mut false_positives = 0;
    loop {
        // The largest score of a negative that must stay below the threshold.
        let below = negatives.get(false_positives).copied();
        // The smallest score above it, of either label. Among the negatives this is the last counted one.
        let negative = false_positives.checked_sub(1).and_then(|last| negatives.get(last)).copied();
        let taken = positives.partition_point(|score| below.is_none_or(|below| *score > below));
        let positive = taken.checked_sub(1).and_then(|last| positives.get(last)).copied();
        let smallest = match (negative, positive) {
            (Some(negative), Some(positive)) => Some(negative.min(positive)),
            (some, None) | (None, some) => some,
        };
        // If no score is above, the threshold is the next number above every score, if it is at most 1.
        let threshold = smallest.or_else(|| below.map(f32::next_up).filter(|above| *above <= 1.0));
        if let Some(threshold) = threshold {
            let true_positives = number(above(positives, threshold));
            rows.push(Row { threshold, false_positives: number(false_positives), true_positives });
        }
        match below {
            Some(below) => false_positives = above(negatives, below),
            None => return rows,
        }
    }
}

/// Reduces the rows to at most [`ClassTable::ROWS_MAX`], ascending by threshold.
fn reduced(rows: Vec<Row>) -> Vec<Row> {
    let (full, len) = (ClassTable::KEPT_IN_FULL, rows.len());
    let kept: BTreeSet<usize> = if len <= ClassTable::ROWS_MAX {
        (0..len).collect()
    } else {
        let spare = ClassTable::ROWS_MAX - full;
        let ratio = len as f64 / full as f64;
        let rank = |step: usize| {
            let rank = full as f64 * ratio.powf(step as f64 / spare as f64);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a number up to ten million"
            )]
            let rank = rank.round() as usize;
            rank.clamp(1, len) - 1
        };
        (0..full).chain((1..=spare).map(rank)).collect()
    };
    kept.into_iter().rev().filter_map(|rank| rows.get(rank).copied()).collect()
}

fn number(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl TryFrom<ClassTableDraft> for ClassTable {
    type Error = Faults;

    fn try_from(draft: ClassTableDraft) -> Result<Self, Faults> {
        let mut findings = Findings::default();
        findings.expect((1..=SAMPLE_MAX).contains(&draft.negatives), "negatives", || {
            format!("{} is not from 1 to {SAMPLE_MAX}", draft.negatives)
        });
        findings.expect(draft.positives <= SAMPLE_MAX, "positives", || {
            format!("{} is more than {SAMPLE_MAX}", draft.positives)
        });
        findings.expect((1..=Self::ROWS_MAX).contains(&draft.rows.len()), "rows", || {
            format!("a table has 1 to {} rows, not {}", Self::ROWS_MAX, draft.rows.len())
        });
        let is_row = |row: &Row| {
            (0.0..=1.0).contains(&row.threshold)
                && row.false_positives <= draft.negatives
                && row.true_positives <= draft.positives
        };
        findings.expect(draft.rows.iter().all(is_row), "rows", || {
            "a threshold is from 0 to 1, and no count is more than there are".into()
        });
        let is_descending = draft.rows.is_sorted_by(|low, high| {
            low.threshold < high.threshold
                && low.false_positives > high.false_positives
                && low.true_positives >= high.true_positives
        });
        findings.expect(is_descending, "rows", || {
            "thresholds ascend, false positives descend, and true positives do not ascend".into()
        });
        findings.expect(draft.histogram.total() == draft.negatives, "histogram", || {
            format!("it counts {} scores and not the {} negatives", draft.histogram.total(), draft.negatives)
        });
        findings.finish()?;
        Ok(Self(draft))
    }
}

impl From<ClassTable> for ClassTableDraft {
    fn from(table: ClassTable) -> Self {
        table.0
    }
}

impl TryFrom<CalibrationDraft> for Calibration {
    type Error = Faults;

    fn try_from(draft: CalibrationDraft) -> Result<Self, Faults> {
        let mut findings = Findings::default();
        findings.expect_line(&draft.source, Self::SOURCE_LEN_MAX, "source");
        findings.expect((1..=Self::CLASSES_MAX).contains(&draft.classes.len()), "classes", || {
            format!("a calibration has 1 to {} classes, not {}", Self::CLASSES_MAX, draft.classes.len())
        });
        let names: BTreeSet<&Name> = draft.classes.iter().map(ClassTable::class).collect();
        findings.expect(names.len() == draft.classes.len(), "classes", || "a class has one table".into());
        findings.finish()?;
        Ok(Self(draft))
    }
}

impl From<Calibration> for CalibrationDraft {
    fn from(calibration: Calibration) -> Self {
        calibration.0
    }
}
