//! Keeps the models in step with the cards of the directory, and checks each model against its card
//! repeatedly.
//!
//! ```text
//! another version of a card   the old one is no longer served, the new one after its check
//! a check that fails          the model is not served; again after a pause, which is doubled each time
//! a check that succeeds       the model is served; again after a minute, since a server may change its model
//! ```
//!
//! Each model is checked by a separate task: an engine that hangs does not keep other models from being
//! served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use vigie_classifiers::State;
use vigie_classifiers::card::Source;
use vigie_consortium::CardVersion;

use super::cards::{Cards, are_same, is_same};
use super::check::{compare, meet};
use super::metrics::Metrics;
use super::models::{Model, Models};
use crate::engine::Engine;

/// The interval at which the directory is read.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The pause after a check that failed, doubled after each, up to the longest pause.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The pause after a check that succeeded.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// The longest time of one check. Most of it is for a model that is being loaded.
const CHECK_WITHIN: Duration = Duration::from_secs(60);
/// The problem of a model that has not been checked yet.
const UNCHECKED: &str = "its test vector has not been run yet";

/// Keeps the models. Dropping it ends all checks.
#[derive(Debug)]
pub(crate) struct Keeper {
    cards: Arc<dyn Cards>,
    engine: Arc<dyn Engine>,
    configured: BTreeMap<String, Source>,
    models: Arc<Models>,
    metrics: Metrics,
    /// The cards as last read; `None` before the first time.
    seen: Option<Vec<Arc<CardVersion>>>,
    checks: BTreeMap<String, Checks>,
}

/// The task that checks one version of a model. It ends when this handle is dropped.
#[derive(Debug)]
struct Checks(JoinHandle<()>);

impl Drop for Checks {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    /// Creates a keeper of `models`; `engine` runs those that are `configured`.
    pub(crate) fn new(
        cards: Arc<dyn Cards>,
        engine: Arc<dyn Engine>,
        configured: BTreeMap<String, Source>,
        models: Arc<Models>,
        metrics: Metrics,
    ) -> Self {
        let checks = BTreeMap::new();
        let mut keeper = Self { cards, engine, configured, models, metrics, seen: None, checks };
        // Lists the configured models while the directory is not available.
        keeper.update(&[]);
        keeper
    }

    /// Follows the cards for as long as it is polled.
    pub(crate) async fn run(&mut self) {
        loop {
            self.look();
            sleep(LOOK_EVERY).await;
        }
    }

    /// Reads the current cards.
    pub(crate) fn look(&mut self) {
        let Some(cards) = self.cards.now() else { return };
        if !self.seen.as_ref().is_some_and(|seen| are_same(seen, &cards)) {
            self.update(&cards);
            self.seen = Some(cards);
        }
    }

    /// Replaces the cards.
    fn update(&mut self, cards: &[Arc<CardVersion>]) {
        let before = self.models.now();
        let by_name: BTreeMap<&str, &Arc<CardVersion>> =
            cards.iter().map(|card| (card.name(), card)).collect();
        let names: BTreeSet<&str> =
            by_name.keys().copied().chain(self.configured.keys().map(String::as_str)).collect();
        let mut models = BTreeMap::new();
        for name in names {
            let card = by_name.get(name).copied();
            let kept = before.get(name).filter(|model| is_of(model, card));
            let model = kept.map_or_else(|| Arc::new(self.begun(name, card)), Arc::clone);
            models.insert(name.to_owned(), model);
        }
        for (name, model) in &*before {
            if models.get(name).is_none_or(|now| !Arc::ptr_eq(now, model)) {
                self.checks.remove(name);
                self.metrics.forget(model);
            }
        }
        for (name, model) in &models {
            if let Some(checks) = self.checks_of(name, model) {
                self.checks.insert(name.clone(), checks);
            }
            self.metrics.expect(name, model);
        }
        self.models.set(models);
    }

    /// Returns the model of a new card, or of no card.
    fn begun(&self, name: &str, card: Option<&Arc<CardVersion>>) -> Model {
        let Some(card) = card else { return Model::without_card() };
        let problem = match self.configured.get(name) {
            _ if card.card().state() == State::Retired => "the card is retired".to_owned(),
            None => "it is not configured here".to_owned(),
            Some(configured) => match compare(card.card(), configured) {
                Ok(()) => UNCHECKED.to_owned(),
                Err(problem) => {
                    tracing::warn!(model = name, version = card.version(), %problem, "a model is not served");
                    problem.to_string()
                }
            },
        };
        Model::of_card(Arc::clone(card), problem)
    }

    /// Starts the checks of a model that may be served and has none yet.
    fn checks_of(&self, name: &str, model: &Arc<Model>) -> Option<Checks> {
        let card = model.carded().filter(|_| model.is_in_use())?.card();
        compare(card, self.configured.get(name)?).ok()?;
        if self.checks.contains_key(name) {
            return None;
        }
        let (engine, model) = (Arc::clone(&self.engine), Arc::clone(model));
        Some(Checks(tokio::spawn(async move { check_again_and_again(&*engine, &model).await })))
    }
}

/// Returns whether a model belongs to this card, or neither has a card.
fn is_of(model: &Model, card: Option<&Arc<CardVersion>>) -> bool {
    match (model.carded(), card) {
        (Some(carded), Some(card)) => is_same(&carded.version, card),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

async fn check_again_and_again(engine: &dyn Engine, model: &Model) {
    let Some(carded) = model.carded() else { return };
    let (card, version) = (carded.card(), carded.version.version());
    let name = card.name();
    let (mut pause, mut logged) = (PAUSE_MIN, None);
    loop {
        match meet(engine, card, Instant::now() + CHECK_WITHIN).await {
            Ok(()) => {
                if model.problem().is_some() {
                    tracing::info!(model = %name, version, "a model is served");
                }
                model.set_problem(None);
                (pause, logged) = (PAUSE_MIN, None);
                sleep(AGAIN_AFTER).await;
            }
            // The test vector passed before, and the engine is overloaded.
            Err(problem) if problem.is_of_load() && model.problem().is_none() => sleep(AGAIN_AFTER).await,
            Err(problem) => {
                let problem = problem.to_string();
                if logged.as_ref() != Some(&problem) {
                    tracing::warn!(model = %name, version, problem, "a model is not served");
                }
                model.set_problem(Some(problem.clone()));
                logged = Some(problem);
                sleep(pause).await;
                pause = pause.saturating_mul(2).min(PAUSE_MAX);
            }
        }
    }
}
