//! `/v1/policy`: the policy of the caller's member, in the format of the command line's files.

pub(crate) mod objects;

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vigie_clients::{CallError, PolicySource, TriedContent, TriedQuery};

use crate::problem::Problem;
use crate::v1::faults::at_most;
use crate::v1::matching::DecisionObject;
use crate::v1::members::policies::objects::{PolicyObject, TriedMatch, TriedScoreObject};
use crate::v1::request::{Call, Once, Sent};

/// Which policy is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowOptions {
    /// The version; the current one where it is not given.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// How a policy is set.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SetOptions {
    /// Try the version beside the current one, which goes on to decide.
    #[serde(default)]
    trial: bool,
    /// Set nothing unless the newest version is this one (409); 0 for none yet.
    expected_version: Option<u32>,
    /// Take the rules of an earlier version, and no body.
    #[param(minimum = 1)]
    from_version: Option<u32>,
}

/// A version of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownPolicy {
    /// The version.
    version: u32,
    /// Its rules.
    policy: PolicyObject,
    /// The version that decides; `null` for none.
    current_version: Option<u32>,
    /// The version that is tried; `null` for none.
    trial_version: Option<u32>,
    /// The newest version.
    newest_version: u32,
    /// The answer is as of this change.
    sequence: u64,
}

/// A policy that was set.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WrittenPolicy {
    /// The new version.
    version: u32,
    /// Whether it is only tried, and decides nothing.
    trial: bool,
    /// The change. Frontends decide by it within seconds.
    sequence: u64,
}

/// A policy that is to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TryAsked {
    /// The policy; a stored one where it is not given.
    policy: Option<PolicyObject>,
    /// The stored version; the current one where it is not given either.
    #[schema(minimum = 1)]
    version: Option<u32>,
    /// The matches, at most 1000, as a lookup answers them.
    #[serde(deserialize_with = "at_most::<_, _, 1000>")]
    #[schema(max_items = 1000)]
    matches: Vec<TriedMatch>,
    /// The scores of classifiers, at most 1024, one for a class of a model. Score rules are applied to them
    /// by the cards of now.
    #[serde(default, deserialize_with = "at_most::<_, _, 1024>")]
    #[schema(max_items = 1024)]
    scores: Vec<TriedScoreObject>,
    /// The query.
    #[serde(default)]
    query: QueryAsked,
}

/// The data of a query that a policy reads.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QueryAsked {
    /// PDQ's quality, 0 to 100; not given where it is not known.
    #[schema(minimum = 0, maximum = 100)]
    quality: Option<u8>,
    /// `image`, `hashes` or `undecoded`; `image` where it is not given.
    kind: String,
    /// Where the content comes from, at most 64 bytes.
    surface: String,
    /// Bytes of the image; 0 where hashes were sent.
    size: u64,
}

/// The decision of the tried policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TriedObject {
    /// The decision.
    decision: DecisionObject,
    /// A line for each step: which matches count, and what each rule said.
    trace: Vec<String>,
}

/// Shows a version of the policy of the caller's member
#[utoipa::path(
    get, path = "/policy", tag = "members", params(ShowOptions),
    responses((status = 200, description = "The policy", body = ShownPolicy))
)]
pub(crate) async fn show_policy(call: Call<ShowOptions>) -> Result<Json<ShownPolicy>, Problem> {
    let version = call.options.version.unwrap_or(0);
    let read = call.caller.policies().get_policy(version, call.deadline()).await?;
    let (policy, sequence) = (read.value, read.sequence);
    Ok(Json(ShownPolicy {
        version: policy.version.version,
        policy: (&*policy.version.policy).into(),
        current_version: policy.current,
        trial_version: policy.trial,
        newest_version: policy.newest,
        sequence: sequence.0,
    }))
}

/// Sets the policy of the caller's member, as a new version
///
/// If a rule does not compile, the answer names it and nothing is changed.
#[utoipa::path(
    put, path = "/policy", tag = "members", params(SetOptions, Once), request_body = PolicyObject,
    responses((status = 200, description = "The new version", body = WrittenPolicy))
)]
pub(crate) async fn set_policy(
    call: Call<SetOptions>,
    sent: Sent<PolicyObject>,
) -> Result<Json<WrittenPolicy>, Problem> {
    let SetOptions { trial, expected_version, from_version } = call.options;
    let policy = sent.asked.read()?;
    if from_version.is_some() && !sent.asked.is_empty() {
        return Err(Problem::field(
            "from_version",
            "takes the rules of a stored version; send no rules in the body",
        ));
    }
    let source = from_version.map_or(PolicySource::Given(&policy), PolicySource::Stored);
    let policies = call.caller.policies();
    let set = policies.set_policy(source, expected_version, trial, call.key(), call.deadline()).await;
    let set = set.map_err(|error| of_policy("", &sent.asked, error))?;
    Ok(Json(WrittenPolicy { version: set.value, trial, sequence: set.sequence.0 }))
}

/// Tries a policy on matches and scores
///
/// Nothing is changed or counted.
#[utoipa::path(
    post, path = "/policy/try", tag = "members", request_body = TryAsked,
    responses((status = 200, description = "The decision, and its steps", body = TriedObject))
)]
pub(crate) async fn try_policy(call: Call, sent: Sent<TryAsked>) -> Result<Json<TriedObject>, Problem> {
    let TryAsked { policy: asked, version, matches, scores, query } = sent.asked;
    if asked.is_some() && version.is_some() {
        return Err(Problem::field("version", "is given together with policy; send only one of the two"));
    }
    let policy = asked.as_ref().map(PolicyObject::read).transpose();
    let policy = policy.map_err(|problem| within("policy.", problem))?;
    let source = match &policy {
        Some(policy) => PolicySource::Given(policy),
        None => PolicySource::Stored(version.unwrap_or(0)),
    };
    let matches = matches.into_iter().enumerate().map(|(at, found)| found.read(&format!("matches[{at}]")));
    let matches = matches.collect::<Result<Vec<_>, _>>()?;
    let QueryAsked { quality, kind, surface, size } = query;
    let query = TriedQuery { quality, kind, surface, size };
    let scores = scores.into_iter().enumerate().map(|(at, score)| score.read(&format!("scores[{at}]")));
    let content = TriedContent { matches, scores: scores.collect::<Result<_, _>>()?, query };
    let tried = call.caller.policies().try_policy(source, content, call.deadline()).await;
    let tried = tried.map_err(|error| of_policy("policy.", &asked.unwrap_or_default(), error))?;
    Ok(Json(TriedObject { decision: (&tried.decision).into(), trace: tried.trace }))
}

/// Converts a failed call. If the bank refused a part of the policy, the problem names that part as it was
/// sent.
fn of_policy(prefix: &str, sent: &PolicyObject, error: CallError) -> Problem {
    match vigie_clients::PolicyFault::of(&error) {
        Some(fault) => within(prefix, sent.problem(&fault)),
        None => error.into(),
    }
}

/// Returns the problem with `prefix` before the name of its field.
fn within(prefix: &str, problem: Problem) -> Problem {
    let Some(field) = &problem.field else { return problem };
    Problem {
        field: Some(format!("{prefix}{field}")),
        message: format!("{prefix}{}", problem.message),
        ..problem
    }
}
