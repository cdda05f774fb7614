//! Scores of classifiers, requested from a frontend.

use bytes::Bytes;
use tokio::time::Instant;
use vigie_classifiers::Conversation;
use vigie_model::{Classification, Sequence};
use vigie_net::CallError;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::scoring_service_client::ScoringServiceClient;
use vigie_proto::{Invalid, classifications, raw_scores};

use super::{Endpoint, MatchClient};
use crate::wrong_service::explained;

const SCORE_CONVERSATION: &str = "vigie.matching.v1.ScoringService/ScoreConversation";
const MEASURE_SCORES: &str = "vigie.matching.v1.ScoringService/MeasureScores";

/// The scores of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredConversation {
    /// The classifications, one for each model, in the order of the call.
    pub classifications: Vec<Classification>,
    /// The state of the directory whose cards were used.
    pub directory: Sequence,
}

/// A content of a calibration.
#[derive(Debug, Clone)]
pub enum MeasuredContent {
    /// An image file.
    Image(Bytes),
    /// A conversation.
    Conversation(Conversation),
}

/// The scores of a content of a calibration.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredScores {
    /// The version of the model's card.
    pub version: u32,
    /// The score of each class, in the order of the card.
    pub scores: Vec<(String, f32)>,
    /// The SHA-256 of the content. A calibration counts equal contents once.
    pub content_sha256: [u8; 32],
}

impl MatchClient {
    /// Scores a conversation with 1 to 16 classifiers. Makes one attempt, except if a connection breaks.
    pub async fn score_conversation(
        &self,
        conversation: &Conversation,
        classifiers: &[Box<str>],
        deadline: Instant,
    ) -> Result<ScoredConversation, CallError> {
        let message = &pb::ScoreConversationRequest {
            conversation: Some(conversation.into()),
            classifiers: classifiers.iter().map(ToString::to_string).collect(),
        };
        let ask = |Endpoint { target, .. }: Endpoint| async move {
            let target = target.bearing(self.bearer.clone());
            let mut stub = ScoringServiceClient::new(target.channel());
            let call = target.call(SCORE_CONVERSATION, deadline, message.clone(), |request| {
                stub.score_conversation(request)
            });
            let answer = explained(&target, call.await).await?;
            let read = classifications(answer.classifications);
            Ok(ScoredConversation {
                classifications: read.map_err(|invalid| target.unreadable(&invalid))?,
                directory: Sequence(answer.directory_sequence),
            })
        };
        self.pool.call(ask).await
    }

    /// Requests the scores of a content for the calibration of a model. Makes one attempt, except if a
    /// connection breaks.
    pub async fn measure_scores(
        &self,
        model: &str,
        content: &MeasuredContent,
        deadline: Instant,
    ) -> Result<MeasuredScores, CallError> {
        let content = match content {
            MeasuredContent::Image(file) => pb::measure_scores_request::Content::Image(file.clone()),
            MeasuredContent::Conversation(conversation) => {
                pb::measure_scores_request::Content::Conversation(conversation.into())
            }
        };
        let message = &pb::MeasureScoresRequest { model: model.to_owned(), content: Some(content) };
        let ask = |Endpoint { target, .. }: Endpoint| async move {
            let target = target.bearing(self.bearer.clone());
            let mut stub = ScoringServiceClient::new(target.channel());
            let call = target
                .call(MEASURE_SCORES, deadline, message.clone(), |request| stub.measure_scores(request));
            let answer = explained(&target, call.await).await?;
            MeasuredScores::try_from(answer).map_err(|invalid| target.unreadable(&invalid))
        };
        self.pool.call(ask).await
    }
}

impl TryFrom<pb::MeasureScoresResponse> for MeasuredScores {
    type Error = Invalid;

    fn try_from(message: pb::MeasureScoresResponse) -> Result<Self, Invalid> {
        let scores = vigie_proto::pb::classifier::v1::RawScores { scores: message.scores };
        Ok(Self {
            version: message.version,
            scores: raw_scores(scores)?,
            content_sha256: message
                .content_sha256
                .as_ref()
                .try_into()
                .map_err(|_| Invalid::new("content_sha256", "must have 32 bytes"))?,
        })
    }
}
