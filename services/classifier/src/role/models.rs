//! The models of a classifier as they are now.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use vigie_classifiers::{ModelCard, State};
use vigie_consortium::CardVersion;

use super::distributions::Distributions;

/// One version of a model's card, or a configured model without a card.
#[derive(Debug)]
pub(crate) struct Model {
    /// The card and what was counted by it; `None` without a card.
    carded: Option<Carded>,
    /// Why it is not served; `None` while it is.
    problem: RwLock<Option<String>>,
}

/// A version of a card, and the scores that were counted by it.
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
    /// A model of a card, which is not served.
    pub(crate) fn of_card(version: Arc<CardVersion>, problem: String) -> Self {
        let distributions = Distributions::of(version.card());
        let carded = Some(Carded { version, distributions });
        Self { carded, problem: RwLock::new(Some(problem)) }
    }

    /// A configured model of which there is no card.
    pub(crate) fn without_card() -> Self {
        let problem =
            "the directory has no card of this name: add one with `vigie classifier add`".to_owned();
        Self { carded: None, problem: RwLock::new(Some(problem)) }
    }

    pub(crate) const fn carded(&self) -> Option<&Carded> {
        self.carded.as_ref()
    }

    /// The version of the card; 0 without one.
    pub(crate) fn version(&self) -> u32 {
        self.carded.as_ref().map_or(0, |carded| carded.version.version())
    }

    /// Whether the card is one that is run.
    pub(crate) fn is_in_use(&self) -> bool {
        self.carded.as_ref().is_some_and(|carded| carded.card().state() == State::InUse)
    }

    /// Why it is not served; `None` where it is.
    pub(crate) fn problem(&self) -> Option<String> {
        self.problem.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It is served from now on, or is not for this reason.
    pub(crate) fn set_problem(&self, problem: Option<String>) {
        *self.problem.write().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

/// The models by name. Readers wait for nobody.
#[derive(Debug, Default)]
pub(crate) struct Models(ArcSwap<BTreeMap<String, Arc<Model>>>);

impl Models {
    /// All of them now.
    pub(crate) fn now(&self) -> Arc<BTreeMap<String, Arc<Model>>> {
        self.0.load_full()
    }

    /// The model of this name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Model>> {
        self.0.load().get(name).cloned()
    }

    /// These are the models from now on.
    pub(crate) fn set(&self, models: BTreeMap<String, Arc<Model>>) {
        self.0.store(Arc::new(models));
    }
}
