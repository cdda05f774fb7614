//! The policy service: keeps the policies of members, and tries them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use vigie_classifiers::{Kind, Mode, Name, State};
use vigie_consortium::{
    CardVersion, Change, DocumentKey, DocumentKind, MemberId, Policy, PolicyVersion, ScoreRule,
};
use vigie_model::Match;
use vigie_policy::{Budget, CompiledPolicy, MatchFacts, NoScore, QueryFacts, ScoreFacts, try_scores};
use vigie_proto::Invalid;
use vigie_proto::pb::consortium::v1 as pb;

use super::{BankGrpc, Reading};
use crate::error::Error;
use crate::plan::beside::counters::trial_id;
use crate::plan::cases::known::decode;
use crate::plan::members::MembersAction;

/// The longest time that a policy may run when it is tried.
const TRY_MAX: Duration = Duration::from_millis(200);
/// The largest number of matches that a policy is tried on.
const MATCHES_MAX: usize = 1_000;
/// The largest number of scores that a policy is tried on.
const SCORES_MAX: usize = 1_024;

/// Compiles a policy on a thread that may block.
async fn compiled(policy: Arc<Policy>) -> Result<CompiledPolicy, Status> {
    let compiled = tokio::task::spawn_blocking(move || CompiledPolicy::compile(&policy)).await;
    let compiled = compiled.map_err(|_| Error::Broken)?;
    Ok(compiled.map_err(|error| Invalid::new(format!("policy.{}", error.field), error.reason))?)
}

fn read_policy(message: &pb::Policy) -> Result<Arc<Policy>, Status> {
    let policy = Policy::try_from(message.clone()).map_err(|invalid| invalid.within("policy"))?;
    Ok(Arc::new(policy))
}

impl Reading {
    /// Reads a version of a member's policy; the current one for version 0.
    async fn policy_version(&self, member: MemberId, version: u32) -> Result<PolicyVersion, Status> {
        let not_found = || Status::from(Error::NoPolicy(version));
        let policies = self.view.directory().policies(member);
        if version == 0 {
            return policies.and_then(|policies| policies.current.clone()).ok_or_else(not_found);
        }
        let key = DocumentKey::of_numbers(&[member.0.into(), version.into()]);
        let found = self.read(self.store.documents(&[(DocumentKind::Policy, key)])).await?;
        let payload = found.first().map(|document| &*document.payload).ok_or_else(not_found)?;
        let read = pb::PolicyVersion::decode(payload).ok().and_then(|stored| stored.try_into().ok());
        Ok(read.ok_or(Error::Broken)?)
    }
}

#[tonic::async_trait]
impl pb::policy_service_server::PolicyService for BankGrpc {
    async fn set_policy(
        &self,
        request: Request<pb::SetPolicyRequest>,
    ) -> Result<Response<pb::SetPolicyResponse>, Status> {
        use pb::set_policy_request::Source;
        let reading = self.reading(&request)?;
        let message = request.get_ref();
        let (is_trial, expected) = (message.trial, message.expected_version);
        let policy = match &message.source {
            Some(Source::Policy(policy)) => read_policy(policy)?,
            Some(Source::FromVersion(version)) => {
                reading.policy_version(reading.reader()?, *version).await?.policy
            }
            None => return Err(Invalid::missing("policy").into()),
        };
        compiled(Arc::clone(&policy)).await?;
        let action = |_: &pb::SetPolicyRequest| {
            Ok(MembersAction::SetPolicy { policy: Arc::clone(&policy), is_trial, expected })
        };
        let (change, sequence) = self.change(request, action).await?;
        let Change::PoliciesPut { policies, .. } = change else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::SetPolicyResponse { version: policies.used, sequence }))
    }

    async fn get_policy(
        &self,
        request: Request<pb::GetPolicyRequest>,
    ) -> Result<Response<pb::GetPolicyResponse>, Status> {
        let reading = self.reading(&request)?;
        let member = reading.reader()?;
        let policy = reading.policy_version(member, request.get_ref().version).await?;
        let directory = reading.view.directory();
        let policies = directory.policies(member).cloned().unwrap_or_default();
        let number = |version: &Option<PolicyVersion>| version.as_ref().map_or(0, |one| one.version);
        let trial_version = number(&policies.trial);
        let stored = reading.read(reading.store.documents(&[trial_id(member)])).await?;
        let trial = stored.first().and_then(decode::<pb::StoredTrialCounts>);
        let trial = trial.filter(|trial| trial.version == trial_version).unwrap_or_default();
        Ok(Response::new(pb::GetPolicyResponse {
            policy: Some((&policy).into()),
            current_version: number(&policies.current),
            trial_version,
            trial_counts: trial.counts,
            trial_since_unix_ms: trial.since_unix_ms,
            used_version: policies.used,
            sequence: directory.sequence().0,
        }))
    }

    async fn try_policy(
        &self,
        request: Request<pb::TryPolicyRequest>,
    ) -> Result<Response<pb::TryPolicyResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.into_inner();
        if message.matches.len() > MATCHES_MAX {
            let reason = format!("has {} entries; it must have at most {MATCHES_MAX}", message.matches.len());
            return Err(Invalid::new("matches", reason).into());
        }
        let member = reading.reader()?;
        let version = match &message.policy {
            Some(policy) => PolicyVersion { version: 0, policy: read_policy(policy)? },
            None => reading.policy_version(member, message.version).await?,
        };
        let query = query_of(message.query.unwrap_or_default())?;
        let matches = message.matches.into_iter().enumerate().map(|(at, found)| {
            let found = Match::try_from(found).map_err(|invalid| invalid.within(format!("matches[{at}]")))?;
            Ok(MatchFacts::of_match(&reading.view, member, &found, reading.called.now()))
        });
        let matches = matches.collect::<Result<Vec<_>, Invalid>>()?;
        let (score_of, is_image) = (scores(message.scores)?, query.kind == "image");
        let policy = compiled(Arc::clone(&version.policy)).await?;
        let tried = tokio::task::spawn_blocking(move || {
            let until = Instant::now() + TRY_MAX;
            policy.try_with_trace(&matches, &query, Budget::until(&|| Instant::now() > until))
        });
        let (decision, mut trace) = tried.await.map_err(|_| Error::Broken)?;
        let mut decided = decision.decided(version.version);
        let directory = reading.view.directory();
        trace.extend(try_scores(&mut decided, version.policy.scores(), |rule| {
            let card = directory.model_card(rule.model().as_str()).ok_or(NoScore::NoCard)?;
            score_facts(rule, card, &score_of, is_image)
        }));
        Ok(Response::new(pb::TryPolicyResponse { decision: Some(decided.into()), trace }))
    }
}

