//! A frontend of Vigie, called by gRPC.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Uri;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use vigie_clients::Network;
use vigie_model::Sequence;
use vigie_proto::pb::consortium::v1::Verdict;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_service_client::MatchServiceClient;
use vigie_proto::pb::model::v1 as model;
use vigie_proto::status;

use crate::Hash;
use crate::judge::evidence::{Evidence, Rule, Side};
use crate::judge::oracle::{Hit, Identity};
use crate::judge::truth::Ask;
use crate::run::lanes::kind::Kind;
use crate::run::scenario::Scenario;
use crate::run::target::call::{Answer, Asked, Call, Refusal};
use crate::run::target::unary::{self, ANSWER_BYTES_MAX, Lookups};
use crate::run::target::wire::Wire;

/// Time reserved for the answer to travel: the service gets a deadline that is shorter by this.
const ANSWER_MARGIN: Duration = Duration::from_millis(2);
/// Requests queued for a stream. Further callers wait for a free slot while their deadline runs.
const STREAM_QUEUE: usize = 1_024;

/// The options that all calls share.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    options: model::SearchOptions,
    /// The encoding of a request with these options and nothing else.
    encoded: Vec<u8>,
}

impl Options {
    /// Makes options that search `banks`, the banks whose content the harness knows.
    pub(crate) fn new(scenario: &Scenario, banks: Vec<String>) -> Self {
        let questions = &scenario.questions;
        let within = |hash_type: model::HashType| model::MaxDistance {
            hash_type: hash_type.into(),
            distance: questions.max_distance.into(),
        };
        let mut max_distance = vec![within(model::HashType::Pdq)];
        let mut video_rules = Vec::new();
        // Set only with videos, because a target of an earlier version knows neither field.
        if scenario.mix.video > 0 {
            max_distance.push(within(model::HashType::Vpdq));
            video_rules = questions.video_rules.iter().copied().map(rule).collect();
        }
        let options = model::SearchOptions {
            banks,
            max_distance,
            video_rules,
            limit: questions.limit.into(),
            min_sequence: 0,
            min_coverage: (scenario.drive.min_coverage < 1.0).then_some(scenario.drive.min_coverage),
            ..model::SearchOptions::default()
        };
        let request = pb::MatchRequest { options: Some(options.clone()), ..pb::MatchRequest::default() };
        Self { encoded: request.encode_to_vec(), options }
    }

    pub(crate) fn banks(&self) -> Vec<String> {
        self.options.banks.clone()
    }

    fn at_least(&self, min_sequence: Sequence) -> model::SearchOptions {
        model::SearchOptions { min_sequence: min_sequence.0, ..self.options.clone() }
    }
}

/// A connection to a frontend.
#[derive(Debug, Clone)]
pub(crate) struct Frontend {
    wire: Wire,
    lookups: Lookups,
    stub: MatchServiceClient<Wire>,
    options: Arc<Options>,
    stream: Arc<Mutex<Option<OpenStream>>>,
    /// Whether the member whose credential is used has a policy; `None` where there are no members.
    has_policy: Option<bool>,
}

/// A stream of requests, and the callers that wait for their answers.
#[derive(Debug, Clone)]
struct OpenStream {
    requests: mpsc::Sender<pb::MatchStreamRequest>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    callers: HashMap<u64, oneshot::Sender<Result<pb::MatchResponse, Status>>>,
    ended: bool,
}

impl Frontend {
    /// Starts to connect.
    pub(crate) fn new(endpoint: &Uri, network: &Network, options: Arc<Options>) -> anyhow::Result<Self> {
        let wire = Wire::new(endpoint, network)?;
        let lookups = Lookups::new(endpoint)?;
        let stub = MatchServiceClient::with_origin(wire.clone(), endpoint.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self { wire, lookups, stub, options, stream: Arc::default(), has_policy: None })
    }

    /// Returns the same connection for a member with or without a policy; `None` where there are no members.
    pub(crate) fn of(self, has_policy: Option<bool>) -> Self {
        Self { has_policy, ..self }
    }

    /// Waits until the connection is open; fails with the reason if that takes longer than `within`.
    pub(crate) async fn opened(&self, within: Duration) -> anyhow::Result<()> {
        self.wire.opened(within).await
    }

    /// Returns the reason why it can never open, if there is a known one.
    pub(crate) fn hopeless(&self) -> Option<String> {
        self.wire.hopeless()
    }

