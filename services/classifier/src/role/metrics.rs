//! The metrics of a classifier. Names of models and classes come from cards only, and the series of a version
//! end with it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use vigie_classifiers::Scores;
use vigie_telemetry::names;

use super::failure::Kind;
use super::models::{Model, Models};

/// The outcome of an item that has scores.
const SCORED: &str = "scored";
/// The upper bounds of the buckets of scores.
const SCORE_BOUNDS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    model: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabels {
    model: String,
    class: String,
}

/// The metrics of items. Clones share their counts.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    scored: Family<OutcomeLabels, Counter>,
    runs: Family<ModelLabels, Histogram>,
    scores: Family<ClassLabels, Histogram>,
}

impl Metrics {
    /// Registers the metrics, including those that are read from `models` at each scrape.
    pub(crate) fn register(registry: &mut Registry, models: &Arc<Models>) -> Self {
        let metrics = Self {
            scored: Family::default(),
            runs: Family::new_with_constructor(|| Histogram::new(names::DURATION_BOUNDS)),
            scores: Family::new_with_constructor(|| Histogram::new(SCORE_BOUNDS)),
        };
        registry.register(
            "vigie_classifier_scores",
            "Items that were to be scored, by model and outcome; scored, or the kind of failure",
            metrics.scored.clone(),
        );
        registry.register(
            "vigie_classifier_run_seconds",
            "Time from an item's tensor to the model's outputs or its failure, waiting included",
            metrics.runs.clone(),
        );
        registry.register(
            "vigie_classifier_score",
            "Scores of each class, except those of calibrations",
            metrics.scores.clone(),
        );
        registry.register_collector(Box::new(Served(Arc::clone(models))));
        registry.register_collector(Box::new(Drift(Arc::clone(models))));
        metrics
    }

    /// Registers every outcome of a model at zero: a series that begins at one has no rate.
    pub(crate) fn expect(&self, name: &str, model: &Model) {
        if model.carded().is_none() {
            return;
        }
        for outcome in Kind::ALL.map(Kind::name).into_iter().chain([SCORED]) {
            let _counter =
                self.scored.get_or_create_owned(&OutcomeLabels { model: name.to_owned(), outcome });
        }
    }

    /// Removes the series of a version that is gone.
    pub(crate) fn forget(&self, model: &Model) {
        let Some(carded) = model.carded() else { return };
        let name = || carded.card().name().to_string();
        for outcome in Kind::ALL.map(Kind::name).into_iter().chain([SCORED]) {
            self.scored.remove(&OutcomeLabels { model: name(), outcome });
        }
        self.runs.remove(&ModelLabels { model: name() });
        for class in carded.card().output().classes() {
            self.scores.remove(&ClassLabels { model: name(), class: class.name.to_string() });
        }
    }

    /// Counts an item of a model with a card; `None` for any other model.
    pub(crate) fn scored(&self, model: Option<&str>, failure: Option<Kind>) {
        let outcome = failure.map_or(SCORED, Kind::name);
        let model = model.unwrap_or(names::OTHER).to_owned();
        self.scored.get_or_create_owned(&OutcomeLabels { model, outcome }).inc();
    }

    /// Counts a run of a model that has a card.
    pub(crate) fn ran(&self, model: &str, elapsed: Duration) {
        self.runs
            .get_or_create_owned(&ModelLabels { model: model.to_owned() })
            .observe(elapsed.as_secs_f64());
    }

    /// Counts the scores of a content.
    pub(crate) fn counted(&self, model: &str, scores: &Scores) {
        for (class, score) in scores.iter() {
            let labels = ClassLabels { model: model.to_owned(), class: class.to_string() };
            self.scores.get_or_create_owned(&labels).observe(score.into());
        }
    }
}

/// The gauge of which models in use are served.
struct Served(Arc<Models>);

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Served")
    }
}

impl Collector for Served {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help =
            "Whether a model with a card in use is served here: loaded, and meeting the card's test vector.";
        let mut family =
            encoder.encode_descriptor("vigie_classifier_served", help, None, MetricType::Gauge)?;
        for (name, model) in self.0.now().iter().filter(|(_, model)| model.is_in_use()) {
            let gauge = ConstGauge::new(i64::from(model.problem().is_none()));
            gauge.encode(family.encode_family(&[("model", name.as_str())])?)?;
        }
        Ok(())
    }
}

/// The gauge of the difference between each class's scores and the calibration.
struct Drift(Arc<Models>);

impl fmt::Debug for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drift")
    }
}

impl Collector for Drift {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Population stability index of a class against its calibration; from 0.25 on measured rates may not hold any more.";
        let mut family =
            encoder.encode_descriptor("vigie_classifier_drift", help, None, MetricType::Gauge)?;
        for (name, model) in &*self.0.now() {
            let Some(carded) = model.carded() else { continue };
            for (class, _, drift) in carded.distributions.compared(carded.card()) {
                let Some(drift) = drift else { continue };
                let labels = [("model", name.as_str()), ("class", class.as_str())];
                ConstGauge::new(drift).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
