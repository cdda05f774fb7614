//! Client of a classifier, which runs models.

use std::sync::Arc;

use tokio::time::Instant;
use vigie_classifiers::{Conversation, RgbPicture};
use vigie_model::{ScoreFailure, ScoreFailureKind};
use vigie_net::{CallError, DirectChannel, EndpointError, Network, Pool, Target};
use vigie_proto::Invalid;
use vigie_proto::pb::classifier::v1 as pb;
use vigie_proto::pb::classifier::v1::classifier_service_client::ClassifierServiceClient;
use vigie_rpc::Priority;

use crate::wrong_service::explained;

/// The most bytes of an answer: more than 16 models of 64 classes, or the distributions of all
/// models, need.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// The most models in one description: those with a card, and as many configured models without one.
const MODELS_MAX: usize = 256;
/// The most classes of one model.
const CLASSES_MAX: usize = 64;
/// The number of bins of one distribution.
const BINS: usize = 64;

const SCORE: &str = "vigie.classifier.v1.ClassifierService/Score";
const DESCRIBE_MODELS: &str = "vigie.classifier.v1.ClassifierService/DescribeModels";

/// A content as a model reads it.
#[derive(Debug, Clone)]
pub enum ScoreContent {
    /// A picture in the form that the model's card declares.
    Picture(Arc<RgbPicture>),
    /// A conversation.
    Conversation(Arc<Conversation>),
}

/// A content to be scored by one model.
#[derive(Debug, Clone)]
pub struct ScoreItem {
    /// The name of the model.
    pub model: Box<str>,
    /// The version of the model's card. The classifier runs no other version.
    pub version: u32,
    /// The content.
    pub content: ScoreContent,
}

/// The scores of a model by class, as it answered them, or the reason for which there are none.
pub type RawScores = Result<Vec<(String, f32)>, ScoreFailure>;

/// A model of a classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct DescribedModel {
    /// The name.
    pub name: Box<str>,
    /// The version of its card that is served; `None` if none is.
    pub version: Option<u32>,
    /// The reason for which the model is not served; `None` if it is.
    pub problem: Option<Box<str>>,
    /// The distributions of scores, one for each class.
    pub distributions: Vec<ScoreDistribution>,
}

/// The distribution of the scores of a class.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreDistribution {
    /// The class.
    pub class: Box<str>,
    /// The number of scores in each of 64 bins of equal width from 0 to 1.
    pub counts: Vec<u64>,
    /// The population stability index against the calibration's scores; `None` with too few scores.
    pub drift: Option<f64>,
}

/// Calls the classifiers of a deployment. Any one of them answers for all models.
#[derive(Debug, Clone)]
pub struct ClassifierClient {
    pool: Pool<Endpoint>,
}

#[derive(Debug, Clone)]
struct Endpoint {
    target: Target,
    stub: ClassifierServiceClient<DirectChannel>,
}

impl ClassifierClient {
    /// The most items in one call.
    pub const ITEMS_MAX: usize = 16;

    /// Makes a client of the classifiers at these endpoints, at least one, on a network. Calls go to the
    /// endpoint that answers soonest, and to another when a connection breaks.
    pub fn new_on(endpoints: &[impl AsRef<str>], network: &Network) -> Result<Self, EndpointError> {
        let endpoint = |endpoint: &str| {
            let target = Target::new("classifier", endpoint, network)?;
            let stub = ClassifierServiceClient::new(target.direct_channel())
                .max_decoding_message_size(ANSWER_BYTES_MAX);
            Ok(Endpoint { target, stub })
        };
        Ok(Self { pool: Pool::new(endpoints, endpoint)? })
    }

    /// Fails if `endpoint` is not a valid endpoint.
    pub fn check_endpoint(endpoint: &str) -> Result<(), EndpointError> {
        vigie_net::check_endpoint(endpoint)
    }

    /// Runs models on at most [`Self::ITEMS_MAX`] items, and returns the outcomes in the order of the items.
    /// No distribution includes the scores of `uncounted` items. Makes one attempt, except if a connection
    /// breaks, and none after the deadline.
    pub async fn score(
        &self,
        items: &[ScoreItem],
        uncounted: bool,
        priority: Priority,
        deadline: Instant,
    ) -> Result<Vec<RawScores>, CallError> {
        let score = |Endpoint { target, mut stub }: Endpoint| async move {
            let message = pb::ScoreRequest { items: items.iter().map(Into::into).collect(), uncounted };
            let call =
                target.call_as(SCORE, priority, deadline, message, |request| stub.score(request)).await;
            let results = explained(&target, call).await?.results;
            if results.len() != items.len() {
                let fault = format!("it has {} results for {} items", results.len(), items.len());
                return Err(target.unreadable(&fault));
            }
            Ok(results.into_iter().map(outcome).collect())
        };
        self.pool.call(score).await
    }