    /// Sends one call. The caller also has to enforce the deadline.
    pub(crate) async fn ask(&self, call: &Call<'_>, deadline: Instant) -> Result<Answer, Refusal> {
        let answered = if call.kind == Kind::Stream {
            // Boxed, because state that a lookup does not use should not make its task larger.
            Box::pin(self.ask_on_stream(self.message(call))).await
        } else {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = self.framed(call);
            self.lookups.ask(&self.wire, message, left - ANSWER_MARGIN.min(left / 10)).await
        };
        match answered {
            Ok(response) => read(response, self.has_policy).ok_or_else(|| Refusal::new(Code::Internal)),
            // The server's own timer ended the call first. No caller here cancels a call and still waits for
            // its answer.
            Err(status) if status.code() == Code::Cancelled && deadline <= Instant::now() + ANSWER_MARGIN => {
                Err(Refusal::new(Code::DeadlineExceeded))
            }
            Err(status) => Err(refusal(&status, self.has_policy)),
        }
    }

    fn message(&self, call: &Call<'_>) -> pb::MatchRequest {
        let options = Some(self.options.at_least(call.min_sequence));
        pb::MatchRequest { options, ..asked(call) }
    }

    /// Returns the encoded message in its frame. The options that every call has are encoded only once.
    fn framed(&self, call: &Call<'_>) -> Bytes {
        if call.min_sequence > Sequence(0) {
            return unary::framed(&self.message(call), &[]);
        }
        unary::framed(&asked(call), &self.options.encoded)
    }

    async fn ask_on_stream(&self, message: pb::MatchRequest) -> Result<pb::MatchResponse, Status> {
        let stream = self.open_stream();
        let (answer, answered) = oneshot::channel();
        let request_id = {
            let mut waiting = stream.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.ended {
                return Err(Status::unavailable("the stream has ended"));
            }
            waiting.next += 1;
            let id = waiting.next;
            waiting.callers.insert(id, answer);
            id
        };
        // Removes the entry if the caller gives up.
        let _guard = WaitingGuard { waiting: &stream.waiting, request_id };
        let ended = |_| Status::unavailable("the stream has ended");
        let request = pb::MatchStreamRequest { request_id, request: Some(message) };
        stream.requests.send(request).await.map_err(|_| Status::unavailable("the stream has ended"))?;
        answered.await.map_err(ended)?
    }

    /// Returns the open stream, or opens a new one.
    fn open_stream(&self) -> OpenStream {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*stream
            && !open.waiting.lock().unwrap_or_else(PoisonError::into_inner).ended
        {
            return open.clone();
        }
        let (requests, received) = mpsc::channel(STREAM_QUEUE);
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let (mut stub, shared) = (self.stub.clone(), Arc::clone(&waiting));
        tokio::spawn(async move {
            let end = match stub.match_stream(ReceiverStream::new(received)).await {
                Ok(answers) => read_stream(answers.into_inner(), &shared).await,
                Err(status) => status,
            };
            let mut waiting = shared.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.ended = true;
            for (_, caller) in waiting.callers.drain() {
                // A caller that has given up does not receive this.
                let _ = caller.send(Err(end.clone()));
            }
        });
        let open = OpenStream { requests, waiting };
        *stream = Some(open.clone());
        open
    }
}

struct WaitingGuard<'a> {
    waiting: &'a Mutex<Waiting>,
    request_id: u64,
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).callers.remove(&self.request_id);
    }
}

/// Passes answers to the waiting callers until the stream ends, and returns the status with which it ended.
async fn read_stream(
    mut answers: tonic::Streaming<pb::MatchStreamResponse>,
    waiting: &Mutex<Waiting>,
) -> Status {
    use pb::match_stream_response::Outcome;
    loop {
        let answer = match answers.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Status::unavailable("the stream has ended"),
            Err(status) => return status,
        };
        let caller =
            waiting.lock().unwrap_or_else(PoisonError::into_inner).callers.remove(&answer.request_id);
        let outcome = match answer.outcome {
            Some(Outcome::Response(response)) => Ok(response),
            Some(Outcome::Failure(failure)) => Err(failure.into()),
            None => Err(Status::internal("an answer of the stream holds nothing")),
        };
        if let Some(caller) = caller {
            // A caller that has given up does not receive this either.
            let _ = caller.send(outcome);
        }
    }
}

