//! What a sample shows of each threshold.

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
    /// The content that was measured on, and who labelled it.
    pub source: String,
    /// When it was measured, in milliseconds since 1970, UTC.
    pub at: u64,
    /// The table of each class that was measured.
    pub classes: Vec<ClassTable>,
}

/// The thresholds of one class with the counts that a sample shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ClassTableDraft", into = "ClassTableDraft")]
pub struct ClassTable(ClassTableDraft);

/// A table before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassTableDraft {
    /// The class.
    pub class: Name,
    /// Contents that are not of the class.
    pub negatives: u64,
    /// Contents of the class; may be 0, where none may be held.
    pub positives: u64,
    /// Thresholds, ascending: so false positives descend.
    pub rows: Vec<Row>,
    /// The scores of the negatives. Nearly all content of a platform is negative, so drift compares with
    /// these.
    pub histogram: Histogram,
}

/// The contents that a threshold takes for the class: those whose score is at least the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The threshold, from 0 to 1.
    pub threshold: f32,
    /// Negatives with at least that score.
    pub false_positives: u64,
    /// Positives with at least that score.
    pub true_positives: u64,
}

/// A row with the rates that it shows.
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
    /// Bytes of a source.
    pub const SOURCE_LEN_MAX: usize = 256;
    /// Classes of one calibration.
    pub const CLASSES_MAX: usize = 64;

    /// The content that was measured on, and who labelled it.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// When it was measured, in milliseconds since 1970, UTC.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.0.at
    }

    /// The table of each class that was measured.
    #[must_use]
    pub fn classes(&self) -> &[ClassTable] {
        &self.0.classes
    }

    /// The table of a class; `None` if it was not measured.
    #[must_use]
    pub fn class(&self, name: &Name) -> Option<&ClassTable> {
        self.0.classes.iter().find(|table| table.class() == name)
    }
}

impl ClassTable {
    /// Rows of one table.
    pub const ROWS_MAX: usize = 512;
    /// Counts of false positives, from the lowest on, each of which keeps its row.
    const KEPT_IN_FULL: usize = 256;

    /// Measures the scores: at least one negative, all from 0 to 1.
    ///
    /// Each count of false positives has one row, with the smallest score that keeps it as its threshold: so
    /// as many positives as can be are above. Of more than 512 counts the 256 lowest stay, and of the rest
    /// those nearest to equal ratios of their ranks: the highest stays.
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

    /// The class.
    #[must_use]
    pub const fn class(&self) -> &Name {
        &self.0.class
    }

    /// Contents that are not of the class; at least one.
    #[must_use]
    pub const fn negatives(&self) -> u64 {
        self.0.negatives
    }

    /// Contents of the class.
    #[must_use]
    pub const fn positives(&self) -> u64 {
        self.0.positives
    }

    /// Thresholds, ascending; at least one. False positives descend strictly, and true positives descend or
    /// stay.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.0.rows
    }

    /// The scores of the negatives.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram {
        &self.0.histogram
    }

    /// The rates of a row, with their intervals.
    #[must_use]
    pub fn rates(&self, row: &Row) -> Option<Measured> {
        let false_positives = Estimate::new(row.false_positives, self.negatives())?;
        let true_positives = Estimate::new(row.true_positives, self.positives())?;
        Some(Measured { threshold: row.threshold, false_positives, true_positives })
    }
}

/// A row for each count of false positives, from the lowest on. Both lists descend.
fn rows(negatives: &[f32], positives: &[f32]) -> Vec<Row> {
    let mut rows = Vec::new();
    let above = |scores: &[f32], threshold: f32| scores.partition_point(|score| *score >= threshold);
    let mut false_positives = 0;
    loop {
        // The largest negative that must stay below.
        let below = negatives.get(false_positives).copied();
        // The smallest score above it, whichever label it has: of the negatives that is the last one counted.
        let negative = false_positives.checked_sub(1).and_then(|last| negatives.get(last)).copied();
        let taken = positives.partition_point(|score| below.is_none_or(|below| *score > below));
        let positive = taken.checked_sub(1).and_then(|last| positives.get(last)).copied();
        let smallest = match (negative, positive) {
            (Some(negative), Some(positive)) => Some(negative.min(positive)),
            (some, None) | (None, some) => some,
        };
        // Above every score, if anything is.
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

/// At most [`ClassTable::ROWS_MAX`] rows, ascending by threshold.
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
