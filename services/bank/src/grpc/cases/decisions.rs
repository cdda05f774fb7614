//! The service of records of decisions.

use tonic::{Request, Response, Status};
use vigie_consortium::cases::QueryDigest;
use vigie_consortium::{Document, DocumentId, DocumentKey, DocumentKind, MemberId, PolicyVersion, ScoreRule};
use vigie_model::{BankId, UnixMillis};
use vigie_proto::Invalid;
use vigie_proto::consortium::{case_page_size, decision_id, query_digests};
use vigie_proto::pb::consortium::v1 as pb;
use zeroize::Zeroizing;

use crate::error::{CaseError, Error};
use crate::grpc::{BankGrpc, Reading};
use crate::log::term;
use crate::plan::cases::known::{decode, parts_of};
use crate::plan::cases::recorded::{self, ByTime, NewDecision};
use crate::plan::cases::write::CaseAction;
use crate::store::documents::DocumentRange;

/// The most decisions of one request.
const DECISIONS_MAX: usize = 100;

impl BankGrpc {
    /// Returns the key for digests of queries: made from a secret of the store, and from the pepper, which is
    /// a constant if no file is configured.
    fn digest_key(&self) -> Result<DigestKey, Status> {
        let secret = term(&self.current)?.application.secret();
        let pepper = self.pepper.key_for(b"records of decisions");
        Ok(DigestKey(Zeroizing::new(*blake3::keyed_hash(&pepper, &secret.0).as_bytes())))
    }
}

struct DigestKey(Zeroizing<[u8; 32]>);

impl DigestKey {
    /// Returns the key's id, by which a record names the key of its digests.
    fn id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = *blake3::hash(&*self.0).as_bytes();
        [a, b, c, d]
    }

    /// Returns the digests of a query's hashes in their stored form.
    fn stored(&self, digests: &[QueryDigest]) -> Vec<Vec<u8>> {
        digests.iter().map(|digest| digest.stored(&self.0)).collect()
    }

    fn new_decision(&self, message: &pb::NewDecision) -> Result<NewDecision, Invalid> {
        let record = message.record.clone().ok_or_else(|| Invalid::missing("record"))?;
        let record = record.try_into().map_err(|invalid: Invalid| invalid.within("record"))?;
        let digests = query_digests("query_digests", &message.query_digests)?;
        let member = MemberId(message.member_id);
        Ok(NewDecision { member, record, digests: self.stored(&digests), digest_key_id: self.id() })
    }
}

impl Reading {
    /// Returns a record as its member sees it: only items and opinions of banks whose details it sees.
    fn shown_decision(
        &self,
        member: MemberId,
        whole: pb::StoredDecision,
        kept_until_unix_ms: u64,
    ) -> Result<pb::DecisionListing, Status> {
        let mut record = whole.record.ok_or(Error::Broken)?;
        for found in &mut record.matches {
            found.bank = self.case_bank(found.bank_id)?;
            if !self.sees_details(member, BankId(found.bank_id)) {
                found.item_id = 0;
                found.facts = None;
            }
        }
        let (outcome, outcome_at_unix_ms) = (whole.outcome, whole.outcome_at_unix_ms);
        Ok(pb::DecisionListing { record: Some(record), outcome, outcome_at_unix_ms, kept_until_unix_ms })
    }

    fn sees_details(&self, member: MemberId, bank: BankId) -> bool {
        let bank = self.view.directory().bank(bank);
        bank.is_some_and(|bank| self.view.sees_details(member, bank, self.called.now()))
    }

    /// Returns the condition of the deciding rule, in the policy's version of that time; empty if no rule
    /// decided.
    async fn condition(&self, member: MemberId, decision: Option<&pb::Decision>) -> Result<String, Status> {
        let Some(decision) = decision.filter(|decision| !decision.rule.is_empty()) else {
            return Ok(String::new());
        };
        let key = DocumentKey::of_numbers(&[member.0.into(), decision.policy_version.into()]);
        let versions = self.read(self.store.documents(&[(DocumentKind::Policy, key)])).await?;
        let version = versions.first().and_then(decode::<pb::PolicyVersion>);
        let Some(version) = version.and_then(|version| PolicyVersion::try_from(version).ok()) else {
            return Ok(String::new());
        };
        let (rules, scores) = (version.policy.rules(), version.policy.scores());
        let by_rule = rules.iter().find(|rule| rule.name() == decision.rule);
        let by_score = scores.iter().find(|rule| rule.name() == decision.rule);
        let by_rule = by_rule.map(|rule| rule.condition().to_owned());
        Ok(by_rule.or(by_score.map(ScoreRule::condition)).unwrap_or_default())
    }
}

