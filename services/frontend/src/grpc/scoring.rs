//! Scores on request, of conversations and of contents of a calibration. Contents are dropped with the
//! answer.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use vigie_access::Called;
use vigie_classifiers::Conversation;
use vigie_classifiers::card::InputForm;
use vigie_consortium::{Quota, View};
use vigie_media::digest;
use vigie_model::{HashType, MemberId, ScoreFailure, ScoreFailureKind};
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::scoring_service_server::ScoringService;
use vigie_proto::{Invalid, classifiers, raw_scores_to_wire};
use vigie_serving::{Call, ServingConfig, deadline};

use super::not_hashed;
use crate::error::HashingError;
use crate::matching::Matching;
use crate::request::classifying::asking::{Asked, Counted};
use crate::request::classifying::plan::Plan;
use crate::request::meters::Meters;
use crate::request::reports::Reports;

/// The service that asks classifiers for callers.
#[derive(Debug)]
pub(crate) struct Scoring {
    pub(crate) matching: Matching,
    pub(crate) serving: ServingConfig,
    pub(crate) meters: Meters,
    pub(crate) reports: Reports,
}

#[tonic::async_trait]
impl ScoringService for Scoring {
    async fn score_conversation(
        &self,
        request: Request<pb::ScoreConversationRequest>,
    ) -> Result<Response<pb::ScoreConversationResponse>, Status> {
        let deadline = deadline::of(request.metadata(), &self.serving);
        let (call, called) = (Call::of(&request), Called::of(&request)?);
        let pb::ScoreConversationRequest { conversation, classifiers: names } = request.into_inner();
        let names = classifiers("classifiers", names, 1)?;
        let conversation = read(conversation)?;
        let view = called.view()?;
        let plan = Plan::of_conversation(view.directory(), &names)?;
        let units = Quota::IMAGE_UNITS * names.len() as u64;
        let member = self.spend(&called, &view, units)?.unwrap_or(MemberId::HOST);
        // The time that models take does not indicate the load of this frontend.
        call.not_load();
        let content = Asked::Conversation(Arc::new(conversation));
        let until = self.matching.classifiers.until_nearly(deadline);
        let asking = self.matching.classifiers.ask(&plan, content, Counted::Yes, call.priority(), until);
        deadline::within(deadline, async {
            let said = asking.said().await;
            self.reports.scores.count(member, &said);
            Ok(Response::new(pb::ScoreConversationResponse {
                classifications: said.classifications().into_iter().map(Into::into).collect(),
                directory_sequence: view.directory().sequence().0,
            }))
        })
        .await
    }

    async fn measure_scores(
        &self,
        request: Request<pb::MeasureScoresRequest>,
    ) -> Result<Response<pb::MeasureScoresResponse>, Status> {
        use pb::measure_scores_request::Content;
        let deadline = deadline::of(request.metadata(), &self.serving);
        let (call, called) = (Call::of(&request), Called::of(&request)?);
        let pb::MeasureScoresRequest { model, content } = request.into_inner();
        let of_model = |invalid: Invalid| Invalid::new("model", invalid.reason);
        let names = classifiers("model", vec![model], 1).map_err(of_model)?;
        let content =
            content.ok_or_else(|| Invalid::new("content", "is missing; send an image or a conversation"))?;
        let view = called.view()?;
        let plan = match &content {
            Content::Image(_) => {
                let plan = Plan::of_images(view.directory(), &names, None, 1);
                plan.map_err(of_model)?.unwrap_or_default()
            }
            Content::Conversation(_) => Plan::of_conversation(view.directory(), &names).map_err(of_model)?,
        };
        self.spend(&called, &view, Quota::IMAGE_UNITS)?;
        call.not_load();
        deadline::within(deadline, async {
            let (asked, content_sha256) = match content {
                Content::Image(image) => {
                    let forms = Arc::clone(plan.forms());
                    let hashed = self.matching.images.hash(image, forms, call.priority(), deadline).await;
                    let hashed = hashed.map_err(HashingError::into_status)?;
                    let picture = hashed.hashes.map_err(|failure| not_hashed("image", failure))?;
                    let sha256 = hashed.digests.iter().find(|digest| digest.hash_type() == HashType::SHA256);
                    let pictures = picture.pixels.into_iter().map(|one| one.map(Arc::new)).collect();
                    (Asked::Pictures(pictures), sha256.map(|digest| digest.as_bytes().to_vec()))
                }
                Content::Conversation(conversation) => {
                    let conversation = read(Some(conversation))?;
                    let sha256 = joined_sha256(&view, &names, &conversation)?;
                    (Asked::Conversation(Arc::new(conversation)), sha256)
                }
            };
            let until = self.matching.classifiers.until_nearly(deadline);
            let asking = self.matching.classifiers.ask(&plan, asked, Counted::No, call.priority(), until);
            let (version, outcome) =
                asking.said().await.only().ok_or_else(|| Status::internal("the model was not asked"))?;
            let scored = outcome.map_err(|failure| unavailable(&failure))?;
            let scores = scored.iter().map(|one| (one.class.as_str(), one.score));
            Ok(Response::new(pb::MeasureScoresResponse {
                version,
                scores: raw_scores_to_wire(scores).scores,
                content_sha256: content_sha256.unwrap_or_default().into(),
            }))
        })
        .await
    }
}

impl Scoring {
    /// Checks the caller again, and counts units against the quota of its member, if it has one. Returns the
    /// member.
    fn spend(&self, called: &Called, view: &View, units: u64) -> Result<Option<MemberId>, Status> {
        if !view.directory().is_on() {
            return Ok(None);
        }
        let admitted = called.admitted(view)?;
        let Some(member) = admitted.member().map(|member| member.id) else { return Ok(None) };
        let quota = view.directory().quota(member);
        self.meters.spend(member, |meter, now| meter.spend_units(&quota, units, now))?;
        Ok(Some(member))
    }
}

/// Converts a conversation. Errors never contain its text.
fn read(message: Option<vigie_proto::pb::classifier::v1::Conversation>) -> Result<Conversation, Status> {
    let message = message.ok_or_else(|| Invalid::missing("conversation"))?;
    let read = Conversation::try_from(message);
    Ok(read.map_err(|invalid| invalid.within("conversation"))?)
}

/// Returns the SHA-256 of a conversation's text in the form that the model reads.
fn joined_sha256(
    view: &View,
    names: &[Box<str>],
    conversation: &Conversation,
) -> Result<Option<Vec<u8>>, Status> {
    let card = names.first().and_then(|name| view.directory().model_card(name));
    let Some(InputForm::Conversation(form)) = card.map(|card| card.card().input()) else { return Ok(None) };
    let joined = form
        .join(conversation)
        .map_err(|_| Status::internal("the card declares no way to read a conversation"))?;
    let digests = digest::digests(joined.text.as_bytes());
    let sha256 = digests.iter().find(|digest| digest.hash_type() == HashType::SHA256);
    Ok(sha256.map(|digest| digest.as_bytes().to_vec()))
}

/// Returns the status of a model that gave no score, for a call that asks for scores alone.
fn unavailable(failure: &ScoreFailure) -> Status {
    let text = format!("{}: {failure}", failure.kind);
    match failure.kind {
        ScoreFailureKind::Content => Invalid::new("content", failure).into(),
        ScoreFailureKind::UnknownModel
        | ScoreFailureKind::OtherVersion
        | ScoreFailureKind::NotServed
        | ScoreFailureKind::Busy
        | ScoreFailureKind::OutOfTime
        | ScoreFailureKind::Failed
        | ScoreFailureKind::Away => Status::unavailable(text),
    }
}
