//! The distribution of a model's scores since it is served.

use std::sync::{Mutex, MutexGuard, PoisonError};

use vigie_classifiers::{Histogram, ModelCard, Name, Scores, drift};

/// The counted scores of one version of a card, by class in the card's order. It holds counts only, and no
/// score.
#[derive(Debug)]
pub(crate) struct Distributions(Mutex<Box<[(Name, Histogram)]>>);

impl Distributions {
    /// Creates empty counts for the classes of this card.
    pub(crate) fn of(card: &ModelCard) -> Self {
        let classes = card.output().classes().iter();
        Self(Mutex::new(classes.map(|class| (class.name.clone(), Histogram::EMPTY)).collect()))
    }

    /// Counts the scores of one content.
    pub(crate) fn count(&self, scores: &Scores) {
        for (class, histogram) in &mut *self.lock() {
            // A score is from 0 to 1.
            let _counted = scores.of(class).map(|score| histogram.add(score));
        }
    }

    /// Returns the current counts of each class.
    pub(crate) fn now(&self) -> Box<[(Name, Histogram)]> {
        self.lock().clone()
    }

    /// Returns the counts of each class, with the population stability index against the calibration of this
    /// card; `None` if either side has too few scores for a statement.
    pub(crate) fn compared(&self, card: &ModelCard) -> Vec<(Name, Histogram, Option<f64>)> {
        let compared = |(class, live): (Name, Histogram)| {
            let table = card.calibration().and_then(|calibration| calibration.class(&class));
            let drift = table.and_then(|table| drift::compare(table.histogram(), &live).ok());
            (class, live, drift.map(|drift| drift.index))
        };
        self.now().into_iter().map(compared).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Box<[(Name, Histogram)]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