#[tonic::async_trait]
impl pb::decision_service_server::DecisionService for BankGrpc {
    async fn record_decisions(
        &self,
        request: Request<pb::RecordDecisionsRequest>,
    ) -> Result<Response<pb::RecordDecisionsResponse>, Status> {
        let key = self.digest_key()?;
        let action = |message: &pb::RecordDecisionsRequest| {
            let decisions = &message.decisions;
            if !(1..=DECISIONS_MAX).contains(&decisions.len()) {
                let reason = format!("has {} entries; it must have 1 to {DECISIONS_MAX}", decisions.len());
                return Err(Invalid::new("decisions", reason));
            }
            let decisions = decisions.iter().enumerate().map(|(at, decision)| {
                let read = key.new_decision(decision);
                read.map_err(|invalid| invalid.within(format!("decisions[{at}]")))
            });
            Ok(CaseAction::RecordDecisions(decisions.collect::<Result<_, _>>()?))
        };
        let answer = self.write_case(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::RecordDecisionsResponse { recorded_count: answer.count }))
    }

    async fn get_decision(
        &self,
        request: Request<pb::GetDecisionRequest>,
    ) -> Result<Response<pb::GetDecisionResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.get_ref();
        let id = decision_id("decision_id", &message.decision_id)?;
        let given = query_digests("query_digests", &message.query_digests)?;
        let member = reading.reader()?;
        let parts = reading.read(parts_of(&*reading.store, id)).await?;
        let Some((whole, kept_until)) = reading.whole(member, id, &parts) else {
            return Err(Error::from(CaseError::NoDecision).into());
        };
        let key = self.digest_key()?;
        let (given, is_comparable) = (key.stored(&given), whole.digest_key_id == key.id());
        let is_same = given.iter().any(|digest| whole.query_digests.contains(digest));
        let decision = whole.record.as_ref().and_then(|record| record.decision.as_ref());
        let rule_condition = reading.condition(member, decision).await?;
        Ok(Response::new(pb::GetDecisionResponse {
            decision: Some(reading.shown_decision(member, whole, kept_until)?),
            same_query: (is_comparable && !given.is_empty()).then_some(is_same),
            rule_condition,
        }))
    }

    async fn list_decisions(
        &self,
        request: Request<pb::ListDecisionsRequest>,
    ) -> Result<Response<pb::ListDecisionsResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.get_ref();
        let limit = case_page_size(message.page_size)?;
        let after = DocumentKey::new(&message.after_key).map_err(|error| Invalid::new("after_key", error))?;
        let member = reading.reader()?;
        let list = if message.waiting { ByTime::Waiting } else { ByTime::All };
        let before = match message.before_unix_ms {
            0 => recorded::end_of(list, member),
            before => recorded::from_time(list, member, before),
        };
        let range = DocumentRange {
            kind: DocumentKind::DecisionKey,
            after: after.max(recorded::from_time(list, member, message.from_unix_ms)),
            before: Some(before),
            limit,
        };
        let found = reading.read(reading.store.document_range(&range)).await?;
        let next_key = found.last().filter(|_| found.len() == usize::from(limit));
        let next_key = next_key.map(|last| last.key.as_bytes().to_vec()).unwrap_or_default();
        let ids: Vec<[u8; 16]> = found.iter().map(|document| recorded::id_by_time(&document.key)).collect();
        let decisions = reading.decisions(member, &ids).await?;
        Ok(Response::new(pb::ListDecisionsResponse { decisions, next_key }))
    }

    async fn set_decision_outcome(
        &self,
        request: Request<pb::SetDecisionOutcomeRequest>,
    ) -> Result<Response<pb::SetDecisionOutcomeResponse>, Status> {
        let action = |message: &pb::SetDecisionOutcomeRequest| {
            let id = decision_id("decision_id", &message.decision_id)?;
            let outcome = message.outcome.ok_or_else(|| Invalid::missing("outcome"))?;
            let outcome = outcome.try_into().map_err(|invalid: Invalid| invalid.within("outcome"))?;
            let expected_at = message.expected_outcome_at_unix_ms.map(UnixMillis);
            Ok(CaseAction::SetDecisionOutcome { id, outcome: Box::new(outcome), expected_at })
        };
        let answer = self.write_case(request, action, |message| message.idempotency_key).await?;
        let (sequence, opinions_put) = (answer.sequence.0, answer.count);
        Ok(Response::new(pb::SetDecisionOutcomeResponse { sequence, opinions_put }))
    }
}

impl Reading {
    /// Reads the decisions with these ids, in this order. A record that ended in between is left out.
    async fn decisions(
        &self,
        member: MemberId,
        ids: &[[u8; 16]],
    ) -> Result<Vec<pb::DecisionListing>, Status> {
        let by_id: Vec<DocumentId> = ids.iter().map(|id| recorded::by_id(*id)).collect();
        let keys = self.read(self.store.documents_seen(&by_id)).await?;
        let parts: Vec<DocumentId> = keys
            .iter()
            .filter_map(|document| {
                Some((recorded::id_by_id(&document.key), decode::<pb::StoredDecisionKey>(document)?))
            })
            .flat_map(|(id, key)| recorded::parts(id, key))
            .collect();
        let parts = self.read(self.store.documents_seen(&parts)).await?;
        let mut shown = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some((whole, kept_until)) = self.whole(member, *id, &parts) {
                shown.push(self.shown_decision(member, whole, kept_until)?);
            }
        }
        Ok(shown)
    }

    /// Returns the record of a member's decision, joined from the parts that are kept, and the time until
    /// which the last part is kept.
    fn whole(&self, member: MemberId, id: [u8; 16], parts: &[Document]) -> Option<(pb::StoredDecision, u64)> {
        let (directory, now) = (self.view.directory(), self.called.now());
        let own = parts.iter().filter(|part| recorded::id_of(&part.key) == id);
        let kept: Vec<&Document> = own.filter(|part| recorded::is_kept(directory, part, now)).collect();
        let until = kept.iter().map(|part| part.key.number(0)).max()?;
        let parts = kept.into_iter().filter_map(decode::<pb::StoredDecision>);
        let whole = recorded::joined(parts.filter(|part| part.member_id == member.0))?;
        Some((whole, until))
    }
}
