//! Counts of the outcomes of classifiers.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use vigie_model::ScoreFailureKind;

/// The metrics of one frontend.
#[derive(Debug, Clone)]
pub(crate) struct ClassifierMetrics {
    scores: Family<OfModel, Counter>,
    unavailable: Family<OfKind, Counter>,
    pub(super) seconds: Histogram,
}

/// A model with a card, of which there are at most 64, or the empty name for all others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    model: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// The bounds of the buckets in seconds: from a millisecond to the longest wait.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

impl Default for ClassifierMetrics {
    fn default() -> Self {
        Self { scores: Family::default(), unavailable: Family::default(), seconds: Histogram::new(SECONDS) }
    }
}

impl ClassifierMetrics {
    /// Registers the metrics.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        // Every kind is registered at zero.
        for kind in ScoreFailureKind::ALL {
            drop(metrics.unavailable.get_or_create(&OfKind { kind: kind.name() }));
        }
        registry.register(
            "vigie_frontend_classifier_scores",
            "Contents that a model was asked about, by model and outcome (scored, unavailable)",
            metrics.scores.clone(),
        );
        registry.register(
            "vigie_frontend_classifier_unavailable",
            "Contents of which a model gave no score, by the kind of the reason",
            metrics.unavailable.clone(),
        );
        registry.register(
            "vigie_frontend_classifier_seconds",
            "Duration of calls to classifiers, in seconds",
            metrics.seconds.clone(),
        );
        metrics
    }

    /// Counts the outcome of a model with a card; `None` for a model without one.
    pub(super) fn count(&self, model: Option<&str>, failure: Option<ScoreFailureKind>) {
        let outcome = if failure.is_none() { "scored" } else { "unavailable" };
        let model = model.unwrap_or_default().into();
        self.scores.get_or_create(&OfModel { model, outcome }).inc();
        if let Some(kind) = failure {
            self.unavailable.get_or_create(&OfKind { kind: kind.name() }).inc();
        }
    }
}
