//! The current models of a classifier.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use vigie_classifiers::{ModelCard, State};
use vigie_consortium::CardVersion;

use super::distributions::Distributions;

/// A version of a model's card, or a configured model without a card.
#[derive(Debug)]
pub(crate) struct Model {
    /// The card and the counts of its scores; `None` without a card.
    carded: Option<Carded>,
    /// The reason why the model is not served; `None` while it is.
    problem: RwLock<Option<String>>,
}

/// A version of a card, and the counts of its scores.
#[derive(Debug)]
pub(crate) struct Carded {
    pub(crate) version: Arc<CardVersion>,
    pub(crate) distributions: Distributions,
}

impl Carded {
    pub(crate) fn card(&self) -> &ModelCard {
        self.version.card()
    }
}

impl Model {
    /// Creates the model of a card, not served yet.
    pub(crate) fn of_card(version: Arc<CardVersion>, problem: String) -> Self {
        let distributions = Distributions::of(version.card());
        let carded = Some(Carded { version, distributions });
        Self { carded, problem: RwLock::new(Some(problem)) }
    }

    /// Creates a configured model without a card.
    pub(crate) fn without_card() -> Self {
        let problem =
            "the directory has no card of this name: add one with `vigie classifier add`".to_owned();
        Self { carded: None, problem: RwLock::new(Some(problem)) }
    }

    pub(crate) const fn carded(&self) -> Option<&Carded> {
        self.carded.as_ref()
    }

    /// Returns the version of the card; 0 without one.
    pub(crate) fn version(&self) -> u32 {
        self.carded.as_ref().map_or(0, |carded| carded.version.version())
    }

    /// Returns whether the card is in use.
    pub(crate) fn is_in_use(&self) -> bool {
        self.carded.as_ref().is_some_and(|carded| carded.card().state() == State::InUse)
    }

    /// Returns why the model is not served; `None` if it is.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Marks the model as served, or as not served for this reason.
    pub(crate) fn set_problem(&self, problem: Option<String>) {
        *self.problem.write().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

/// The models by name. Readers never wait.
#[derive(Debug, Default)]
pub(crate) struct Models(ArcSwap<BTreeMap<String, Arc<Model>>>);

impl Models {
    /// Returns all current models.
    pub(crate) fn now(&self) -> Arc<BTreeMap<String, Arc<Model>>> {
        self.0.load_full()
    }

    /// Returns the model of this name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Model>> {
        self.0.load().get(name).cloned()
    }

    /// Replaces the models.
    pub(crate) fn set(&self, models: BTreeMap<String, Arc<Model>>) {
        self.0.store(Arc::new(models));
    }
}