/// Returns a request with the questions of a call and nothing else.
fn asked(call: &Call<'_>) -> pb::MatchRequest {
    if call.kind == Kind::Packed
        && let Some(packed) = packed(call.asks)
    {
        return pb::MatchRequest { packed: Some(packed), ..pb::MatchRequest::default() };
    }
    let query = |asked| pb::MatchQuery { content: Some(content(asked)) };
    pb::MatchRequest { queries: call.asks.iter().map(query).collect(), ..pb::MatchRequest::default() }
}

/// Returns the packed questions; `None` if one is not a PDQ hash.
fn packed(asks: &[Asked<'_>]) -> Option<model::PackedQueries> {
    let mut values = Vec::with_capacity(asks.len() * size_of::<Hash>());
    for asked in asks {
        match asked {
            Asked::Pool(Ask::Hash(hash)) | Asked::Hash(hash) => values.extend_from_slice(hash),
            Asked::Pool(Ask::Image { .. }) | Asked::Video(_) => return None,
        }
    }
    let (hash_type, hash_bytes) = (model::HashType::Pdq.into(), u32::try_from(size_of::<Hash>()).ok()?);
    let run = model::PackedHashes { hash_type, hash_bytes, values: values.into(), variants: Vec::new() };
    Some(model::PackedQueries { hash_counts: Vec::new(), runs: vec![run] })
}

fn content(asked: &Asked<'_>) -> pb::match_query::Content {
    match asked {
        Asked::Pool(Ask::Image { file, .. }) => pb::match_query::Content::Image(file.clone()),
        Asked::Pool(Ask::Hash(hash)) | Asked::Hash(hash) => hashed(model::HashType::Pdq, hash.to_vec()),
        Asked::Video(hash) => hashed(model::HashType::Vpdq, hash.to_vec()),
    }
}

fn hashed(hash_type: model::HashType, value: Vec<u8>) -> pb::match_query::Content {
    let hash = model::Hash { hash_type: hash_type.into(), value };
    let hash = model::QueryHash { hash: Some(hash), variant: model::Variant::Original.into() };
    pb::match_query::Content::Hashed(pb::HashedContent { hashes: vec![hash], pdq_quality: None })
}

/// Returns a rule with explicit numbers, because the target's defaults may differ.
fn rule(rule: Rule) -> model::VideoRule {
    let (kind, query_percent, item_percent, frames_min) = match rule {
        Rule::ClipOfKnown => (model::VideoRuleKind::ClipOfKnown, 80, 0, 2),
        Rule::ContainsKnown => (model::VideoRuleKind::ContainsKnown, 0, 80, 2),
        Rule::ThreatExchange => (model::VideoRuleKind::Threatexchange, 80, 0, 1),
    };
    model::VideoRule {
        kind: kind.into(),
        query_percent: Some(query_percent),
        item_percent: Some(item_percent),
        frames_min: Some(frames_min),
    }
}

fn evidence(received: &model::VideoEvidence) -> Evidence {
    let side = |side: &Option<model::VideoSide>| {
        let side = side.as_ref().copied().unwrap_or_default();
        Side {
            frames: side.frames,
            frames_matched: side.frames_matched,
            time_ms: side.time_ms,
            time_matched_ms: side.time_matched_ms,
            first_ms: side.first_ms,
        }
    };
    let bits = |number: &i32| usize::try_from(*number - 1).ok().and_then(|at| Rule::ALL.get(at));
    // An unknown or repeated rule number makes the evidence differ from every right answer.
    let rules = received.rules.iter().fold(0, |rules, number| match bits(number) {
        Some(rule) if rules & rule.bit() == 0 => rules | rule.bit(),
        Some(_) | None => u8::MAX,
    });
    Evidence { query: side(&received.query), item: side(&received.item), rules }
}

/// Reads an answer in either form; `None` if it is malformed.
fn read(response: pb::MatchResponse, has_policy: Option<bool>) -> Option<Answer> {
    let response = response.expanded().ok()?;
    let coverage = response.coverage.unwrap_or_default();
    let complete = coverage.shards_total > 0 && coverage.shards_answered == coverage.shards_total;
    let (mut decided, mut misjudged) = (0, 0);
    if let Some(has_policy) = has_policy {
        for result in &response.results {
            if let Some(pb::match_result::Outcome::Matched(matched)) = &result.outcome {
                decided += u64::from(matched.decision.is_some());
                misjudged += u64::from(is_misjudged(matched, has_policy, complete));
            }
        }
    }
    let hit = |found: &model::Match| Hit {
        item: Identity::of_reference(&found.external_reference),
        distance: Some(u16::try_from(found.distance).unwrap_or(u16::MAX)),
        video: found.video.as_ref().map(evidence),
    };
    let common_frames = response.results.iter().map(|result| match &result.outcome {
        Some(pb::match_result::Outcome::Matched(matched)) => u64::from(matched.common_frames),
        Some(pb::match_result::Outcome::Failure(_)) | None => 0,
    });
    let common_frames = common_frames.sum();
    let result = |result: pb::MatchResult| match result.outcome {
        Some(pb::match_result::Outcome::Matched(matched)) => Ok(matched.matches.iter().map(hit).collect()),
        Some(pb::match_result::Outcome::Failure(failure)) => Err(Code::from(failure.code)),
        None => Err(Code::Internal),
    };
    let share = if coverage.shards_total == 0 {
        0.0
    } else {
        f64::from(coverage.shards_answered) / f64::from(coverage.shards_total)
    };
    Some(Answer {
        results: response.results.into_iter().map(result).collect(),
        coverage: Some(share),
        complete,
        common_frames,
        sequence: Some(Sequence(response.sequence)),
        decided,
        misjudged,
    })
}

/// Returns whether a verdict is missing or unexpected, lets a match or a partial answer through, or asks a
/// person to review an answer without a match. By the policies that a run sets, every match gets at least a
/// review.
fn is_misjudged(matched: &pb::Matched, has_policy: bool, complete: bool) -> bool {
    let Some(decision) = &matched.decision else { return has_policy && complete };
    let verdict = decision.verdict();
    let is_let_through = matches!(verdict, Verdict::Unspecified | Verdict::Allow | Verdict::Log);
    let is_unclear = !complete || matched.limit_reached || !decision.failure.is_empty();
    let is_for_a_person = !matched.matches.is_empty() || is_unclear;
    !has_policy || is_for_a_person == is_let_through
}

fn refusal(status: &Status, has_policy: Option<bool>) -> Refusal {
    let code = match (status.code(), std::error::Error::source(status)) {
        // A connection that broke during the call is an outage, whatever the code of its error is.
        (Code::Unknown | Code::Internal | Code::Cancelled, Some(_)) => Code::Unavailable,
        (code, _) => code,
    };
    Refusal {
        code,
        retry_after: status::retry_after(status),
        partial: status::message::<pb::MatchResponse>(status).and_then(|partial| read(partial, has_policy)),
    }
}

#[cfg(test)]
mod tests {
    use vigie_proto::pb::consortium::v1::Decision;

    use super::*;

    #[test]
    fn a_verdict_is_held_to_the_policy_and_to_what_matched() {
        let of = |matches: usize, verdict: Option<Verdict>| pb::Matched {
            matches: vec![model::Match::default(); matches],
            decision: verdict.map(|verdict| Decision { verdict: verdict.into(), ..Decision::default() }),
            ..pb::Matched::default()
        };
        for (matches, verdict, has_policy, complete, expected) in [
            (1, Some(Verdict::Block), true, true, false),
            (0, Some(Verdict::Allow), true, true, false),
            (0, None, false, true, false),
            (1, None, false, true, false),
            // A match that is let through, and a review without a match.
            (1, Some(Verdict::Allow), true, true, true),
            (1, Some(Verdict::Log), true, true, true),
            (0, Some(Verdict::Review), true, true, true),
            // Answers of some shards only.
            (0, Some(Verdict::Allow), true, false, true),
            (0, Some(Verdict::Review), true, false, false),
            (0, None, true, false, false),
            // No verdict, and a verdict without a policy.
            (1, None, true, true, true),
            (0, Some(Verdict::Allow), false, true, true),
        ] {
            let is = is_misjudged(&of(matches, verdict), has_policy, complete);
            assert_eq!(is, expected, "{matches} {verdict:?} {has_policy} {complete}");
        }
        let cut = pb::Matched { limit_reached: true, ..of(0, Some(Verdict::Review)) };
        assert!(!is_misjudged(&cut, true, true));
    }
}
