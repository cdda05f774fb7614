//! Client of the bank's records of decisions.

use tokio::time::Instant;
use vigie_consortium::cases::{DecisionListing, DecisionOutcome, QueryDigest, RecordedDecision};
use vigie_model::{MemberId, UnixMillis};
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::decision_service_client::DecisionServiceClient;

use super::reports::{CasePage, CasesAfter};
use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: a page of records.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// A decision that a frontend has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDecision {
    /// The member for which it was made.
    pub member: MemberId,
    /// The record.
    pub record: RecordedDecision,
    /// Digests of the query's hashes, at most [`RecordedDecision::DIGESTS_MAX`].
    pub digests: Vec<QueryDigest>,
}

/// A decision, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedDecision {
    /// The record.
    pub listing: DecisionListing,
    /// Whether the decision was about content with one of the requested digests; `None` if none was
    /// requested.
    pub same_query: Option<bool>,
    /// The condition of the deciding rule, in the policy's version of that time; empty if no rule decided.
    pub rule_condition: String,
}

/// Records, explains and lists decisions, and sets their outcomes.
#[derive(Debug, Clone)]
pub struct DecisionClient {
    bank: LeadingBank<DecisionServiceClient<Channel>>,
}

impl DecisionClient {
    among_banks!(DecisionServiceClient, ANSWER_BYTES_MAX);

    /// Records 1 to 100 decisions, for a process of the deployment.
    pub async fn record(
        &self,
        decisions: &[NewDecision],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), CallError> {
        let new = |decision: &NewDecision| pb::NewDecision {
            member_id: decision.member.0,
            record: Some(decision.record.clone().into()),
            query_digests: to_wire(&decision.digests),
        };
        let decisions = decisions.iter().map(new).collect();
        let request = pb::RecordDecisionsRequest { decisions, idempotency_key: key.into_text() };
        let _answer: pb::RecordDecisionsResponse =
            call!(self, deadline, record_decisions, RecordDecisions, request)?;
        Ok(())
    }

    /// Explains a decision, and returns whether it was about content with one of these digests.
    pub async fn explain(
        &self,
        id: [u8; 16],
        digests: &[QueryDigest],
        deadline: Instant,
    ) -> Result<ExplainedDecision, CallError> {
        let request = pb::GetDecisionRequest { decision_id: id.into(), query_digests: to_wire(digests) };
        let answer: pb::GetDecisionResponse = call!(self, deadline, get_decision, GetDecision, request)?;
        let listing = answer.decision.ok_or_else(|| Invalid::missing("decision"));
        let listing = self.bank.checked(listing.and_then(DecisionListing::try_from))?;
        let (same_query, rule_condition) = (answer.same_query, answer.rule_condition);
        Ok(ExplainedDecision { listing, same_query, rule_condition })
    }

    /// Lists a page of the decisions of the caller's member in a period.
    pub async fn list(
        &self,
        after: impl Into<CasesAfter>,
        from: Option<UnixMillis>,
        before: Option<UnixMillis>,
        deadline: Instant,
    ) -> Result<CasePage<DecisionListing>, CallError> {
        let [from_unix_ms, before_unix_ms] = [from, before].map(|at| at.map_or(0, |at| at.0));
        let (after_key, page_size) = after.into().into_wire();
        self.page(
            pb::ListDecisionsRequest { after_key, page_size, from_unix_ms, before_unix_ms, waiting: false },
            deadline,
        )
        .await
    }

    /// Lists a page of the member's decisions that wait for a person, oldest first: those with the verdict
    /// REVIEW and without an outcome. `from` excludes decisions made before that time.
    pub async fn list_waiting(
        &self,
        after: impl Into<CasesAfter>,
        from: Option<UnixMillis>,
        deadline: Instant,
    ) -> Result<CasePage<DecisionListing>, CallError> {
        let from_unix_ms = from.map_or(0, |at| at.0);
        let (after_key, page_size) = after.into().into_wire();
        let request = pb::ListDecisionsRequest {
            after_key,
            page_size,
            from_unix_ms,
            waiting: true,
            ..Default::default()
        };
        self.page(request, deadline).await
    }

    async fn page(
        &self,
        request: pb::ListDecisionsRequest,
        deadline: Instant,
    ) -> Result<CasePage<DecisionListing>, CallError> {
        let answer: pb::ListDecisionsResponse =
            call!(self, deadline, list_decisions, ListDecisions, request)?;
        let decisions = answer.decisions.into_iter().map(DecisionListing::try_from).collect();
        Ok((self.bank.checked(decisions)?, answer.next_key))
    }

    /// Sets the outcome of a decision. If an `expected` time is given, the outcome must have been set last at
    /// that time (0 for never). Returns the number of items on which a negative opinion was put.
    pub async fn set_outcome(
        &self,
        id: [u8; 16],
        outcome: DecisionOutcome,
        expected: Option<UnixMillis>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u32>, CallError> {
        let request = pb::SetDecisionOutcomeRequest {
            decision_id: id.into(),
            outcome: Some(outcome.into()),
            idempotency_key: key.into_text(),
            expected_outcome_at_unix_ms: expected.map(|at| at.0),
        };
        let answer: pb::SetDecisionOutcomeResponse =
            call!(self, deadline, set_decision_outcome, SetDecisionOutcome, request)?;
        self.bank.written(Ok(answer.opinions_put), answer.sequence)
    }
}

fn to_wire(digests: &[QueryDigest]) -> Vec<Vec<u8>> {
    digests.iter().map(|digest| digest.as_bytes().to_vec()).collect()
}
