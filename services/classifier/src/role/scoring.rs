//! Scores one item.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use vigie_classifiers::{Scores, Tensor};
use vigie_proto::pb::classifier::v1 as pb;

use super::content;
use super::failure::{Failure, Kind};
use super::metrics::Metrics;
use super::models::{Carded, Model, Models};
use crate::engine::Engine;

/// Pictures of more bytes are converted to tensors on a blocking thread, because it takes longer than a
/// millisecond.
const QUICK_BYTES_MAX: usize = 256 << 10;

/// The state for scoring items.
#[derive(Debug)]
pub(crate) struct Scoring {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) models: Arc<Models>,
    pub(crate) metrics: Metrics,
    /// The slots for items with a tensor, of all calls.
    pub(crate) items: Semaphore,
}

impl Scoring {
    /// Returns the raw scores of one item, or why there are none. It ends by the deadline.
    pub(crate) async fn score(
        &self,
        item: pb::ScoreItem,
        is_counted: bool,
        deadline: Instant,
    ) -> pb::ScoreResult {
        let pb::ScoreItem { model: name, version, content } = item;
        let model = self.models.get(&name);
        let outcome = self.outcome(&name, model.as_deref(), version, content, deadline).await;
        let kind = outcome.as_ref().err().map(|failure| failure.kind);
        let carded = model.as_ref().and_then(|model| model.carded());
        self.metrics.scored(carded.map(|_| name.as_str()), kind);
        let outcome = match outcome {
            Ok(scores) => {
                if let Some(carded) = carded.filter(|_| is_counted) {
                    carded.distributions.count(&scores);
                    self.metrics.counted(&name, &scores);
                }
                let raw =
                    scores.iter().map(|(class, score)| pb::RawScore { class: class.to_string(), score });
                pb::score_result::Outcome::Scores(pb::RawScores { scores: raw.collect() })
            }
            Err(failure) => pb::score_result::Outcome::Failure(failure.into()),
        };
        pb::ScoreResult { outcome: Some(outcome) }
    }

    async fn outcome(
        &self,
        name: &str,
        model: Option<&Model>,
        version: u32,
        content: Option<pb::score_item::Content>,
        deadline: Instant,
    ) -> Result<Scores, Failure> {
        let carded = model.and_then(Model::carded);
        let (Some(model), Some(carded)) = (model, carded) else {
            return Err(Failure::new(Kind::UnknownModel, "the classifier knows no card of this name"));
        };
        let here = model.version();
        if version != here {
            let message = format!("the classifier has version {here} of the card, and not {version}");
            return Err(Failure::new(Kind::OtherVersion, message));
        }
        if let Some(problem) = model.problem() {
            return Err(Failure::new(Kind::NotServed, problem));
        }
        let content = content.ok_or_else(|| Failure::content("the item has no content"))?;
        // Each item holds a tensor until it is answered.
        let _item = self.items.try_acquire().map_err(|_| {
            Failure::new(Kind::Busy, "the classifier has items_max items already; try again later")
        })?;
        let tensor = tensor(carded, content).await?;
        let begun = Instant::now();
        let outputs = self.engine.run(name, vec![tensor], deadline).await;
        self.metrics.ran(name, begun.elapsed());
        Ok(carded.card().scores(&outputs?)?)
    }
}

/// Returns the tensor of a content; a large one is made on a blocking thread.
async fn tensor(carded: &Carded, content: pb::score_item::Content) -> Result<Tensor, Failure> {
    let is_large =
        matches!(&content, pb::score_item::Content::Pixels(pixels) if pixels.len() > QUICK_BYTES_MAX);
    if !is_large {
        return content::tensor(carded.card(), content);
    }
    let version = Arc::clone(&carded.version);
    let made = tokio::task::spawn_blocking(move || content::tensor(version.card(), content)).await;
    made.unwrap_or_else(|_| Err(Failure::new(Kind::Failed, "the picture's tensor could not be made")))
}
