//! The share of reviewed reports and decisions that were confirmed.

use serde::Serialize;

use super::numbers::{MeasureNumbers, Part};
use crate::cell::Measure;
use crate::suppress::Cell;

/// The kind of items that were reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reviewed {
    /// Reports that a reviewer found founded or unfounded.
    Reports,
    /// Decisions that a later review confirmed or overturned.
    Decisions,
}

/// The scope of a precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All together.
    All,
    /// A single member.
    Member,
    /// A single bank.
    Bank,
}

/// A precision: confirmed divided by reviewed.
///
/// Across members it is shown only if the numbers of confirmed and of rejected ones are both shown, because
/// either could be computed from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Precision {
    /// The kind of items that were reviewed.
    pub of: Reviewed,
    /// The scope of the precision.
    pub scope: Scope,
    /// The name of the member or the bank; empty for all.
    pub name: String,
    /// The number that was confirmed.
    pub confirmed: Cell,
    /// The number that was reviewed.
    pub reviewed: Cell,
    /// Confirmed divided by reviewed, with four decimals; `None` if it is suppressed or nothing was reviewed.
    pub precision: Option<f64>,
}

impl Reviewed {
    const ALL: [Self; 2] = [Self::Reports, Self::Decisions];

    const fn measures(self) -> (Measure, Measure) {
        match self {
            Self::Reports => (Measure::ReportsFounded, Measure::ReportsUnfounded),
            Self::Decisions => (Measure::DecisionsConfirmed, Measure::DecisionsOverturned),
        }
    }
}

/// Computes the precisions from the numbers.
pub(super) fn precisions(numbers: &[MeasureNumbers]) -> Vec<Precision> {
    let find = |measure: Measure| numbers.iter().find(|one| one.measure == measure.name());
    let mut all = Vec::new();
    for of in Reviewed::ALL {
        let (confirmed, rejected) = of.measures();
        let (Some(confirmed), Some(rejected)) = (find(confirmed), find(rejected)) else { continue };
        all.push(precision(of, Scope::All, "", confirmed.total, rejected.total));
        let members = confirmed.by_member.iter().zip(&rejected.by_member);
        all.extend(
            members.map(|(one, other)| precision(of, Scope::Member, &one.member, one.total, other.total)),
        );
        let banks = confirmed.by_bank.iter().zip(&rejected.by_bank);
        let of_bank =
            |(one, other): (&Part, &Part)| precision(of, Scope::Bank, &one.name, one.count, other.count);
        all.extend(banks.map(of_bank));
    }
    all
}

fn precision(of: Reviewed, scope: Scope, name: &str, confirmed: Cell, rejected: Cell) -> Precision {
    let reviewed = confirmed.plus(rejected);
    let share = |(confirmed, reviewed): (u64, u64)| {
        let ten_thousandths = (u128::from(confirmed) * 10_000).checked_div(u128::from(reviewed))?;
        u32::try_from(ten_thousandths).ok().map(|share| f64::from(share) / 10_000.0)
    };
    let confirmed = if reviewed.is_suppressed() { Cell::Suppressed } else { confirmed };
    let precision = confirmed.shown().zip(reviewed.shown()).and_then(share);
    Precision { of, scope, name: name.to_owned(), confirmed, reviewed, precision }
}