/// The scores on which a policy is tried, each with its version, by model and class.
type Scores = HashMap<(Name, Name), (f32, u32)>;

/// Returns the score that a rule compares, by the card of its model.
fn score_facts(
    rule: &ScoreRule,
    version: &CardVersion,
    scores: &Scores,
    is_image: bool,
) -> Result<ScoreFacts, NoScore> {
    let card = version.card();
    if card.state() == State::Retired {
        return Err(NoScore::Retired);
    }
    if !is_image || card.kind() != Kind::Image {
        return Err(NoScore::NoImage);
    }
    let of = (rule.model().clone(), rule.class().clone());
    let (score, of_version) = *scores.get(&of).ok_or(NoScore::Missing)?;
    if of_version != 0 && of_version != version.version() {
        return Err(NoScore::OtherVersion { score: of_version, card: version.version() });
    }
    let in_shadow = card.mode() == Mode::Shadow;
    Ok(ScoreFacts { score, threshold: rule.threshold_by(card), in_shadow })
}

/// Reads the scores on which a policy is tried.
fn scores(messages: Vec<pb::TriedScore>) -> Result<Scores, Invalid> {
    if messages.len() > SCORES_MAX {
        let reason = format!("has {} entries; it must have at most {SCORES_MAX}", messages.len());
        return Err(Invalid::new("scores", reason));
    }
    let mut read = HashMap::new();
    for (at, pb::TriedScore { model, class, score, version }) in messages.into_iter().enumerate() {
        let of = |field: &str| format!("scores[{at}].{field}");
        let name = |field: &str, text: String| {
            Name::try_from(text).map_err(|why| Invalid::new(of(field), why.to_string()))
        };
        let key = (name("model", model)?, name("class", class)?);
        if !(0.0..=1.0).contains(&score) {
            return Err(Invalid::new(of("score"), "is not from 0 to 1"));
        }
        if read.insert(key, (score, version)).is_some() {
            return Err(Invalid::new(of("class"), "has a score already"));
        }
    }
    Ok(read)
}

fn query_of(message: pb::PolicyQuery) -> Result<QueryFacts, Invalid> {
    let pb::PolicyQuery { quality, kind, surface, size } = message;
    let known = ["image", "video", "hashes", "undecoded"];
    let kind = match kind.as_str() {
        "" => "image",
        kind => *known
            .iter()
            .find(|one| **one == kind)
            .ok_or_else(|| Invalid::new("query.kind", "is none of image, video, hashes and undecoded"))?,
    };
    let surface = vigie_proto::matching_surface(&surface).map_err(|invalid| invalid.within("query"))?;
    Ok(QueryFacts { quality, kind, surface, size, digest: 0, is_cut: false })
}
