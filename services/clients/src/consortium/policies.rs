//! Client of the bank's service of policies.

use tokio::time::Instant;
use vigie_consortium::{Policy, PolicyVersion};
use vigie_model::{Decided, Match, UnixMillis, Verdict};
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::consortium::verdict;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::policy_service_client::PolicyServiceClient;
use vigie_rpc::Code;

use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: the trace of a policy of 16 rules over 1,000 matches.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The source of the rules of a new version of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicySource<'a> {
    /// These rules.
    Given(&'a Policy),
    /// The rules of a stored version; 0 for the current one.
    Stored(u32),
}

/// A version of a member's policy, and the numbers of the other versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPolicy {
    /// The requested version.
    pub version: PolicyVersion,
    /// The version that decides.
    pub current: Option<u32>,
    /// The version on trial beside it.
    pub trial: Option<u32>,
    /// The newest version.
    pub newest: u32,
    /// Counts of decisions by the answered verdict and the verdict of the version on trial, each pair once.
    pub trial_counts: Vec<TrialCount>,
    /// The time at which the first of them was counted.
    pub trial_since: Option<UnixMillis>,
}

/// The number of decisions with one answered verdict and one verdict of the version on trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialCount {
    /// The verdict that was answered.
    pub verdict: Verdict,
    /// The verdict of the version on trial.
    pub trial: Verdict,
    /// Number of decisions.
    pub decisions: u64,
}

impl TryFrom<pb::TrialCount> for TrialCount {
    type Error = Invalid;

    fn try_from(message: pb::TrialCount) -> Result<Self, Invalid> {
        let read = |field: &str, number| verdict(field, number)?.ok_or_else(|| Invalid::missing(field));
        Ok(Self {
            verdict: read("trial_counts.verdict", message.verdict)?,
            trial: read("trial_counts.trial_verdict", message.trial_verdict)?,
            decisions: message.decisions,
        })
    }
}

/// The properties of the query that a policy is tried on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TriedQuery {
    /// PDQ's quality, 0 to 100, if it is known.
    pub quality: Option<u8>,
    /// `image`, `video`, `hashes` or `undecoded`; empty for `image`.
    pub kind: String,
    /// The source of the content, at most 64 bytes; may be empty.
    pub surface: String,
    /// Number of bytes of the image; 0 if hashes were sent.
    pub size: u64,
}

/// A score of a content that a policy is tried on.
#[derive(Debug, Clone, PartialEq)]
pub struct TriedScore {
    /// The name of the model.
    pub model: String,
    /// The class.
    pub class: String,
    /// The score, 0 to 1.
    pub score: f32,
    /// The version of the model that gave the score; 0 for the version of the present card.
    pub version: u32,
}

/// The content that a policy is tried on: its matches, its scores and its query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TriedContent {
    /// The matches, at most 1,000.
    pub matches: Vec<Match>,
    /// The scores of classifiers, at most 1,024: one for a class of a model.
    pub scores: Vec<TriedScore>,
    /// The properties of the query.
    pub query: TriedQuery,
}

/// The result of trying a policy on given matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedPolicy {
    /// The decision.
    pub decision: Decided,
    /// The steps of the evaluation, a line for each.
    pub trace: Vec<String>,
}

/// A part of a policy that its author must change, as named by the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFault {
    /// The list that has the part: `banks`, `rules` or `scores`.
    pub list: String,
    /// The index of the part in the list; `None` for a fault of the whole list.
    pub index: Option<usize>,
    /// The field of the part, such as `condition`; empty for a fault of the whole part.
    pub field: String,
    /// The reason.
    pub reason: String,
}

impl PolicyFault {
    /// Returns the part that a refused call names; `None` if the call failed for another reason.
    #[must_use]
    pub fn of(error: &CallError) -> Option<Self> {
        if error.code() != Code::InvalidArgument { None } else { Self::read(error.message()) }
    }

    /// Reads `policy.rules[2].condition: reason`.
    fn read(message: &str) -> Option<Self> {
        let (path, reason) = message.strip_prefix("policy.")?.split_once(": ")?;
        Self::within(path, reason.to_owned())
    }

    /// Parses a path within a policy, such as `rules[2].condition`; `None` if it is not one.
    #[must_use]
    pub fn within(path: &str, reason: String) -> Option<Self> {
        let (part, field) = path.split_once('.').unwrap_or((path, ""));
        let (list, index) = match part.split_once('[') {
            Some((list, index)) => (list, Some(index.strip_suffix(']')?.parse().ok()?)),
            None => (part, None),
        };
        Some(Self { list: list.to_owned(), index, field: field.to_owned(), reason })
    }
}

