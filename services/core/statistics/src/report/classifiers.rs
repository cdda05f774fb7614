//! The uses of classifiers, by model, card version and class.

use std::collections::BTreeMap;

use serde::Serialize;
use vigie_model::MemberId;

use super::names::Names;
use super::numbers::{Counted, MeasureNumbers, MemberNumbers};
use crate::cell::{CellKey, Measure, ScoredClass};
use crate::month::Period;
use crate::suppress::{Cell, Rule};

/// The uses of one class of one version of a model's card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassifierNumbers {
    /// The name of the model.
    pub model: String,
    /// The version of its card.
    pub version: u32,
    /// The class.
    pub class: String,
    /// The numbers of [`Measure::OF_CLASSIFIERS`], in their order.
    pub measures: Vec<ScoreNumbers>,
}

/// The numbers of one measure for a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScoreNumbers {
    /// The name of the measure.
    pub measure: &'static str,
    /// The total of the period.
    pub total: Cell,
    /// The numbers by month, in the order of [`super::Statistics::months`].
    pub by_month: Vec<Cell>,
    /// The numbers by member; empty in a member's own numbers.
    pub by_member: Vec<MemberNumbers>,
}

impl From<MeasureNumbers> for ScoreNumbers {
    fn from(numbers: MeasureNumbers) -> Self {
        let MeasureNumbers { measure, total, by_month, by_member, .. } = numbers;
        Self { measure, total, by_month, by_member }
    }
}

/// The largest number of classes of models in one report. Each class has a table of all members for each
/// measure, which takes time.
pub(super) const CLASSES_MAX: usize = 1_000;

/// The input for the numbers of classifiers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uses<'a> {
    /// The counters until the end of the period; only those of classifiers are used.
    pub(super) counters: &'a [(&'a CellKey, u64)],
    /// The rows of members.
    pub(super) names: &'a Names,
    pub(super) period: Period,
}

impl Uses<'_> {
    /// Returns the numbers across members, without small cells. Each class has its own tables, and sums
    /// across classes are not shown.
    pub(super) fn across_members(self, rule: Rule) -> Vec<ClassifierNumbers> {
        self.numbers(|_| true, &|counted| counted.across_members(rule))
    }

    /// Returns the numbers of one member for itself.
    pub(super) fn own(self, member: MemberId) -> Vec<ClassifierNumbers> {
        self.numbers(|key| key.member == Some(member), &|counted| counted.own())
    }

    fn numbers(
        self,
        passes: impl Fn(&CellKey) -> bool,
        table: &dyn Fn(Counted<'_>) -> MeasureNumbers,
    ) -> Vec<ClassifierNumbers> {
        let mut classes: BTreeMap<ScoredClass, Vec<(&CellKey, u64)>> = BTreeMap::new();
        for (key, amount) in self.counters {
            if key.what.is_of_classifiers() && self.period.contains(key.month) && passes(key) {
                classes.entry(ScoredClass::read(&key.class)).or_default().push((key, *amount));
            }
        }
        let rows = classes.into_iter().take(CLASSES_MAX);
        rows.map(|(ScoredClass { model, version, class }, counters)| {
            let of_measure = |measure| {
                let is_it = |(key, _): &&(&CellKey, u64)| key.what == measure;
                let counters: Vec<(&CellKey, u64)> = counters.iter().filter(is_it).copied().collect();
                let counted =
                    Counted { measure, counters: &counters, names: self.names, period: self.period };
                ScoreNumbers::from(table(counted))
            };
            let measures = Measure::OF_CLASSIFIERS.into_iter().map(of_measure).collect();
            ClassifierNumbers { model, version, class, measures }
        })
        .collect()
    }
}