    /// Describes the models. Makes one attempt.
    pub async fn describe_models(&self, deadline: Instant) -> Result<Vec<DescribedModel>, CallError> {
        let Endpoint { target, mut stub } = self.pool.pick();
        let message = pb::DescribeModelsRequest {};
        let call = target.call(DESCRIBE_MODELS, deadline, message, |request| stub.describe_models(request));
        let models = explained(&target, call.await).await?.models;
        let read = |models: Vec<pb::DescribedModel>| {
            if models.len() > MODELS_MAX {
                return Err(Invalid::new("models", format!("has more than {MODELS_MAX} entries")));
            }
            models.into_iter().map(DescribedModel::try_from).collect()
        };
        read(models).map_err(|invalid| target.unreadable(&invalid))
    }
}

impl From<&ScoreItem> for pb::ScoreItem {
    fn from(item: &ScoreItem) -> Self {
        let content = match &item.content {
            ScoreContent::Picture(picture) => pb::score_item::Content::Pixels(picture.pixels().to_vec()),
            ScoreContent::Conversation(conversation) => {
                pb::score_item::Content::Conversation((&**conversation).into())
            }
        };
        Self { model: item.model.to_string(), version: item.version, content: Some(content) }
    }
}

/// Reads the outcome of one item. Invalid scores are a failure of that model only.
fn outcome(result: pb::ScoreResult) -> RawScores {
    let failed = |message: String| ScoreFailure::new(ScoreFailureKind::Failed, &message);
    match result.outcome {
        Some(pb::score_result::Outcome::Scores(scores)) => vigie_proto::raw_scores(scores)
            .map_err(|invalid| failed(format!("the classifier answered what is no score: {invalid}"))),
        Some(pb::score_result::Outcome::Failure(failure)) => Err(failure.into()),
        None => Err(failed("the classifier answered nothing for the model".to_owned())),
    }
}

impl TryFrom<pb::DescribedModel> for DescribedModel {
    type Error = Invalid;

    fn try_from(message: pb::DescribedModel) -> Result<Self, Invalid> {
        let pb::DescribedModel { name, version, is_served, problem, distributions } = message;
        if distributions.len() > CLASSES_MAX {
            return Err(Invalid::new("distributions", format!("has more than {CLASSES_MAX} entries")));
        }
        let distribution = |message: pb::ScoreDistribution| {
            let pb::ScoreDistribution { class, counts, drift } = message;
            if counts.len() != BINS {
                return Err(Invalid::new("counts", format!("has {} bins, not {BINS}", counts.len())));
            }
            Ok(ScoreDistribution { class: class.into(), counts, drift })
        };
        Ok(Self {
            name: name.into(),
            version: (version > 0).then_some(version),
            problem: (!is_served).then(|| problem.into()),
            distributions: distributions.into_iter().map(distribution).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_score_fails_its_model_alone() {
        let of = |scores: &[(&str, f32)]| {
            let scores = vigie_proto::raw_scores_to_wire(scores.iter().copied());
            outcome(pb::ScoreResult { outcome: Some(pb::score_result::Outcome::Scores(scores)) })
        };
        assert_eq!(of(&[("a", 0.5)]), Ok(vec![("a".to_owned(), 0.5)]));
        for wrong in [f32::NAN, 1.5, -1.0] {
            assert_eq!(of(&[("a", wrong)]).unwrap_err().kind, ScoreFailureKind::Failed);
        }
        let nothing = outcome(pb::ScoreResult { outcome: None });
        assert_eq!(nothing.unwrap_err().kind, ScoreFailureKind::Failed);
        let failure =
            pb::ScoreFailure { kind: pb::ScoreFailureKind::Busy.into(), message: "too many wait".into() };
        let busy = outcome(pb::ScoreResult { outcome: Some(pb::score_result::Outcome::Failure(failure)) });
        assert_eq!(busy.unwrap_err().kind, ScoreFailureKind::Busy);
    }

    #[test]
    fn a_described_model_is_bounded() {
        let distribution = pb::ScoreDistribution { class: "a".into(), counts: vec![1; 64], drift: Some(0.1) };
        let message = pb::DescribedModel {
            name: "nsfw".into(),
            version: 0,
            is_served: false,
            problem: "no card".into(),
            distributions: vec![distribution],
        };
        let read = DescribedModel::try_from(message.clone()).unwrap();
        assert_eq!((read.version, read.problem.as_deref()), (None, Some("no card")));
        let mut short = message.clone();
        short.distributions[0].counts.pop();
        assert!(DescribedModel::try_from(short).is_err());
        let mut many = message;
        many.distributions = vec![many.distributions[0].clone(); 65];
        assert!(DescribedModel::try_from(many).is_err());
    }
}