/// Calls the bank's service of policies for the caller's member, on the serving one of several banks on one
/// database. Calls are retried within their deadline.
#[derive(Debug, Clone)]
pub struct PolicyClient {
    bank: LeadingBank<PolicyServiceClient<Channel>>,
}

impl PolicyClient {
    among_banks!(PolicyServiceClient, ANSWER_BYTES_MAX);

    /// Sets the policy as a new version, and returns its number. A version `is_trial` is on trial beside the
    /// current one. The call fails with `FAILED_PRECONDITION` if an `expected` version is given and is not
    /// the newest one.
    pub async fn set_policy(
        &self,
        source: PolicySource<'_>,
        expected: Option<u32>,
        is_trial: bool,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u32>, CallError> {
        use pb::set_policy_request::Source;
        let source = match source {
            PolicySource::Given(policy) => Source::Policy(policy.into()),
            PolicySource::Stored(version) => Source::FromVersion(version),
        };
        let request = pb::SetPolicyRequest {
            source: Some(source),
            expected_version: expected,
            trial: is_trial,
            idempotency_key: key.into_text(),
        };
        let answer: pb::SetPolicyResponse = call!(self, deadline, set_policy, SetPolicy, request)?;
        self.bank.written(Ok(answer.version), answer.sequence)
    }

    /// Reads a version of the policy; 0 for the current one.
    pub async fn get_policy(
        &self,
        version: u32,
        deadline: Instant,
    ) -> Result<Written<ReadPolicy>, CallError> {
        let request = pb::GetPolicyRequest { version };
        let answer: pb::GetPolicyResponse = call!(self, deadline, get_policy, GetPolicy, request)?;
        let number = |version: u32| (version > 0).then_some(version);
        let version = answer.policy.ok_or_else(|| Invalid::missing("policy"));
        let counts = answer.trial_counts.into_iter().map(TrialCount::try_from).collect::<Result<_, _>>();
        let version = version.and_then(PolicyVersion::try_from);
        let since = answer.trial_since_unix_ms;
        let read = version.and_then(|version| {
            Ok(ReadPolicy {
                version,
                current: number(answer.current_version),
                trial: number(answer.trial_version),
                newest: answer.used_version,
                trial_counts: counts?,
                trial_since: (since > 0).then_some(UnixMillis(since)),
            })
        });
        self.bank.written(read, answer.sequence)
    }

    /// Tries a policy on a content. Nothing is changed or counted.
    pub async fn try_policy(
        &self,
        source: PolicySource<'_>,
        content: TriedContent,
        deadline: Instant,
    ) -> Result<TriedPolicy, CallError> {
        let (policy, version) = match source {
            PolicySource::Given(policy) => (Some(policy.into()), 0),
            PolicySource::Stored(version) => (None, version),
        };
        let TriedContent { matches, scores, query: TriedQuery { quality, kind, surface, size } } = content;
        let query = pb::PolicyQuery { quality: quality.map(u32::from), kind, surface, size };
        let matches = matches.into_iter().map(Into::into).collect();
        let score =
            |TriedScore { model, class, score, version }| pb::TriedScore { model, class, score, version };
        let scores = scores.into_iter().map(score).collect();
        let request = pb::TryPolicyRequest { policy, version, matches, query: Some(query), scores };
        let answer: pb::TryPolicyResponse = call!(self, deadline, try_policy, TryPolicy, request)?;
        let decision = answer.decision.ok_or_else(|| Invalid::missing("decision"));
        let decision = self.bank.checked(decision.and_then(Decided::try_from))?;
        Ok(TriedPolicy { decision, trace: answer.trace })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_of_a_policy_that_is_at_fault_is_read_from_the_banks_message() {
        let read = |message| {
            let fault = PolicyFault::read(message)?;
            Some((fault.list, fault.index, fault.field, fault.reason))
        };
        let fault = |list: &str, index, field: &str, reason: &str| {
            Some((list.to_owned(), index, field.to_owned(), reason.to_owned()))
        };
        assert_eq!(
            read("policy.rules[2].condition: there is no `x`: column 3"),
            fault("rules", Some(2), "condition", "there is no `x`: column 3")
        );
        assert_eq!(read("policy.banks: has 257 entries"), fault("banks", None, "", "has 257 entries"));
        assert_eq!(read("policy.rules[x].name: is wrong"), None);
        assert_eq!(read("matches: has 1001 entries"), None);
        assert_eq!(read("policy: is missing"), None);
    }
}
